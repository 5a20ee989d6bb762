"""Keys replace themselves, however many replicas look after them."""

import asyncio
import hashlib
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway.config import ConfigurationError
from gateway.enrollment.authorities import IssuingAuthority
from gateway.errors import Reason, StateError
from gateway.keys.model import KeyPurpose, KeyState
from signers import Algorithm
from tests.support.gateway import opened_application, prepare
from tests.support.softhsm import eventually
from tests.support.stores import DATABASES, empty_database

TOKENS, ES256 = KeyPurpose.TOKENS, Algorithm.ES256
MAX_AGE = 300
PERIOD = 4_000
LEAD = 1_000
HONORED = 3_612
POLICY = {
    "purpose": "tokens",
    "algorithm": "ES256",
    "period": PERIOD,
    "uri": "file:keys/tokens-{after}.pem",
}


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    (tmp_path / "var").mkdir()
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def replicas(url, tmp_path, clock):
    """Two applications on one database, each with the policy of this file."""
    prepared = await prepare(tmp_path, database_url=url, rotations=[POLICY])
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened_application(tmp_path, clock=clock, prepared=prepared))
            for _ in range(2)
        ]


@pytest.fixture
async def one(tmp_path, clock):
    """One application with the policy of this file."""
    prepared = await prepare(tmp_path, rotations=[POLICY])
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        yield app


async def rotate(*apps) -> None:
    """Every replica does at once what is due."""
    await asyncio.gather(*(app.rotator.rotate_due() for app in apps))
    for app in apps:
        await app.keys._loader.refresh()


def after(record) -> str:
    """What the name of the next key is made of."""
    return hashlib.sha256(record.key_id.encode()).hexdigest()[:16]


async def states(app) -> list[KeyState]:
    return [status.record.state for status in await app.keys.list()]


async def test_replicas_make_one_successor_and_promote_it_once(replicas, clock):
    """Prepared in the last quarter of the period, active at its end, the one before retired in time."""
    (first,) = replicas[0].keyring.view.records
    clock.advance(PERIOD - LEAD - 1)
    await rotate(*replicas)
    assert await states(replicas[0]) == [KeyState.ACTIVE]
    clock.advance(1)
    await rotate(*replicas)
    assert await states(replicas[1]) == [KeyState.ACTIVE, KeyState.PREPARED]
    clock.advance(LEAD - 1)
    await rotate(*replicas)
    assert await states(replicas[0]) == [KeyState.ACTIVE, KeyState.PREPARED]
    clock.advance(1)
    await rotate(*replicas)
    assert await states(replicas[1]) == [KeyState.RETIRING, KeyState.ACTIVE]
    (old, new) = replicas[1].keyring.view.records
    assert (old.key_id, old.retire_time) == (first.key_id, clock() + HONORED)
    assert new.uri == f"file:keys/tokens-{after(first)}.pem"
    clock.advance(HONORED)
    await rotate(*replicas)
    assert (await states(replicas[0]))[0] is KeyState.RETIRED


async def test_many_replicas_race_for_every_step(replicas, clock):
    """Through several periods, with all replicas at once, there is one active key and one line of keys."""
    for _ in range(12):
        clock.advance(PERIOD / 4)
        await rotate(*(replicas * 5))
        found = await states(replicas[0])
        assert found.count(KeyState.ACTIVE) == 1
        assert found.count(KeyState.PREPARED) <= 1
    uris = {status.record.uri for status in await replicas[0].keys.list()}
    assert len(uris) == len(found) == 4


async def test_published_long_before_use(tmp_path, clock):
    """Where verifiers keep the key set for longer than a quarter of the period, that counts."""
    policy = POLICY | {"period": 1_000}
    prepared = await prepare(tmp_path, rotations=[policy])
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        clock.advance(1_000 - MAX_AGE - 1)
        await rotate(app)
        assert await states(app) == [KeyState.ACTIVE]
        clock.advance(1)
        await rotate(app)
        successor = app.keyring.view.records[1]
        assert successor.state is KeyState.PREPARED
        assert successor.key_id in app.keyring.view.jwks_json.decode()


async def test_a_period_too_short_to_publish_in(tmp_path):
    """It stops the start."""
    prepared = await prepare(tmp_path, rotations=[POLICY | {"period": MAX_AGE}])
    with pytest.raises(Exception, match=r"rotations.period: .* make it longer"):
        async with opened_application(tmp_path, prepared=prepared):
            pass


