"""Presentation requests."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
oldest_program = "0005"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "presentation_requests",
        sa.Column("request_id", _BYTEWISE, primary_key=True),
        sa.Column("owner", _BYTEWISE, nullable=False),
        sa.Column("state_digest", sa.LargeBinary, nullable=False),
        sa.Column("nonce_digest", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("answer_until", sa.BigInteger, nullable=False),
        sa.Column("fetch_time", sa.BigInteger),
        sa.Column("submit_time", sa.BigInteger),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
    )
    op.create_index("presentation_requests_by_state", "presentation_requests", ["state_digest"], unique=True)
    op.create_index("presentation_requests_by_nonce", "presentation_requests", ["nonce_digest"], unique=True)
    op.create_index("presentation_requests_by_expiry", "presentation_requests", ["expire_time"])
