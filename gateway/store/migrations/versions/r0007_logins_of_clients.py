"""Logins under way are counted by client. Those of the moment are forgotten, and begin anew."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
oldest_program = "0007"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table anew, with the client as a column."""
    op.drop_table("pending_logins")
    op.create_table(
        "pending_logins",
        sa.Column("state_digest", sa.LargeBinary, primary_key=True),
        sa.Column("browser_digest", sa.LargeBinary, nullable=False),
        sa.Column("client_id", _BYTEWISE, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pending_logins_by_expiry", "pending_logins", ["expire_time"])
    op.create_index("pending_logins_by_client", "pending_logins", ["client_id", "expire_time"])
