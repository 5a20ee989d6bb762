"""A server on loopback behind the test door, and the client that may reach it."""

from collections.abc import AsyncIterator

import pytest

from gateway.fetching import Address, DangerousLoopbackDoor, FetchError, FetchFault, GuardedClient
from tests.support.pki import Authority
from tests.support.scripted_server import ScriptedServer, server_context

HOST = "data.example.test"


class NoResolver:
    """Fails the test that makes the client ask DNS."""

    async def addresses(self, host: str) -> tuple[Address, ...]:
        raise FetchError(FetchFault.DNS_FAILED, "this test needs no DNS", host=host)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.root("Fetching Root")


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(tls=server_context(authority.server(HOST))) as running:
        yield running


@pytest.fixture
def door(authority: Authority) -> DangerousLoopbackDoor:
    return DangerousLoopbackDoor(names=frozenset({HOST}), ca_pem=authority.pem.decode())


@pytest.fixture
def client(door: DangerousLoopbackDoor) -> GuardedClient:
    return GuardedClient(NoResolver(), door=door)


@pytest.fixture
def base(server: ScriptedServer) -> str:
    return f"https://{HOST}:{server.port}"
