"""Clients, revocations, replays, keys and idempotency."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
oldest_program = "0001"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and the counters at zero."""
    counters = op.create_table(
        "counters",
        sa.Column("name", _BYTEWISE, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(
        counters,
        [{"name": name, "value": 0} for name in ("clients", "keys", "revocations", "write_checks")],
    )
    op.create_table(
        "clients",
        sa.Column("client_id", _BYTEWISE, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("authentication_method", sa.Text, nullable=False),
        sa.Column("disabled", sa.BigInteger, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("clients_by_method", "clients", ["authentication_method", "client_id"])
    op.create_table(
        "deleted_clients", sa.Column("client_id", _BYTEWISE, primary_key=True), sqlite_with_rowid=False
    )
    _create_keys()
    _create_expiring_tables()


def _create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("key_id", _BYTEWISE, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("activate_time", sa.BigInteger),
        sa.Column("retire_time", sa.BigInteger),
        sa.Column("disable_time", sa.BigInteger),
        sa.Column("disable_reason", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    active = sa.text("state = 'active'")
    op.create_index(
        "keys_one_active",
        "keys",
        ["purpose", "algorithm"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )


def _create_expiring_tables() -> None:
    op.create_table(
        "revocations",
        sa.Column("token_id", _BYTEWISE, primary_key=True),
        sa.Column("client_id", sa.Text),
        sa.Column("revoke_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("sequence_number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("revocations_by_expiry", "revocations", ["expire_time"])
    op.create_index("revocations_by_sequence", "revocations", ["sequence_number"], unique=True)
    op.create_table(
        "replays",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("replays_by_expiry", "replays", ["expire_time"])
    op.create_table(
        "idempotency",
        sa.Column("caller", _BYTEWISE, primary_key=True),
        sa.Column("method", _BYTEWISE, primary_key=True),
        sa.Column("request_id", _BYTEWISE, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("resource_create_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_by_expiry", "idempotency", ["expire_time"])
