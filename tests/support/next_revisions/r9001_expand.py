"""A revision of the future that programs of today work on: a table, and a column that may be NULL."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import HEAD_REVISION

revision = "9001"
down_revision = HEAD_REVISION
branch_labels = None
depends_on = None
oldest_program = HEAD_REVISION


def upgrade() -> None:
    """Add both."""
    op.create_table("future", sa.Column("name", sa.Text, primary_key=True))
    op.add_column("clients", sa.Column("note", sa.Text))
