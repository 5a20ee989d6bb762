"""The life of a key: created, published, promoted, retired, disabled; each change decided by the database."""

import asyncio
import uuid

import pytest

from gateway.errors import AvailabilityError, Reason, RequestError, StateError
from gateway.idempotency import IdempotencyKey
from gateway.keys.model import KeyPurpose, KeyState
from signers import Algorithm
from tests.support.gateway import call_of, make_key, opened_application
from tests.support.tokens import SECRET, mint, register_by_secret

TOKENS, ES256 = KeyPurpose.TOKENS, Algorithm.ES256
MAX_AGE = 300
HONORED = 3_612


def request_id(value: str | None = None, digest: bytes = bytes(32)) -> IdempotencyKey:
    return IdempotencyKey("admin", "RotateKey", value or str(uuid.uuid4()), digest)


async def create(app, name="next", *, existing=False, key=None, algorithm=ES256, purpose=TOKENS):
    return await app.keys.create(purpose, algorithm, f"file:keys/{name}.pem", existing=existing, key=key)


async def rotate(app, *, key_id=None, revision=None, key=None):
    return await app.keys.rotate(TOKENS, ES256, key_id=key_id, expected_revision=revision, key=key)


async def state_of(app, key_id: str) -> KeyState:
    return (await app.keys.get(key_id)).record.state


async def conflict(app, **arguments) -> StateError:
    with pytest.raises(StateError) as caught:
        await rotate(app, **arguments)
    return caught.value


async def test_whole_life(app, clock):
    """PREPARED while verifiers learn of it, ACTIVE, RETIRING while what it signed lives, RETIRED."""
    await register_by_secret(app, "backend")
    (first,) = app.keyring.view.records
    second = await create(app)
    assert (first.state, second.state) == (KeyState.ACTIVE, KeyState.PREPARED)
    old = await mint(app, "backend")
    clock.advance(MAX_AGE)
    rotation = await rotate(app)
    assert (rotation.active.key_id, rotation.retiring.key_id) == (second.key_id, first.key_id)
    assert rotation.retiring.retire_time == clock() + HONORED
    new = await mint(app, "backend")
    answers = await app.introspector.introspect_many(call_of(), "backend", SECRET, [old.value, new.value])
    assert answers == [old.token, new.token]
    clock.advance(HONORED)
    await app.keys._loader.refresh()
    assert await state_of(app, first.key_id) is KeyState.RETIRED
    assert first.key_id not in app.keyring.view.jwks_json.decode()


async def test_first_key_is_active_at_once(tmp_path, clock):
    """The first key of its purpose and algorithm signs at once: nobody can hold an older key set."""
    async with opened_application(tmp_path, clock=clock, key_uri="") as app:
        await register_by_secret(app, "backend")
        (tmp_path / "keys").mkdir(mode=0o700)
        record = await create(app)
        assert record.state is KeyState.ACTIVE
        assert await mint(app, "backend")


async def test_rotated_too_early(app, clock):
    """A key that verifiers may not know yet does not sign; the error says how long to wait."""
    record = await create(app)
    clock.advance(MAX_AGE - 1)
    error = await conflict(app)
    assert (error.reason, error.cause) == (Reason.KEY_STATE_CONFLICT, "published_too_recently")
    assert error.retry_after.total_seconds() == 1
    clock.advance(1)
    assert (await rotate(app)).active.key_id == record.key_id


async def test_no_wait_after_the_active_key_was_disabled(app, clock):
    """Where no key signs, the prepared one takes over at once."""
    (first,) = app.keyring.view.records
    second = await create(app)
    await app.keys.disable(first.key_id, reason="stolen")
    rotation = await rotate(app)
    assert (rotation.active.key_id, rotation.retiring) == (second.key_id, None)


async def test_nothing_prepared(app):
    """Without a prepared key there is nothing to rotate to, and the active one stays."""
    error = await conflict(app)
    assert (error.reason, error.metadata) == (Reason.KEY_STATE_CONFLICT, {"prepared": "0"})
    assert len(app.keyring.view.signing_keys) == 1


async def test_several_prepared(app, clock):
    """Of several prepared keys one must be named."""
    await create(app, "a")
    chosen = await create(app, "b")
    clock.advance(MAX_AGE)
    assert (await conflict(app)).metadata == {"prepared": "2"}
    assert (await rotate(app, key_id=chosen.key_id)).active.key_id == chosen.key_id


