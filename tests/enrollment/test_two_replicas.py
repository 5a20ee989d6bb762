"""Two replicas on one database: whatever they decide at the same time has one winner and clean errors."""

import asyncio

import pytest
from cryptography import x509

from gateway.enrollment.model import AuthorizationStatus, ChallengeStatus, ChallengeType, OrderStatus
from gateway.enrollment.orders import OrderWish
from gateway.errors import AuthorizationError, Reason
from gateway.jose.jwk import parse_jwk
from gateway.pki.crl import RevocationReason
from gateway.pki.renewal import RenewalIdentifier
from gateway.proofs.nonces import NonceError
from tests.support import orders
from tests.support.enrollment import bench, identifiers, p256_key, wire_csr
from tests.support.stores import DATABASES, empty_database
from tests.support.wire import FIRST, Device, prover

CALLERS = 3
"""Callers of each replica that race."""


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def replicas(url, tmp_path):
    """Two labs with the same keys, the same OpenID provider, and one database."""
    async with bench(tmp_path, url=url) as one, bench(tmp_path, url=url) as two:
        two.provider.key, two.signer_of_ids = one.provider.key, one.signer_of_ids
        yield one, two


async def race(replicas, call):
    """What *call* returned or raised, by callers of both replicas at once; anything untidy fails."""
    asked = [call(lab, number) for number in range(CALLERS) for lab in replicas]
    return await asyncio.gather(*asked, return_exceptions=True)


def reasons(outcomes) -> set[Reason]:
    """Why some were refused."""
    return {each.reason for each in outcomes if isinstance(each, BaseException)}


def winners(outcomes) -> list:
    """What the others got."""
    return [each for each in outcomes if not isinstance(each, BaseException)]


async def test_finalizing(replicas):
    """Each caller has a request of its own; one certificate is made, and everybody is shown that."""
    one, _ = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    order = await one.ready(account, device)

    outcomes = await race(
        replicas,
        lambda lab, _: lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(p256_key())),
    )

    assert reasons(outcomes) <= {Reason.ORDER_NOT_READY}
    (made,) = {each.certificate_id for each in winners(outcomes)}
    shown = [await lab.enrollment.issuing.certificate(account, made) for lab in replicas]
    assert shown[0].der == shown[1].der
    assert x509.load_der_x509_certificate(shown[0].der).serial_number == shown[0].serial
    for lab in replicas:
        assert (await lab.enrollment.orders.get(account, order.order_id)).certificate_id == made


async def test_a_nonce(replicas):
    """It works once, at whichever replica."""
    one, _ = replicas
    nonce = one.enrollment.nonces.issue(subject="alice")

    outcomes = await race(replicas, lambda lab, _: lab.enrollment.nonces.use(nonce, subject="alice"))

    assert [isinstance(each, NonceError) for each in outcomes].count(False) == 1


async def test_a_device_nonce(replicas):
    """The minter's too: of proofs with one nonce one is minted for."""
    one, _ = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    order = await one.order(account)
    nonce = one.minter.issue_nonce(device.client_id)

    outcomes = await race(replicas, lambda lab, _: lab.access_token(order, device, nonce=nonce))

    assert len(winners(outcomes)) == 1
    assert reasons(outcomes) == {Reason.CLIENT_PROOF_REFUSED}


async def test_good_answers(replicas):
    """The same answer, sent again by an impatient client, is judged as good by everybody."""
    one, _ = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    order = await one.order(account)
    token = await one.access_token(order, device)

    outcomes = await race(replicas, lambda lab, _: lab.answer_dpop(account, order, token))

    assert {each.challenge.status for each in outcomes} == {ChallengeStatus.VALID}


async def test_a_good_and_a_bad_answer(replicas):
    """The first to be stored decides; no caller and no replica sees it otherwise afterwards."""
    one, _ = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    order = await one.order(account)
    good = await one.access_token(order, device)
    answers = [good, "bad"]

    outcomes = await race(
        replicas, lambda lab, number: lab.answer_dpop(account, order, answers[number % len(answers)])
    )

    assert reasons(outcomes) <= {Reason.ORDER_NOT_READY}
    (settled,) = {each.challenge.status for each in winners(outcomes)}
    after = [await lab.enrollment.orders.get(account, order.order_id) for lab in replicas]
    assert after[0] == after[1]
    status = after[0].authorizations[0].status
    assert (settled is ChallengeStatus.VALID) == (status is AuthorizationStatus.VALID)
    assert (status is AuthorizationStatus.INVALID) == (after[0].status is OrderStatus.INVALID)


