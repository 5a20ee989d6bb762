"""What the ports of enrollment promise, on SQLite and on PostgreSQL, through two replicas of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.enrollment import transitions
from gateway.enrollment.model import AccountStatus, ChallengeType, OrderStatus, Problem
from gateway.enrollment.ports import Crl, SingleUse, UsedError
from gateway.enrollment.transitions import TransitionError, Verdict
from gateway.errors import AuthorizationError, AvailabilityError, Reason, StateError
from gateway.pki.crl import RevocationReason
from gateway.store import Store, open_store
from tests.support.orders import (
    account,
    authorization,
    certificate,
    external_key,
    order,
    p256,
    ready,
    reservation,
)
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

TEN_YEARS = datetime.fromtimestamp(NOW + 10 * 365 * 86_400, UTC)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@dataclass
class Replicas:
    """Two stores over one database."""

    one: Store
    two: Store
    clock: SettableClock

    def each(self, count: int) -> list[Store]:
        """*count* stores, by turns."""
        return [(self.one, self.two)[number % 2] for number in range(count)]


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[Replicas]:
    """Two replicas, migrated."""
    clock = SettableClock()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, clock=clock, migrate=True))
        two = await stack.enter_async_context(open_store(url, clock=clock))
        yield Replicas(one, two, clock)


async def raced(*attempts):
    """What the attempts, made at the same time, returned or raised, results first."""
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    return (
        [each for each in outcomes if not isinstance(each, BaseException)],
        [each for each in outcomes if isinstance(each, BaseException)],
    )


class TestAccounts:
    """`AccountRepository`."""

    async def test_an_account_is_read_back_as_it_was_created(self, replicas):
        """Every part survives, and the other replica sees it."""
        created, new = await replicas.one.accounts.create(account(key=p256()), now=NOW)

        assert new
        assert await replicas.two.accounts.get(created.account_id) == created
        assert await replicas.two.accounts.find("wire", created.owner, created.thumbprint) == created

    async def test_one_key_has_one_account(self, replicas):
        """Of many creations at once with one key exactly one makes an account; the others get that one."""
        key = p256()
        results, errors = await raced(
            *(store.accounts.create(account(key=key), now=NOW) for store in replicas.each(8))
        )

        assert not errors
        assert [new for _, new in results].count(True) == 1
        assert len({found.account_id for found, _ in results}) == 1

    @pytest.mark.parametrize("other", [{"owner": ""}, {"provisioner": "tls"}])
    async def test_owners_and_provisioners_are_apart(self, replicas, other):
        """The same key of another owner or provisioner is another account."""
        key = p256()
        await replicas.one.accounts.create(account(key=key), now=NOW)

        _, new = await replicas.two.accounts.create(account(key=key, **other), now=NOW)

        assert new

    async def test_a_key_is_rolled_over_once(self, replicas):
        """Two accounts that want one new key at once: one gets it, the other hears that it is taken."""
        one, _ = await replicas.one.accounts.create(account(), now=NOW)
        two, _ = await replicas.one.accounts.create(account(), now=NOW)
        key = p256()

        def step(before):
            return replace(before, key=key)

        results, errors = await raced(
            replicas.one.accounts.change(one.account_id, step),
            replicas.two.accounts.change(two.account_id, step),
        )

        assert [each.thumbprint for each in results] == [key.thumbprint]
        assert [each.reason for each in errors] == [Reason.ACCOUNT_KEY_IN_USE]

    async def test_what_a_step_refuses_changes_nothing(self, replicas):
        """An exception of the step reaches the caller and undoes everything."""
        created, _ = await replicas.one.accounts.create(account(), now=NOW)

        def step(before):
            raise TransitionError("no", before.status)

        with pytest.raises(TransitionError):
            await replicas.one.accounts.change(created.account_id, step)
        assert await replicas.two.accounts.get(created.account_id) == created

    async def test_a_status_is_stored(self, replicas):
        """A deactivated account stays so."""
        created, _ = await replicas.one.accounts.create(account(), now=NOW)
        changed = await replicas.one.accounts.change(
            created.account_id, lambda before: replace(before, status=AccountStatus.DEACTIVATED)
        )

        assert await replicas.two.accounts.get(created.account_id) == changed

    async def test_an_unknown_account_is_not_changed(self, replicas):
        """There is nothing to change."""
        with pytest.raises(StateError) as refused:
            await replicas.one.accounts.change("nobody", lambda before: before)

        assert refused.value.reason is Reason.ACCOUNT_NOT_FOUND


class TestExternalAccounts:
    """`ExternalAccountRepository`, and the binding by an account's creation."""

    async def test_a_key_binds_one_account(self, replicas):
        """Of many accounts that present one binding key at once exactly one is made."""
        key = external_key()
        await replicas.one.external_accounts.create(key)
        assert await replicas.two.external_accounts.get(key.key_id) == key

        results, errors = await raced(
            *(
                store.accounts.create(account(external_key_id=key.key_id), now=NOW)
                for store in replicas.each(6)
            )
        )

        assert len(results) == 1
        assert {each.reason for each in errors} == {Reason.EXTERNAL_ACCOUNT_REQUIRED}
        bound = await replicas.two.external_accounts.get(key.key_id)
        assert (bound.account_id, bound.bind_time) == (results[0][0].account_id, NOW)

    @pytest.mark.parametrize("change", [{"expire_time": NOW}, {"provisioner": "tls"}])
    async def test_a_key_that_does_not_hold_makes_no_account(self, replicas, change):
        """Expired or of another provisioner: neither key nor account changes."""
        key = external_key(**change)
        await replicas.one.external_accounts.create(key)
        made = account(external_key_id=key.key_id)

        with pytest.raises(AuthorizationError):
            await replicas.one.accounts.create(made, now=NOW)

        assert await replicas.two.accounts.get(made.account_id) is None
        assert await replicas.two.external_accounts.get(key.key_id) == key

    async def test_keys_are_listed_and_deleted(self, replicas):
        """By provisioner, in the order of their ids, page by page; a deleted one is gone once."""
        keys = sorted([external_key() for _ in range(3)], key=lambda each: each.key_id)
        for each in [*keys, external_key(provisioner="tls")]:
            await replicas.one.external_accounts.create(each)
        repository = replicas.two.external_accounts

        first = await repository.list("wire", after=None, limit=2)
        rest = await repository.list("wire", after=first[-1].key_id, limit=2)

        assert [*first, *rest] == keys
        assert await repository.delete(keys[0].key_id)
        assert not await repository.delete(keys[0].key_id)


