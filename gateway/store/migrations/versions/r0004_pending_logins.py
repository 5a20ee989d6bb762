"""Logins at the upstream provider that are under way."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
oldest_program = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pending_logins",
        sa.Column("state_digest", sa.LargeBinary, primary_key=True),
        sa.Column("browser_digest", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pending_logins_by_expiry", "pending_logins", ["expire_time"])
