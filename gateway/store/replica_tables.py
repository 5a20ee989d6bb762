"""The table of the programs that use the database. See `gateway.store.tables` for what all have in common."""

import sqlalchemy as sa

from gateway.store.tables import BYTEWISE, metadata

replicas = sa.Table(
    "replicas",
    metadata,
    sa.Column("replica_id", BYTEWISE, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process_id", sa.BigInteger, nullable=False),
    sa.Column("build", sa.Text, nullable=False),
    sa.Column("program", sa.BigInteger, nullable=False),
    sa.Column("start_time", sa.BigInteger, nullable=False),
    sa.Column("local_time", sa.BigInteger, nullable=False),
    sa.Column("seen_time", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""`program` is the revision that it was made for, as a number. `local_time` is its own clock, `seen_time` the
database's, both at the last sign of life."""

database_origin = sa.Table(
    "database_origin",
    metadata,
    sa.Column("name", BYTEWISE, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
"""One row, ``origin``: which PostgreSQL database these tables live in, so that a copy of it is noticed."""
