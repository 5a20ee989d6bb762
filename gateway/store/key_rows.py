"""The table of keys: its statements, and a record as its row."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.store.database import Row, to_microseconds, to_seconds
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


INSERT = Statement(_insert)
ALL = Statement(lambda _: sa.select(keys).order_by(keys.c.create_time, keys.c.key_id), scan=True)
FIND = Statement(lambda _: sa.select(keys).where(_BY_ID))
FIND_ACTIVE = Statement(
    lambda _: sa.select(keys).where(
        keys.c.purpose == sa.bindparam("of_purpose"),
        keys.c.algorithm == sa.bindparam("of_algorithm"),
        keys.c.state == KeyState.ACTIVE.value,
    )
)
FIND_DUE = Statement(
    lambda _: sa.select(keys).where(
        keys.c.state == KeyState.RETIRING.value, keys.c.retire_time <= sa.bindparam("now")
    )
)
LAST_EXPIRY = Statement(
    lambda _: (
        sa.select(certificates.c.expire_time)
        .where(certificates.c.issuer_key_id == sa.bindparam("issuer"), certificates.c.der.is_not(None))
        .order_by(certificates.c.expire_time.desc())
        .limit(sa.literal_column("1"))
    ),
    scan=True,
)
"""By the index of what expires, from its end, where the certificates of the key in use are."""
FIND_ISSUED = Statement(lambda _: sa.select(keys).where(keys.c.issuer_key_id == sa.bindparam("issuer")))


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


CLAIM_ROTATION = Statement(_claim_rotation)
RELEASE_ROTATION = Statement(
    lambda _: sa.delete(key_rotations).where(
        key_rotations.c.purpose == sa.bindparam("of_purpose"),
        key_rotations.c.algorithm == sa.bindparam("of_algorithm"),
        key_rotations.c.lease_time == sa.bindparam("until"),
    )
)
MUTABLE = (
    "state",
    "activate_time",
    "retire_time",
    "disable_time",
    "disable_reason",
    "revision",
    "chain_pem",
)
STORE = Statement(
    lambda _: sa.update(keys).where(_BY_ID).values({name: sa.bindparam(name) for name in MUTABLE})
)


def values_of(record: KeyRecord) -> dict[str, Any]:
    """The columns of *record*, times in microseconds."""
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


def record_of(row: Row) -> KeyRecord:
    """The key in *row*, all columns of the table. Raises `AvailabilityError` for what no program wrote."""
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