async def test_named_key_is_not_prepared(app):
    """A key that signs already, and one that is disabled, cannot be promoted."""
    (first,) = app.keyring.view.records
    assert (await conflict(app, key_id=first.key_id)).metadata == {"state": "active"}
    await app.keys.disable(first.key_id, reason="stolen")
    assert (await conflict(app, key_id=first.key_id)).metadata == {"state": "disabled"}


async def test_named_key_of_another_purpose(app, clock):
    """A prepared key of another purpose or algorithm is not promoted for this one."""
    await create(app, "a", purpose=KeyPurpose.INTROSPECTION)
    other = await create(app, "b", purpose=KeyPurpose.INTROSPECTION)
    clock.advance(MAX_AGE)
    assert (await conflict(app, key_id=other.key_id)).reason is Reason.KEY_STATE_CONFLICT
    assert await state_of(app, other.key_id) is KeyState.PREPARED


async def test_named_key_unknown(app):
    """A key that does not exist is not found."""
    assert (await conflict(app, key_id="nothing")).reason is Reason.KEY_NOT_FOUND


async def test_changed_since_it_was_read(app, clock):
    """An etag of an earlier state refuses the rotation."""
    record = await create(app)
    clock.advance(MAX_AGE)
    error = await conflict(app, key_id=record.key_id, revision=record.revision + 1)
    assert error.reason is Reason.ETAG_MISMATCH
    assert await rotate(app, key_id=record.key_id, revision=record.revision)


async def test_successor_that_does_not_sign(app, clock, tmp_path):
    """Nothing retires before its successor has shown that it signs."""
    (first,) = app.keyring.view.records
    await create(app)
    clock.advance(MAX_AGE)
    (tmp_path / "keys" / "next.pem").unlink()
    error = await conflict(app)
    assert error.reason is Reason.KEY_NOT_FOUND
    assert await state_of(app, first.key_id) is KeyState.ACTIVE


async def test_successor_exchanged(app, clock, tmp_path):
    """A key that was exchanged under its URI is not promoted."""
    await create(app)
    clock.advance(MAX_AGE)
    (tmp_path / "keys" / "next.pem").unlink()
    make_key(tmp_path, "next")
    assert (await conflict(app)).reason is Reason.KEY_UNUSABLE


async def test_race_of_two_replicas(tmp_path, clock):
    """Two replicas that rotate at once: one does, the other is told, and exactly one key signs."""
    async with opened_application(tmp_path, clock=clock) as first:
        record = await create(first)
        clock.advance(MAX_AGE)
        async with opened_application(tmp_path, clock=clock, prepared=first.prepared) as second:
            attempts = [rotate(app) for app in (first, second) for _ in range(3)]
            outcomes = await asyncio.gather(*attempts, return_exceptions=True)
            errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            assert {error.reason for error in errors} == {Reason.KEY_STATE_CONFLICT}
            assert len(errors) == 5
            for app in (first, second):
                states = [status.record.state for status in await app.keys.list()]
                assert states.count(KeyState.ACTIVE) == 1
                assert await state_of(app, record.key_id) is KeyState.ACTIVE


async def test_rotation_repeated(app, clock):
    """The same request id gets the first outcome again, and rotates nothing."""
    await create(app)
    clock.advance(MAX_AGE)
    key = request_id()
    first = await rotate(app, key=key)
    assert await rotate(app, key=key) == first


async def test_request_id_of_another_request(app, clock):
    """A request id that stands for another request is refused."""
    await create(app)
    clock.advance(MAX_AGE)
    await rotate(app, key=request_id("1", bytes(32)))
    assert (await conflict(app, key=request_id("1", b"x" * 32))).reason is Reason.REQUEST_ID_REUSED


async def test_creation_repeated(app):
    """The same request id gets the first key again, and makes no other."""
    key = request_id()
    assert await create(app, key=key) == await create(app, key=key)
    assert len(await app.keys.list()) == 2


async def test_created_where_one_is(app):
    """A URI that is taken is refused, and the key there stays."""
    await create(app)
    with pytest.raises(StateError) as caught:
        await create(app)
    assert (caught.value.reason, caught.value.field) == (Reason.KEY_ALREADY_EXISTS, "uri")


