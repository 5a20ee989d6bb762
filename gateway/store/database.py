"""What a repository needs of a database: point reads, single writes, and units of work."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from gateway.store.statement import Statement
from gateway.store.usage import StoreUsage

Row: TypeAlias = Sequence[Any]
T = TypeVar("T")

MAX_MICROSECONDS = 2**63 - 1


def to_microseconds(seconds: float) -> int:
    """Times are kept as whole microseconds since the epoch. Clamped to what 64 bits hold; NaN is refused."""
    if seconds >= MAX_MICROSECONDS / 1e6:
        return MAX_MICROSECONDS
    return 0 if seconds <= 0 else round(seconds * 1e6)


def to_seconds(microseconds: int) -> float:
    """Seconds since the epoch."""
    return microseconds / 1e6


class Transaction(Protocol):
    """Inside a unit of work. Sees its own writes and everything committed before it began to write."""

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """The first row, or None."""
        ...

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """Every row."""
        ...

    async def execute(self, statement: Statement, **parameters: object) -> int:
        """Run a change; returns how many rows it touched."""
        ...

    def notify(self, message: str) -> None:
        """Tell every process that listens *message*, once this is committed, where the database can.

        Of ``a-z``, ``0-9``, ``_`` and ``-``; raises `ValueError` for another. It may be lost.
        """
        ...


Work: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]


class Database(Protocol):
    """One database. Every method raises `AvailabilityError` (``STORE_UNAVAILABLE``, ``OVERLOADED``).

    Reads see every write that was acknowledged to anybody, in any process.
    """

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """The first row of a read, or None."""
        ...

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """Every row of a read; the statement bounds how many."""
        ...

    async def write(self, statement: Statement, **parameters: object) -> Row | None:
        """One change, atomic by itself and durable on return; its first RETURNING row, or None."""
        ...

    async def transaction(self, work: Work[T]) -> T:
        """Run *work* and commit; what it raises undoes it and is raised here.

        *work* must do nothing but database calls and computation: it may run again after a conflict with
        another replica, and on SQLite it runs on the writer's thread and must not wait for anything else.
        """
        ...

    async def check_writable(self) -> None:
        """Write and commit something, to know that it can be done."""
        ...

    @property
    def usage(self) -> StoreUsage:
        """How much of the way to it is taken now."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and let go of the database."""
        ...
