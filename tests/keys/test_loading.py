"""The keyring follows the configuration, the database and the devices, and none holds up another."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import AvailabilityError, Reason
from gateway.keys.declared import DeclaredKey
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.model import KeyPurpose, KeyState
from gateway.store import open_store
from signers import (
    Algorithm,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    PinError,
    SignerError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.registry import SignerRegistry
from tests.support.gateway import make_key, opened_application
from tests.support.pki import self_signed
from tests.support.softhsm import eventually

TOKENS, INTROSPECTION = KeyPurpose.TOKENS, KeyPurpose.INTROSPECTION
ES256 = Algorithm.ES256


class Device:
    """A registry before which a device can be away, hang, or refuse."""

    def __init__(self, folder) -> None:
        self.registry = SignerRegistry(base_dir=folder)
        self.failure: SignerError | None = None
        self.hangs: Callable[[str], bool] = lambda _: False
        self.opened: list[str] = []

    async def open(self, uri, algorithm, **pins):
        self.opened.append(uri)
        if self.hangs(uri):
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return await self.registry.open(uri, algorithm, **pins)

    async def create(self, uri, algorithm):
        return await self.registry.create(uri, algorithm)


class Replica:
    """A keyring with what keeps it current."""

    def __init__(self, store, device, clock, declared) -> None:
        self.keyring = Keyring()
        self.store = store
        self.device = device
        self.loader = KeyringLoader(
            keyring=self.keyring,
            repository=store.keys,
            signers=device,
            declared=declared,
            clock=clock,
            interval=0.01,
            reopen_interval=0.01,
        )

    async def until(self, condition: Callable[[Keyring], bool]) -> None:
        """Wait until the keyring is as told."""
        await eventually(lambda: bool(condition(self.keyring)), 5)

    def signs(self) -> bool:
        return (TOKENS, ES256) in self.keyring.view.signing_keys


@asynccontextmanager
async def replica(folder, clock, declared=(), device=None):
    device = device or Device(folder)
    url = f"sqlite:///{folder}/keys.db"
    async with open_store(url, clock=clock, migrate=True) as store, device.registry:
        made = Replica(store, device, clock, declared)
        async with made.loader:
            yield made


def declare(folder, name="one", purpose=TOKENS, algorithm=ES256, **pins) -> DeclaredKey:
    return DeclaredKey(purpose, algorithm, make_key(folder, name, algorithm), **pins)


async def test_first_start_imports(tmp_path, clock):
    """A declared key is registered at the first start, is active and signs."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        (record,) = made.keyring.view.records
        assert (record.state, record.purpose, record.create_time) == (KeyState.ACTIVE, TOKENS, clock())
        key = made.keyring.signing_key(TOKENS, ES256)
        assert key.key_id == record.key_id == key.signer.key_id


async def test_second_start_changes_nothing(tmp_path, clock):
    """A key that is known is not registered again."""
    declared = [declare(tmp_path)]
    async with replica(tmp_path, clock, declared) as made:
        before = made.keyring.view.records
    clock.advance(100)
    async with replica(tmp_path, clock, declared) as made:
        assert made.keyring.view.records == before


async def test_disabled_key_stays_disabled(tmp_path, clock):
    """A restart brings no disabled key back, though the configuration still names it."""
    declared = [declare(tmp_path)]
    async with replica(tmp_path, clock, declared) as made:
        key_id = made.keyring.view.records[0].key_id
        await made.store.keys.disable(key_id, reason="stolen", now=clock())
    async with replica(tmp_path, clock, declared) as made:
        assert not made.signs()
        assert made.keyring.verification_key(TOKENS, key_id) is None


async def test_second_key_of_a_purpose_is_prepared(tmp_path, clock):
    """Of two declared keys of one purpose and algorithm the first signs, the second waits."""
    declared = [declare(tmp_path, "one"), declare(tmp_path, "two")]
    async with replica(tmp_path, clock, declared) as made:
        states = {record.uri: record.state for record in made.keyring.view.records}
    assert states == {declared[0].uri: KeyState.ACTIVE, declared[1].uri: KeyState.PREPARED}


