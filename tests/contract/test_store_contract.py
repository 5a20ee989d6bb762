"""What the ports promise, on SQLite and on PostgreSQL, through two replicas of the gateway."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.errors import GatewayError, Reason, RequestError, StateError
from gateway.jose.jwk import Jwk, JwkSet
from gateway.keys.model import KeyPurpose, KeyState
from gateway.store import Store, open_store
from gateway.store.clients import RECENT
from gateway.tokens.client import ClientAuthenticationMethod
from gateway.tokens.ports import Revocation
from signers import Algorithm
from tests.support.stores import (
    DATABASES,
    NOW,
    REPOSITORY,
    SettableClock,
    client,
    empty_database,
    key_record,
    request_key,
    self_signed_client,
    store_process,
)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@dataclass
class Replicas:
    """Two stores over one database, each with its own connections."""

    one: Store
    two: Store
    clock: SettableClock

    def each(self, count: int) -> list[Store]:
        """*count* stores, by turns."""
        return [(self.one, self.two)[number % 2] for number in range(count)]


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[Replicas]:
    """Two replicas, migrated, with a clock that stands still."""
    clock = SettableClock()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, clock=clock, migrate=True))
        two = await stack.enter_async_context(open_store(url, clock=clock))
        yield Replicas(one, two, clock)


async def outcomes(*attempts: object) -> tuple[list[object], list[Reason]]:
    """What the attempts, made at the same time, returned, and the reasons for which the others failed."""
    results = await asyncio.gather(*attempts, return_exceptions=True)  # type: ignore[call-overload]  # Awaitables.
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures:
        if not isinstance(failure, GatewayError):
            raise failure
    return [result for result in results if not isinstance(result, BaseException)], [
        failure.reason for failure in failures
    ]


class TestClients:
    """`ClientRepository`."""

    async def test_a_client_is_read_back_as_it_was_created(self, replicas):
        """Every field survives, through another replica too."""
        created, fresh = await replicas.one.clients.create(client(), None)
        assert (created, fresh) == (client(), True)
        assert await replicas.one.clients.get("backend") == client()
        assert await replicas.two.clients.get("backend") == client()

    async def test_a_recent_client_is_as_this_process_left_it(self, replicas):
        """A change is seen by the process that made it with its next look, a deletion too."""
        clients = replicas.one.clients
        assert await clients.recent("backend") is None
        await clients.create(client(), None)
        assert await clients.recent("backend") == client()
        changed = await clients.replace(client(disabled=True), expected_revision=1)
        assert await clients.recent("backend") == changed
        await clients.delete("backend", expected_revision=None)
        assert await clients.recent("backend") is None

    async def test_a_recent_client_is_at_most_a_moment_old(self, replicas):
        """A change by another process is seen once the moment is over, and never taken back."""
        await replicas.one.clients.create(client(), None)
        assert await replicas.two.clients.recent("backend") == client()
        changed = await replicas.one.clients.replace(client(disabled=True), expected_revision=1)
        await asyncio.sleep(RECENT)
        assert await replicas.two.clients.recent("backend") == changed
        await replicas.one.clients.delete("backend", expected_revision=None)
        await asyncio.sleep(RECENT)
        assert await replicas.two.clients.recent("backend") is None

    async def test_recent_clients_are_current_under_changes(self, replicas):
        """While one process changes a client and another looks, no look is older than a moment."""
        await replicas.one.clients.create(client(), None)
        written: list[tuple[float, int]] = []

        async def change() -> None:
            for revision in range(1, 40):
                await replicas.one.clients.replace(client(), expected_revision=revision)
                written.append((time.monotonic(), revision + 1))

        changing = asyncio.create_task(change())
        while not changing.done():
            asked = time.monotonic()
            seen = await replicas.two.clients.recent("backend")
            due = max((revision for moment, revision in written if moment < asked - RECENT), default=1)
            assert seen is not None
            assert seen.revision >= due
            await asyncio.sleep(0)
        await changing

    async def test_every_optional_field_survives(self, replicas):
        """Keys with all their members, a secret's hash, a lifetime and text of any script are kept."""
        keys = (
            Jwk(ed25519.Ed25519PrivateKey.generate().public_key(), kid="2030-01", algorithm=Algorithm.EDDSA),
            Jwk(
                ec.generate_private_key(ec.SECP256R1()).public_key(),
                algorithm=Algorithm.ES256,
                use="sig",
                key_ops=frozenset({"verify"}),
            ),
        )
        stored = client(
            display_name="Überprüfung 検証 \0",
            authentication_method=ClientAuthenticationMethod.PRIVATE_KEY_JWT,
            identity=None,
            jwks=JwkSet(keys),
            secret_hash=bytes(range(32)),
            resources=frozenset({"https://rs.example.org"}),
            access_token_lifetime=timedelta(minutes=7),
            disabled=True,
            create_time=NOW + 0.123456,
        )
        await replicas.one.clients.create(stored, None)
        assert await replicas.two.clients.get("backend") == stored

    async def test_an_unknown_client_is_none(self, replicas):
        """Nothing is made up."""
        assert await replicas.one.clients.get("nobody") is None

    async def test_an_id_exists_once(self, replicas):
        """The second creation is refused and changes nothing."""
        await replicas.one.clients.create(client(), None)
        with pytest.raises(StateError) as caught:
            await replicas.two.clients.create(client(display_name="Another"), None)
        assert caught.value.reason is Reason.CLIENT_ALREADY_EXISTS
        assert await replicas.one.clients.get("backend") == client()

    async def test_a_replayed_creation_returns_the_first_client(self, replicas):
        """The same request id with the same digest creates once, on whichever replica."""
        key = request_key("r1")
        await replicas.one.clients.create(client(), key)
        number = await replicas.one.clients.change_number()
        assert await replicas.two.clients.create(client(display_name="Retry"), key) == (client(), False)
        assert await replicas.one.clients.change_number() == number

    async def test_a_request_id_serves_one_request(self, replicas):
        """The same id with another digest is refused."""
        await replicas.one.clients.create(client(), request_key("r1"))
        with pytest.raises(StateError) as caught:
            await replicas.two.clients.create(client("other"), request_key("r1", digest=b"\1" * 32))
        assert caught.value.reason is Reason.REQUEST_ID_REUSED
        assert await replicas.one.clients.get("other") is None

    async def test_callers_do_not_share_request_ids(self, replicas):
        """The same id from another caller is another request."""
        await replicas.one.clients.create(client(), request_key("r1"))
        assert (await replicas.two.clients.create(client("other"), request_key("r1", caller="b")))[1]

    async def test_a_failed_creation_leaves_its_request_id_free(self, replicas):
        """What was not done is not remembered."""
        await replicas.one.clients.create(client(), None)
        with pytest.raises(StateError):
            await replicas.one.clients.create(client(), request_key("r1"))
        assert (await replicas.one.clients.create(client("other"), request_key("r1")))[1]

    async def test_a_request_id_is_forgotten_after_its_lifetime(self, replicas):
        """After 24 hours the id is free, purged or not."""
        await replicas.one.clients.create(client(), request_key("r1"))
        replicas.clock.now += 24 * 3600 + 1
        assert (await replicas.two.clients.create(client("other"), request_key("r1", b"\1" * 32)))[1]

    async def test_replaying_the_creation_of_a_deleted_client_finds_nothing(self, replicas):
        """The first attempt's client is gone, and a repetition does not bring it back."""
        await replicas.one.clients.create(client(), request_key("r1"))
        await replicas.two.clients.delete("backend", expected_revision=1)
        with pytest.raises(StateError) as caught:
            await replicas.one.clients.create(client(), request_key("r1"))
        assert caught.value.reason is Reason.CLIENT_NOT_FOUND

    async def test_the_id_of_a_deleted_client_is_never_given_again(self, replicas):
        """Its tokens may still be around, and must not come to belong to somebody else."""
        await replicas.one.clients.create(client(), None)
        await replicas.two.clients.delete("backend", expected_revision=1)
        with pytest.raises(StateError) as caught:
            await replicas.one.clients.create(client(create_time=NOW + 1), None)
        assert caught.value.reason is Reason.CLIENT_ALREADY_EXISTS
        assert await replicas.one.clients.get("backend") is None

    async def test_replacing_counts_the_revision(self, replicas):
        """The new state is seen by every replica at once."""
        await replicas.one.clients.create(client(), None)
        await replicas.two.clients.get("backend")
        changed = await replicas.one.clients.replace(client(disabled=True), expected_revision=1)
        assert changed == client(disabled=True, revision=2)
        assert await replicas.two.clients.get("backend") == changed

    async def test_replacing_an_older_revision_is_refused(self, replicas):
        """A change based on what is no longer true changes nothing."""
        await replicas.one.clients.create(client(), None)
        await replicas.one.clients.replace(client(display_name="First"), expected_revision=1)
        with pytest.raises(StateError) as caught:
            await replicas.two.clients.replace(client(display_name="Second"), expected_revision=1)
        assert caught.value.reason is Reason.ETAG_MISMATCH
        stored = await replicas.two.clients.get("backend")
        assert stored is not None
        assert stored.display_name == "First"

    async def test_replacing_an_unknown_client_is_refused(self, replicas):
        """Nothing is created by the way."""
        with pytest.raises(StateError) as caught:
            await replicas.one.clients.replace(client(), expected_revision=1)
        assert caught.value.reason is Reason.CLIENT_NOT_FOUND
        assert await replicas.one.clients.get("backend") is None

    async def test_deleting_names_the_revision_or_none(self, replicas):
        """A wrong revision is refused, the right one and None delete, an unknown client is not found."""
        await replicas.one.clients.create(client(), None)
        with pytest.raises(StateError) as caught:
            await replicas.two.clients.delete("backend", expected_revision=2)
        assert caught.value.reason is Reason.ETAG_MISMATCH
        await replicas.two.clients.delete("backend", expected_revision=None)
        assert await replicas.one.clients.get("backend") is None
        with pytest.raises(StateError) as caught:
            await replicas.one.clients.delete("backend", expected_revision=None)
        assert caught.value.reason is Reason.CLIENT_NOT_FOUND

    async def test_pages_cover_every_client_once(self, replicas):
        """Pages are ordered by the id's bytes on both databases."""
        names = ["B", "a", "a-1", "a_1", "b", "Z", "é", "z"]
        for name in names:
            await replicas.one.clients.create(client(name), None)
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await replicas.two.clients.list(after=after, limit=3)
            seen += [each.client_id for each in page.clients]
            after = page.next_after
            if after is None:
                break
        assert sorted(names, key=str.encode) == seen

    async def test_a_full_last_page_is_the_last(self, replicas):
        """`next_after` is None where nothing follows."""
        await replicas.one.clients.create(client(), None)
        page = await replicas.one.clients.list(after=None, limit=1)
        assert (page.clients, page.next_after) == ((client(),), None)

    async def test_self_signed_certificates_are_those_of_enabled_clients(self, replicas):
        """Another method's certificates and a disabled client's are not let in."""
        first, first_der = self_signed_client("first")
        second, second_der = self_signed_client("second")
        disabled, _ = self_signed_client("disabled", disabled=True)
        other, _ = self_signed_client("other")
        other = replace(other, authentication_method=ClientAuthenticationMethod.PRIVATE_KEY_JWT)
        for each in (first, second, disabled, other, client()):
            await replicas.one.clients.create(each, None)
        assert set(await replicas.two.clients.self_signed_certificates()) == {first_der, second_der}
        await replicas.one.clients.replace(replace(first, disabled=True), expected_revision=1)
        assert await replicas.two.clients.self_signed_certificates() == (second_der,)

    async def test_every_change_grows_the_change_number(self, replicas):
        """Creating, replacing and deleting are seen; a refused change is not."""
        numbers = [await replicas.two.clients.change_number()]
        await replicas.one.clients.create(client(), None)
        numbers.append(await replicas.two.clients.change_number())
        await replicas.one.clients.replace(client(), expected_revision=1)
        numbers.append(await replicas.two.clients.change_number())
        await replicas.one.clients.delete("backend", expected_revision=2)
        numbers.append(await replicas.two.clients.change_number())
        assert sorted(set(numbers)) == numbers
        with pytest.raises(StateError):
            await replicas.one.clients.delete("backend", expected_revision=2)
        assert await replicas.two.clients.change_number() == numbers[-1]

    async def test_one_of_many_creations_wins(self, replicas):
        """Replicas that create one id at the same time: one client, the others are told."""
        results, failures = await outcomes(
            *(store.clients.create(client(), None) for store in replicas.each(20))
        )
        assert results == [(client(), True)]
        assert failures == [Reason.CLIENT_ALREADY_EXISTS] * 19

    async def test_many_attempts_under_one_request_id_create_once(self, replicas):
        """Replicas that are sent the same request at the same time answer the same client."""
        results, failures = await outcomes(
            *(store.clients.create(client(), request_key("r1")) for store in replicas.each(20))
        )
        assert failures == []
        assert sorted(fresh for _, fresh in results) == [False] * 19 + [True]
        assert {stored.client_id for stored, _ in results} == {"backend"}

    async def test_one_of_many_replacements_wins(self, replicas):
        """Of replacements of one revision one is stored, the others see that it changed."""
        await replicas.one.clients.create(client(), None)
        results, failures = await outcomes(
            *(
                store.clients.replace(client(display_name=f"{number}"), expected_revision=1)
                for number, store in enumerate(replicas.each(20))
            )
        )
        assert results == [await replicas.one.clients.get("backend")]
        assert failures == [Reason.ETAG_MISMATCH] * 19

    @pytest.mark.parametrize("name", ["nul\0", "half\ud800"])
    async def test_a_name_that_cannot_be_stored_is_the_requests_fault(self, replicas, name):
        """Text that one of the databases cannot hold is refused alike by both, and never a crash."""
        with pytest.raises(RequestError) as caught:
            await replicas.one.clients.get(name)
        assert caught.value.reason is Reason.INVALID_REQUEST
        with pytest.raises(RequestError) as caught:
            await replicas.one.clients.create(client(name), None)
        assert caught.value.reason is Reason.INVALID_REQUEST


