"""What the ports of grants promise, on SQLite and on PostgreSQL, through two replicas of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.store import Store, open_store
from gateway.tokens.authorization import (
    Authentication,
    Authorization,
    AuthorizationCode,
    AuthorizationRequest,
)
from gateway.tokens.binding import CertificateBinding, DpopBinding
from gateway.tokens.grant_ports import NewGrant, NewRefreshToken, StoredCode
from gateway.tokens.ports import Revocation
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

REQUEST = AuthorizationRequest(
    client_id="web",
    redirect_uri="https://app.example.org/cb?ü=1",
    scope=("read", "write"),
    audience=("https://api.example.org",),
    code_challenge="c" * 43,
    dpop_jkt="j" * 43,
    state="s \0 \ud800",
)
CODE = AuthorizationCode(REQUEST, "alice", Authentication(1_700_000_000, "gold", ("pwd",)), NOW + 60)
PLAIN = AuthorizationCode(
    AuthorizationRequest("web", "x", (), ("a",), "c"), "bob", Authentication(), NOW + 60.25
)


def authorization(grant_id: str = "g1", binding: object = None) -> Authorization:
    """A grant's facts."""
    return Authorization(
        grant_id,
        "web",
        "alice",
        ("read",),
        ("https://api.example.org",),
        CODE.authentication,
        binding,  # type: ignore[arg-type]  # A binding or None.
    )


def grant(grant_id: str = "g1", binding: object = None) -> NewGrant:
    """A grant of a day."""
    return NewGrant(authorization(grant_id, binding), NOW, NOW + 86_400)


def token(number: int) -> NewRefreshToken:
    """A refresh token."""
    return NewRefreshToken(digest(number), NOW + 600, NOW + 3600)


