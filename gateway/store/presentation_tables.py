"""The table of presentation requests. See `gateway.store.tables` for what all tables have in common."""

import sqlalchemy as sa

from gateway.store.tables import BYTEWISE, metadata

presentation_requests = sa.Table(
    "presentation_requests",
    metadata,
    sa.Column("request_id", BYTEWISE, primary_key=True),
    sa.Column("owner", BYTEWISE, nullable=False),
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
    sa.Index("presentation_requests_by_state", "state_digest", unique=True),
    sa.Index("presentation_requests_by_nonce", "nonce_digest", unique=True),
    sa.Index("presentation_requests_by_expiry", "expire_time"),
)
"""`document` and `outcome` are JSON, see `gateway.store.presentation_document`. `answer_until` ends the
request, `expire_time` the row; until then its nonce and its state are taken.
"""
