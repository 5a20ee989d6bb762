"""The audit log: segments, checkpoints, the head of the chain, and triggers that refuse to change them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
oldest_program = "0008"

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_APPENDED = "the audit log is only appended to"
_FORWARD = "the head of the audit log only moves to the next segment"
_CHECKPOINTED = "the audit log is pruned up to a checkpoint only"

# Each is (name, event, table, condition that refuses, what it says). The conditions are the same SQL on both.
_RULES = (
    ("audit_segments_update", "UPDATE", "audit_segments", "true", _APPENDED),
    (
        "audit_segments_delete",
        "DELETE",
        "audit_segments",
        "OLD.sequence_number > (SELECT coalesce(max(pruned_sequence_number), 0) FROM audit_chain)",
        _APPENDED,
    ),
    ("audit_checkpoints_update", "UPDATE", "audit_checkpoints", "true", _APPENDED),
    (
        "audit_checkpoints_delete",
        "DELETE",
        "audit_checkpoints",
        "OLD.sequence_number >= (SELECT coalesce(max(pruned_sequence_number), 0) FROM audit_chain)",
        _APPENDED,
    ),
    ("audit_chain_delete", "DELETE", "audit_chain", "true", _APPENDED),
    (
        "audit_chain_update",
        "UPDATE",
        "audit_chain",
        (
            "NEW.name <> OLD.name OR NOT (NEW.sequence_number = OLD.sequence_number + 1"
            " OR (NEW.sequence_number = OLD.sequence_number AND NEW.hash = OLD.hash))"
        ),
        _FORWARD,
    ),
    (
        "audit_chain_prune",
        "UPDATE",
        "audit_chain",
        (
            "(NEW.pruned_sequence_number <> OLD.pruned_sequence_number OR NEW.pruned_hash <> OLD.pruned_hash)"
            " AND (NEW.pruned_sequence_number < OLD.pruned_sequence_number OR NOT EXISTS (SELECT 1"
            " FROM audit_checkpoints WHERE sequence_number = NEW.pruned_sequence_number"
            " AND hash = NEW.pruned_hash))"
        ),
        _CHECKPOINTED,
    ),
)


def upgrade() -> None:
    """Make the tables, the chain's only row, and the triggers."""
    op.create_table(
        "audit_segments",
        sa.Column("sequence_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("writer", _BYTEWISE, nullable=False),
        sa.Column("write_time", sa.BigInteger, nullable=False),
        sa.Column("record_count", sa.BigInteger, nullable=False),
        sa.Column("records", sa.LargeBinary, nullable=False),
    )
    op.create_index("audit_segments_by_time", "audit_segments", ["write_time"])
    op.create_table(
        "audit_checkpoints",
        sa.Column("sequence_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("sign_time", sa.BigInteger, nullable=False),
        sa.Column("jws", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_chain",
        sa.Column("name", _BYTEWISE, primary_key=True),
        sa.Column("sequence_number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("pruned_sequence_number", sa.BigInteger, nullable=False),
        sa.Column("pruned_hash", sa.LargeBinary, nullable=False),
        sa.Column("claim_time", sa.BigInteger, nullable=False),
    )
    if op.get_context().dialect.name == "sqlite":
        _begin_chain(f"x'{'00' * 32}'")
        _sqlite_triggers()
    else:
        _begin_chain(f"decode('{'00' * 32}', 'hex')")
        _postgresql_triggers()


def _begin_chain(zeros: str) -> None:
    op.execute(
        "INSERT INTO audit_chain"  # noqa: S608 - of two literals of this file
        " (name, sequence_number, hash, pruned_sequence_number, pruned_hash, claim_time)"
        f" VALUES ('chain', 0, {zeros}, 0, {zeros}, 0)"
    )


def _sqlite_triggers() -> None:
    for name, event, table, refused, message in _RULES:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {refused}"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def _postgresql_triggers() -> None:
    for name, event, table, refused, message in _RULES:
        kept = "OLD" if event == "DELETE" else "NEW"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF {refused} THEN RAISE EXCEPTION '{message}'; END IF; RETURN {kept}; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
    op.execute(
        "CREATE FUNCTION audit_truncate() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_APPENDED}'; END $$"
    )
    for table in ("audit_segments", "audit_checkpoints", "audit_chain"):
        op.execute(
            f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_truncate()"
        )
