"""The tables. `gateway.store.migrations` makes them; a test sees that both say the same.

Types are TEXT, BYTEA/BLOB and BIGINT only. Times are microseconds since the epoch. Text compares by bytes on
both databases (collation "C"), so that pages are ordered alike.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", BYTEWISE, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""Numbers that only grow. A row is also the lock of what it counts, see `gateway.store.counters`."""

clients = sa.Table(
    "clients",
    metadata,
    sa.Column("client_id", BYTEWISE, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("authentication_method", sa.Text, nullable=False),
    sa.Column("disabled", sa.BigInteger, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("clients_by_method", "authentication_method", "client_id"),
)
"""`document` is JSON, see `gateway.store.client_document`; the other columns are what SQL must see of it."""

deleted_clients = sa.Table(
    "deleted_clients",
    metadata,
    sa.Column("client_id", BYTEWISE, primary_key=True),
    sqlite_with_rowid=False,
)
"""Ids that are never given again: tokens of the client that had one may still be around."""

revocations = sa.Table(
    "revocations",
    metadata,
    sa.Column("token_id", BYTEWISE, primary_key=True),
    sa.Column("client_id", sa.Text),
    sa.Column("revoke_time", sa.BigInteger, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("sequence_number", sa.BigInteger, nullable=False),
    sa.Index("revocations_by_expiry", "expire_time"),
    sa.Index("revocations_by_sequence", "sequence_number", unique=True),
    sqlite_with_rowid=False,
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Index("replays_by_expiry", "expire_time"),
    sqlite_with_rowid=False,
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("key_id", BYTEWISE, primary_key=True),
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
    sa.Column("chain_pem", sa.Text),
    sa.Column("issuer_key_id", BYTEWISE),
    sa.Column("sign_until", sa.BigInteger),
)
sa.Index(
    "keys_one_active",
    keys.c.purpose,
    keys.c.algorithm,
    unique=True,
    sqlite_where=keys.c.state == "active",
    postgresql_where=keys.c.state == "active",
)

key_rotations = sa.Table(
    "key_rotations",
    metadata,
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("algorithm", sa.Text, primary_key=True),
    sa.Column("lease_time", sa.BigInteger, nullable=False),
)
"""Which purposes and algorithms some replica is making a key for, and until when nobody else does."""

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("caller", BYTEWISE, primary_key=True),
    sa.Column("method", BYTEWISE, primary_key=True),
    sa.Column("request_id", BYTEWISE, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("resource_create_time", sa.BigInteger, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Index("idempotency_by_expiry", "expire_time"),
    sqlite_with_rowid=False,
)
"""`resource_create_time` tells a resource from a later one of the same name."""

grants = sa.Table(
    "grants",
    metadata,
    sa.Column("grant_id", BYTEWISE, primary_key=True),
    sa.Column("client_id", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("revoke_time", sa.BigInteger),
    sa.Column("sequence_number", sa.BigInteger),
    sa.Index("grants_by_expiry", "expire_time"),
    sa.Index("grants_by_sequence", "sequence_number", unique=True),
)
"""`document` is JSON, see `gateway.store.grant_document`. `sequence_number` is of the revocation."""

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("grant_id", BYTEWISE, nullable=False),
    sa.Column("issue_time", sa.BigInteger, nullable=False),
    sa.Column("idle_expire_time", sa.BigInteger, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("consume_time", sa.BigInteger),
    sa.Column("successor", sa.LargeBinary),
    sa.Column("sealed_successor", sa.LargeBinary),
    sa.Column("replays", sa.BigInteger, nullable=False),
    sa.Index("refresh_tokens_by_expiry", "expire_time"),
)
"""`successor` is the digest of the token that took its place, `sealed_successor` that token, encrypted."""

authorization_codes = sa.Table(
    "authorization_codes",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Column("grant_id", sa.Text),
    sa.Index("authorization_codes_by_expiry", "expire_time"),
    sqlite_with_rowid=False,
)
"""`expire_time` of a used code is that of its grant, so that a replay is known for as long as it matters."""

pushed_requests = sa.Table(
    "pushed_requests",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Index("pushed_requests_by_expiry", "expire_time"),
    sqlite_with_rowid=False,
)

pending_logins = sa.Table(
    "pending_logins",
    metadata,
    sa.Column("state_digest", sa.LargeBinary, primary_key=True),
    sa.Column("browser_digest", sa.LargeBinary, nullable=False),
    sa.Column("client_id", BYTEWISE, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Index("pending_logins_by_expiry", "expire_time"),
    sa.Index("pending_logins_by_client", "client_id", "expire_time"),
    sqlite_with_rowid=False,
)
"""Users who were sent to the upstream provider; `document` is JSON, see `gateway.store.pending_logins`."""

opaque_tokens = sa.Table(
    "opaque_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("claims", sa.LargeBinary, nullable=False),
    sa.Column("expire_time", sa.BigInteger, nullable=False),
    sa.Index("opaque_tokens_by_expiry", "expire_time"),
)