class TestOrders:
    """`OrderRepository`."""

    async def test_an_order_is_read_back_as_it_was_created(self, replicas):
        """Every part survives, to the microsecond, by its id and by its authorizations'."""
        made = order(authorization(ChallengeType.HTTP), authorization(ChallengeType.DNS), replaces="a.b")
        await replicas.one.orders.create(made)

        assert await replicas.two.orders.get(made.order_id) == made
        for each in made.authorizations:
            assert await replicas.two.orders.by_authorization(each.authorization_id) == made
        assert await replicas.two.orders.get("other") is None
        assert await replicas.two.orders.by_authorization("other") is None

    async def test_one_answer_settles_a_challenge(self, replicas):
        """Of good and bad answers at once one decides; the others hear that it was answered."""
        made = order()
        await replicas.one.orders.create(made)
        part = made.authorizations[0]
        verdicts = [Verdict(), Verdict(Problem("unauthorized", "no"))] * 4

        def step_of(verdict):
            return lambda before: transitions.settle(
                before, part.authorization_id, part.challenges[0].challenge_id, verdict, NOW
            )

        results, errors = await raced(
            *(
                store.orders.change(made.order_id, step_of(verdict))
                for store, verdict in zip(replicas.each(8), verdicts, strict=True)
            )
        )

        assert len(results) == 1
        assert {type(each) for each in errors} == {TransitionError}
        assert await replicas.two.orders.get(made.order_id) == results[0]

    async def test_evidence_stays_with_its_order(self, replicas):
        """Two orders of one account that are answered at once keep each its own evidence."""
        made = [order(), order()]
        for each in made:
            await replicas.one.orders.create(each)

        async def answer(store, subject, name):
            part = subject.authorizations[0]
            verdict = Verdict(evidence={"name": name})
            await store.orders.change(
                subject.order_id,
                lambda before: transitions.settle(
                    before, part.authorization_id, part.challenges[0].challenge_id, verdict, NOW
                ),
            )

        await asyncio.gather(answer(replicas.one, made[0], "Alice"), answer(replicas.two, made[1], "Bob"))

        found = [await replicas.one.orders.get(each.order_id) for each in made]
        assert [each.evidence(ChallengeType.HTTP) for each in found] == [{"name": "Alice"}, {"name": "Bob"}]

    async def test_a_use_and_its_step_are_one(self, replicas):
        """What was used before undoes the step; a step that is refused uses nothing up."""
        made = order()
        await replicas.one.orders.create(made)
        use = SingleUse("jti", "one", NOW + 60)

        def refuse(before):
            raise TransitionError("no", before.status)

        with pytest.raises(TransitionError):
            await replicas.one.orders.change(made.order_id, refuse, uses=[use])
        await replicas.one.orders.change(made.order_id, lambda before: before, uses=[use])
        with pytest.raises(UsedError):
            await replicas.two.orders.change(
                made.order_id, lambda before: replace(before, status=OrderStatus.INVALID), uses=[use]
            )

        assert (await replicas.two.orders.get(made.order_id)).status is OrderStatus.PENDING

    async def test_orders_are_listed_by_account(self, replicas):
        """Page by page, in the order of ids, and nobody else's."""
        mine = [order(account_id="mine") for _ in range(5)]
        for each in [*mine, order(account_id="other")]:
            await replicas.one.orders.create(each)
        repository = replicas.two.orders

        first = await repository.list_ids("mine", after=None, limit=3)
        rest = await repository.list_ids("mine", after=first[-1], limit=3)

        assert [*first, *rest] == sorted(each.order_id for each in mine)

    async def test_orders_are_purged_long_after_their_time(self, replicas):
        """An order and its authorizations go together, and not while a client may still ask."""
        made = order()
        await replicas.one.orders.create(made)
        replicas.clock.now = made.expire_time + 24 * 3600
        await replicas.one.purge.once()
        assert await replicas.two.orders.get(made.order_id) == made

        replicas.clock.now = made.expire_time + 31 * 24 * 3600
        await replicas.one.purge.once()

        assert await replicas.two.orders.get(made.order_id) is None
        part = made.authorizations[0].authorization_id
        assert await replicas.two.orders.by_authorization(part) is None


