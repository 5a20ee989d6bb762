"""Which process does what in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
oldest_program = "0010"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "leases",
        sa.Column("work", _BYTEWISE, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