async def test_one_key_for_two_purposes(tmp_path, clock):
    """One key with two purposes stops the start: a signature could stand for another kind."""
    declared = [declare(tmp_path), declare(tmp_path, purpose=INTROSPECTION)]
    with pytest.raises(KeyUnusableError, match="one key has one use"):
        async with replica(tmp_path, clock, declared):
            pass


async def test_one_key_for_two_algorithms(tmp_path, clock):
    """One RSA key under two algorithms stops the start (RFC 8725 §3.1)."""
    declared = [
        declare(tmp_path, algorithm=Algorithm.RS256),
        declare(tmp_path, algorithm=Algorithm.PS256),
    ]
    with pytest.raises(KeyUnusableError, match="one key has one use"):
        async with replica(tmp_path, clock, declared):
            pass


async def test_replicas_that_start_together(tmp_path, clock):
    """Many replicas that start on an empty database at once all start, with one key between them."""
    declared = [declare(tmp_path)]
    async with open_store(f"sqlite:///{tmp_path}/keys.db", clock=clock, migrate=True):
        pass

    async def start() -> str:
        async with replica(tmp_path, clock, declared) as made:
            return made.keyring.signing_key(TOKENS, ES256).key_id

    assert len(set(await asyncio.gather(*(start() for _ in range(6))))) == 1


async def test_pinned_hash_of_another_key(tmp_path, clock):
    """A key that is not the pinned one stops the start, and nothing is registered."""
    with pytest.raises(KeyMismatchError):
        async with replica(tmp_path, clock, [declare(tmp_path, public_key_sha256="0" * 64)]):
            pass
    async with replica(tmp_path, clock) as made:
        assert made.keyring.view.records == ()


async def test_pinned_hash(tmp_path, clock):
    """The pin is the SHA-256 of the SubjectPublicKeyInfo, as openssl pkey -pubout -outform DER gives it."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        spki = made.keyring.signing_key(TOKENS, ES256).signer.public_key.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    pin = hashlib.sha256(spki).hexdigest()
    async with replica(tmp_path, clock, [declare(tmp_path, public_key_sha256=pin)]) as made:
        assert made.signs()


async def test_certificate_of_another_key(tmp_path, clock):
    """A key that does not belong to its certificate stops the start."""
    declared = declare(tmp_path, certificate=self_signed("other").certificate)
    with pytest.raises(KeyMismatchError):
        async with replica(tmp_path, clock, [declared]):
            pass


async def test_missing_key(tmp_path, clock):
    """A declared key that is not there stops the start."""
    with pytest.raises(KeyNotFoundError):
        async with replica(tmp_path, clock, [DeclaredKey(TOKENS, ES256, "file:keys/none.pem")]):
            pass


@pytest.mark.parametrize("failure", [SignerUnavailableError("away"), SignerTimeoutError("late")])
async def test_device_away_at_the_first_start(tmp_path, clock, failure):
    """A device that does not answer at the first start is waited for, while the rest is served."""
    device = Device(tmp_path)
    device.failure = failure
    async with replica(tmp_path, clock, [declare(tmp_path)], device) as made:
        with pytest.raises(AvailabilityError) as caught:
            made.keyring.signing_key(TOKENS, ES256)
        assert caught.value.reason is Reason.NO_ACTIVE_KEY
        device.failure = None
        await made.until(lambda _: made.signs())


async def test_device_away_at_a_later_start(tmp_path, clock):
    """With the device away a known key is published and verified with; signing comes back by itself."""
    declared = [declare(tmp_path)]
    async with replica(tmp_path, clock, declared) as made:
        (record,) = made.keyring.view.records
    device = Device(tmp_path)
    device.failure = SignerUnavailableError("away")
    async with replica(tmp_path, clock, declared, device) as made:
        assert not made.signs()
        assert made.keyring.view.faults == {record.key_id: "SignerUnavailableError"}
        assert made.keyring.verification_key(TOKENS, record.key_id) is not None
        assert record.key_id in made.keyring.view.jwks_json.decode()
        device.failure = None
        await made.until(lambda _: made.signs())
        assert made.keyring.view.faults == {}


async def test_key_file_away_and_back(tmp_path, clock):
    """A key file that cannot be read when a replica needs it is used as soon as it can be read."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        key_id = made.keyring.view.records[0].key_id
    file = tmp_path / "keys" / "one.pem"
    file.chmod(0o644)
    async with replica(tmp_path, clock) as made:
        assert made.keyring.view.faults == {key_id: "KeyUnusableError"}
        file.chmod(0o600)
        await made.until(lambda _: made.signs())


