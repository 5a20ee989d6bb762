"""What the port of logins under way promises, on SQLite and on PostgreSQL, through two replicas."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.login.pending import LoginBounds, PendingAuthorization, TooManyLoginsError, digest
from gateway.oidc.authorization import PendingLogin
from gateway.store import Store, open_store
from gateway.tokens.authorization import Authentication, AuthorizationCode, AuthorizationRequest
from gateway.tokens.authorization_requests import AcceptedRequest
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

REQUEST = AuthorizationRequest(
    client_id="web",
    redirect_uri="https://app.example.org/cb?ü=1",
    scope=("read", "write"),
    audience=("https://api.example.org",),
    code_challenge="c" * 43,
    dpop_jkt="j" * 43,
    state="s \0 \ud800",
    prompt="login",
    max_age=0,
)
LOGIN = PendingLogin(
    issuer="https://idp.example.org/",
    redirect_uri="https://id.example.org/oauth2/callback",
    state="s" * 43,
    nonce="n" * 43,
    code_verifier="v" * 43,
    expire_time=NOW + 600.25,
    max_age=0,
    acr_values=("gold", "silver"),
)
PENDING = PendingAuthorization(AcceptedRequest(REQUEST, b"\xff" * 32), LOGIN)
PLAIN = PendingAuthorization(
    AcceptedRequest(AuthorizationRequest("web", "x", (), ("a",), "c")),
    replace(LOGIN, max_age=None, acr_values=()),
)
STATE, BROWSER = digest("state"), digest("browser")
BOUNDS = LoginBounds(per_client=10, in_all=20)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def clock() -> SettableClock:
    """The clock of both replicas."""
    return SettableClock()


@pytest.fixture
async def stores(url: str, clock: SettableClock) -> AsyncIterator[tuple[Store, Store]]:
    """Two replicas over one database."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, clock=clock, migrate=True))
        two = await stack.enter_async_context(open_store(url, clock=clock))
        yield one, two


@pytest.mark.parametrize("pending", [PENDING, PLAIN])
async def test_a_login_is_read_back_once(stores, pending):
    """Every field survives, what is absent stays absent; then it is gone for both replicas."""
    one, two = stores
    await one.pending_logins.insert(STATE, BROWSER, pending, bounds=BOUNDS, now=NOW)
    assert await two.pending_logins.take(STATE, BROWSER, now=NOW) == pending
    for store in stores:
        assert await store.pending_logins.take(STATE, BROWSER, now=NOW) is None


async def test_of_many_one_takes_it(stores):
    """The database decides."""
    one, two = stores
    await one.pending_logins.insert(STATE, BROWSER, PENDING, bounds=BOUNDS, now=NOW)
    taken = await asyncio.gather(
        *((one, two)[number % 2].pending_logins.take(STATE, BROWSER, now=NOW) for number in range(20))
    )
    assert sorted(each is not None for each in taken) == [False] * 19 + [True]


async def test_state_and_browser_go_together(stores):
    """One without the other takes nothing, and leaves the login to its browser."""
    one, two = stores
    await one.pending_logins.insert(STATE, BROWSER, PENDING, bounds=BOUNDS, now=NOW)
    assert await two.pending_logins.take(STATE, digest("other"), now=NOW) is None
    assert await two.pending_logins.take(digest("other"), BROWSER, now=NOW) is None
    assert await two.pending_logins.take(STATE, BROWSER, now=NOW) == PENDING


async def test_a_login_expires(stores, clock):
    """At its end it is taken by nobody, and purged some time after."""
    one, _ = stores
    await one.pending_logins.insert(STATE, BROWSER, PENDING, bounds=BOUNDS, now=NOW)
    assert await one.pending_logins.take(STATE, BROWSER, now=LOGIN.expire_time) is None
    assert await one.purge.once() == 0
    clock.now = LOGIN.expire_time + 301
    assert await one.purge.once() == 1


def of_client(number: int, client_id: str) -> tuple[bytes, bytes, PendingAuthorization]:
    """A login of its own state."""
    request = replace(REQUEST, client_id=client_id)
    return digest(f"state {number}"), BROWSER, replace(PENDING, accepted=AcceptedRequest(request))


async def begun(store: Store, number: int, client_id: str, now: float = NOW) -> str:
    """Begin a login; why not, or nothing."""
    try:
        await store.pending_logins.insert(*of_client(number, client_id), bounds=BOUNDS, now=now)
    except TooManyLoginsError as error:
        return error.cause
    return ""


async def test_logins_of_a_client_are_bounded(stores):
    """One client's logins leave room for another's; one that is finished or expired counts no more."""
    one, two = stores
    for number in range(10):
        assert await begun((one, two)[number % 2], number, "web") == ""
    assert await begun(two, 10, "web") == "too_many_logins_of_client"
    assert await begun(two, 11, "other") == ""
    state, browser, _ = of_client(3, "web")
    assert await two.pending_logins.take(state, browser, now=NOW) is not None
    assert await begun(one, 12, "web") == ""
    assert await begun(one, 13, "web") == "too_many_logins_of_client"
    assert await begun(one, 13, "web", now=LOGIN.expire_time) == ""


async def test_logins_in_all_are_bounded(stores):
    """However many clients there are."""
    one, two = stores
    for number in range(20):
        assert await begun((one, two)[number % 2], number, f"client-{number}") == ""
    assert await begun(one, 20, "another") == "too_many_logins"


async def test_a_pushed_request_is_used_once_even_after_its_end(stores, clock):
    """Purged while its user logged in, it still makes one code."""
    one, two = stores
    pushed = b"p" * 32
    await one.pushed_requests.insert(pushed, REQUEST, expire_time=NOW + 90)
    clock.now = NOW + 500
    assert await one.purge.once() == 1
    code = AuthorizationCode(REQUEST, "user:alice", Authentication(), clock.now + 60)
    made = await asyncio.gather(
        *(
            (one, two)[number % 2].codes.insert(bytes([number]) * 32, code, pushed=pushed)
            for number in range(10)
        )
    )
    assert sorted(made) == [False] * 9 + [True]