def digest(number: int) -> bytes:
    """A digest."""
    return bytes([number]) * 32


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def stores(url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two replicas over one database."""
    clock = SettableClock()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, clock=clock, migrate=True))
        two = await stack.enter_async_context(open_store(url, clock=clock))
        yield one, two


async def start(store: Store, number: int = 1, grant_id: str = "g1") -> None:
    """A code that was exchanged for the grant and its first refresh token."""
    await store.codes.insert(digest(200 + number), CODE, pushed=None)
    assert await store.codes.use(digest(200 + number), grant(grant_id), token(number))


class TestPushedRequests:
    """`PushedRequestRepository`."""

    async def test_a_request_is_read_back_until_it_expires(self, stores):
        """Every field survives; at its end it is gone."""
        one, two = stores
        await one.pushed_requests.insert(digest(1), REQUEST, expire_time=NOW + 90)
        assert await two.pushed_requests.find(digest(1), now=NOW + 89) == REQUEST
        assert await two.pushed_requests.find(digest(1), now=NOW + 90) is None
        assert await two.pushed_requests.find(digest(2), now=NOW) is None

    async def test_a_request_is_used_once(self, stores):
        """Of many codes made of it on two replicas one is."""
        one, two = stores
        await one.pushed_requests.insert(digest(1), REQUEST, expire_time=NOW + 90)
        made = await asyncio.gather(
            *(
                (one, two)[number % 2].codes.insert(digest(10 + number), CODE, pushed=digest(1))
                for number in range(20)
            )
        )
        assert sorted(made) == [False] * 19 + [True]
        assert await one.pushed_requests.find(digest(1), now=NOW) is None
        assert await two.codes.find(digest(10 + made.index(True))) == StoredCode(CODE, None)
        assert await two.codes.find(digest(10 + made.index(False))) is None


class TestCodes:
    """`CodeRepository`."""

    @pytest.mark.parametrize("code", [CODE, PLAIN])
    async def test_a_code_is_read_back(self, stores, code):
        """Every field survives, what is absent stays absent."""
        one, two = stores
        await one.codes.insert(digest(1), code, pushed=None)
        assert await two.codes.find(digest(1)) == StoredCode(code, None)

    async def test_a_code_is_used_once(self, stores):
        """Of twenty uses on two replicas one is the first, and only its grant and token are there."""
        one, two = stores
        await one.codes.insert(digest(1), CODE, pushed=None)
        used = await asyncio.gather(
            *(
                (one, two)[number % 2].codes.use(digest(1), grant(f"g{number}"), token(10 + number))
                for number in range(20)
            )
        )
        winner = used.index(True)
        assert used.count(True) == 1
        assert await two.codes.find(digest(1)) == StoredCode(CODE, f"g{winner}")
        for number in range(20):
            assert (await two.refresh_tokens.find(digest(10 + number)) is not None) == (number == winner)
            assert await two.grants.is_revoked(f"g{number}") == (number != winner)

    async def test_a_replay_revokes_the_grant(self, stores):
        """Of a code that was not used there is nothing to revoke."""
        one, two = stores
        await one.codes.insert(digest(1), CODE, pushed=None)
        await two.codes.revoke_replayed(digest(1), now=NOW)
        assert await one.codes.use(digest(1), grant(), None)
        await two.codes.revoke_replayed(digest(1), now=NOW)
        assert await one.grants.is_revoked("g1")

    async def test_a_used_code_is_known_for_as_long_as_its_grant(self, stores):
        """The purge leaves it, and takes one that was never used."""
        one, two = stores
        await one.codes.insert(digest(1), CODE, pushed=None)
        await one.codes.insert(digest(2), CODE, pushed=None)
        await one.codes.use(digest(1), grant(), None)
        clock = one.purge._clock
        clock.now += 3600
        await two.purge.once()
        assert await two.codes.find(digest(1)) is not None
        assert await two.codes.find(digest(2)) is None
        clock.now += 86_400
        await two.purge.once()
        assert await two.codes.find(digest(1)) is None
        assert await two.grants.is_revoked("g1")


class TestGrants:
    """`GrantRepository`."""

    async def test_a_revocation_is_seen_by_every_replica_at_once(self, stores):
        """It is news once; an unknown grant is not in force."""
        one, two = stores
        await start(one)
        assert not await two.grants.is_revoked("g1")
        assert await one.grants.revoke("g1", now=NOW)
        assert await two.grants.is_revoked("g1")
        assert not await two.grants.revoke("g1", now=NOW)
        assert not await two.grants.revoke("g2", now=NOW)
        assert await two.grants.is_revoked("g2")

    async def test_among_many_the_revoked_are_found(self, stores):
        """Unknown ones count as revoked; of none, none."""
        one, two = stores
        for number in range(1, 6):
            await start(one, number, f"g{number}")
        await one.grants.revoke("g2", now=NOW)
        found = await two.grants.revoked_among([f"g{number}" for number in range(1, 7)])
        assert found == {"g2", "g6"}
        assert await two.grants.revoked_among([]) == frozenset()
        with pytest.raises(ValueError, match="1000"):
            await two.grants.revoked_among(["g"] * 1001)

    async def test_one_of_many_revocations_is_the_first(self, stores):
        """Grants and tokens revoked at the same time on two replicas: each once, none waits for ever."""
        one, two = stores
        await start(one)
        results = await asyncio.gather(
            *((one, two)[number % 2].grants.revoke("g1", now=NOW) for number in range(10)),
            *(
                (one, two)[number % 2].revocations.revoke(Revocation(f"t{number}", None, NOW, NOW + 60))
                for number in range(10)
            ),
        )
        assert results[:10].count(True) == 1
        assert results[10:] == [True] * 10


class TestRefreshTokens:
    """`RefreshTokenRepository`."""

    @pytest.mark.parametrize("binding", [None, DpopBinding("j" * 43), CertificateBinding("x" * 43)])
    async def test_a_token_is_read_back_with_its_grant(self, stores, binding):
        """Every field survives."""
        one, two = stores
        await one.codes.insert(digest(9), CODE, pushed=None)
        await one.codes.use(digest(9), grant(binding=binding), token(1))
        found = await two.refresh_tokens.find(digest(1))
        assert found.authorization == authorization(binding=binding)
        assert (found.issue_time, found.idle_expire_time, found.expire_time) == (NOW, NOW + 600, NOW + 3600)
        assert (found.consumed, found.revoked, found.digest) == (False, False, digest(1))
        assert await two.refresh_tokens.find(digest(2)) is None

    async def test_one_of_many_rotations_wins(self, stores):
        """Twenty at the same time on two replicas: one successor, and every other gets the winner's."""
        one, two = stores
        await start(one)
        rotated = await asyncio.gather(
            *(
                (one, two)[number % 2].refresh_tokens.rotate(
                    digest(1), token(10 + number), sealed=bytes([number]), now=NOW
                )
                for number in range(20)
            )
        )
        winner = rotated.index(True)
        assert rotated.count(True) == 1
        replayed = await asyncio.gather(
            *(
                (one, two)[number % 2].refresh_tokens.replay(digest(1), now=NOW, grace=10, max_replays=64)
                for number in range(19)
            )
        )
        assert replayed == [bytes([winner])] * 19
        assert not await two.grants.is_revoked("g1")
        for number in range(20):
            assert (await two.refresh_tokens.find(digest(10 + number)) is not None) == (number == winner)

    @pytest.mark.parametrize("case", ["late", "used", "often"])
    async def test_reuse_revokes_in_the_same_decision(self, stores, case):
        """After the grace, after the successor's use, or once too often: no successor, no grant."""
        one, two = stores
        await start(one)
        await one.refresh_tokens.rotate(digest(1), token(2), sealed=b"s", now=NOW)
        now, most = NOW + 10, 64
        if case == "late":
            now += 0.000001
        elif case == "used":
            await two.refresh_tokens.rotate(digest(2), token(3), sealed=b"t", now=NOW)
        else:
            most = 2
            for _ in range(2):
                assert await two.refresh_tokens.replay(digest(1), now=now, grace=10, max_replays=2)
        assert await two.refresh_tokens.replay(digest(1), now=now, grace=10, max_replays=most) is None
        assert await one.grants.is_revoked("g1")
        assert (await one.refresh_tokens.find(digest(2))).revoked

    async def test_a_token_in_use_lives_on(self, stores):
        """Its idle expiry moves; one that was consumed does not come back."""
        one, two = stores
        await start(one)
        assert await one.refresh_tokens.touch(digest(1), idle_expire_time=NOW + 700)
        assert (await two.refresh_tokens.find(digest(1))).idle_expire_time == NOW + 700
        await one.refresh_tokens.rotate(digest(1), token(2), sealed=b"s", now=NOW)
        assert not await two.refresh_tokens.touch(digest(1), idle_expire_time=NOW + 800)
        assert not await two.refresh_tokens.touch(digest(9), idle_expire_time=NOW + 800)

    async def test_revoking_and_rotating_at_the_same_time(self, stores):
        """Whichever is first, afterwards the grant is revoked and nobody waits for ever."""
        one, two = stores
        await start(one)
        await one.refresh_tokens.rotate(digest(1), token(2), sealed=b"s", now=NOW)
        await asyncio.gather(
            one.grants.revoke("g1", now=NOW),
            two.refresh_tokens.rotate(digest(2), token(3), sealed=b"t", now=NOW),
            one.refresh_tokens.replay(digest(1), now=NOW, grace=0, max_replays=1),
            two.codes.revoke_replayed(digest(201), now=NOW),
        )
        assert await two.grants.is_revoked("g1")


class TestOpaqueTokens:
    """`OpaqueTokenRepository`."""

    async def test_claims_are_read_back(self, stores):
        """Octet for octet, many at once."""
        one, two = stores
        await one.opaque_tokens.insert(
            [(digest(number), b"{\x00\xff%d}" % number, NOW + 60) for number in range(5)]
        )
        assert await two.opaque_tokens.find(digest(3)) == b"{\x00\xff3}"
        assert await two.opaque_tokens.find(digest(9)) is None


class TestRevocationFeed:
    """`RevocationFeedRepository`."""

    async def test_tokens_and_grants_share_a_sequence(self, stores):
        """In the order of the commits, by pages, on whichever replica."""
        one, two = stores
        await start(one)
        await one.revocations.revoke(Revocation("t1", "web", NOW, NOW + 60))
        await two.grants.revoke("g1", now=NOW + 1)
        await one.revocations.revoke(Revocation("t2", None, NOW + 2, NOW + 90))
        items = await two.revocation_feed.after(0, limit=10)
        assert [(item.token_id, item.grant_id) for item in items] == [
            ("t1", None),
            (None, "g1"),
            ("t2", None),
        ]
        assert [(item.revoke_time, item.expire_time) for item in items] == [
            (NOW, NOW + 60),
            (NOW + 1, NOW + 86_400),
            (NOW + 2, NOW + 90),
        ]
        assert await one.revocation_feed.after(items[0].number, limit=1) == [items[1]]
        assert await one.revocation_feed.last_number() == items[-1].number
        assert list(await one.revocation_feed.after(items[-1].number, limit=1)) == []