async def test_another_key_in_its_place(tmp_path, clock):
    """A key file that was exchanged under the same name is not used: the record pins the key."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        key_id = made.keyring.view.records[0].key_id
    (tmp_path / "keys" / "one.pem").unlink()
    make_key(tmp_path, "one")
    async with replica(tmp_path, clock) as made:
        assert made.keyring.view.faults == {key_id: "KeyMismatchError"}
        assert not made.signs()


async def test_refused_pin_is_not_tried_again(tmp_path, clock):
    """After a refused PIN the key is left alone, so that the token does not lock itself."""
    declared = [declare(tmp_path)]
    async with replica(tmp_path, clock, declared):
        pass
    device = Device(tmp_path)
    device.failure = PinError("refused")
    async with replica(tmp_path, clock, (), device) as made:
        assert list(made.keyring.view.faults.values()) == ["PinError"]
        for _ in range(3):
            await made.loader._reopen()
        assert len(device.opened) == 1


async def test_hanging_device_holds_up_no_change(tmp_path, clock):
    """While one device hangs, a disabled key is dropped and a new one is published."""
    first, second = declare(tmp_path, "one"), declare(tmp_path, "two", INTROSPECTION)
    async with replica(tmp_path, clock, [first, second]) as made:
        ids = {record.uri: record.key_id for record in made.keyring.view.records}
    device = Device(tmp_path)
    device.failure = SignerUnavailableError("away")
    async with replica(tmp_path, clock, (), device) as made:
        device.failure, device.hangs = None, lambda uri: uri == first.uri
        await made.until(lambda ring: set(ring.view.faults) == {ids[first.uri]} and ring.view.signers)
        async with replica(tmp_path, clock) as other:
            await other.store.keys.disable(ids[second.uri], reason="stolen", now=clock())
        await made.until(lambda ring: ring.verification_key(INTROSPECTION, ids[second.uri]) is None)
        assert ids[second.uri] not in made.keyring.view.signers


async def test_refresh_waits_for_no_device(tmp_path, clock):
    """What a request waits for, a look at the database, returns while a device hangs."""
    device = Device(tmp_path)
    device.failure = SignerUnavailableError("away")
    async with replica(tmp_path, clock, [declare(tmp_path)], device) as made:
        device.failure, device.hangs = None, lambda _: True
        opened = len(device.opened)
        await eventually(lambda: len(device.opened) > opened, 5)
        async with asyncio.timeout(5):
            await made.loader.refresh()


async def test_change_of_another_replica(tmp_path, clock):
    """A key that another replica created appears here without a restart."""
    async with replica(tmp_path, clock) as made, replica(tmp_path, clock, [declare(tmp_path)]):
        await made.until(lambda _: made.signs())


async def test_disabled_by_another_replica(tmp_path, clock):
    """With the intervals of production, a disabled key is gone from the other replica within a second."""
    async with opened_application(tmp_path, clock=clock) as first:
        (record,) = first.keyring.view.records
        async with opened_application(tmp_path, clock=clock, prepared=first.prepared) as second:
            await first.keys.disable(record.key_id, reason="stolen")
            ring = second.keyring
            await eventually(lambda: ring.verification_key(TOKENS, record.key_id) is None, 1)
            assert json.loads(second.keyring.view.jwks_json) == {"keys": []}


async def test_database_away(tmp_path, clock, caplog):
    """While the database does not answer the last view stays in force, and changes are seen afterwards."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        key_id = made.keyring.view.records[0].key_id
        answer = made.loader._repository
        made.loader._repository = Away()
        await eventually(lambda: "keyring refresh failed" in caplog.text, 5)
        assert made.signs()
        await made.store.keys.disable(key_id, reason="stolen", now=clock())
        made.loader._repository = answer
        await made.until(lambda _: not made.signs())


