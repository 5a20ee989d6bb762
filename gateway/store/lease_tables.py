"""The table of background work. See `gateway.store.tables` for what all tables have in common."""

import sqlalchemy as sa

from gateway.store.tables import BYTEWISE, metadata

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("work", BYTEWISE, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until_time", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Which process does what, and until when nobody else does, by the database's clock."""
