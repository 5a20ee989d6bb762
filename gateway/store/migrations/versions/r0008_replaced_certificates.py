"""Which order replaces a certificate. Those named by orders of before may be named once more."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
oldest_program = "0007"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column, without rewriting the table."""
    op.add_column("enrollment_certificates", sa.Column("replaced_by", _BYTEWISE))
