"""Lists of revoked certificates, and garbage: what time and strangers do."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.enrollment.accounts import AccountWish, parse_key_change
from gateway.enrollment.answers import parse_answer
from gateway.enrollment.authorities import IssuingAuthority
from gateway.enrollment.device_proof import ExpectedDevice, ProofError, ProofLimits, check_device_proof
from gateway.enrollment.identifiers import parse_identifiers
from gateway.enrollment.ocsp import Ocsp
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.provisioners import Provisioners
from gateway.enrollment.revocations import COMMIT_DELAY, CRL_DELAY, CRL_LIFETIME, parse_revocation
from gateway.enrollment.signed_requests import FlattenedJws, parse_signed_request
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_names import ClientUri
from gateway.errors import AuthorizationError, RequestError
from gateway.pki.crl import RevocationReason
from gateway.pki.renewal import RenewalIdentifier
from gateway.store.certificates import KEPT_CRL
from gateway.store.restoring import mark_restored
from signers import Algorithm
from tests.support.enrollment import NOW, bench, identifiers, p256_key, wire_csr
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, pem
from tests.support.wire import SECOND, TARGET, Device, prover

FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def lab(tmp_path):
    """Enrollment over SQLite."""
    async with bench(tmp_path) as opened:
        yield opened


async def issued(lab):
    """An account and a certificate of it."""
    device = Device(prover("ES256"))
    account = await lab.account(device.prover)
    ready = await lab.ready(account, device)
    done = await lab.enrollment.issuing.finalize(account, ready.order_id, wire_csr(p256_key()))
    return account, await lab.enrollment.issuing.certificate(account, done.certificate_id)


def serials(crl) -> set[int]:
    """The numbers on a list."""
    return {each.serial_number for each in x509.load_der_x509_crl(crl.der)}


async def test_a_list_is_kept_while_it_is_fresh(lab):
    """Asking again gives the same list, until half of its time is over."""
    first = await lab.enrollment.revocations.crl("wire")

    assert await lab.enrollment.revocations.crl("wire") == first
    lab.clock.now += CRL_LIFETIME / 2
    second = await lab.enrollment.revocations.crl("wire")
    assert (first.number, second.number) == (1, 2)


async def test_a_revocation_appears_within_the_delay(lab):
    """Not on the list that was made just before, and on the next, which is made for it."""
    account, certificate = await issued(lab)
    revocations = lab.enrollment.revocations
    first = await revocations.crl("wire")
    await revocations.revoke_by_account(account, certificate.der, RevocationReason.SUPERSEDED)

    assert await revocations.crl("wire") == first
    lab.clock.now += CRL_DELAY
    second = await revocations.crl("wire")

    assert (serials(first), serials(second)) == (set(), {certificate.serial})
    lab.clock.now += CRL_DELAY
    assert await revocations.crl("wire") == second


async def test_who_holds_the_same_names_revokes(lab):
    """Another account with authorizations for all of the names; not one with some, or with expired ones."""
    _, certificate = await issued(lab)
    revocations = lab.enrollment.revocations
    device = Device(prover("ES256"))
    other = await lab.account(device.prover)
    half = await lab.order(other)
    await lab.answer_dpop(other, half, await lab.access_token(half, device))
    with pytest.raises(AuthorizationError):
        await revocations.revoke_by_account(other, certificate.der, RevocationReason.SUPERSEDED)
    await lab.ready(other, device)
    lab.clock.now += 86_400
    with pytest.raises(AuthorizationError):
        await revocations.revoke_by_account(other, certificate.der, RevocationReason.SUPERSEDED)
    await lab.ready(other, device)

    revoked = await revocations.revoke_by_account(other, certificate.der, RevocationReason.SUPERSEDED)

    assert revoked.revoke_reason is RevocationReason.SUPERSEDED


async def test_a_revocation_that_is_committed_late_is_listed(lab):
    """One whose time lies before a list, but that others saw only after it, is on the next list."""
    _, certificate = await issued(lab)
    revocations = lab.enrollment.revocations
    decided = lab.clock.now
    lab.clock.now += COMMIT_DELAY - 1
    first = await revocations.crl("wire")
    await lab.store.certificates.revoke(
        certificate.certificate_id, reason=RevocationReason.SUPERSEDED, now=decided
    )
    lab.clock.now += CRL_DELAY

    second = await revocations.crl("wire")

    assert (serials(first), serials(second)) == (set(), {certificate.serial})


async def test_an_order_that_is_gone_keeps_nobody_from_revoking(lab, monkeypatch):
    """What a certificate names is read from it: its own order may be forgotten before it expires."""
    _, certificate = await issued(lab)
    device = Device(prover("ES256"))
    other = await lab.account(device.prover)
    await lab.ready(other, device)
    monkeypatch.setattr(lab.store.orders, "get", None)

    await lab.enrollment.revocations.revoke_by_account(other, certificate.der, RevocationReason.SUPERSEDED)


async def test_ocsp_is_answered_while_another_ca_is_away(tmp_path):
    """A provisioner whose CA cannot sign keeps nobody from asking about another's certificates."""
    async with bench(tmp_path) as lab:
        _, certificate = await issued(lab)
        leaf = x509.load_der_x509_certificate(certificate.der)
        issuer = x509.load_pem_x509_certificates(certificate.issuer_pem)[0]
        away = IssuingAuthority(
            pem(ca_certificate(prover("ES256").key.public_key(), Authority.root(), datetime.now(UTC))),
            keyring=lab.keyring,
            clock=lab.clock,
        )
        both = Provisioners([replace(lab.provisioner, name="away", authority=away), lab.provisioner])
        responder = Ocsp(
            certificates=lab.store.certificates,
            provisioners=both,
            keyring=lab.keyring,
            algorithm=Algorithm.ES256,
            clock=lab.clock,
        )
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()

        answer = ocsp.load_der_ocsp_response(await responder.respond(request.public_bytes(Encoding.DER)))

    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


