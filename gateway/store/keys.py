"""Keys and their states."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from gateway.clock import Clock
from gateway.errors import Reason, StateError
from gateway.idempotency import IdempotencyKey
from gateway.keys.certificates import ca_key_identifier
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.store import counters, idempotency
from gateway.store.database import Database, Row, Transaction, to_microseconds, to_seconds
from gateway.store.enrollment_tables import certificates
from gateway.store.failures import StoreCause, unavailable
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import key_rotations, keys
from signers import Algorithm

_COLUMNS = tuple(column.name for column in keys.columns)
_BY_ID = keys.c.key_id == sa.bindparam("key")


def _insert(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(keys).values({name: sa.bindparam(name) for name in _COLUMNS})
    statement: sa.Executable = insert.on_conflict_do_nothing(index_elements=[keys.c.key_id]).returning(
        keys.c.key_id
    )
    return statement


_INSERT = Statement(_insert)
_ALL = Statement(lambda _: sa.select(keys).order_by(keys.c.create_time, keys.c.key_id), scan=True)
_FIND = Statement(lambda _: sa.select(keys).where(_BY_ID))
_FIND_ACTIVE = Statement(
    lambda _: sa.select(keys).where(
        keys.c.purpose == sa.bindparam("of_purpose"),
        keys.c.algorithm == sa.bindparam("of_algorithm"),
        keys.c.state == KeyState.ACTIVE.value,
    )
)
_FIND_DUE = Statement(
    lambda _: sa.select(keys).where(
        keys.c.state == KeyState.RETIRING.value, keys.c.retire_time <= sa.bindparam("now")
    )
)
_LAST_EXPIRY = Statement(
    lambda _: (
        sa.select(certificates.c.expire_time)
        .where(certificates.c.issuer_key_id == sa.bindparam("issuer"), certificates.c.der.is_not(None))
        .order_by(certificates.c.expire_time.desc())
        .limit(sa.literal_column("1"))
    ),
    scan=True,
)
"""By the index of what expires, from its end, where the certificates of the key in use are."""
_FIND_ISSUED = Statement(lambda _: sa.select(keys).where(keys.c.issuer_key_id == sa.bindparam("issuer")))


def _claim_rotation(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(key_rotations).values(
        purpose=sa.bindparam("of_purpose"),
        algorithm=sa.bindparam("of_algorithm"),
        lease_time=sa.bindparam("until"),
    )
    statement: sa.Executable = insert.on_conflict_do_update(
        index_elements=[key_rotations.c.purpose, key_rotations.c.algorithm],
        set_={"lease_time": insert.excluded.lease_time},
        where=key_rotations.c.lease_time <= sa.bindparam("now", type_=sa.BigInteger),
    ).returning(key_rotations.c.lease_time)
    return statement


_CLAIM_ROTATION = Statement(_claim_rotation)
_RELEASE_ROTATION = Statement(
    lambda _: sa.delete(key_rotations).where(
        key_rotations.c.purpose == sa.bindparam("of_purpose"),
        key_rotations.c.algorithm == sa.bindparam("of_algorithm"),
        key_rotations.c.lease_time == sa.bindparam("until"),
    )
)
_MUTABLE = (
    "state",
    "activate_time",
    "retire_time",
    "disable_time",
    "disable_reason",
    "revision",
    "chain_pem",
)
_STORE = Statement(
    lambda _: sa.update(keys).where(_BY_ID).values({name: sa.bindparam(name) for name in _MUTABLE})
)


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
        return tuple(_record(row) for row in await self._database.fetch_all(_ALL))

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
            if await transaction.fetch_one(_INSERT, **_values(stored)) is None:
                raise StateError(Reason.KEY_ALREADY_EXISTS, "This key is registered already.", field="key_id")
            await counters.advance(transaction, counters.KEYS)
            return await _require(transaction, stored.key_id), True

        return await self._database.transaction(work)

    async def find_replay(self, key: IdempotencyKey) -> KeyRecord | None:
        """See `KeyRepository.find_replay`."""
        replayed = await idempotency.find(self._database, key, now=self._clock())
        if replayed is None:
            return None
        row = await self._database.fetch_one(_FIND, key=replayed.resource_id)
        return None if row is None else _record(row)

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
            issued = [_record(row) for row in await transaction.fetch_all(_FIND_ISSUED, issuer=key_id)]
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
            _CLAIM_ROTATION,
            of_purpose=purpose.value,
            of_algorithm=algorithm.value,
            now=to_microseconds(now),
            until=to_microseconds(until),
        )
        return row is not None

    async def release_rotation(self, purpose: KeyPurpose, algorithm: Algorithm, *, until: float) -> None:
        """See `KeyRepository.release_rotation`."""
        await self._database.write(
            _RELEASE_ROTATION,
            of_purpose=purpose.value,
            of_algorithm=algorithm.value,
            until=to_microseconds(until),
        )

    async def retire_due(self, *, now: float) -> int:
        """See `KeyRepository.retire_due`. Writes only where a key is due."""
        until = to_microseconds(now)
        if await self._database.fetch_one(_FIND_DUE, now=until) is None:
            return 0

        async def work(transaction: Transaction) -> int:
            await counters.lock(transaction, counters.KEYS)
            due = [_record(row) for row in await transaction.fetch_all(_FIND_DUE, now=until)]
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
        _FIND_ACTIVE, of_purpose=like.purpose.value, of_algorithm=like.algorithm.value
    )
    return None if row is None else _record(row)


async def _last_expiry(transaction: Transaction, record: KeyRecord) -> float:
    """When the last certificate that the key issued expires: some were made under another configuration."""
    if record.purpose is not KeyPurpose.CERTIFICATES:
        return 0.0
    row = await transaction.fetch_one(_LAST_EXPIRY, issuer=ca_key_identifier(record))
    return 0.0 if row is None else to_seconds(row[0])


async def _require(transaction: Transaction, key_id: str) -> KeyRecord:
    row = await transaction.fetch_one(_FIND, key=key_id)
    if row is None:
        raise StateError(Reason.KEY_NOT_FOUND, "There is no such key.", field="key_id")
    return _record(row)


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
    values = _values(replace(record, revision=record.revision + 1))
    await transaction.execute(_STORE, key=record.key_id, **{name: values[name] for name in _MUTABLE})


def _values(record: KeyRecord) -> dict[str, Any]:
    return {
        "key_id": record.key_id,
        "purpose": record.purpose.value,
        "algorithm": record.algorithm.value,
        "uri": record.uri,
        "public_key_der": record.public_key_der,
        "state": record.state.value,
        "create_time": to_microseconds(record.create_time),
        "activate_time": _optional(to_microseconds, record.activate_time),
        "retire_time": _optional(to_microseconds, record.retire_time),
        "disable_time": _optional(to_microseconds, record.disable_time),
        "disable_reason": record.disable_reason,
        "revision": record.revision,
        "chain_pem": record.chain_pem.decode("ascii") or None,
        "issuer_key_id": record.issuer_key_id,
        "sign_until": _optional(to_microseconds, record.sign_until),
    }


def _record(row: Row) -> KeyRecord:
    values: Sequence[Any] = tuple(row)
    try:
        return KeyRecord(
            key_id=values[0],
            purpose=KeyPurpose(values[1]),
            algorithm=Algorithm(values[2]),
            uri=values[3],
            public_key_der=values[4],
            state=KeyState(values[5]),
            create_time=to_seconds(values[6]),
            activate_time=_optional(to_seconds, values[7]),
            retire_time=_optional(to_seconds, values[8]),
            disable_time=_optional(to_seconds, values[9]),
            disable_reason=values[10],
            revision=values[11],
            chain_pem=(values[12] or "").encode("ascii"),
            issuer_key_id=values[13],
            sign_until=_optional(to_seconds, values[14]),
        )
    except ValueError as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def _optional(convert: Any, value: Any) -> Any:
    return None if value is None else convert(value)