async def test_a_key_that_nobody_registered_is_found_again(one, clock, tmp_path):
    """A replica made the successor and ended before it could say so: the next takes that key."""
    (first,) = one.keyring.view.records
    uri = f"file:keys/tokens-{after(first)}.pem"
    made = await one.signers.create(uri, ES256)
    clock.advance(PERIOD - LEAD)
    await rotate(one)
    assert one.keyring.view.records[1].key_id == made.key_id


async def test_a_replica_that_ended_in_the_middle_is_waited_for(one, clock):
    """While its lease lasts nobody else makes the key; afterwards somebody does."""
    clock.advance(PERIOD - LEAD)
    assert await one.store.keys.claim_rotation(TOKENS, ES256, now=clock(), until=clock() + 60)
    await rotate(one)
    assert await states(one) == [KeyState.ACTIVE]
    clock.advance(60)
    await rotate(one)
    assert await states(one) == [KeyState.ACTIVE, KeyState.PREPARED]


async def test_nothing_retires_before_its_successor_signs(one, clock, tmp_path, caplog):
    """A successor that cannot sign is not promoted, the key before signs on, and the log says so."""
    clock.advance(PERIOD - LEAD)
    await rotate(one)
    (first, successor) = one.keyring.view.records
    file = tmp_path / successor.uri.removeprefix("file:")
    content = file.read_bytes()
    file.unlink()
    clock.advance(LEAD)
    await rotate(one)
    assert await states(one) == [KeyState.ACTIVE, KeyState.PREPARED]
    assert one.keyring.signing_key(TOKENS, ES256).key_id == first.key_id
    assert "could not be rotated" in caplog.text
    file.write_bytes(content)
    file.chmod(0o600)
    clock.advance(5)
    await rotate(one)
    assert await states(one) == [KeyState.RETIRING, KeyState.ACTIVE]


async def test_a_place_where_no_key_can_be_made_is_tried_again(one, clock, tmp_path, caplog):
    """The failure is logged, and nothing else happens to the key that signs."""
    folder = tmp_path / "keys"
    folder.rename(tmp_path / "away")
    clock.advance(PERIOD - LEAD)
    await rotate(one)
    assert "could not be rotated" in caplog.text
    (tmp_path / "away").rename(folder)
    await rotate(one)
    assert await states(one) == [KeyState.ACTIVE]
    clock.advance(5)
    await rotate(one)
    assert await states(one) == [KeyState.ACTIVE, KeyState.PREPARED]


async def test_a_disabled_key_is_replaced_at_once(replicas, clock):
    """Nobody has to wait for verifiers to learn of it: none signs otherwise."""
    (first,) = replicas[0].keyring.view.records
    clock.advance(1)
    await replicas[0].keys.disable(first.key_id, reason="stolen")
    await rotate(*replicas)
    assert await states(replicas[1]) == [KeyState.DISABLED, KeyState.ACTIVE]
    for replica in replicas:
        await eventually(lambda: (TOKENS, ES256) in replica.keyring.view.signing_keys)  # noqa: B023 - run at once
        assert await replica.keyring.signing_key(TOKENS, ES256).sign_jws("at+jwt", b"{}")


async def test_a_disabled_key_with_a_successor_is_replaced_by_that(one, clock):
    """However shortly it was published."""
    clock.advance(PERIOD - LEAD)
    await rotate(one)
    (first, successor) = one.keyring.view.records
    await one.keys.disable(first.key_id, reason="stolen")
    await rotate(one)
    assert one.keyring.signing_key(TOKENS, ES256).key_id == successor.key_id


async def test_the_task_rotates_by_itself(one, clock):
    """As `serve` runs it."""
    clock.advance(PERIOD - LEAD)
    async with one.rotator:
        async with asyncio.timeout(10):
            while len(one.keyring.view.records) < 2:  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.01)


DELEGATED = {
    "purpose": "tokens",
    "algorithm": "ES256",
    "period": PERIOD,
    "uri": "file:delegated/tokens-{after}.pem",
    "delegated": True,
}
KEYS = [
    {"purpose": "tokens", "algorithm": "ES256", "uri": "file:keys/tokens.pem"},
    {"purpose": "delegation", "algorithm": "ES384", "uri": "file:keys/root.pem"},
]


