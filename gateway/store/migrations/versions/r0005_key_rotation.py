"""Certificates of keys, delegated keys, and who rotates."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
oldest_program = "0004"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, and make the table."""
    op.add_column("keys", sa.Column("chain_pem", sa.Text))
    op.add_column("keys", sa.Column("issuer_key_id", _BYTEWISE))
    op.add_column("keys", sa.Column("sign_until", sa.BigInteger))
    op.create_table(
        "key_rotations",
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("algorithm", sa.Text, primary_key=True),
        sa.Column("lease_time", sa.BigInteger, nullable=False),
    )
