"""A CA that replaces itself: certified by a key in an HSM, and answering for what it issued to the end."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from gateway.config import ConfigurationError
from gateway.enrollment import issuing
from gateway.enrollment.accounts import AccountWish
from gateway.enrollment.answers import ReadyAnswer
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.revocations import CRL_DELAY
from gateway.enrollment.transitions import Verdict
from gateway.errors import AvailabilityError, Reason, StateError
from gateway.jose.jwk import parse_jwk
from gateway.keys.certificates import ca_key_identifier, self_signed
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.rotation import RotationPolicy, _Line
from gateway.pki.crl import RevocationReason
from gateway.telemetry.certificate_metrics import CertificateMetrics
from gateway.telemetry.signing_metrics import SigningMetrics
from signers import Algorithm, SignerUnavailableError
from softhsm.provision import provision
from tests.support.certificate_tools import openssl
from tests.support.enrollment import p256_key
from tests.support.gateway import make_key, opened_application, prepare
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, pem
from tests.support.softhsm import eventually
from tests.support.stores import DATABASES, empty_database
from tests.support.wire import prover

HOST = "www.example.org"
URL = "https://ca.example.org/acme/hosts"
PERIOD, LEAD = 4_000, 1_000
LIFETIME = 3_600
MARGIN = 310
"""Seconds for a certificate that begins later, and for clocks."""
POLICY = {
    "purpose": "certificates",
    "algorithm": "ES256",
    "period": PERIOD,
    "uri": "file:delegated/ca-{after}.pem",
    "delegated": True,
}
_AHEAD = str(10 * PERIOD)
"""Seconds. ``openssl ocsp`` compares times with the machine's clock, which the test's is ahead of."""
PROVISIONER = {
    "name": "hosts",
    "kind": "tls",
    "url": URL,
    "challenges": ["http-01"],
    "domains": ["example.org"],
    "order_lifetime": 3_600,
    "default_lifetime": LIFETIME,
    "maximum_lifetime": LIFETIME,
    "crl_urls": [f"{URL}/crl/{{issuer}}"],
    "ocsp_urls": [f"{URL}/ocsp"],
    "ca_issuers_urls": [f"{URL}/ca/{{issuer}}"],
}


@pytest.fixture(autouse=True)
def hosts_are_shown(monkeypatch):
    """Control over hosts is shown elsewhere, in tests/enrollment/test_hosts.py."""

    async def judge(*_):
        return Verdict()

    monkeypatch.setattr(DomainValidator, "judge", judge)


async def prepared_in(folder: Path, root_uri: str, url: str | None = None, **provisioner):
    """A configuration whose CA is made and replaced by rotation."""
    keys = {"delegation": ("ES384", root_uri), "tokens": ("ES256", make_key(folder, "tokens"))}
    keys["ocsp-responses"] = ("ES256", make_key(folder, "ocsp"))
    (folder / "delegated").mkdir(mode=0o700, exist_ok=True)
    (folder / "secret").write_bytes(bytes(32))
    return await prepare(
        folder,
        key_uri="",
        database_url=url,
        keys=[{"purpose": p, "algorithm": a, "uri": uri} for p, (a, uri) in keys.items()],
        rotations=[POLICY],
        enrollment={"nonce_secrets": ["secret"]},
        provisioners=[PROVISIONER | provisioner],
    )


async def certify_root(app, clock, *, days: float = 3650) -> str:
    """Give the delegating key a certificate of its own, in PEM."""
    clock.advance(1)
    (root,) = [r.key_id for r in app.keyring.view.records if r.purpose is KeyPurpose.DELEGATION]
    signer = app.keyring.view.signers[root]
    lifetime = timedelta(days=days)
    made = await self_signed(signer, "CN=Example signing root", now=clock(), lifetime=lifetime)
    await give_chain(app, root, made)
    return made


async def give_chain(app, key_id: str, chain: bytes) -> None:
    """What ``keys import-cert`` does, once it has checked the chain."""
    await app.store.keys.set_chain(key_id, chain)
    await app.keys._loader.refresh()


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    (tmp_path / "var").mkdir()
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def replicas(url, tmp_path, clock, monkeypatch):
    """Two applications on one database, whose root key is in SoftHSM; each key is opened by both."""
    provisioned = provision(tmp_path / "hsm", token="root", keys=["root:ES384"])
    for name, value in provisioned.environment.items():
        monkeypatch.setenv(name, value)
    prepared = await prepared_in(tmp_path, provisioned.uri("root"), url)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened_application(tmp_path, clock=clock, prepared=prepared))
            for _ in range(2)
        ]


@pytest.fixture
async def one(tmp_path, clock):
    """One application, whose root key is a file."""
    prepared = await prepared_in(tmp_path, make_key(tmp_path, "root", Algorithm.ES384))
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        yield app


async def rotate(*apps) -> None:
    """Every replica does at once what is due, and has opened all keys afterwards."""
    await asyncio.gather(*(app.rotator.rotate_due() for app in apps))
    for app in apps:
        await app.keys._loader.refresh()
        await eventually(
            lambda app=app: all(r.key_id in app.keyring.view.signers for r in line(app) if r.signs)
        )


def line(app) -> list[KeyRecord]:
    """The CAs, oldest first."""
    return [r for r in app.keyring.view.records if r.purpose is KeyPurpose.CERTIFICATES]


def states(app) -> list[KeyState]:
    """Theirs."""
    return [record.state for record in line(app)]


def request_der() -> bytes:
    """A request for the host."""
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(names, critical=False).sign(p256_key(), hashes.SHA256())
    return request.public_bytes(Encoding.DER)


async def ready(app):
    """An account and a ready order of it."""
    use_cases = app.enrollment
    account, _ = await use_cases.accounts.create(
        "hosts", "me", parse_jwk(prover("ES256").jwk), AccountWish(), url="x"
    )
    order = await use_cases.orders.create(account, OrderWish([("dns", HOST)]))
    (authorization,) = order.authorizations
    (challenge,) = authorization.challenges
    await use_cases.challenges.answer(
        account, authorization.authorization_id, challenge.challenge_id, ReadyAnswer()
    )
    return account, order


async def issued(app):
    """An account and a certificate of it."""
    account, order = await ready(app)
    done = await app.enrollment.issuing.finalize(account, order.order_id, request_der())
    return account, await app.enrollment.issuing.certificate(account, done.certificate_id)


def leaf_of(certificate) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.der)


def urls(certificate: x509.Certificate) -> list[str]:
    """Where its list, its OCSP answers and its issuer's certificate are."""
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    return [name.value for point in points for name in point.full_name or ()] + [
        each.access_location.value for each in access
    ]