async def certified(app, clock, *, days=3650, subject="CN=Example signing root") -> str:
    """Give the delegating key a certificate, a second after the start; returns its id."""
    clock.advance(1)
    (root,) = [r.key_id for r in app.keyring.view.records if r.purpose is KeyPurpose.DELEGATION]
    certificates = app.keys.certificates
    await certificates.import_chain(root, await certificates.self_signed(root, subject, days=days))
    return root


@pytest.fixture
async def delegating(tmp_path, clock):
    """An application whose token keys are certified by another key."""
    prepared = await prepare_delegation(tmp_path, DELEGATED)
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        yield app


async def prepare_delegation(folder: Path, *policies):
    from tests.support.gateway import make_key  # noqa: PLC0415 - a fixture module of its own

    make_key(folder, "tokens", ES256)
    make_key(folder, "root", Algorithm.ES384)
    (folder / "delegated").mkdir(mode=0o700)
    return await prepare(folder, key_uri="", keys=KEYS, rotations=list(policies))


def line(app) -> list:
    return [r for r in app.keyring.view.records if r.purpose is TOKENS]


async def test_a_delegated_key_takes_over_from_the_slow_one(delegating, clock, tmp_path):
    """It is certified at once, published with its chain, and signs after the wait."""
    root = await certified(delegating, clock)
    await rotate(delegating)
    slow, delegated = line(delegating)
    assert (delegated.state, delegated.issuer_key_id) == (KeyState.PREPARED, root)
    clock.advance(MAX_AGE)
    await rotate(delegating)
    assert delegating.keyring.signing_key(TOKENS, ES256).key_id == delegated.key_id
    assert await delegating.keyring.signing_key(TOKENS, ES256).sign_jws("at+jwt", b"{}")
    keys = {jwk["kid"]: jwk for jwk in json.loads(delegating.keyring.view.jwks_json)["keys"]}
    assert "x5c" not in keys[slow.key_id]
    leaf, issuer = (x509.load_der_x509_certificate(der) for der in b64(keys[delegated.key_id]["x5c"]))
    leaf.verify_directly_issued_by(issuer)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_after_utc.timestamp() == delegated.sign_until + HONORED - 2
    assert (tmp_path / delegated.uri.removeprefix("file:")).stat().st_mode & 0o777 == 0o600


def b64(values):
    import base64  # noqa: PLC0415 - here alone

    return [base64.b64decode(value, validate=True) for value in values]


async def test_a_delegated_key_is_renewed_and_its_file_deleted(delegating, clock, tmp_path):
    """After its successor signs, and not before."""
    await certified(delegating, clock)
    await rotate(delegating)
    clock.advance(MAX_AGE)
    await rotate(delegating)
    first = line(delegating)[1]
    file = tmp_path / first.uri.removeprefix("file:")
    clock.advance(PERIOD - LEAD)
    await rotate(delegating)
    assert file.exists()
    clock.advance(LEAD)
    await rotate(delegating)
    assert [r.state for r in line(delegating)[1:]] == [KeyState.RETIRING, KeyState.ACTIVE]
    await rotate(delegating)
    assert not file.exists()
    assert await delegating.keyring.signing_key(TOKENS, ES256).sign_jws("at+jwt", b"{}")


async def test_disabling_the_issuer_ends_its_delegates(delegating, clock):
    """What a compromised key certified is worth nothing, and no other is made without an issuer."""
    root = await certified(delegating, clock)
    await rotate(delegating)
    clock.advance(MAX_AGE)
    await rotate(delegating)
    await delegating.keys.disable(root, reason="stolen")
    assert line(delegating)[1].state is KeyState.DISABLED
    await rotate(delegating)
    assert (TOKENS, ES256) not in delegating.keyring.view.signing_keys


async def test_a_delegate_stops_before_its_certificate_ends(delegating, clock):
    """While its issuer cannot certify another, what it signs must not outlive its certificate."""
    await certified(delegating, clock)
    await rotate(delegating)
    clock.advance(MAX_AGE)
    await rotate(delegating)
    delegated = line(delegating)[1]
    key = delegating.keyring.signing_key(TOKENS, ES256)
    clock.advance(delegated.sign_until - clock() - 1)
    await delegating.keys._loader.refresh()
    assert await key.sign_jws("at+jwt", b"{}")
    clock.advance(1)
    await delegating.keys._loader.refresh()
    assert (TOKENS, ES256) not in delegating.keyring.view.signing_keys
    with pytest.raises(Exception, match="withdrawn"):
        await key.sign_jws("at+jwt", b"{}")


