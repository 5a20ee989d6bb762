"""What the store's SQL demands of a database that speaks PostgreSQL's protocol, found in what it sends."""

import re
from dataclasses import dataclass
from typing import Final

import gateway.store  # noqa: F401 - its modules hold the statements
from gateway.store.observed import statement_names


@dataclass(frozen=True, slots=True)
class Feature:
    """Something beyond plain statements, how it is recognized, and what stands on it."""

    name: str
    pattern: str
    purpose: str


FEATURES: Final = (
    Feature(
        "`INSERT … ON CONFLICT DO NOTHING RETURNING`",
        r"ON CONFLICT.*DO NOTHING.*RETURNING",
        "one of many uses of a nonce, proof or name wins; the row that comes back says who",
    ),
    Feature(
        "`INSERT … ON CONFLICT DO UPDATE … WHERE … RETURNING`",
        r"ON CONFLICT.*DO UPDATE.*WHERE.*RETURNING",
        "leases: taken where they are free, over, or one's own",
    ),
    Feature(
        "`UPDATE … WHERE … RETURNING`",
        r"^UPDATE.*RETURNING",
        "compare and set: codes, refresh tokens, certificates, counters",
    ),
    Feature(
        "`DELETE … RETURNING`",
        r"^DELETE.*RETURNING",
        "what is taken is gone for everybody else",
    ),
    Feature(
        "`SELECT … FOR UPDATE`",
        r"FOR UPDATE(?! SKIP)",
        "a counter's or an order's row is the lock of what belongs to it, until COMMIT",
    ),
    Feature(
        "`SELECT … FOR UPDATE SKIP LOCKED` in the subquery of a DELETE",
        r"^DELETE.*FOR UPDATE SKIP LOCKED",
        "purging, a batch at a time, that waits for nobody",
    ),
    Feature("`SELECT … FOR SHARE`", r"FOR SHARE", "processes that announce themselves wait for a migration"),
    Feature(
        "row values in `IN (subquery)`",
        r"WHERE \(\w+\.\w+, ",
        "purging tables whose key is of several columns",
    ),
    Feature(
        "`EXISTS (subquery)` of the table itself",
        r"EXISTS \(SELECT",
        "purging what has a successor, and the last list of a CA never",
    ),
    Feature("`= ANY (array)`", r"= ANY \(", "many tokens in one question"),
    Feature("`UNION ALL` in a subquery, with ORDER BY and LIMIT", r"UNION ALL", "the revocation feed"),
    Feature(
        "`WITH … UPDATE … RETURNING` before an INSERT",
        r"^WITH.*UPDATE.*RETURNING.*INSERT",
        "the audit log's next segment, in one statement",
    ),
    Feature("`sha256(bytea)`, `int8send`", r"sha256\(|int8send\(", "the hash chain of the audit log"),
    Feature(
        "`extract(epoch FROM clock_timestamp())`",
        r"clock_timestamp\(\)",
        "leases and signs of life by the database's clock, which moves within a transaction",
    ),
    Feature('`COLLATE "C"`', r'COLLATE "C"', "names compare by octets, so that pages are in order"),
    Feature("`min`, `max`, `count`", r"\b(?:min|max|count)\(", "the oldest, the newest, how many"),
    Feature("`JOIN … ON`", r" JOIN ", "a refresh token with its grant, an order by its authorization"),
    Feature(
        "`pg_control_system()`, `current_database()`",
        r"pg_control_system\(",
        "whether the database is the one that was there before, or a copy of it",
    ),
)

_VERBS: Final = {"SELECT", "INSERT", "INTO", "VALUES", "UPDATE", "SET", "DELETE", "WITH"}
_CLAUSES: Final = {"FROM", "WHERE", "ORDER", "BY", "DESC", "LIMIT", "JOIN", "ON", "AS", "UNION", "ALL"}
_OPERATORS: Final = {"AND", "OR", "NOT", "IN", "EXISTS", "IS", "NULL", "ANY", "CAST", "COLLATE"}
_DECISIONS: Final = {"CONFLICT", "DO", "NOTHING", "RETURNING", "FOR", "SHARE", "SKIP", "LOCKED"}
_TYPES: Final = {"TEXT", "VARCHAR", "BIGINT", "INTEGER", "BYTEA"}
WORDS: Final = frozenset(_VERBS | _CLAUSES | _OPERATORS | _DECISIONS | _TYPES)
"""Every keyword and type that the statements are made of."""
_TIME: Final = {"extract", "clock_timestamp"}
_CHAIN: Final = {"sha256", "int8send"}
_AGGREGATES: Final = {"min", "max", "count"}
_IDENTITY: Final = {"pg_control_system", "current_database"}
FUNCTIONS: Final = frozenset(_TIME | _CHAIN | _AGGREGATES | _IDENTITY)
"""Every function that they call."""

_LITERAL: Final = re.compile(r"'[^']*'")


def statements() -> dict[str, str]:
    """The text of each of the store's statements, on one line, by its name."""
    return {
        name: " ".join(_LITERAL.sub("''", statement.postgresql.text).split())
        for statement, name in statement_names().items()
    }


def words_of(text: str) -> set[str]:
    """The keywords and types in a statement."""
    return set(re.findall(r"\b[A-Z][A-Z]+\b", text.replace('"C"', "")))


def functions_of(text: str) -> set[str]:
    """The functions that a statement calls."""
    return set(re.findall(r"\b([a-z_0-9]+)\(", text))


def table() -> str:
    """What each feature is for; for docs/replicas.md."""
    rows = [f"| {feature.name} | {feature.purpose} |" for feature in FEATURES]
    return "\n".join(["| the database must have | for |", "|---|---|", *rows])