async def test_an_id_token_for_several_orders(replicas):
    """What binds no order itself, as in the first generation, is taken for one of those that race."""
    one, _ = replicas
    device = Device(prover("ES256"), FIRST)
    account = await one.account(device.prover)
    made = [await one.order(account, FIRST) for _ in range(CALLERS * len(replicas))]
    token = one.id_token(made[0], account)
    left = iter(made)

    outcomes = await race(replicas, lambda lab, _: lab.answer_oidc(account, next(left), token))

    settled = [each.challenge.status for each in outcomes]
    assert settled.count(ChallengeStatus.VALID) == 1
    assert settled.count(ChallengeStatus.INVALID) == len(made) - 1


async def test_replacing(replicas):
    """Of orders for the same device that replace one certificate, one is made (RFC 9773 §5)."""
    one, _ = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    ready = await one.ready(account, device)
    done = await one.enrollment.issuing.finalize(account, ready.order_id, wire_csr(p256_key()))
    issued = await one.enrollment.issuing.certificate(account, done.certificate_id)
    name = RenewalIdentifier.of(x509.load_der_x509_certificate(issued.der)).text
    wish = OrderWish(identifiers(device.client_id), replaces=name)

    outcomes = await race(replicas, lambda lab, _: lab.enrollment.orders.create(account, wish))

    (made,) = winners(outcomes)
    assert made.replaces == name
    assert reasons(outcomes) == {Reason.ALREADY_REPLACED}


async def test_revoking(replicas):
    """One revokes, and the others are told that it is done."""
    one, _ = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    ready = await one.ready(account, device)
    done = await one.enrollment.issuing.finalize(account, ready.order_id, wire_csr(p256_key()))
    issued = await one.enrollment.issuing.certificate(account, done.certificate_id)
    given = [RevocationReason.KEY_COMPROMISE, RevocationReason.SUPERSEDED, RevocationReason.UNSPECIFIED]

    outcomes = await race(
        replicas,
        lambda lab, number: lab.enrollment.revocations.revoke_by_account(account, issued.der, given[number]),
    )

    (won,) = winners(outcomes)
    assert reasons(outcomes) == {Reason.ALREADY_REVOKED}
    for lab in replicas:
        stored = await lab.enrollment.issuing.certificate(account, done.certificate_id)
        assert stored.revoke_reason is won.revoke_reason


async def test_lists_of_the_revoked(replicas):
    """Both publish one list under one number."""
    made = await race(replicas, lambda lab, _: lab.enrollment.revocations.crl("wire"))

    assert len({(each.number, each.der) for each in made}) == 1


async def test_accounts_of_one_key(replicas):
    """One is made, and everybody gets it."""
    key = prover("ES256")

    made = await race(replicas, lambda lab, _: lab.account(key))

    assert len({each.account_id for each in made}) == 1


async def test_accounts_that_roll_over_to_one_key(replicas):
    """One gets the key; the others are told that it is taken, and keep theirs."""
    one, _ = replicas
    key = parse_jwk(prover("ES256").jwk)
    olds = [await one.account(prover("ES256")) for _ in range(CALLERS * len(replicas))]
    left = iter(olds)

    outcomes = await race(replicas, lambda lab, _: lab.enrollment.accounts.roll_over(next(left), key))

    assert len(winners(outcomes)) == 1
    assert reasons(outcomes) == {Reason.ACCOUNT_KEY_IN_USE}


async def test_accounts_that_one_binding_key_vouches_for(replicas):
    """It binds one; no other account is made with it."""
    one, _ = replicas
    key = orders.external_key()
    await one.store.external_accounts.create(key)

    outcomes = await race(
        replicas,
        lambda lab, _: lab.store.accounts.create(
            orders.account(external_key_id=key.key_id), now=lab.clock.now
        ),
    )

    (won,) = winners(outcomes)
    assert all(isinstance(each, AuthorizationError) for each in outcomes if each is not won)
    bound = await one.store.external_accounts.get(key.key_id)
    assert bound.account_id == won[0].account_id


async def test_whoever_deactivates(replicas):
    """A deactivation and an answer leave one story: nothing is valid after it was given up."""
    one, two = replicas
    device = Device(prover("ES256"))
    account = await one.account(device.prover)
    order = await one.order(account)
    token = await one.access_token(order, device)
    authorization = one.challenge(order, ChallengeType.WIRE_DPOP)[0]

    await asyncio.gather(
        one.enrollment.orders.deactivate_authorization(account, authorization),
        two.answer_dpop(account, order, token),
        return_exceptions=True,
    )

    after = await two.enrollment.orders.get(account, order.order_id)
    assert after.authorization(authorization).status is AuthorizationStatus.DEACTIVATED
    assert after.status is OrderStatus.INVALID