class TestRevocations:
    """`RevocationRepository`."""

    async def test_a_revocation_is_seen_by_every_replica_at_once(self, replicas):
        """Acknowledged on one, it holds on the other; a token that nobody revoked is not revoked."""
        assert await replicas.one.revocations.revoke(Revocation("t1", "backend", NOW, NOW + 60))
        assert await replicas.two.revocations.is_revoked("t1")
        assert not await replicas.two.revocations.is_revoked("t2")

    async def test_revoking_again_is_no_news(self, replicas):
        """It is recorded once, whoever revokes."""
        assert await replicas.one.revocations.revoke(Revocation("t1", "backend", NOW, NOW + 60))
        assert not await replicas.two.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))

    async def test_revoking_for_longer_keeps_it_for_longer(self, replicas):
        """A later expiry is kept, so that the purge cannot bring a token back to life."""
        await replicas.one.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))
        assert not await replicas.two.revocations.revoke(Revocation("t1", "backend", NOW, NOW + 6000))
        assert not await replicas.two.revocations.revoke(Revocation("t1", "backend", NOW, NOW + 60))
        replicas.clock.now += 3000
        await replicas.one.purge.once()
        assert await replicas.one.revocations.is_revoked("t1")

    async def test_among_many_the_revoked_are_found(self, replicas):
        """Of 1,000 ids exactly the revoked ones are returned; of none, none."""
        for number in range(0, 50, 10):
            await replicas.one.revocations.revoke(Revocation(f"t{number}", None, NOW, NOW + 60))
        found = await replicas.two.revocations.revoked_among([f"t{number}" for number in range(1000)])
        assert found == {"t0", "t10", "t20", "t30", "t40"}
        assert await replicas.two.revocations.revoked_among([]) == frozenset()

    async def test_more_than_a_thousand_are_refused(self, replicas):
        """The bound of one statement is kept."""
        with pytest.raises(ValueError, match="1000"):
            await replicas.one.revocations.revoked_among(["t"] * 1001)

    async def test_one_of_many_revocations_is_the_first(self, replicas):
        """At the same time on two replicas: recorded once."""
        results, failures = await outcomes(
            *(
                store.revocations.revoke(Revocation("t1", None, NOW, NOW + 60 + number))
                for number, store in enumerate(replicas.each(20))
            )
        )
        assert failures == []
        assert sorted(results) == [False] * 19 + [True]