class TestPurgedKeys:
    """What becomes of binding keys that are over."""

    async def test_a_binding_key_that_bound_nobody_is_purged(self, replicas):
        """One that has bound an account stays, and says for whom it was."""
        unused, used = external_key(), external_key()
        for key in (unused, used):
            await replicas.one.external_accounts.create(key)
        await replicas.one.accounts.create(account(external_key_id=used.key_id), now=NOW)
        replicas.clock.now = unused.expire_time + 24 * 3600
        await replicas.one.purge.once()

        assert await replicas.two.external_accounts.get(unused.key_id) is None
        assert await replicas.two.external_accounts.get(used.key_id) is not None


def begin(before):
    """The step of a reservation."""
    return transitions.begin_issuing(before, NOW)


class TestReplacing:
    """`OrderRepository.create` with a certificate that the order replaces (RFC 9773 §5)."""

    async def issued(self, replicas):
        """The id of a certificate, of ten years."""
        reserved = reservation()
        await replicas.one.certificates.reserve(reserved, None)
        await replicas.one.certificates.complete(certificate(reserved, not_after=TEN_YEARS), None)
        return reserved.certificate_id

    async def test_one_order_replaces_a_certificate(self, replicas):
        """Of many orders at once exactly one is made; the others are not there."""
        certificate_id = await self.issued(replicas)
        wanted = [order() for _ in range(8)]

        made = await asyncio.gather(
            *(
                store.orders.create(each, replaced=certificate_id)
                for store, each in zip(replicas.each(8), wanted, strict=True)
            ),
            return_exceptions=True,
        )

        assert made.count(None) == 1
        refused = [each for each in made if each is not None]
        assert {each.reason for each in refused} == {Reason.ALREADY_REPLACED}
        found = [await replicas.two.orders.get(each.order_id) for each in wanted]
        assert [each is not None for each in found] == [each is None for each in made]

    async def refused(self, replicas, certificate_id, **changes):
        with pytest.raises(StateError) as caught:
            await replicas.two.orders.create(order(**changes), replaced=certificate_id)
        return caught.value.reason

    async def test_an_invalid_order_replaces_nothing(self, replicas):
        """After it another order may, and that one stands."""
        certificate_id = await self.issued(replicas)
        first = order()
        await replicas.one.orders.create(first, replaced=certificate_id)
        await replicas.one.orders.change(
            first.order_id, lambda before: replace(before, status=OrderStatus.INVALID)
        )

        await replicas.two.orders.create(order(), replaced=certificate_id)
        assert await self.refused(replicas, certificate_id) is Reason.ALREADY_REPLACED

    async def test_an_expired_order_replaces_nothing(self, replicas):
        """It is stored as invalid then, so that no clock that is behind lets it go on."""
        certificate_id = await self.issued(replicas)
        first = order()
        await replicas.one.orders.create(first, replaced=certificate_id)
        in_time = {"create_time": first.expire_time - 1, "expire_time": first.expire_time + 3600}
        assert await self.refused(replicas, certificate_id, **in_time) is Reason.ALREADY_REPLACED

        late = order(create_time=first.expire_time, expire_time=first.expire_time + 3600)
        await replicas.two.orders.create(late, replaced=certificate_id)

        assert (await replicas.one.orders.get(first.order_id)).status is OrderStatus.INVALID

    async def test_an_order_under_way_stands(self, replicas):
        """Its certificate is being made, even where its time is over."""
        certificate_id = await self.issued(replicas)
        first = ready(order())
        await replicas.one.orders.create(first, replaced=certificate_id)
        await replicas.one.certificates.reserve(reservation(first), begin)
        late = {"create_time": first.expire_time + 1, "expire_time": first.expire_time + 3600}
        assert await self.refused(replicas, certificate_id, **late) is Reason.ALREADY_REPLACED

    @pytest.mark.parametrize("finished", [True, False])
    async def test_an_order_that_is_kept_no_longer(self, replicas, finished):
        """What it became is known by its certificate: with one it stands, without one it replaces nothing."""
        certificate_id = await self.issued(replicas)
        first = ready(order())
        await replicas.one.orders.create(first, replaced=certificate_id)
        if finished:
            reserved = reservation(first)
            await replicas.one.certificates.reserve(reserved, begin)
            await replicas.one.certificates.complete(certificate(reserved, not_after=TEN_YEARS), None)
        replicas.clock.now = NOW + 300 * 86_400
        while await replicas.one.purge.once():
            pass
        assert await replicas.one.orders.get(first.order_id) is None
        after = {"create_time": replicas.clock.now, "expire_time": replicas.clock.now + 3600}

        if finished:
            assert await self.refused(replicas, certificate_id, **after) is Reason.ALREADY_REPLACED
        else:
            await replicas.two.orders.create(order(**after), replaced=certificate_id)

    async def test_a_certificate_that_is_not_there(self, replicas):
        """It is not found, and the order is not made."""
        assert await self.refused(replicas, "other") is Reason.ENROLLMENT_NOT_FOUND


