"""Enrollment: accounts, orders, certificates, revocation lists, keys of external accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
oldest_program = "0001"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _create_accounts()
    _create_orders()
    _create_certificates()
    _create_crls()


def _create_accounts() -> None:
    op.create_table(
        "enrollment_accounts",
        sa.Column("account_id", _BYTEWISE, primary_key=True),
        sa.Column("provisioner", _BYTEWISE, nullable=False),
        sa.Column("owner", _BYTEWISE, nullable=False),
        sa.Column("thumbprint", _BYTEWISE, nullable=False),
        sa.Column("jwk", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("terms_agreed", sa.BigInteger, nullable=False),
        sa.Column("external_key_id", sa.Text),
        sa.Column("create_time", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "enrollment_accounts_by_key",
        "enrollment_accounts",
        ["provisioner", "owner", "thumbprint"],
        unique=True,
    )
    op.create_table(
        "enrollment_external_keys",
        sa.Column("key_id", _BYTEWISE, primary_key=True),
        sa.Column("provisioner", _BYTEWISE, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.Text),
        sa.Column("bind_time", sa.BigInteger),
    )
    op.create_index(
        "enrollment_external_keys_by_provisioner", "enrollment_external_keys", ["provisioner", "key_id"]
    )


def _create_orders() -> None:
    op.create_table(
        "enrollment_orders",
        sa.Column("order_id", _BYTEWISE, primary_key=True),
        sa.Column("account_id", _BYTEWISE, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("enrollment_orders_by_account", "enrollment_orders", ["account_id", "order_id"])
    op.create_index("enrollment_orders_by_expiry", "enrollment_orders", ["expire_time"])
    op.create_table(
        "enrollment_authorizations",
        sa.Column("authorization_id", _BYTEWISE, primary_key=True),
        sa.Column("order_id", _BYTEWISE, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("enrollment_authorizations_by_expiry", "enrollment_authorizations", ["expire_time"])


def _create_certificates() -> None:
    op.create_table(
        "enrollment_certificates",
        sa.Column("certificate_id", _BYTEWISE, primary_key=True),
        sa.Column("serial", _BYTEWISE, nullable=False),
        sa.Column("order_id", _BYTEWISE),
        sa.Column("account_id", _BYTEWISE),
        sa.Column("provisioner", _BYTEWISE, nullable=False),
        sa.Column("issuer_key_id", _BYTEWISE, nullable=False),
        sa.Column("request_der", sa.LargeBinary, nullable=False),
        sa.Column("issue_time", sa.BigInteger, nullable=False),
        sa.Column("lease_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("der", sa.LargeBinary),
        sa.Column("issuer_pem", sa.LargeBinary),
        sa.Column("not_before", sa.BigInteger),
        sa.Column("not_after", sa.BigInteger),
        sa.Column("spki_sha256", sa.LargeBinary),
        sa.Column("revoke_time", sa.BigInteger),
        sa.Column("revoke_reason", sa.Text),
    )
    op.create_index("enrollment_certificates_by_serial", "enrollment_certificates", ["serial"], unique=True)
    op.create_index("enrollment_certificates_by_order", "enrollment_certificates", ["order_id"], unique=True)
    op.create_index(
        "enrollment_certificates_by_revocation", "enrollment_certificates", ["issuer_key_id", "revoke_time"]
    )
    op.create_index("enrollment_certificates_by_expiry", "enrollment_certificates", ["expire_time"])


def _create_crls() -> None:
    op.create_table(
        "enrollment_crls",
        sa.Column("issuer_key_id", _BYTEWISE, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("this_update", sa.BigInteger, nullable=False),
        sa.Column("next_update", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
    )
    op.create_index("enrollment_crls_by_expiry", "enrollment_crls", ["expire_time"])
