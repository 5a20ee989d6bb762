"""KeyService over real TLS: keys on the wire, filters and pages, and what is refused before it is tried."""

import asyncio
import hashlib
import uuid

import grpc
import pytest
from countersign import CountersignError, KeyPurpose, KeyState, SignatureAlgorithm
from countersign.v1 import key_service_pb2 as pb
from cryptography import x509

from gateway.rpc.key_conversion import OUTCOMES
from signers import Algorithm, SignerError
from signers import errors as signer_errors
from tests.support.gateway import gateway, make_key, opened_application, prepare, running_gateway
from tests.support.rpc_server import details_of, reason_of

__all__ = ["gateway"]
TOKENS, ES256 = KeyPurpose.TOKENS, SignatureAlgorithm.ES256


@pytest.fixture
async def admin(gateway):
    async with gateway.client(gateway.admin) as client:
        yield client


async def refused(call) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    bad = details_of(caught.value).get("BadRequest")
    return reason_of(caught.value), bad.field_violations[0].field if bad else ""


async def test_key_on_the_wire(admin, gateway):
    """The active key shows where it is, its public half and its hash, and no secret."""
    (key,) = [key async for key in admin.list_keys()]
    assert key == await admin.get_key(key.key_id)
    assert (key.purpose, key.algorithm, key.state) == (TOKENS, ES256, KeyState.ACTIVE)
    assert (key.backend, key.last_error, key.etag) == ("file", "", "1")
    assert key.activate_time == key.create_time
    assert (key.retire_time, key.disable_time) == (None, None)
    assert hashlib.sha256(key.public_key_der).digest() == key.public_key_sha256


async def test_filters_and_pages(admin):
    """Purpose and state filter; pages hold each key once."""
    for number in range(4):
        await admin.create_key(TOKENS, ES256, create_uri=f"file:keys/{number}.pem")
    await admin.create_key(KeyPurpose.INTROSPECTION, ES256, create_uri="file:keys/i.pem")
    everything = [key.key_id async for key in admin.list_keys()]
    assert len(everything) == len(set(everything)) == 6
    for size in (1, 4, 6):
        assert [key.key_id async for key in admin.list_keys(page_size=size)] == everything
    prepared = [key async for key in admin.list_keys(purpose=TOKENS, state=KeyState.PREPARED, page_size=3)]
    assert len(prepared) == 4


async def test_whole_life(admin, gateway):
    """Create, check, disable: each reply is the key as it is now, and the key set follows at once."""
    created = await admin.create_key(TOKENS, ES256, create_uri="file:keys/next.pem")
    assert created.state is KeyState.PREPARED
    assert (await admin.check_key(created.key_id)).outcome == "verified"
    with pytest.raises(CountersignError) as caught:
        await admin.rotate_key(TOKENS, ES256)
    assert caught.value.reason == "KEY_STATE_CONFLICT"
    assert 0 < caught.value.retry_after.total_seconds() <= 300
    disabled = await admin.disable_key(created.key_id, "stolen")
    assert (disabled.state, disabled.disable_reason) == (KeyState.DISABLED, "stolen")
    published = (await admin.get_jwks()).document.decode()
    assert created.key_id not in published


async def test_rotation_after_a_disabled_key(admin):
    """Where the active key was disabled, the prepared one takes over with the next call."""
    (first,) = [key async for key in admin.list_keys()]
    second = await admin.create_key(TOKENS, ES256, create_uri="file:keys/next.pem")
    await admin.disable_key(first.key_id, "stolen")
    request_id = str(uuid.uuid4())
    rotation = await admin.rotate_key(TOKENS, ES256, request_id=request_id)
    assert (rotation.active_key.key_id, rotation.retiring_key) == (second.key_id, None)
    assert await admin.rotate_key(TOKENS, ES256, request_id=request_id) == rotation