class TestCertificates:
    """`CertificateRepository`."""

    async def made(self, replicas):
        """A ready order, stored."""
        subject = ready(order())
        await replicas.one.orders.create(subject)
        return subject

    async def test_one_finalize_wins(self, replicas):
        """Of many reservations for one order exactly one is made; the others hear the order's state."""
        subject = await self.made(replicas)

        results, errors = await raced(
            *(store.certificates.reserve(reservation(subject), begin) for store in replicas.each(8))
        )

        assert [each.status for each in results] == [OrderStatus.PROCESSING]
        assert {each.status for each in errors} == {OrderStatus.PROCESSING}

    async def test_a_serial_number_is_taken_once(self, replicas):
        """A second certificate with a number is refused, and its order stays as it was."""
        one, two = await self.made(replicas), await self.made(replicas)
        first = reservation(one)
        await replicas.one.certificates.reserve(first, begin)

        with pytest.raises(AvailabilityError):
            await replicas.two.certificates.reserve(reservation(two, serial=first.serial), begin)

        assert await replicas.two.orders.get(two.order_id) == two

    async def test_a_certificate_is_what_was_stored_first(self, replicas):
        """Two that finish one reservation get the same certificate, and the order has it."""
        subject = await self.made(replicas)
        reserved = reservation(subject)
        await replicas.one.certificates.reserve(reserved, begin)

        def done(before):
            return transitions.issued(before, reserved.certificate_id)

        results, errors = await raced(
            *(
                store.certificates.complete(certificate(reserved, der=f"{number}".encode()), done)
                for number, store in enumerate(replicas.each(6))
            )
        )

        assert not errors
        assert len({each.der for each, _ in results}) == 1
        assert [after for _, after in results if after is not None] == [
            await replicas.one.orders.get(subject.order_id)
        ]
        stored = await replicas.two.certificates.get(reserved.certificate_id)
        assert stored == results[0][0]
        assert await replicas.one.certificates.by_serial(stored.issuer_key_id, stored.serial) == stored
        found = await replicas.two.orders.get(subject.order_id)
        assert (found.status, found.certificate_id) == (OrderStatus.VALID, reserved.certificate_id)

    async def test_what_is_only_reserved_is_no_certificate(self, replicas):
        """Neither its id nor its number finds it, and it cannot be revoked."""
        reserved = reservation(await self.made(replicas))
        await replicas.one.certificates.reserve(reserved, begin)

        repository = replicas.two.certificates
        assert await repository.get(reserved.certificate_id) is None
        assert await repository.by_serial(reserved.issuer_key_id, reserved.serial) is None
        assert not await repository.revoke(
            reserved.certificate_id, reason=RevocationReason.UNSPECIFIED, now=NOW
        )

    async def test_a_reservation_is_taken_over_once(self, replicas):
        """While it is leased nobody gets it; after that, or when released, exactly one."""
        subject = await self.made(replicas)
        reserved = reservation(subject)
        await replicas.one.certificates.reserve(reserved, begin)
        lease = {"now": NOW + 60, "lease_time": NOW + 120}
        early = await replicas.two.certificates.take_over(subject.order_id, now=NOW + 59, lease_time=NOW + 99)

        taken = await asyncio.gather(
            *(store.certificates.take_over(subject.order_id, **lease) for store in replicas.each(6))
        )

        assert early is None
        assert [each for each in taken if each] == [replace(reserved, lease_time=NOW + 120)]
        await replicas.one.certificates.release(reserved.certificate_id)
        assert await replicas.two.certificates.take_over(subject.order_id, now=NOW, lease_time=NOW + 1)

    async def test_a_reservation_is_given_up(self, replicas):
        """Its order ends, and nothing can be finished afterwards; a finished one is not given up."""
        subject = await self.made(replicas)
        reserved = reservation(subject)
        await replicas.one.certificates.reserve(reserved, begin)

        def end(before):
            return transitions.abandoned(before, Problem("badCSR", "no"))

        assert await replicas.one.certificates.abandon(reserved.certificate_id, subject.order_id, end)
        assert (await replicas.two.orders.get(subject.order_id)).status is OrderStatus.INVALID
        with pytest.raises(StateError):
            await replicas.two.certificates.complete(certificate(reserved), None)
        assert not await replicas.two.certificates.abandon(reserved.certificate_id, subject.order_id, end)

    async def issued(self, replicas, **changes):
        """A certificate without an order, stored."""
        reserved = reservation()
        await replicas.one.certificates.reserve(reserved, None)
        stored, _ = await replicas.one.certificates.complete(certificate(reserved, **changes), None)
        return stored

    async def test_one_revocation_wins(self, replicas):
        """Of many revocations one takes effect, with its reason and time."""
        subject = await self.issued(replicas)
        reasons = list(RevocationReason)[:6]

        results = await asyncio.gather(
            *(
                store.certificates.revoke(subject.certificate_id, reason=reason, now=NOW)
                for store, reason in zip(replicas.each(6), reasons, strict=True)
            )
        )

        assert results.count(True) == 1
        stored = await replicas.two.certificates.get(subject.certificate_id)
        assert stored.revoke_reason is reasons[results.index(True)]
        assert stored.revoke_time == NOW

    async def test_revoked_certificates_are_listed_until_they_expire(self, replicas):
        """In the order of revocation, of one issuer, and not what has expired."""
        assert await replicas.one.certificates.last_revocation("aa" * 20) is None
        made = [await self.issued(replicas) for _ in range(3)]
        for number, each in enumerate(reversed(made)):
            await replicas.one.certificates.revoke(
                each.certificate_id, reason=RevocationReason.SUPERSEDED, now=NOW + number
            )
        repository = replicas.two.certificates

        entries = await repository.revoked("aa" * 20, now=NOW, limit=10)

        assert [entry.serial for entry in entries] == [each.serial for each in reversed(made)]
        assert {entry.reason for entry in entries} == {RevocationReason.SUPERSEDED}
        assert await repository.last_revocation("aa" * 20) == NOW + 2
        assert not await repository.revoked("bb" * 20, now=NOW, limit=10)
        assert not await repository.revoked("aa" * 20, now=NOW + 86_400, limit=10)

    async def test_a_number_of_a_list_is_published_once(self, replicas):
        """Replicas that make the same list at once publish one, and all get that one."""
        lists = [Crl("aa" * 20, 1, NOW, NOW + 60, f"{number}".encode()) for number in range(6)]

        published = await asyncio.gather(
            *(
                store.certificates.publish_crl(each)
                for store, each in zip(replicas.each(6), lists, strict=True)
            )
        )

        assert len({each.der for each in published}) == 1
        assert await replicas.one.certificates.latest_crl("aa" * 20) == published[0]
        assert await replicas.one.certificates.latest_crl("bb" * 20) is None
