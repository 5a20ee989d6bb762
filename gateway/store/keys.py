"""Keys and their states."""

from dataclasses import replace

from gateway.clock import Clock
from gateway.errors import Reason, StateError
from gateway.idempotency import IdempotencyKey
from gateway.keys.certificates import ca_key_identifier
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.store import counters, idempotency, key_rows
from gateway.store.database import Database, Transaction, to_microseconds, to_seconds
from gateway.store.key_rows import record_of, values_of
from signers import Algorithm


class SqlKeyRepository:
    """`gateway.keys.ports.KeyRepository`.

    Keys change rarely, so every change takes the lock of the keys' counter first: what it reads stays true
    until it commits. The unique index ``keys_one_active`` stands behind that.
    """

    def __init__(self, database: Database, clock: Clock, *, idempotency_lifetime: float) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = idempotency_lifetime

    async def all(self) -> tuple[KeyRecord, ...]:
        """Every key, ordered by creation."""
        return tuple(record_of(row) for row in await self._database.fetch_all(key_rows.ALL))

    async def change_number(self) -> int:
        """A number that grows with every change to any key."""
        return await counters.read(self._database, counters.KEYS)

    async def insert(self, record: KeyRecord, key: IdempotencyKey | None) -> tuple[KeyRecord, bool]:
        """See `KeyRepository.insert`. Whatever *record* says, it is stored with revision 1."""
        record = replace(record, revision=1)

        async def work(transaction: Transaction) -> tuple[KeyRecord, bool]:
            await counters.lock(transaction, counters.KEYS)
            if key is not None and (first := await self._claim(transaction, key, record)) is not None:
                return first, False
            stored = record
            if record.issuer_key_id is not None:
                # Disabling the issuer disables what it certified, and so must come too late for nothing.
                await _require_active(transaction, record.issuer_key_id)
            if record.state is KeyState.ACTIVE and await _active(transaction, record) is not None:
                stored = replace(record, state=KeyState.PREPARED, activate_time=None)
            if await transaction.fetch_one(key_rows.INSERT, **values_of(stored)) is None:
                raise StateError(Reason.KEY_ALREADY_EXISTS, "This key is registered already.", field="key_id")
            await counters.advance(transaction, counters.KEYS)
            return await _require(transaction, stored.key_id), True

        return await self._database.transaction(work)

    async def find_replay(self, key: IdempotencyKey) -> KeyRecord | None:
        """See `KeyRepository.find_replay`."""
        replayed = await idempotency.find(self._database, key, now=self._clock())
        if replayed is None:
            return None
        row = await self._database.fetch_one(key_rows.FIND, key=replayed.resource_id)
        return None if row is None else record_of(row)

    async def activate(
        self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
        key_id: str,
        *,
        expected_revision: int | None,
        now: float,
        retire_time: float,
        key: IdempotencyKey | None,
    ) -> KeyRecord:
        """See `KeyRepository.activate`. A replay returns the key as it is now."""

        async def work(transaction: Transaction) -> KeyRecord:
            await counters.lock(transaction, counters.KEYS)
            record = await _require(transaction, key_id)
            if key is not None and (first := await self._claim(transaction, key, record)) is not None:
                return first
            _require_activable(record, purpose, algorithm, expected_revision)
            active = await _active(transaction, record)
            if active is not None:
                until = max(retire_time, await _last_expiry(transaction, active))
                await _store(transaction, replace(active, state=KeyState.RETIRING, retire_time=until))
            await _store(transaction, replace(record, state=KeyState.ACTIVE, activate_time=now))
            await counters.advance(transaction, counters.KEYS)
            return await _require(transaction, key_id)

        return await self._database.transaction(work)

    async def disable(self, key_id: str, *, reason: str, now: float) -> KeyRecord:
        """See `KeyRepository.disable`. Disabling again changes neither time nor reason."""

        async def work(transaction: Transaction) -> KeyRecord:
            await counters.lock(transaction, counters.KEYS)
            record = await _require(transaction, key_id)
            if record.state is KeyState.DISABLED:
                return record
            issued = [
                record_of(row) for row in await transaction.fetch_all(key_rows.FIND_ISSUED, issuer=key_id)
            ]
            for each in (record, *issued):
                if each.state is not KeyState.DISABLED:
                    disabled = replace(each, state=KeyState.DISABLED, disable_time=now, disable_reason=reason)
                    await _store(transaction, disabled)
            await counters.advance(transaction, counters.KEYS)
            return await _require(transaction, key_id)

        return await self._database.transaction(work)

    async def set_chain(self, key_id: str, chain_pem: bytes) -> KeyRecord:
        """See `KeyRepository.set_chain`."""

        async def work(transaction: Transaction) -> KeyRecord:
            await counters.lock(transaction, counters.KEYS)
            record = await _require(transaction, key_id)
            if record.chain_pem == chain_pem:
                return record
            if record.issuer_key_id is not None:
                raise StateError(
                    Reason.KEY_STATE_CONFLICT, "A delegated key keeps its certificate.", field="key_id"
                )
            await _store(transaction, replace(record, chain_pem=chain_pem))
            await counters.advance(transaction, counters.KEYS)
            return await _require(transaction, key_id)

        return await self._database.transaction(work)

    async def claim_rotation(
        self, purpose: KeyPurpose, algorithm: Algorithm, *, now: float, until: float
    ) -> bool:
        """See `KeyRepository.claim_rotation`: one statement decides."""
        row = await self._database.write(
            key_rows.CLAIM_ROTATION,
            of_purpose=purpose.value,
            of_algorithm=algorithm.value,
            now=to_microseconds(now),
            until=to_microseconds(until),
        )
        return row is not None

    async def release_rotation(self, purpose: KeyPurpose, algorithm: Algorithm, *, until: float) -> None:
        """See `KeyRepository.release_rotation`."""
        await self._database.write(
            key_rows.RELEASE_ROTATION,
            of_purpose=purpose.value,
            of_algorithm=algorithm.value,
            until=to_microseconds(until),
        )

    async def retire_due(self, *, now: float) -> int:
        """See `KeyRepository.retire_due`. Writes only where a key is due."""
        until = to_microseconds(now)
        if await self._database.fetch_one(key_rows.FIND_DUE, now=until) is None:
            return 0

        async def work(transaction: Transaction) -> int:
            await counters.lock(transaction, counters.KEYS)
            due = [record_of(row) for row in await transaction.fetch_all(key_rows.FIND_DUE, now=until)]
            for record in due:
                await _store(transaction, replace(record, state=KeyState.RETIRED))
            if due:
                await counters.advance(transaction, counters.KEYS)
            return len(due)

        return await self._database.transaction(work)

    async def _claim(
        self, transaction: Transaction, key: IdempotencyKey, record: KeyRecord
    ) -> KeyRecord | None:
        """Remember *key* for *record*; or the record of its first use."""
        resource = idempotency.ReplayedResource(record.key_id, to_microseconds(record.create_time))
        replayed = await idempotency.claim(
            transaction, key, resource, now=self._clock(), lifetime=self._lifetime
        )
        return None if replayed is None else await _require(transaction, replayed.resource_id)


