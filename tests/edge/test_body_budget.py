"""The octets of request bodies that a worker holds, all together, are bounded."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.edge import server
from gateway.edge.body_budget import SMALL_BODY, BodyBudget
from tests.support.edge import Edge, leaf, register
from tests.support.gateway import running_gateway

MIB = 1024 * 1024
BUDGET = 4 * MIB
LARGE = 64 * 1024
BEYOND = 8
"""Bodies that find no room."""
SERVER = {"https_max_body_bytes": BUDGET, "https_request_timeout": 60.0}
POST = (
    b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: %d\r\n\r\n"
)


class WatchedBudget(BodyBudget):
    """Remembers the most that it held, and tells when it holds less or more."""

    def __init__(self, octets):
        super().__init__(octets)
        self.peak = 0
        self.changed = asyncio.Event()

    def take(self, octets):
        taken = super().take(octets)
        self.peak = max(self.peak, self.held)
        self.changed.set()
        return taken

    def give_back(self, octets):
        super().give_back(octets)
        self.changed.set()

    async def until(self, is_so):
        """Wait until *is_so* of what is held."""
        async with asyncio.timeout(10):
            while not is_so(self.held):
                self.changed.clear()
                await self.changed.wait()


def test_what_is_counted_in_is_counted_out():
    """There is room again when others have gone, and what found none counts for nothing."""
    budget = BodyBudget(10)
    assert budget.take(7)
    assert not budget.take(4)
    assert budget.take(3)
    budget.give_back(7)
    assert (budget.take(7), budget.held) == (True, 10)


@pytest.fixture
async def budgets(monkeypatch):
    """The budgets that were made."""
    made = []

    def make(octets):
        made.append(WatchedBudget(octets))
        return made[-1]

    monkeypatch.setattr(server, "BodyBudget", make)
    return made


async def send_slowly(stack, edge):
    """A connection that has sent nearly all of a large body, and what comes back."""
    reader, writer = await stack.enter_async_context(edge.connection())
    writer.write(POST % LARGE + b"a" * (LARGE - 1))
    await writer.drain()
    return asyncio.create_task(reader.read())


async def test_slow_large_bodies_stay_within_the_budget(tmp_path, budgets):
    """What comes beyond it is refused at once with a time to come back at; tokens are minted meanwhile."""
    async with running_gateway(tmp_path, server=SERVER) as gateway:
        edge, (budget,) = Edge(gateway), budgets
        async with gateway.client(gateway.admin) as admin:
            await register(admin, "pki")
        async with AsyncExitStack() as stack:
            answers = [await send_slowly(stack, edge) for _ in range(BUDGET // LARGE + BEYOND)]
            async with asyncio.timeout(10):
                refused = [await each for each in answers[-BEYOND:]]
            assert [answer.partition(b"\r\n")[0][:12] for answer in refused] == [b"HTTP/1.1 503"] * BEYOND
            assert all(b"\r\nretry-after: 1\r\n" in answer for answer in refused)
            assert all(b"\r\nconnection: close\r\n" in answer for answer in refused)
            assert not any(each.done() for each in answers[:-BEYOND])
            form = {"grant_type": "client_credentials", "client_id": "pki"}
            minted = await edge.post("/oauth2/token", identity=leaf(gateway, "pki"), data=form)
            assert minted.status_code == 200
            large = await edge.post("/oauth2/token", content=b"a" * (LARGE - 1))
            assert large.status_code == 503
            assert edge.cause(large) == ("OVERLOADED", "body_budget")
            for waiting in answers:
                waiting.cancel()
        await budget.until(lambda held: held == 0)
        assert SMALL_BODY < budget.peak <= BUDGET
        assert (await edge.post("/oauth2/token", content=b"a" * LARGE)).status_code != 503


async def test_a_body_that_is_answered_counts_no_more(tmp_path, budgets):
    """One connection may send far more than the budget, one body after the other."""
    async with running_gateway(tmp_path, server=SERVER) as gateway:
        edge, (budget,) = Edge(gateway), budgets
        async with edge.client() as client:
            for _ in range(BUDGET // LARGE + 2):
                response = await client.post("/oauth2/token", content=b"a" * LARGE)
                assert response.status_code != 503
        await budget.until(lambda held: held == 0)
        assert budget.peak == LARGE


async def test_small_bodies_go_on(tmp_path, budgets):
    """They count for nothing, however many are sent slowly."""
    async with running_gateway(tmp_path, server=SERVER) as gateway:
        edge, (budget,) = Edge(gateway), budgets
        async with edge.connection() as (reader, writer):
            writer.write(POST % SMALL_BODY + b"a" * (SMALL_BODY - 1))
            await writer.drain()
            writer.write(b"a")
            assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 4")
        assert budget.peak == 0
