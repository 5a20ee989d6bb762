"""Enrollment accounts, and the keys of external accounts."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.enrollment.model import Account, AccountStatus
from gateway.enrollment.ports import ExternalAccountKey
from gateway.errors import AuthorizationError, Reason, StateError
from gateway.jose.errors import JoseError
from gateway.jose.jwk import parse_jwk
from gateway.store.database import Database, Row, Transaction, to_microseconds, to_seconds
from gateway.store.enrollment_tables import accounts, external_keys
from gateway.store.failures import StoreCause, unavailable
from gateway.store.statement import SqlDialect, Statement

_UNIQUE_VIOLATION = "23505"  # SQLSTATE
_COLUMNS = tuple(column.name for column in accounts.columns)
_BY_ID = accounts.c.account_id == sa.bindparam("account")
_FIND = Statement(lambda _: sa.select(accounts).where(_BY_ID))
_LOCK = Statement(lambda _: sa.select(accounts).where(_BY_ID).with_for_update())
_FIND_BY_KEY = Statement(
    lambda _: sa.select(accounts).where(
        accounts.c.provisioner == sa.bindparam("of_provisioner"),
        accounts.c.owner == sa.bindparam("of_owner"),
        accounts.c.thumbprint == sa.bindparam("of_thumbprint"),
    )
)
_MUTABLE = ("thumbprint", "jwk", "status", "contact", "terms_agreed")
_STORE = Statement(
    lambda _: sa.update(accounts).where(_BY_ID).values({name: sa.bindparam(name) for name in _MUTABLE})
)


def _insert(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(accounts).values({name: sa.bindparam(name) for name in _COLUMNS})
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(accounts.c.account_id)
    return statement


_INSERT = Statement(_insert)

_KEY_COLUMNS = tuple(column.name for column in external_keys.columns)
_BY_KEY_ID = external_keys.c.key_id == sa.bindparam("key")
_FIND_KEY = Statement(lambda _: sa.select(external_keys).where(_BY_KEY_ID))
_INSERT_KEY = Statement(
    lambda dialect: (
        dialect.insert(external_keys)
        .values({name: sa.bindparam(name) for name in _KEY_COLUMNS})
        .returning(external_keys.c.key_id)
    )
)
_LIST_KEYS = Statement(
    lambda _: (
        sa.select(external_keys)
        .where(
            external_keys.c.provisioner == sa.bindparam("of_provisioner"),
            external_keys.c.key_id > sa.bindparam("after"),
        )
        .order_by(external_keys.c.key_id)
        .limit(sa.bindparam("size", type_=sa.BigInteger))
    ),
    scan=True,
)
_DELETE_KEY = Statement(
    lambda _: sa.delete(external_keys).where(_BY_KEY_ID).returning(external_keys.c.key_id)
)
_BIND_KEY = Statement(
    lambda _: (
        sa.update(external_keys)
        .where(
            _BY_KEY_ID,
            external_keys.c.provisioner == sa.bindparam("of_provisioner"),
            external_keys.c.account_id.is_(None),
            external_keys.c.expire_time > sa.bindparam("now"),
        )
        .values(account_id=sa.bindparam("to_account"), bind_time=sa.bindparam("now"))
    )
)


class SqlAccountRepository:
    """`gateway.enrollment.ports.AccountRepository`. The unique index decides who has a key first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account: Account, *, now: float) -> tuple[Account, bool]:
        """See `AccountRepository.create`."""

        async def work(transaction: Transaction) -> tuple[Account, bool]:
            if await transaction.fetch_one(_INSERT, **_values(account)) is None:
                row = await transaction.fetch_one(_FIND_BY_KEY, **_key_of(account))
                if row is None:
                    raise unavailable(StoreCause.BUSY)
                return _account(row), False
            if account.external_key_id is not None:
                await _bind(transaction, account, now)
            return account, True

        return await self._database.transaction(work)

    async def get(self, account_id: str) -> Account | None:
        """See `AccountRepository.get`."""
        row = await self._database.fetch_one(_FIND, account=account_id)
        return None if row is None else _account(row)

    async def find(self, provisioner: str, owner: str, thumbprint: str) -> Account | None:
        """See `AccountRepository.find`."""
        row = await self._database.fetch_one(
            _FIND_BY_KEY, of_provisioner=provisioner, of_owner=owner, of_thumbprint=thumbprint
        )
        return None if row is None else _account(row)

    async def change(self, account_id: str, step: Callable[[Account], Account]) -> Account:
        """See `AccountRepository.change`."""

        async def work(transaction: Transaction) -> Account:
            row = await transaction.fetch_one(_LOCK, account=account_id)
            if row is None:
                raise StateError(Reason.ACCOUNT_NOT_FOUND, "There is no such account.")
            before = _account(row)
            changed = step(before)
            if changed.thumbprint != before.thumbprint:
                await _require_free(transaction, changed)
            values = _values(changed)
            await transaction.execute(_STORE, account=account_id, **{name: values[name] for name in _MUTABLE})
            return changed

        try:
            return await self._database.transaction(work)
        except Exception as error:
            if getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION:
                # Another replica stored the same key between our look and our write.
                raise _taken() from error
            raise


