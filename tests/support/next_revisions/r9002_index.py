"""An index on a table that may be large, built online; programs of before `9001` are left behind."""

from gateway.store.migrations import OnlineIndex

revision = "9002"
down_revision = "9001"
branch_labels = None
depends_on = None
oldest_program = "9001"
online_indexes = (OnlineIndex("clients_by_note", "clients", ("note",)),)


def upgrade() -> None:
    """Nothing but the index."""
