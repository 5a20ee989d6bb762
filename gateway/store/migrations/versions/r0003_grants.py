"""Grants, authorization codes, pushed authorization requests, refresh tokens and opaque access tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
oldest_program = "0002"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "grants",
        sa.Column("grant_id", _BYTEWISE, primary_key=True),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("revoke_time", sa.BigInteger),
        sa.Column("sequence_number", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("grants_by_expiry", "grants", ["expire_time"])
    op.create_index("grants_by_sequence", "grants", ["sequence_number"], unique=True)
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("grant_id", _BYTEWISE, nullable=False),
        sa.Column("issue_time", sa.BigInteger, nullable=False),
        sa.Column("idle_expire_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("consume_time", sa.BigInteger),
        sa.Column("successor", sa.LargeBinary),
        sa.Column("sealed_successor", sa.LargeBinary),
        sa.Column("replays", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("refresh_tokens_by_expiry", "refresh_tokens", ["expire_time"])
    _create_short_lived()


def _create_short_lived() -> None:
    op.create_table(
        "authorization_codes",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("grant_id", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("authorization_codes_by_expiry", "authorization_codes", ["expire_time"])
    op.create_table(
        "pushed_requests",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pushed_requests_by_expiry", "pushed_requests", ["expire_time"])
    op.create_table(
        "opaque_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("claims", sa.LargeBinary, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("opaque_tokens_by_expiry", "opaque_tokens", ["expire_time"])
