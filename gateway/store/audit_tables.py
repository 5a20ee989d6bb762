"""Tables of the audit log; triggers that the migrations make refuse to change what is in them."""

import sqlalchemy as sa

from gateway.store.tables import BYTEWISE, metadata

audit_segments = sa.Table(
    "audit_segments",
    metadata,
    sa.Column("sequence_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("writer", BYTEWISE, nullable=False),
    sa.Column("write_time", sa.BigInteger, nullable=False),
    sa.Column("record_count", sa.BigInteger, nullable=False),
    sa.Column("records", sa.LargeBinary, nullable=False),
    sa.Index("audit_segments_by_time", "write_time"),
)
"""`hash`, `digest`: see `gateway.audit.chain`. `records`: JSON lines, compressed by zlib."""

audit_checkpoints = sa.Table(
    "audit_checkpoints",
    metadata,
    sa.Column("sequence_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("sign_time", sa.BigInteger, nullable=False),
    sa.Column("jws", sa.Text, nullable=False),
)

audit_chain = sa.Table(
    "audit_chain",
    metadata,
    sa.Column("name", BYTEWISE, primary_key=True),
    sa.Column("sequence_number", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("pruned_sequence_number", sa.BigInteger, nullable=False),
    sa.Column("pruned_hash", sa.LargeBinary, nullable=False),
    sa.Column("claim_time", sa.BigInteger, nullable=False),
)
"""One row, ``chain``: the head, up to where segments were pruned, and until when a replica has claimed to
sign the next checkpoint."""