class TestReplay:
    """`ReplayRepository`."""

    async def test_a_value_is_used_once(self, replicas):
        """The first use is told from every other, on any replica."""
        assert await replicas.one.replay.use_once("client_assertion", "j1", expire_time=NOW + 60)
        assert not await replicas.one.replay.use_once("client_assertion", "j1", expire_time=NOW + 60)
        assert not await replicas.two.replay.use_once("client_assertion", "j1", expire_time=NOW + 90)

    async def test_kinds_are_separate_spaces(self, replicas):
        """The same value of another kind, or the same characters split otherwise, is another value."""
        for kind, value in (("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", "")):
            assert await replicas.one.replay.use_once(kind, value, expire_time=NOW + 60)

    async def test_any_text_is_a_value(self, replicas):
        """A peer's identifier may hold what databases refuse in text, and be long; only its hash is kept."""
        for value in ("\0", "\ud800", "x" * 100_000):
            assert await replicas.one.replay.use_once("k", value, expire_time=NOW + 60)
            assert not await replicas.two.replay.use_once("k", value, expire_time=NOW + 60)

    async def test_an_absurd_expiry_is_stored(self, replicas):
        """A time beyond what 64 bits hold is not a failure."""
        assert await replicas.one.replay.use_once("k", "v", expire_time=1e300)
        assert not await replicas.two.replay.use_once("k", "v", expire_time=float("inf"))

    async def test_one_of_fifty_wins(self, replicas):
        """Fifty concurrent uses of one value on two replicas: exactly one is the first."""
        results, failures = await outcomes(
            *(store.replay.use_once("k", "v", expire_time=NOW + 60) for store in replicas.each(50))
        )
        assert failures == []
        assert results.count(True) == 1

    async def test_processes_share_the_decision(self, replicas, url):
        """Another process that uses the same 200 values at the same time wins exactly those not won here."""
        other = await asyncio.create_subprocess_exec(
            *store_process(url, "claim", "v", "200"),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert other.stdin is not None
        assert other.stdout is not None
        assert await other.stdout.readline() == b"ready\n"
        other.stdin.write(b"go\n")
        results = await asyncio.gather(
            *(
                store.replay.use_once("race", f"v{number}", expire_time=NOW + 60)
                for number, store in enumerate(replicas.each(200))
            )
        )
        theirs = {int(number) for number in (await other.stdout.readline()).split()}
        assert await other.wait() == 0
        ours = {number for number, won in enumerate(results) if won}
        assert ours | theirs == set(range(200))
        assert not ours & theirs


class TestKeys:
    """`KeyRepository`."""

    async def test_a_key_is_read_back_as_it_was_inserted(self, replicas):
        """Every field survives, in the order of creation."""
        first = key_record("k1", create_time=NOW - 5, state=KeyState.ACTIVE, activate_time=NOW - 4)
        second = key_record("k0", purpose=KeyPurpose.CERTIFICATES, algorithm=Algorithm.ES384)
        assert await replicas.one.keys.insert(second, None) == (second, True)
        assert await replicas.one.keys.insert(first, None) == (first, True)
        assert await replicas.two.keys.all() == (first, second)

    async def test_a_key_exists_once(self, replicas):
        """The second insertion is refused and changes nothing."""
        await replicas.one.keys.insert(key_record("k1"), None)
        with pytest.raises(StateError) as caught:
            await replicas.two.keys.insert(key_record("k1", uri="file:other.pem"), None)
        assert caught.value.reason is Reason.KEY_ALREADY_EXISTS
        assert await replicas.one.keys.all() == (key_record("k1"),)

    async def test_a_second_active_key_is_stored_as_prepared(self, replicas):
        """One purpose and algorithm has one active key; another algorithm has its own."""
        active = {"state": KeyState.ACTIVE, "activate_time": NOW}
        await replicas.one.keys.insert(key_record("k1", **active), None)
        stored, fresh = await replicas.two.keys.insert(key_record("k2", **active), None)
        assert (stored, fresh) == (key_record("k2"), True)
        other, _ = await replicas.two.keys.insert(key_record("k3", algorithm=Algorithm.ES256, **active), None)
        assert other.state is KeyState.ACTIVE

    async def test_a_replayed_insertion_returns_the_first_record(self, replicas):
        """Also where the retry made another key in the meantime."""
        await replicas.one.keys.insert(key_record("k1"), request_key("r1"))
        assert await replicas.two.keys.insert(key_record("k2"), request_key("r1")) == (
            key_record("k1"),
            False,
        )
        assert await replicas.two.keys.all() == (key_record("k1"),)

    async def test_a_replay_is_found_before_anything_is_made(self, replicas):
        """`find_replay` knows the record of an earlier attempt, and refuses another request's digest."""
        assert await replicas.one.keys.find_replay(request_key("r1")) is None
        await replicas.one.keys.insert(key_record("k1"), request_key("r1"))
        assert await replicas.two.keys.find_replay(request_key("r1")) == key_record("k1")
        for attempt in (
            replicas.two.keys.find_replay(request_key("r1", b"\1" * 32)),
            replicas.two.keys.insert(key_record("k2"), request_key("r1", b"\1" * 32)),
        ):
            with pytest.raises(StateError) as caught:
                await attempt
            assert caught.value.reason is Reason.REQUEST_ID_REUSED

    async def activate(self, store, key_id, **changes):
        """Activate a token key at `NOW`."""
        arguments = {"expected_revision": None, "now": NOW, "retire_time": NOW + 600, "key": None} | changes
        purpose = arguments.pop("purpose", KeyPurpose.TOKENS)
        return await store.keys.activate(purpose, Algorithm.EDDSA, key_id, **arguments)

    async def test_activating_retires_the_active_key(self, replicas):
        """Both change together, each under its next revision."""
        await replicas.one.keys.insert(key_record("k1", state=KeyState.ACTIVE, activate_time=NOW), None)
        await replicas.one.keys.insert(key_record("k2", create_time=NOW + 1), None)
        activated = await self.activate(replicas.two, "k2", expected_revision=1)
        assert activated == key_record(
            "k2", create_time=NOW + 1, state=KeyState.ACTIVE, activate_time=NOW, revision=2
        )
        old = key_record("k1", state=KeyState.RETIRING, activate_time=NOW, retire_time=NOW + 600, revision=2)
        assert await replicas.one.keys.all() == (old, activated)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"key_id": "unknown"}, Reason.KEY_NOT_FOUND),
            ({"key_id": "active"}, Reason.KEY_STATE_CONFLICT),
            ({"purpose": KeyPurpose.CERTIFICATES}, Reason.KEY_STATE_CONFLICT),
            ({"expected_revision": 7}, Reason.ETAG_MISMATCH),
        ],
    )
    async def test_activation_is_refused_for_its_reason(self, replicas, changes, reason):
        """Unknown, not prepared, of another purpose, changed meanwhile: nothing changes."""
        await replicas.one.keys.insert(key_record("active", state=KeyState.ACTIVE), None)
        await replicas.one.keys.insert(key_record("next"), None)
        before = await replicas.one.keys.all(), await replicas.one.keys.change_number()
        with pytest.raises(StateError) as caught:
            await self.activate(replicas.two, **({"key_id": "next"} | changes))
        assert caught.value.reason is reason
        assert (await replicas.one.keys.all(), await replicas.one.keys.change_number()) == before

    async def test_a_replayed_activation_changes_nothing_more(self, replicas):
        """The key is returned as it is now; another request's digest is refused."""
        await replicas.one.keys.insert(key_record("k1"), None)
        activated = await self.activate(replicas.one, "k1", key=request_key("r1"))
        assert await self.activate(replicas.two, "k1", key=request_key("r1")) == activated
        with pytest.raises(StateError) as caught:
            await self.activate(replicas.two, "k1", key=request_key("r1", b"\1" * 32))
        assert caught.value.reason is Reason.REQUEST_ID_REUSED

    async def test_disabling_is_final_and_idempotent(self, replicas):
        """Time and reason of the first time stay; a disabled key is never activated."""
        await replicas.one.keys.insert(key_record("k1"), None)
        disabled = await replicas.one.keys.disable("k1", reason="leaked", now=NOW + 1)
        assert disabled == key_record(
            "k1", state=KeyState.DISABLED, disable_time=NOW + 1, disable_reason="leaked", revision=2
        )
        assert await replicas.two.keys.disable("k1", reason="again", now=NOW + 2) == disabled
        with pytest.raises(StateError) as caught:
            await self.activate(replicas.two, "k1")
        assert caught.value.reason is Reason.KEY_STATE_CONFLICT

    async def test_disabling_an_unknown_key_is_refused(self, replicas):
        """There is no such key."""
        with pytest.raises(StateError) as caught:
            await replicas.one.keys.disable("k1", reason="leaked", now=NOW)
        assert caught.value.reason is Reason.KEY_NOT_FOUND

    async def test_keys_retire_when_their_time_has_come(self, replicas):
        """Not before, and once."""
        await replicas.one.keys.insert(key_record("k1", state=KeyState.RETIRING, retire_time=NOW), None)
        await replicas.one.keys.insert(key_record("k2", state=KeyState.RETIRING, retire_time=NOW + 9), None)
        assert await replicas.two.keys.retire_due(now=NOW - 1) == 0
        assert await replicas.two.keys.retire_due(now=NOW) == 1
        assert [each.state for each in await replicas.one.keys.all()] == [KeyState.RETIRED, KeyState.RETIRING]
        assert await replicas.one.keys.retire_due(now=NOW) == 0

    async def test_every_change_grows_the_change_number(self, replicas):
        """Insertion, activation, disabling and retirement are seen by the other replica."""
        numbers = [await replicas.two.keys.change_number()]
        await replicas.one.keys.insert(key_record("k1"), None)
        numbers.append(await replicas.two.keys.change_number())
        await self.activate(replicas.one, "k1")
        numbers.append(await replicas.two.keys.change_number())
        await replicas.one.keys.insert(key_record("k2"), None)
        await self.activate(replicas.one, "k2")
        numbers.append(await replicas.two.keys.change_number())
        await replicas.one.keys.retire_due(now=NOW + 600)
        numbers.append(await replicas.two.keys.change_number())
        await replicas.one.keys.disable("k2", reason="leaked", now=NOW)
        numbers.append(await replicas.two.keys.change_number())
        assert sorted(set(numbers)) == numbers

    async def test_one_of_many_activations_at_a_time(self, replicas):
        """Replicas that activate different keys leave one active, and every other key in a clear state."""
        for number in range(8):
            await replicas.one.keys.insert(key_record(f"k{number}"), None)
        results, failures = await outcomes(
            *(self.activate(store, f"k{number}") for number, store in enumerate(replicas.each(8)))
        )
        assert failures == []
        assert len(results) == 8
        states = [each.state for each in await replicas.two.keys.all()]
        assert sorted(states) == [KeyState.ACTIVE] + [KeyState.RETIRING] * 7

    async def test_one_of_many_activations_of_one_key_wins(self, replicas):
        """The others find it no longer prepared."""
        await replicas.one.keys.insert(key_record("k1"), None)
        results, failures = await outcomes(*(self.activate(store, "k1") for store in replicas.each(10)))
        assert len(results) == 1
        assert failures == [Reason.KEY_STATE_CONFLICT] * 9

    async def test_one_of_many_insertions_becomes_active(self, replicas):
        """Replicas that each bring an active key at their first start agree on one."""
        await outcomes(
            *(
                store.keys.insert(key_record(f"k{number}", state=KeyState.ACTIVE, activate_time=NOW), None)
                for number, store in enumerate(replicas.each(10))
            )
        )
        states = [each.state for each in await replicas.two.keys.all()]
        assert sorted(states) == [KeyState.ACTIVE] + [KeyState.PREPARED] * 9

    async def test_a_delegated_key_is_read_back_as_it_was_inserted(self, replicas):
        """Its certificate, its issuer and the end of its signing survive."""
        await replicas.one.keys.insert(key_record("hsm", state=KeyState.ACTIVE, activate_time=NOW), None)
        delegated = key_record(
            "k1", create_time=NOW + 1, chain_pem=b"PEM", issuer_key_id="hsm", sign_until=NOW + 60
        )
        assert await replicas.one.keys.insert(delegated, None) == (delegated, True)
        assert (await replicas.two.keys.all())[1] == delegated

    async def test_disabling_a_key_disables_what_it_certified(self, replicas):
        """In one step, whatever the state; keys that it did not certify stay."""
        await replicas.one.keys.insert(key_record("hsm", state=KeyState.ACTIVE), None)
        for number, state in enumerate((KeyState.PREPARED, KeyState.RETIRING)):
            await replicas.one.keys.insert(key_record(f"k{number}", state=state, issuer_key_id="hsm"), None)
        await replicas.one.keys.insert(key_record("other"), None)
        await replicas.one.keys.disable("hsm", reason="leaked", now=NOW + 1)
        found = {each.key_id: each for each in await replicas.two.keys.all()}
        assert {key for key, each in found.items() if each.state is KeyState.DISABLED} == {"hsm", "k0", "k1"}
        assert {found[key].disable_reason for key in ("hsm", "k0", "k1")} == {"leaked"}

    async def test_a_key_certified_by_a_disabled_key_is_refused(self, replicas):
        """Else one that was being made while its issuer was disabled would escape."""
        await replicas.one.keys.insert(key_record("hsm", state=KeyState.ACTIVE), None)
        await replicas.one.keys.disable("hsm", reason="leaked", now=NOW)
        with pytest.raises(StateError) as caught:
            await replicas.two.keys.insert(key_record("k1", issuer_key_id="hsm"), None)
        assert (caught.value.reason, caught.value.metadata) == (
            Reason.KEY_STATE_CONFLICT,
            {"state": "disabled"},
        )

    async def test_a_certificate_is_stored_with_its_key(self, replicas):
        """Every replica sees it as a change; storing the same again is none."""
        await replicas.one.keys.insert(key_record("k1"), None)
        before = await replicas.two.keys.change_number()
        stored = await replicas.one.keys.set_chain("k1", b"PEM")
        assert stored == key_record("k1", chain_pem=b"PEM", revision=2)
        changed = await replicas.two.keys.change_number()
        assert changed > before
        assert await replicas.two.keys.set_chain("k1", b"PEM") == stored
        assert await replicas.two.keys.change_number() == changed

    async def test_a_delegated_key_keeps_its_certificate(self, replicas):
        """The certificate says until when it may sign."""
        await replicas.one.keys.insert(key_record("hsm", state=KeyState.ACTIVE), None)
        await replicas.one.keys.insert(key_record("k1", chain_pem=b"PEM", issuer_key_id="hsm"), None)
        with pytest.raises(StateError) as caught:
            await replicas.two.keys.set_chain("k1", b"other")
        assert caught.value.reason is Reason.KEY_STATE_CONFLICT

    def claim(self, store, until=NOW + 60, now=NOW):
        """Ask to make the next token key."""
        return store.keys.claim_rotation(KeyPurpose.TOKENS, Algorithm.EDDSA, now=now, until=until)

    async def test_one_of_many_rotators_may_make_the_key(self, replicas):
        """The first wins; when its time is over one other does."""
        assert sum(await asyncio.gather(*(self.claim(store) for store in replicas.each(10)))) == 1
        late = [self.claim(store, NOW + 200, NOW + 60) for store in replicas.each(10)]
        assert sum(await asyncio.gather(*late)) == 1

    async def test_a_rotator_gives_back_only_its_own_claim(self, replicas):
        """One that was late does not end the claim of its successor."""
        kind = (KeyPurpose.TOKENS, Algorithm.EDDSA)
        assert await self.claim(replicas.one)
        await replicas.two.keys.release_rotation(*kind, until=NOW + 61)
        assert not await self.claim(replicas.two)
        await replicas.one.keys.release_rotation(*kind, until=NOW + 60)
        assert await self.claim(replicas.two)