async def refused(app) -> str:
    with pytest.raises(StateError) as caught:
        await app.rotator._make(app.rotator._policies[0])
    assert caught.value.reason is Reason.KEY_STATE_CONFLICT
    return caught.value.cause


async def test_an_issuer_without_a_certificate(delegating):
    """Nothing is certified before an operator has imported one."""
    assert await refused(delegating) == "no_certificate"


async def test_an_issuer_whose_certificate_ends_too_soon(delegating, clock):
    """A key that could sign for no time at all is not made."""
    await certified(delegating, clock, days=1 / 48)
    assert await refused(delegating) == "issuer_expires"


async def test_no_issuer(tmp_path, clock):
    """A policy that delegates needs a key of purpose delegation."""
    prepared = await prepare(tmp_path, rotations=[DELEGATED])
    (tmp_path / "delegated").mkdir(mode=0o700)
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        assert await refused(app) == "delegating_keys"


async def test_an_intermediate_ca(delegating, clock):
    """A delegated key for certificates is a CA under the delegating key; provisioners can issue with it."""
    await certified(delegating, clock)
    record = await delegating.keys.create(
        KeyPurpose.CERTIFICATES,
        ES256,
        "file:delegated/ca.pem",
        existing=False,
        key=None,
        signs_for=timedelta(days=90),
    )
    certificate = x509.load_pem_x509_certificate(record.chain_pem)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (constraints.ca, constraints.path_length, usage.key_cert_sign, usage.crl_sign) == (
        True, 0, True, True,
    )  # fmt: skip
    # Its certificates get revocation lists to the end.
    assert record.sign_until == certificate.not_valid_after_utc.timestamp()
    ca = IssuingAuthority(record.chain_pem, keyring=delegating.keyring, clock=clock).current()
    assert ca.certificate == certificate
    assert await ca.signer.sign(b"to be signed")


async def test_a_delegating_key_takes_over_with_a_certificate_only(delegating, clock):
    """Else nothing could be certified any more; neither by RPC nor by itself."""
    await certified(delegating, clock)
    record = await delegating.keys.create(
        KeyPurpose.DELEGATION, Algorithm.ES384, "file:keys/root2.pem", existing=False, key=None
    )
    clock.advance(MAX_AGE)
    kind = {"key_id": None, "expected_revision": None, "key": None}
    with pytest.raises(StateError) as caught:
        await delegating.keys.rotate(KeyPurpose.DELEGATION, Algorithm.ES384, **kind)
    assert caught.value.cause == "no_certificate"
    chain = await delegating.keys.certificates.self_signed(record.key_id, "CN=Second root", days=30)
    await delegating.keys.certificates.import_chain(record.key_id, chain)
    rotated = await delegating.keys.rotate(KeyPurpose.DELEGATION, Algorithm.ES384, **kind)
    assert rotated.active.key_id == record.key_id
    await rotate(delegating)
    assert line(delegating)[1].issuer_key_id == record.key_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"purpose": "certificates"}, "needs a certificate before it can issue"),
        ({"uri": "file:keys/tokens.pem"}, r"put \{after\}"),
        ({"delegated": True, "uri": "pkcs11:token=t;object=k-{after}"}, "lives in a file"),
        ({"delegated": True, "purpose": "delegation"}, "not itself delegated"),
    ],
)
async def test_policies_that_cannot_be_followed(tmp_path, changes, said):
    """Each stops the start, with what to write instead."""
    with pytest.raises(ConfigurationError, match=said):
        await prepare(tmp_path, rotations=[POLICY | changes])


async def test_two_policies_for_one_kind_of_key(tmp_path):
    """They could not both be followed: the start stops."""
    prepared = await prepare(tmp_path, rotations=[POLICY, DELEGATED])
    with pytest.raises(Exception, match="two have one purpose and algorithm"):
        async with opened_application(tmp_path, prepared=prepared):
            pass