CREATE = {
    "request_id": str(uuid.UUID(int=1)),
    "purpose": pb.KEY_PURPOSE_TOKENS,
    "algorithm": pb.SIGNATURE_ALGORITHM_ES256,
    "create_uri": "file:keys/x.pem",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"request_id": ""}, ("MISSING_FIELD", "request_id")),
        ({"request_id": "x"}, ("INVALID_FIELD", "request_id")),
        ({"purpose": 0}, ("INVALID_FIELD", "purpose")),
        ({"purpose": 99}, ("INVALID_FIELD", "purpose")),
        ({"algorithm": 0}, ("INVALID_FIELD", "algorithm")),
        ({"create_uri": None}, ("MISSING_FIELD", "source")),
        ({"create_uri": "nonsense"}, ("INVALID_FIELD", "uri")),
    ],
)
async def test_creation_malformed(admin, change, expected):
    """Each field that is missing or unknown is refused by name, and no key is made."""
    assert await refused(admin.keys.CreateKey(pb.CreateKeyRequest(**CREATE | change))) == expected
    assert len([key async for key in admin.list_keys()]) == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("", "MISSING_FIELD"), ("x" * 201, "INVALID_FIELD"), ("a\nb", "INVALID_FIELD")],
)
async def test_reason_malformed(admin, reason, expected):
    """A key is disabled with a reason that a log can hold."""
    (key,) = [key async for key in admin.list_keys()]
    request = pb.DisableKeyRequest(name=f"keys/{key.key_id}", reason=reason)
    assert await refused(admin.keys.DisableKey(request)) == (expected, "reason")


async def test_other_requests_malformed(admin):
    """Names, etags, filters and pages that cannot be are refused."""
    keys = admin.keys
    assert await refused(keys.GetKey(pb.GetKeyRequest(name="clients/x"))) == ("INVALID_FIELD", "name")
    assert (await refused(keys.GetKey(pb.GetKeyRequest(name="keys/x"))))[0] == "KEY_NOT_FOUND"
    assert await refused(keys.ListKeys(pb.ListKeysRequest(purpose=0))) == ("INVALID_FIELD", "purpose")
    assert await refused(keys.ListKeys(pb.ListKeysRequest(state=0))) == ("INVALID_FIELD", "state")
    assert (await refused(keys.ListKeys(pb.ListKeysRequest(page_token="!"))))[0] == "INVALID_PAGE_TOKEN"
    rotate = pb.RotateKeyRequest(
        request_id=str(uuid.uuid4()), purpose=1, algorithm=pb.SIGNATURE_ALGORITHM_ES256, etag="1"
    )
    assert await refused(keys.RotateKey(rotate)) == ("MISSING_FIELD", "name")


async def test_only_administrators(gateway):
    """A resource server and nobody in particular neither see nor change keys."""
    async with gateway.client(gateway.api) as api, gateway.client() as nobody:
        for client, reason in ((api, "PERMISSION_DENIED"), (nobody, "CALLER_UNAUTHENTICATED")):
            with pytest.raises(CountersignError) as caught:
                await client.disable_key("x", "y")
            assert caught.value.reason == reason


def test_every_signer_error_has_an_outcome():
    """A check can report every error that a signer may raise."""
    kinds = [kind for kind in vars(signer_errors).values() if isinstance(kind, type)]
    assert all(kind.__name__ in OUTCOMES for kind in kinds if issubclass(kind, SignerError))


async def test_delegated_key_on_the_wire(tmp_path):
    """It shows who certified it, its certificates and when it stops; its issuer takes it out with itself."""
    make_key(tmp_path, "root", Algorithm.ES384)
    (tmp_path / "delegated").mkdir(mode=0o700)
    rotation = {
        "purpose": "tokens",
        "algorithm": "ES256",
        "period": 3600,
        "uri": "file:delegated/{after}.pem",
        "delegated": True,
    }
    prepared = await prepare(
        tmp_path,
        key_uri="",
        keys=[{"purpose": "delegation", "algorithm": "ES384", "uri": "file:keys/root.pem"}],
        rotations=[rotation],
    )
    async with opened_application(tmp_path, prepared=prepared) as app:
        (record,) = app.keyring.view.records
        root = record.key_id
        await app.keys.certificates.import_chain(
            root, await app.keys.certificates.self_signed(root, "CN=Root", days=30)
        )
    async with (
        running_gateway(tmp_path, prepared=prepared) as gateway,
        gateway.client(gateway.admin) as admin,
    ):
        async with asyncio.timeout(10):
            while not (found := [key async for key in admin.list_keys(purpose=TOKENS)]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # The gateway makes it by itself, and tells nobody.
        (delegated,) = found
        (issuer,) = [key async for key in admin.list_keys(purpose=KeyPurpose.DELEGATION)]
        own, above = map(x509.load_der_x509_certificate, delegated.certificates_der)
        assert (delegated.issuer, delegated.state, issuer.key_id) == (root, KeyState.ACTIVE, root)
        assert (issuer.issuer, issuer.sign_until_time) == (None, None)
        assert issuer.certificates_der == delegated.certificates_der[1:]
        own.verify_directly_issued_by(above)
        assert delegated.sign_until_time < own.not_valid_after_utc
        await admin.disable_key(root, "stolen")
        assert (await admin.get_key(delegated.key_id)).state is KeyState.DISABLED
