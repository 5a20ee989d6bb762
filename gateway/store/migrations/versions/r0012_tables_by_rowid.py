"""On SQLite, tables of long rows are kept by rowid: a key's page then holds a hundred keys and not ten.

Without rowid a row lies in the tree of its key, and rows of 300 octets make that tree deep: at 10^7 rows a
random key cost several pages read from the disk, and as many for an insertion. SQLite's advice is a limit of
200 octets (https://sqlite.org/withoutrowid.html). PostgreSQL has nothing to do.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
oldest_program = "0010"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Copy the three tables, on SQLite. Its other writers wait meanwhile, about a second per 100,000 rows."""
    if op.get_context().dialect.name != "sqlite":
        return
    _rebuild("opaque_tokens", _opaque_tokens(), {"opaque_tokens_by_expiry": ("expire_time", False)})
    _rebuild("refresh_tokens", _refresh_tokens(), {"refresh_tokens_by_expiry": ("expire_time", False)})
    _rebuild(
        "grants",
        _grants(),
        {"grants_by_expiry": ("expire_time", False), "grants_by_sequence": ("sequence_number", True)},
    )


def _rebuild(table: str, columns: list[sa.Column[object]], indexes: dict[str, tuple[str, bool]]) -> None:
    op.create_table(f"{table}_by_rowid", *columns)
    op.execute(f"INSERT INTO {table}_by_rowid SELECT * FROM {table}")  # noqa: S608 - our own names
    op.drop_table(table)
    op.rename_table(f"{table}_by_rowid", table)
    for name, (column, unique) in indexes.items():
        op.create_index(name, table, [column], unique=unique)


def _opaque_tokens() -> list[sa.Column[object]]:
    return [
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("claims", sa.LargeBinary, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
    ]


def _refresh_tokens() -> list[sa.Column[object]]:
    return [
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("grant_id", _BYTEWISE, nullable=False),
        sa.Column("issue_time", sa.BigInteger, nullable=False),
        sa.Column("idle_expire_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("consume_time", sa.BigInteger),
        sa.Column("successor", sa.LargeBinary),
        sa.Column("sealed_successor", sa.LargeBinary),
        sa.Column("replays", sa.BigInteger, nullable=False),
    ]


def _grants() -> list[sa.Column[object]]:
    return [
        sa.Column("grant_id", _BYTEWISE, primary_key=True),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("revoke_time", sa.BigInteger),
        sa.Column("sequence_number", sa.BigInteger),
    ]