class SqlExternalAccountRepository:
    """`gateway.enrollment.ports.ExternalAccountRepository`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, key: ExternalAccountKey) -> None:
        """See `ExternalAccountRepository.create`."""
        bound = key.bind_time
        await self._database.write(
            _INSERT_KEY,
            key_id=key.key_id,
            provisioner=key.provisioner,
            secret=key.secret,
            reference=key.reference,
            create_time=to_microseconds(key.create_time),
            expire_time=to_microseconds(key.expire_time),
            account_id=key.account_id,
            bind_time=None if bound is None else to_microseconds(bound),
        )

    async def get(self, key_id: str) -> ExternalAccountKey | None:
        """See `ExternalAccountRepository.get`."""
        row = await self._database.fetch_one(_FIND_KEY, key=key_id)
        return None if row is None else _external_key(row)

    async def list(self, provisioner: str, *, after: str | None, limit: int) -> Sequence[ExternalAccountKey]:
        """See `ExternalAccountRepository.list`."""
        rows = await self._database.fetch_all(
            _LIST_KEYS, of_provisioner=provisioner, after=after or "", size=limit
        )
        return tuple(_external_key(row) for row in rows)

    async def delete(self, key_id: str) -> bool:
        """See `ExternalAccountRepository.delete`."""
        return await self._database.write(_DELETE_KEY, key=key_id) is not None


async def _bind(transaction: Transaction, account: Account, now: float) -> None:
    bound = await transaction.execute(
        _BIND_KEY,
        key=account.external_key_id,
        of_provisioner=account.provisioner,
        to_account=account.account_id,
        now=to_microseconds(now),
    )
    if bound != 1:
        raise AuthorizationError(
            Reason.EXTERNAL_ACCOUNT_REQUIRED,
            "The external account binding does not hold.",
            cause="external_key_bound_or_over",
        )


async def _require_free(transaction: Transaction, account: Account) -> None:
    if await transaction.fetch_one(_FIND_BY_KEY, **_key_of(account)) is not None:
        raise _taken()


def _taken() -> StateError:
    return StateError(Reason.ACCOUNT_KEY_IN_USE, "Another account has this key.")


def _key_of(account: Account) -> dict[str, Any]:
    return {
        "of_provisioner": account.provisioner,
        "of_owner": account.owner,
        "of_thumbprint": account.thumbprint,
    }


def _values(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "provisioner": account.provisioner,
        "owner": account.owner,
        "thumbprint": account.thumbprint,
        "jwk": json.dumps(account.key.members(), separators=(",", ":")),
        "status": account.status.value,
        "contact": json.dumps(account.contact),
        "terms_agreed": int(account.terms_agreed),
        "external_key_id": account.external_key_id,
        "create_time": to_microseconds(account.create_time),
    }


def _account(row: Row) -> Account:
    values = dict(zip(_COLUMNS, row, strict=True))
    try:
        return Account(
            account_id=values["account_id"],
            provisioner=values["provisioner"],
            owner=values["owner"],
            key=parse_jwk(json.loads(values["jwk"])),
            status=AccountStatus(values["status"]),
            contact=tuple(json.loads(values["contact"])),
            terms_agreed=bool(values["terms_agreed"]),
            external_key_id=values["external_key_id"],
            create_time=to_seconds(values["create_time"]),
        )
    except (ValueError, JoseError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def _external_key(row: Row) -> ExternalAccountKey:
    values = dict(zip(_KEY_COLUMNS, row, strict=True))
    bound = values["bind_time"]
    return ExternalAccountKey(
        key_id=values["key_id"],
        provisioner=values["provisioner"],
        secret=values["secret"],
        reference=values["reference"],
        create_time=to_seconds(values["create_time"]),
        expire_time=to_seconds(values["expire_time"]),
        account_id=values["account_id"],
        bind_time=None if bound is None else to_seconds(bound),
    )
