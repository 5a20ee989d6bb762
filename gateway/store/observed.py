"""A database whose statements are timed, each by its name, and become parts of the span of their call.

It stands before the database only where metrics or traces are on. What a transaction runs on another thread
is noted there and counted here once it has ended: no count has two writers.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Final, NamedTuple, TypeVar

from gateway.errors import GatewayError
from gateway.store.database import Database, Row, Transaction, Work
from gateway.store.statement import Statement
from gateway.store.usage import StoreUsage
from gateway.telemetry.database_times import DatabaseTimes
from gateway.telemetry.spans import MAX_CHILDREN, AttributeValue, Span, SpanKind, current_span

T = TypeVar("T")

TRANSACTION: Final = "transaction"
"""The name of a unit of work, from the wait for a connection or a turn to its commit."""
_UNNAMED: Final = "other"
_NANO: Final = 1_000_000_000


def statement_names() -> dict[Statement, str]:
    """The name of every statement of the store: its module, and the constant that holds it.

    ``gateway.store.clients._FIND`` is ``clients.find``. Those in a mapping are named by their keys.
    """
    names: dict[Statement, str] = {}
    for path, module in sorted(sys.modules.items()):
        if not path.startswith("gateway.store."):
            continue
        room = path.removeprefix("gateway.store.")
        for constant, value in vars(module).items():
            if isinstance(value, Statement):
                names.setdefault(value, f"{room}.{constant.strip('_').lower()}")
            elif isinstance(value, dict):
                for key, each in value.items():
                    if isinstance(each, Statement):
                        names.setdefault(each, f"{room}.{key}")
    return names


class _Run(NamedTuple):
    """One run of a statement inside a transaction; times as `perf_counter` has them."""

    statement: str
    started: float
    ended: float
    error: str
    rows: int


class ObservedDatabase:
    """A `Database` in front of *inner*. *system* is ``sqlite`` or ``postgresql``, for spans."""

    def __init__(self, inner: Database, times: DatabaseTimes, system: str) -> None:
        self._inner = inner
        self._times = times
        self._system = system
        self._names = statement_names()

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """See `Database.fetch_one`."""
        started, error = perf_counter(), ""
        try:
            return await self._inner.fetch_one(statement, **parameters)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            self._note(self._name(statement), started, error)

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """See `Database.fetch_all`."""
        started, error = perf_counter(), ""
        try:
            return await self._inner.fetch_all(statement, **parameters)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            self._note(self._name(statement), started, error)

    async def write(self, statement: Statement, **parameters: object) -> Row | None:
        """See `Database.write`."""
        started, error = perf_counter(), ""
        try:
            return await self._inner.write(statement, **parameters)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            self._note(self._name(statement), started, error)

    async def transaction(self, work: Work[T]) -> T:
        """See `Database.transaction`."""
        runs: list[_Run] = []

        async def observed(transaction: Transaction) -> T:
            return await work(_ObservedTransaction(transaction, self._names, runs))

        started, error = perf_counter(), ""
        try:
            return await self._inner.transaction(observed)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            # A copy: where nobody waits any more, the writer's thread may still be at it.
            self._note_runs(tuple(runs), self._note(TRANSACTION, started, error))

    async def check_writable(self) -> None:
        """See `Database.check_writable`."""
        await self._inner.check_writable()

    @property
    def usage(self) -> StoreUsage:
        """See `Database.usage`."""
        return self._inner.usage

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        await self._inner.aclose()

    def _name(self, statement: Statement) -> str:
        return self._names.get(statement, _UNNAMED)

    def _note(self, name: str, started: float, error: str) -> Span | None:
        seconds = perf_counter() - started
        self._times.add(name, seconds, error, 0)
        span = current_span.get()
        if span is None:
            return None
        ended = time.time_ns()
        return self._child(span, _Run(name, 0.0, seconds, error, 0), ended - round(seconds * _NANO))

    def _note_runs(self, runs: Sequence[_Run], span: Span | None) -> None:
        for run in runs:
            self._times.add(run.statement, run.ended - run.started, run.error, run.rows)
        if span is not None:
            offset = time.time_ns() - round(perf_counter() * _NANO)
            for run in runs[:MAX_CHILDREN]:
                self._child(span, run, offset + round(run.started * _NANO))

    def _child(self, span: Span, run: _Run, begun: int) -> Span:
        attributes: dict[str, AttributeValue] = {
            "db.system.name": self._system,
            "db.query.summary": run.statement,
        }
        if run.rows:
            attributes["countersign.rows"] = run.rows
        ended = begun + round((run.ended - run.started) * _NANO)
        return span.child(run.statement, begun, ended, attributes, kind=SpanKind.CLIENT, error=run.error)


class _ObservedTransaction:
    """A `Transaction` that notes in *runs* what it ran; used by whichever thread runs the work."""

    def __init__(self, inner: Transaction, names: Mapping[Statement, str], runs: list[_Run]) -> None:
        self._inner = inner
        self._names = names
        self._runs = runs
        self.notify = inner.notify

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        started, error = perf_counter(), ""
        try:
            return await self._inner.fetch_one(statement, **parameters)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            self._note(statement, started, error, 0)

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        started, error = perf_counter(), ""
        try:
            return await self._inner.fetch_all(statement, **parameters)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            self._note(statement, started, error, 0)

    async def execute(self, statement: Statement, **parameters: object) -> int:
        started, error, rows = perf_counter(), "", 0
        try:
            rows = await self._inner.execute(statement, **parameters)
        except BaseException as raised:
            error = _kind(raised)
            raise
        finally:
            self._note(statement, started, error, max(rows, 0))
        return rows

    def _note(self, statement: Statement, started: float, error: str, rows: int) -> None:
        name = self._names.get(statement, _UNNAMED)
        self._runs.append(_Run(name, started, perf_counter(), error, rows))


def _kind(error: BaseException) -> str:
    """The reason of a failure, or the class of what nobody gave a reason; never its text."""
    return error.reason.value if isinstance(error, GatewayError) else type(error).__name__
