"""Presentation requests."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.presentations.ports import MAX_REVISIONS
from gateway.presentations.request import (
    SUBMISSION_LEASE,
    PresentationRequest,
    RequestRecord,
    RequestStatus,
)
from gateway.presentations.result import VerificationResult
from gateway.store.database import Database, Row, to_microseconds, to_seconds
from gateway.store.presentation_document import from_document, from_outcome, to_document, to_outcome
from gateway.store.presentation_tables import presentation_requests as table
from gateway.store.statement import SqlDialect, Statement

_INSERTED = (
    "request_id",
    "owner",
    "state_digest",
    "nonce_digest",
    "status",
    "revision",
    "answer_until",
    "document",
    "expire_time",
)
_READ = (table.c.status, table.c.revision, table.c.fetch_time, table.c.submit_time, table.c.document)
_RECORD = (*_READ, table.c.outcome)
_BY_ID = table.c.request_id == sa.bindparam("request")
_BY_STATE = table.c.state_digest == sa.bindparam("state")
_NEXT = table.c.revision + sa.literal_column("1")
_OPEN = (
    table.c.status.in_(
        [sa.literal_column("'created'"), sa.literal_column("'fetched'")],
    ),
    table.c.answer_until > sa.bindparam("now"),
)


def _insert(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(table).values({name: sa.bindparam(name) for name in _INSERTED})
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(table.c.request_id)
    return statement


def _claim(*conditions: sa.ColumnElement[bool]) -> Statement:
    return Statement(
        lambda _: (
            sa.update(table)
            .where(_BY_STATE, *_OPEN, *conditions)
            .values(status=sa.literal_column("'submitted'"), submit_time=sa.bindparam("at"), revision=_NEXT)
            .returning(*_RECORD)
        )
    )


_INSERT = Statement(_insert)
_FIND = Statement(lambda _: sa.select(*_RECORD).where(_BY_ID))
_REVISIONS = Statement(
    lambda dialect: sa.select(table.c.request_id, table.c.revision).where(
        dialect.among(table.c.request_id, "requests")
    ),
    scan=True,
)
_FIND_BY_STATE = Statement(lambda _: sa.select(*_RECORD).where(_BY_STATE))
_FETCH = Statement(
    lambda _: (
        sa.update(table)
        .where(
            _BY_ID,
            table.c.status == sa.literal_column("'created'"),
            table.c.answer_until > sa.bindparam("now"),
        )
        .values(status=sa.literal_column("'fetched'"), fetch_time=sa.bindparam("at"), revision=_NEXT)
        .returning(*_RECORD)
    )
)
_CLAIM = _claim()
_CLAIM_OWN = _claim(table.c.owner == sa.bindparam("caller"))
_SETTLE = Statement(
    lambda _: (
        sa.update(table)
        .where(
            _BY_ID,
            table.c.status == sa.literal_column("'submitted'"),
            table.c.submit_time > sa.bindparam("lease"),
        )
        .values(status=sa.bindparam("judged"), outcome=sa.bindparam("outcome"), revision=_NEXT)
        .returning(*_RECORD)
    )
)


class SqlPresentationRequestRepository:
    """`gateway.presentations.ports.PresentationRequestRepository`. One UPDATE decides each step."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Callable[[str], None]] = []

    async def insert(self, request: PresentationRequest, *, keep_until: float) -> bool:
        """See `PresentationRequestRepository.insert`. The unique indices decide."""
        row = await self._database.write(
            _INSERT,
            request_id=request.request_id,
            owner=request.owner,
            state_digest=_digest(request.state),
            nonce_digest=_digest(request.nonce),
            status=RequestStatus.CREATED.value,
            revision=1,
            answer_until=to_microseconds(request.expire_time),
            document=to_document(request),
            expire_time=to_microseconds(keep_until),
        )
        return row is not None

    async def find(self, request_id: str) -> RequestRecord | None:
        """See `PresentationRequestRepository.find`."""
        return _record(await self._database.fetch_one(_FIND, request=request_id))

    async def fetch(self, request_id: str, *, now: float) -> RequestRecord | None:
        """See `PresentationRequestRepository.fetch`."""
        at = to_microseconds(now)
        fetched = await self._database.write(_FETCH, request=request_id, now=at, at=at)
        if fetched is not None:
            return self._changed(_record(fetched))
        return await self.find(request_id)

    async def claim(self, state: str, *, owner: str | None, now: float) -> tuple[RequestRecord, bool] | None:
        """See `PresentationRequestRepository.claim`."""
        digest, at = _digest(state), to_microseconds(now)
        parameters: dict[str, Any] = {"state": digest, "now": at, "at": at}
        if owner is None:
            row = await self._database.write(_CLAIM, **parameters)
        else:
            row = await self._database.write(_CLAIM_OWN, caller=owner, **parameters)
        claimed = _record(row)
        if claimed is not None:
            self._changed(claimed)
            return claimed, True
        known = _record(await self._database.fetch_one(_FIND_BY_STATE, state=digest))
        if known is None or owner not in (None, known.request.owner):
            return None
        return known, False

    async def settle(
        self, request_id: str, *, result: VerificationResult | None, wallet_error: str | None, now: float
    ) -> RequestRecord | None:
        """See `PresentationRequestRepository.settle`."""
        accepted = result is not None and result.accepted
        judged = RequestStatus.VERIFIED if accepted else RequestStatus.REFUSED
        row = await self._database.write(
            _SETTLE,
            request=request_id,
            lease=to_microseconds(now - SUBMISSION_LEASE),
            judged=judged.value,
            outcome=to_outcome(result, wallet_error),
        )
        return self._changed(_record(row))

    async def revisions(self, request_ids: Sequence[str]) -> Mapping[str, int]:
        """See `PresentationRequestRepository.revisions`. Raises `ValueError` for more than that."""
        if len(request_ids) > MAX_REVISIONS:
            raise ValueError(f"more than {MAX_REVISIONS} requests")
        if not request_ids:
            return {}
        rows = await self._database.fetch_all(_REVISIONS, requests=list(request_ids))
        return {row[0]: row[1] for row in rows}

    def listen(self, listener: Callable[[str], None]) -> None:
        """See `PresentationRequestRepository.listen`."""
        self._listeners.append(listener)

    def _changed(self, record: RequestRecord | None) -> RequestRecord | None:
        """Tell of *record*, which was just committed here; None stands for nothing."""
        if record is not None:
            for listener in self._listeners:
                listener(record.request.request_id)
        return record


def _record(row: Row | None) -> RequestRecord | None:
    if row is None:
        return None
    status, revision, fetched, submitted, document, outcome = row
    result, wallet_error = (None, None) if outcome is None else from_outcome(outcome)
    return RequestRecord(
        request=from_document(document),
        stored=RequestStatus(status),
        revision=revision,
        fetch_time=None if fetched is None else to_seconds(fetched),
        submit_time=None if submitted is None else to_seconds(submitted),
        result=result,
        wallet_error=wallet_error,
    )


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
