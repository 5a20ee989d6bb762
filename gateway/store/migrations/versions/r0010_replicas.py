"""Who uses the database, and the oldest program that may: what migrating while others serve needs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
oldest_program = "0008"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table, and the numbers that only grow."""
    op.create_table(
        "replicas",
        sa.Column("replica_id", _BYTEWISE, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process_id", sa.BigInteger, nullable=False),
        sa.Column("build", sa.Text, nullable=False),
        sa.Column("program", sa.BigInteger, nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("local_time", sa.BigInteger, nullable=False),
        sa.Column("seen_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "database_origin",
        sa.Column("name", _BYTEWISE, primary_key=True),
        sa.Column("identity", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    counters = sa.table("counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    names = ("oldest_program", "backup_time", "restore_time", "issued_before", "crl_number")
    op.bulk_insert(counters, [{"name": name, "value": 0} for name in names])