class RelyingParty:
    """OpenSSL, which knows the root alone and finds everything else by what a certificate names."""

    def __init__(self, folder: Path, root: bytes, clock) -> None:
        self._folder, self._clock = folder, clock
        (folder / "root.pem").write_bytes(root)

    async def verify(self, app, certificate) -> str:
        """What ``openssl verify`` says of *certificate*, with the list that it names; it must succeed."""
        files = await self._files(app, certificate)
        return openssl("verify", *self._at(), "-x509_strict", "-crl_check", *files, self._folder / "leaf.pem")

    async def ocsp(self, app, certificate) -> str:
        """What ``openssl ocsp`` says of it, having verified the answer."""
        await self._files(app, certificate)
        issuer = x509.load_pem_x509_certificate(certificate.issuer_pem)
        builder = ocsp.OCSPRequestBuilder().add_certificate(leaf_of(certificate), issuer, hashes.SHA256())
        answer = await app.enrollment.ocsp.respond(builder.build().public_bytes(Encoding.DER))
        (self._folder / "answer.der").write_bytes(answer)
        return openssl(
            "ocsp", *self._at(), "-validity_period", _AHEAD, "-no_nonce", "-sha256",
            "-respin", self._folder / "answer.der",
            "-issuer", self._folder / "ca.pem", "-cert", self._folder / "leaf.pem",
            "-CAfile", self._folder / "root.pem", "-verify_other", self._folder / "ca.pem",
        )  # fmt: skip

    def _at(self) -> tuple[str, str]:
        return "-attime", str(int(self._clock()))

    async def _files(self, app, certificate) -> list[object]:
        leaf = leaf_of(certificate)
        list_url, ocsp_url, ca_url = urls(leaf)
        assert ocsp_url == f"{URL}/ocsp"
        revocations = app.enrollment.revocations
        authority = revocations.ca("hosts", ca_url.removeprefix(f"{URL}/ca/"))
        crl = await revocations.crl("hosts", list_url.removeprefix(f"{URL}/crl/"))
        (self._folder / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
        (self._folder / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        listed = x509.load_der_x509_crl(crl.der).public_bytes(Encoding.PEM)
        (self._folder / "list.pem").write_bytes(listed)
        return [
            "-CAfile", self._folder / "root.pem", "-untrusted", self._folder / "ca.pem",
            "-CRLfile", self._folder / "list.pem",
        ]  # fmt: skip


async def test_a_ca_is_replaced_and_answers_for_what_it_issued(replicas, tmp_path, clock):
    """Two replicas make one successor, switch once, and the certificate from before verifies to its end."""
    root = await certify_root(replicas[0], clock)
    party = RelyingParty(tmp_path, root, clock)
    for app in replicas:
        await app.keys._loader.refresh()
    await rotate(*replicas * 3)
    assert states(replicas[1]) == [KeyState.ACTIVE]
    clock.advance(PERIOD - LEAD)
    await rotate(*replicas * 3)
    assert states(replicas[0]) == [KeyState.ACTIVE, KeyState.PREPARED]
    # The successor has its chain, its list and its answers before it issues.
    prepared = line(replicas[1])[1]
    assert prepared.chain_pem.endswith(root)
    assert (await replicas[1].enrollment.revocations.crl("hosts", ca_key_identifier(prepared))).number == 1
    clock.advance(LEAD - 1)
    await rotate(*replicas)
    account, before = await issued(replicas[0])
    clock.advance(1)
    await rotate(*replicas * 3)
    assert states(replicas[1]) == [KeyState.RETIRING, KeyState.ACTIVE]
    old, new = line(replicas[1])
    _, after = await issued(replicas[1])
    assert before.issuer_key_id == ca_key_identifier(old)
    assert after.issuer_key_id == ca_key_identifier(new)
    for app in replicas:
        for certificate in (before, after):
            assert "OK" in await party.verify(app, certificate)
            assert "leaf.pem: good" in await party.ocsp(app, certificate)
    await replicas[1].enrollment.revocations.revoke_by_account(
        account, before.der, RevocationReason.SUPERSEDED
    )
    clock.advance(CRL_DELAY + 1)
    for app in replicas:
        assert "leaf.pem: revoked" in await party.ocsp(app, before)
        with pytest.raises(AssertionError, match="certificate revoked"):
            await party.verify(app, before)
        assert "OK" in await party.verify(app, after)
    # The old key goes with the last of its certificates, and its file after that.
    file = tmp_path / old.uri.removeprefix("file:")
    clock.advance(leaf_of(before).not_valid_after_utc.timestamp() - clock())
    await rotate(*replicas)
    assert states(replicas[0])[0] is KeyState.RETIRING
    assert file.exists()
    assert (await replicas[0].enrollment.revocations.crl("hosts", before.issuer_key_id)).number >= 2
    clock.advance(old.retire_time - clock())
    await rotate(*replicas)
    await rotate(*replicas)
    assert states(replicas[0])[0] is KeyState.RETIRED
    assert not file.exists()


async def test_an_active_ca_outlives_whatever_it_may_issue(one, clock):
    """Through several periods: a full lifetime and its margin are left whenever it issues."""
    await certify_root(one, clock)
    for _ in range(10):
        await rotate(one)
        (active,) = [record for record in line(one) if record.state is KeyState.ACTIVE]
        assert active.sign_until - clock() >= LIFETIME + MARGIN
        _, certificate = await issued(one)
        assert certificate.issuer_key_id == ca_key_identifier(active)
        assert leaf_of(certificate).not_valid_after_utc.timestamp() - clock() == LIFETIME
        clock.advance(LEAD)
    assert len(line(one)) >= 3


def test_a_ca_that_would_not_outlive_them_is_replaced_early():
    """Where the one above it ends soon, its own end decides and not the period."""
    policy = RotationPolicy(KeyPurpose.CERTIFICATES, Algorithm.ES256, PERIOD, "file:x", True, LIFETIME)
    record = KeyRecord(
        "key", KeyPurpose.CERTIFICATES, Algorithm.ES256, "file:x", b"", KeyState.ACTIVE, 0.0, 0.0, None, None,
        "", 1, b"", "root", LIFETIME + 2_000.0,
    )  # fmt: skip
    made = _Line.of(policy, [record])
    assert not made.is_successor_due(2_000 - LEAD - 1, 300)
    assert made.is_successor_due(2_000 - LEAD, 300)
    successor = replace(record, key_id="next", state=KeyState.PREPARED, activate_time=None)
    both = _Line.of(policy, [record, successor])
    assert not both.is_promotion_due(1_999, 300)
    assert both.is_promotion_due(2_000, 300)


async def test_certificates_of_a_configuration_that_allowed_more(tmp_path, clock):
    """A key retires after the last certificate that it did issue, whatever is configured by then."""
    root = make_key(tmp_path, "root", Algorithm.ES384)
    generous = await prepared_in(tmp_path, root, maximum_lifetime=40_000, default_lifetime=40_000)
    async with opened_application(tmp_path, clock=clock, prepared=generous) as app:
        await certify_root(app, clock)
        await rotate(app)
        _, certificate = await issued(app)
    strict = await prepared_in(tmp_path, root, maximum_lifetime=600, default_lifetime=600)
    async with opened_application(tmp_path, clock=clock, prepared=strict) as app:
        clock.advance(PERIOD - LEAD)
        await rotate(app)
        clock.advance(LEAD)
        await rotate(app)
        old, _ = line(app)
        assert old.state is KeyState.RETIRING
        assert old.retire_time == leaf_of(certificate).not_valid_after_utc.timestamp()


async def test_a_half_made_certificate_is_finished_by_its_ca(one, clock, monkeypatch):
    """Its number is in the old CA's scope; the order does not fail for the switch."""
    await certify_root(one, clock)
    await rotate(one)
    clock.advance(PERIOD - LEAD)
    await rotate(one)
    clock.advance(LEAD)
    account, order = await ready(one)

    async def away(*_, **__):
        raise SignerUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(issuing, "issue", away)
        with pytest.raises(SignerUnavailableError):
            await one.enrollment.issuing.finalize(account, order.order_id, request_der())
    await rotate(one)
    assert states(one) == [KeyState.RETIRING, KeyState.ACTIVE]
    done = await one.enrollment.issuing.current(account, order.order_id)
    certificate = await one.enrollment.issuing.certificate(account, done.certificate_id)
    assert certificate.issuer_key_id == ca_key_identifier(line(one)[0])


async def test_a_disabled_ca_is_replaced_at_once(one, clock, tmp_path):
    """Its lists end, its file goes when another one signs, and enrollment goes on under that."""
    await certify_root(one, clock)
    await rotate(one)
    (stolen,) = line(one)
    clock.advance(1)
    await one.keys.disable(stolen.key_id, reason="stolen")
    with pytest.raises(AvailabilityError) as caught:
        await issued(one)
    assert caught.value.reason is Reason.NO_ACTIVE_KEY
    with pytest.raises(StateError) as gone:
        await one.enrollment.revocations.crl("hosts", ca_key_identifier(stolen))
    assert gone.value.reason is Reason.ENROLLMENT_NOT_FOUND
    file = tmp_path / stolen.uri.removeprefix("file:")
    assert file.exists()
    await rotate(one)
    _, certificate = await issued(one)
    assert certificate.issuer_key_id == ca_key_identifier(line(one)[1])
    await rotate(one)
    assert not file.exists()


async def test_a_root_that_is_away(one, clock, caplog):
    """The CA issues on, and the log says why it has no successor."""
    await certify_root(one, clock)
    await rotate(one)
    (root,) = [r for r in one.keyring.view.records if r.purpose is KeyPurpose.DELEGATION]
    (active,) = line(one)
    one.keys._loader._open.signers.pop(root.key_id)
    one.keys._loader._open._given_up.add(root.key_id)
    one.keys._loader._publish()
    clock.advance(PERIOD)
    await rotate(one)
    _, certificate = await issued(one)
    assert certificate.issuer_key_id == ca_key_identifier(active)
    assert "could not be rotated" in caplog.text


async def test_what_metrics_tell_of_a_ca(one, clock):
    """When the CAs in use end; of a retiring one whether it still signs, for its end is no alarm."""
    await certify_root(one, clock)
    await rotate(one)
    clock.advance(PERIOD - LEAD)
    await rotate(one)
    clock.advance(LEAD)
    await rotate(one)
    old, new = line(one)

    def keys(collector, family: str) -> dict[str, float]:
        (metric,) = [each for each in collector.collect() if each.name == family]
        return {
            sample.labels.get("key_id", sample.labels.get("name")): sample.value for sample in metric.samples
        }

    signing = SigningMetrics(lambda: one.keyring.view, dict)
    certificates = CertificateMetrics(lambda: None, lambda: one.keyring.view.records, [])
    healthy = keys(signing, "countersign_key_healthy")
    assert (healthy[old.key_id], healthy[new.key_id]) == (1, 1)
    until = keys(signing, "countersign_key_sign_until_seconds")
    assert (old.key_id in until, until[new.key_id]) == (False, new.sign_until)
    ends = keys(certificates, "countersign_certificate_not_after_seconds")
    own = x509.load_pem_x509_certificate(new.chain_pem).not_valid_after_utc
    assert (old.key_id in ends, ends[new.key_id]) == (False, own.timestamp())


async def test_a_fixed_chain_whose_key_retires(tmp_path, clock):
    """It issues no more, and its revocation lists go on."""
    now = datetime.fromtimestamp(clock(), UTC)
    (tmp_path / "secret").write_bytes(bytes(32))
    uri = make_key(tmp_path, "ca")
    chain = tmp_path / "chain.pem"
    keys = [{"purpose": "certificates", "algorithm": "ES256", "uri": uri}]
    fixed = PROVISIONER | {"chain": "chain.pem", "crl_urls": [f"{URL}/crl"], "ca_issuers_urls": []}
    options = {"keys": keys, "enrollment": {"nonce_secrets": ["secret"]}, "provisioners": [fixed]}
    root = Authority.root()
    async with opened_application(tmp_path, clock=clock, key_uri="", keys=keys) as app:
        key = next(iter(app.keyring.view.signers.values())).public_key
        chain.write_bytes(pem(ca_certificate(key, root, now)))
    (tmp_path / "countersign.toml").unlink()
    async with opened_application(tmp_path, clock=clock, key_uri="", **options) as app:
        kind = KeyPurpose.CERTIFICATES, Algorithm.ES256
        made = await app.keys.create(*kind, "file:keys/next.pem", existing=False, key=None)
        clock.advance(300)
        next_key = app.keyring.view.signers[made.key_id].public_key
        certificate = pem(ca_certificate(next_key, root, now, name="Next"))
        with pytest.raises(StateError) as without:
            await app.keys.rotate(*kind, key_id=None, expected_revision=None, key=None)
        assert without.value.cause == "no_certificate"
        await give_chain(app, made.key_id, certificate)
        await app.keys.rotate(*kind, key_id=None, expected_revision=None, key=None)
        with pytest.raises(AvailabilityError) as caught:
            await issued(app)
        assert caught.value.reason is Reason.NO_ACTIVE_KEY
        (authority,) = app.enrollment.provisioners.get("hosts").authority.known()
        assert (await app.enrollment.revocations.crl("hosts", authority.key_id)).number == 1
        # Where the chain is fixed, certificates name the list without the CA.
        assert (await app.enrollment.revocations.crl("hosts")).issuer_key_id == authority.key_id


async def test_a_fixed_chain_is_moved_to_a_rotation(tmp_path, clock):
    """The key that had the chain is the first of the line: it retires, and answers for what it issued."""
    root = Authority.root()
    keys = [{"purpose": "certificates", "algorithm": "ES256", "uri": make_key(tmp_path, "ca")}]
    private = load_pem_private_key((tmp_path / "keys" / "ca.pem").read_bytes(), None)
    now = datetime.fromtimestamp(clock(), UTC)
    chain = pem(ca_certificate(private.public_key(), root, now))
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "secret").write_bytes(bytes(32))
    options = {"enrollment": {"nonce_secrets": ["secret"]}, "key_uri": "", "keys": keys}
    fixed = PROVISIONER | {"chain": "chain.pem"}
    async with opened_application(tmp_path, clock=clock, provisioners=[fixed], **options) as app:
        _, certificate = await issued(app)
        await give_chain(app, line(app)[0].key_id, chain)
    moved = await prepared_in(tmp_path, make_key(tmp_path, "root", Algorithm.ES384))
    async with opened_application(tmp_path, clock=clock, prepared=moved) as app:
        await certify_root(app, clock)
        await rotate(app)
        clock.advance(300)
        await rotate(app)
        assert states(app) == [KeyState.RETIRING, KeyState.ACTIVE]
        _, after = await issued(app)
        assert after.issuer_key_id != certificate.issuer_key_id
        assert (await app.enrollment.revocations.crl("hosts", certificate.issuer_key_id)).number == 1


@pytest.mark.parametrize(
    "field", [{"crl_urls": [f"{URL}/crl"]}, {"ca_issuers_urls": [f"{URL}/ca.der"]}], ids=["crl", "ca"]
)
async def test_urls_that_do_not_tell_cas_apart(tmp_path, field):
    """They stop the start: one list cannot be that of two CAs."""
    with pytest.raises(ConfigurationError, match=r"put \{issuer\} into the URLs"):
        await prepared_in(tmp_path, make_key(tmp_path, "root", Algorithm.ES384), **field)


async def test_a_rotation_of_a_fixed_chains_key(tmp_path):
    """It stops the start: that provisioner could not follow."""
    now = datetime.now(UTC)
    key = Authority.root()
    (tmp_path / "chain.pem").write_bytes(pem(ca_certificate(key.key.public_key(), key, now)))
    prepared = await prepared_in(tmp_path, make_key(tmp_path, "root", Algorithm.ES384), chain="chain.pem")
    with pytest.raises(ConfigurationError, match="a rotation would retire the key of 'hosts'"):
        async with opened_application(tmp_path, prepared=prepared):
            pass
