"""The tables of enrollment. See `gateway.store.tables` for what all tables have in common."""

import sqlalchemy as sa

from gateway.store.tables import BYTEWISE, metadata

accounts = sa.Table(
    "enrollment_accounts",
    metadata,
    sa.Column("account_id", BYTEWISE, primary_key=True),
    sa.Column("provisioner", BYTEWISE, nullable=False),
    sa.Column("owner", BYTEWISE, nullable=False),
    sa.Column("thumbprint", BYTEWISE, nullable=False),
    sa.Column("jwk", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("contact", sa.Text, nullable=False),
    sa.Column("terms_agreed", sa.BigInteger, nullable=False),
    sa.Column("external_key_id", sa.Text),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Index("enrollment_accounts_by_key", "provisioner", "owner", "thumbprint", unique=True),
)

orders = sa.Table(
    "enrollment_orders",
    metadata,
    sa.Column("order_id", BYTEWISE, primary_key=True),
    sa.Column("account_id", BYTEWISE, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("enrollment_orders_by_account", "account_id", "order_id"),
    sa.Index("enrollment_orders_by_expiry", "expire_time"),
)
"""`document` is JSON, see `gateway.store.order_document`: an order changes as a whole."""

authorizations = sa.Table(
    "enrollment_authorizations",
    metadata,
    sa.Column("authorization_id", BYTEWISE, primary_key=True),
    sa.Column("order_id", BYTEWISE, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Index("enrollment_authorizations_by_expiry", "expire_time"),
    sqlite_with_rowid=False,
)
"""Which order an authorization is of."""

certificates = sa.Table(
    "enrollment_certificates",
    metadata,
    sa.Column("certificate_id", BYTEWISE, primary_key=True),
    sa.Column("serial", BYTEWISE, nullable=False),
    sa.Column("order_id", BYTEWISE),
    sa.Column("account_id", BYTEWISE),
    sa.Column("provisioner", BYTEWISE, nullable=False),
    sa.Column("issuer_key_id", BYTEWISE, nullable=False),
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
    sa.Column("replaced_by", BYTEWISE),
    sa.Index("enrollment_certificates_by_serial", "serial", unique=True),
    sa.Index("enrollment_certificates_by_order", "order_id", unique=True),
    sa.Index("enrollment_certificates_by_revocation", "issuer_key_id", "revoke_time"),
    sa.Index("enrollment_certificates_by_expiry", "expire_time"),
)
"""From the moment that a serial number (40 hexadecimal digits) is taken; `der` is NULL until it is signed.

`replaced_by` is the order that replaces it, if that has not become invalid.
"""

crls = sa.Table(
    "enrollment_crls",
    metadata,
    sa.Column("issuer_key_id", BYTEWISE, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("this_update", sa.BigInteger, nullable=False),
    sa.Column("next_update", sa.BigInteger, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Index("enrollment_crls_by_expiry", "expire_time"),
)

external_keys = sa.Table(
    "enrollment_external_keys",
    metadata,
    sa.Column("key_id", BYTEWISE, primary_key=True),
    sa.Column("provisioner", BYTEWISE, nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.Text),
    sa.Column("bind_time", sa.BigInteger),
    sa.Index("enrollment_external_keys_by_provisioner", "provisioner", "key_id"),
)