async def test_no_signature_on_old_knowledge(tmp_path, clock):
    """A replica that cannot look whether its key was disabled signs nothing until it can again."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        key = made.keyring.signing_key(TOKENS, ES256)
        answer = made.loader._repository
        made.loader._repository = Away()
        made.loader._freshness.until = float("-inf")
        with pytest.raises(SignerUnavailableError, match="cannot be confirmed"):
            await key.sign_jws("at+jwt", b"{}")
        made.loader._repository = answer
        assert await key.sign_jws("at+jwt", b"{}")


async def test_disabled_while_nobody_looked(tmp_path, clock):
    """A key that was disabled elsewhere hands nothing out, though this replica has not heard of it yet."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        key = made.keyring.signing_key(TOKENS, ES256)
        for task in made.loader._tasks:
            task.cancel()
        await made.store.keys.disable(key.key_id, reason="stolen", now=clock())
        made.loader._freshness.until = float("-inf")
        with pytest.raises(SignerUnavailableError, match="withdrawn"):
            await key.sign_jws("at+jwt", b"{}")


async def test_a_signer_that_was_opened_again_stays_withdrawn(tmp_path, clock):
    """Whoever still holds the signer from before cannot use it after the key was disabled."""
    async with replica(tmp_path, clock, [declare(tmp_path)]) as made:
        before = made.keyring.signing_key(TOKENS, ES256)
        (record,) = made.keyring.view.records
        await made.loader.refresh(await made.device.open(record.uri, ES256))
        assert made.keyring.signing_key(TOKENS, ES256).signer is not before.signer
        await made.store.keys.disable(record.key_id, reason="stolen", now=clock())
        await made.loader.refresh()
        with pytest.raises(SignerUnavailableError, match="withdrawn"):
            await before.sign_jws("at+jwt", b"{}")


class Away:
    """A repository that does not answer."""

    async def change_number(self) -> int:
        raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away", retry_after=timedelta(seconds=1))


async def test_retired_when_its_time_has_come(tmp_path, clock):
    """A retiring key leaves the key set once the last thing that it signed has expired."""
    declared = [declare(tmp_path, "one"), declare(tmp_path, "two")]
    async with replica(tmp_path, clock, declared) as made:
        old, new = (record.key_id for record in made.keyring.view.records)
        if made.keyring.signing_key(TOKENS, ES256).key_id == new:
            old, new = new, old
        await made.store.keys.activate(
            TOKENS, ES256, new, expected_revision=None, now=clock(), retire_time=clock() + 60, key=None
        )
        await made.loader.refresh()
        assert made.keyring.signing_key(TOKENS, ES256).key_id == new
        assert made.keyring.verification_key(TOKENS, old) is not None
        clock.advance(59.9)
        await made.loader.refresh()
        assert made.keyring.verification_key(TOKENS, old) is not None
        clock.advance(0.1)
        await made.loader.refresh()
        assert made.keyring.verification_key(TOKENS, old) is None
        assert old not in made.keyring.view.jwks_json.decode()
