"""How much of the way to the database is taken, for metrics."""

from dataclasses import dataclass

from signers.durations import Histogram


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """As it is now, in this process.

    - *in_use*, *idle*, *limit*: PostgreSQL connections; all 0 for SQLite, which has none.
    - *waiting*: calls that wait for a connection, or for the one that writes to SQLite.
    - *waits*: how long those waited that had to, for a PostgreSQL connection.
    """

    in_use: int
    idle: int
    limit: int
    waiting: int
    waits: Histogram