def _require_activable(
    record: KeyRecord, purpose: KeyPurpose, algorithm: Algorithm, expected_revision: int | None
) -> None:
    if expected_revision is not None and record.revision != expected_revision:
        raise StateError(Reason.ETAG_MISMATCH, "The key was changed meanwhile.", field="etag")
    if (record.purpose, record.algorithm) != (purpose, algorithm):
        raise StateError(
            Reason.KEY_STATE_CONFLICT, "The key has another purpose or algorithm.", field="key_id"
        )
    if record.state is not KeyState.PREPARED:
        raise StateError(
            Reason.KEY_STATE_CONFLICT,
            "Only a prepared key can be made active.",
            field="key_id",
            metadata={"state": record.state.value},
        )


async def _active(transaction: Transaction, like: KeyRecord) -> KeyRecord | None:
    row = await transaction.fetch_one(
        key_rows.FIND_ACTIVE, of_purpose=like.purpose.value, of_algorithm=like.algorithm.value
    )
    return None if row is None else record_of(row)


async def _last_expiry(transaction: Transaction, record: KeyRecord) -> float:
    """When the last certificate that the key issued expires: some were made under another configuration."""
    if record.purpose is not KeyPurpose.CERTIFICATES:
        return 0.0
    row = await transaction.fetch_one(key_rows.LAST_EXPIRY, issuer=ca_key_identifier(record))
    return 0.0 if row is None else to_seconds(row[0])


async def _require(transaction: Transaction, key_id: str) -> KeyRecord:
    row = await transaction.fetch_one(key_rows.FIND, key=key_id)
    if row is None:
        raise StateError(Reason.KEY_NOT_FOUND, "There is no such key.", field="key_id")
    return record_of(row)


async def _require_active(transaction: Transaction, key_id: str) -> None:
    issuer = await _require(transaction, key_id)
    if issuer.state is not KeyState.ACTIVE:
        raise StateError(
            Reason.KEY_STATE_CONFLICT,
            "The certifying key is not active.",
            field="issuer_key_id",
            metadata={"state": issuer.state.value},
        )


async def _store(transaction: Transaction, record: KeyRecord) -> None:
    """Store the changed *record* under the next revision."""
    values = values_of(replace(record, revision=record.revision + 1))
    changed = {name: values[name] for name in key_rows.MUTABLE}
    await transaction.execute(key_rows.STORE, key=record.key_id, **changed)