async def test_existing_key(app, tmp_path):
    """A key that exists is taken over; a second time it is known already."""
    make_key(tmp_path, "there")
    record = await create(app, "there", existing=True)
    assert record.state is KeyState.PREPARED
    with pytest.raises(StateError) as caught:
        await create(app, "there", existing=True)
    assert caught.value.reason is Reason.KEY_ALREADY_EXISTS


async def test_existing_key_that_is_not(app):
    """Where no key is, none is taken over."""
    with pytest.raises(StateError) as caught:
        await create(app, "nowhere", existing=True)
    assert caught.value.reason is Reason.KEY_NOT_FOUND


async def test_existing_key_of_another_type(app, tmp_path):
    """A key that cannot serve the algorithm is refused."""
    make_key(tmp_path, "rsa", Algorithm.RS256)
    with pytest.raises(StateError) as caught:
        await create(app, "rsa", existing=True)
    assert caught.value.reason is Reason.KEY_UNUSABLE


@pytest.mark.parametrize("uri", ["", "x", "http://example.org/key", "file:", "pkcs11:", "kms:x"])
async def test_uri_malformed(app, uri):
    """A URI that names no key of any backend is the request's fault."""
    with pytest.raises(RequestError) as caught:
        await app.keys.create(TOKENS, ES256, uri, existing=True, key=None)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "uri")


async def test_disable(app, clock):
    """A disabled key neither signs nor verifies nor is published, from the moment the call returns."""
    (record,) = app.keyring.view.records
    disabled = await app.keys.disable(record.key_id, reason="stolen")
    assert (disabled.state, disabled.disable_reason, disabled.disable_time) == (
        KeyState.DISABLED,
        "stolen",
        clock(),
    )
    with pytest.raises(AvailabilityError):
        app.keyring.signing_key(TOKENS, ES256)
    assert app.keyring.view.verification_keys == {}
    assert app.keyring.view.jwks_json == b'{"keys":[]}'


async def test_disabled_again(app, clock):
    """Disabling again changes nothing, the reason included."""
    (record,) = app.keyring.view.records
    first = await app.keys.disable(record.key_id, reason="stolen")
    clock.advance(5)
    assert await app.keys.disable(record.key_id, reason="other") == first


async def test_disable_unknown(app):
    """A key that does not exist is not found."""
    with pytest.raises(StateError) as caught:
        await app.keys.disable("nothing", reason="x")
    assert caught.value.reason is Reason.KEY_NOT_FOUND


async def test_check(app, tmp_path):
    """A check signs and verifies; a key that does not sign any more is not checked."""
    (record,) = app.keyring.view.records
    check = await app.keys.check(record.key_id)
    assert check.fault is None
    assert check.seconds > 0
    await app.keys.disable(record.key_id, reason="x")
    with pytest.raises(StateError) as caught:
        await app.keys.check(record.key_id)
    assert (caught.value.reason, caught.value.metadata) == (
        Reason.KEY_STATE_CONFLICT,
        {"state": "disabled"},
    )


async def test_check_of_a_closed_key(tmp_path, clock):
    """A key that could not be opened reports why."""
    async with opened_application(tmp_path, clock=clock) as app:
        await create(app)
        prepared = app.prepared
    (tmp_path / "keys" / "next.pem").unlink()
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        (fault,) = [status for status in await app.keys.list() if status.fault]
        assert fault.fault == "KeyNotFoundError"
        assert (await app.keys.check(fault.record.key_id)).fault == "KeyNotFoundError"


async def test_key_of_one_purpose_verifies_no_other(app, tmp_path, clock):
    """What a key for another purpose signed is no access token."""
    record = await create(app, purpose=KeyPurpose.INTROSPECTION)
    assert app.keyring.verification_key(TOKENS, record.key_id) is None
    assert app.keyring.verification_key(KeyPurpose.INTROSPECTION, record.key_id) is not None
    assert record.key_id in app.keyring.view.jwks_json.decode()


async def test_internal_keys_are_not_published(app):
    """Only keys whose signatures a verifier of tokens meets are in the key set."""
    record = await create(app, purpose=KeyPurpose.CERTIFICATES)
    assert record.key_id not in app.keyring.view.jwks_json.decode()