async def test_a_certificate_of_other_names_is_not_replaced(tmp_path):
    """RFC 9773 §5: an order replaces a certificate with which it shares a name."""
    async with bench(tmp_path) as lab:
        account, certificate = await issued(lab)
        identifier = RenewalIdentifier.of(x509.load_der_x509_certificate(certificate.der)).text
        wish = json.loads(identifiers(SECOND)[0][1])
        other = SECOND.replace("KPrq", "KPrr")
        handle = wish["handle"].replace("alice", "bob")
        user = {"name": "Bob", "domain": wish["domain"], "handle": handle}
        pair = [
            ("wireapp-device", json.dumps(user | {"client-id": other})),
            ("wireapp-user", json.dumps(user)),
        ]
        orders = lab.enrollment.orders

        assert (await orders.create(account, OrderWish(identifiers(SECOND), replaces=identifier))).replaces
        with pytest.raises(RequestError) as refused:
            await orders.create(account, OrderWish(pair, replaces=identifier))

    assert refused.value.field == "replaces"


async def test_a_list_has_its_number_and_times(lab):
    """They are what its row says."""
    made = await lab.enrollment.revocations.crl("wire")

    crl = x509.load_der_x509_crl(made.der)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == made.number
    assert crl.next_update_utc.timestamp() == made.next_update


async def test_lists_after_a_restore_have_higher_numbers(tmp_path):
    """What was published after the backup had a number that is never given again (RFC 5280 §5.2.3)."""
    async with bench(tmp_path) as lab:
        published = await lab.enrollment.revocations.crl("wire")
        await mark_restored(lab.store.database, has_identity=False, clock=lab.clock, revoke_before=None)
    async with bench(tmp_path) as lab:
        restored = await lab.enrollment.revocations.crl("wire")
    assert restored.number == published.number + int(NOW) + 1
    assert restored.der != published.der


async def test_lists_go_on_where_the_last_one_was_however_long_ago(lab):
    """Purging leaves the last list of a CA, so that no number is given again (RFC 5280 §5.2.3)."""
    numbers = []
    for pause in (CRL_LIFETIME, CRL_LIFETIME, 2 * KEPT_CRL):
        numbers.append((await lab.enrollment.revocations.crl("wire")).number)
        lab.clock.now += pause
    assert await lab.store.purge.once() == 2
    numbers.append((await lab.enrollment.revocations.crl("wire")).number)
    assert numbers == [1, 2, 3, 4]


async def test_lists_that_race_are_one(lab):
    """Whoever asks at the same time gets the same list."""
    made = await asyncio.gather(*(lab.enrollment.revocations.crl("wire") for _ in range(5)))

    assert len({each.der for each in made}) == 1


class TestGarbage:
    """Parsers of what strangers send refuse it as theirs, and never fail as ours."""

    @FUZZ
    @given(st.tuples(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40)))
    def test_signed_requests(self, members):
        """Any three texts."""
        with pytest.raises(RequestError):
            parse_signed_request(FlattenedJws(*members))

    @FUZZ
    @given(
        st.binary(max_size=200)
        | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr).map(str.encode)
    )
    def test_payloads(self, payload):
        """Any octets, and JSON of any shape."""
        for parse in (AccountWish.parse, parse_key_change, parse_revocation, parse_answer):
            try:
                parse(payload)
            except RequestError:
                continue

    @FUZZ
    @given(
        st.sampled_from(["wireapp-id", "wireapp-device", "wireapp-user", "dns", "ip", "x"]),
        st.text(max_size=100),
    )
    def test_identifiers(self, kind, value):
        """Any type with any value."""
        try:
            (identifier,) = parse_identifiers([(kind, value)])
        except RequestError:
            return
        assert kind in {"dns", "ip"}
        assert identifier.value.isascii()

    @FUZZ
    @given(
        st.text(max_size=60) | st.tuples(*[st.text("eyJhbGciOiJFUzI1NiJ9_-", max_size=30)] * 3).map(".".join)
    )
    def test_proofs(self, text):
        """Any text, and what looks like a JWS."""
        client = ClientUri.parse(SECOND)
        expected = ExpectedDevice(client, "x", TargetTemplate.parse(TARGET).of(client), None)
        with pytest.raises(ProofError):
            check_device_proof(text, expected, ProofLimits(0, 1, 0))
