"""The revisions that this program knows, and the SQL of each step between them."""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.store.failures import SchemaRevisionError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script

HEAD_REVISION = "0012"
"""What this program needs. A constant, so that a start does not pay for loading Alembic."""

_SCRIPTS = Path(__file__).parent
_ALEMBIC = threading.Lock()
"""Alembic keeps what it is doing in the globals of its modules."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """A program's last revision, and the folders that hold it and all before it."""

    head: str
    folders: tuple[Path, ...] = (_SCRIPTS / "versions",)


CURRENT = Revisions(HEAD_REVISION)
"""Those of this program."""


@dataclass(frozen=True, slots=True)
class OnlineIndex:
    """An index on a table that may be large. PostgreSQL builds it while the table is written to.

    A revision that lists some in ``online_indexes`` does nothing else.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    unique: bool = False

    def sql(self, *, concurrently: bool) -> str:
        """CREATE INDEX; *concurrently* must run outside a transaction."""
        unique, how = "UNIQUE " if self.unique else "", "CONCURRENTLY " if concurrently else ""
        columns = ", ".join(self.columns)
        return f"CREATE {unique}INDEX {how}IF NOT EXISTS {self.name} ON {self.table} ({columns})"


@dataclass(frozen=True, slots=True)
class Step:
    """From one revision to another, in one transaction.

    - `before`: None for an empty database, which is brought to the head at once.
    - `oldest_program`: the oldest revision whose programs work on the database afterwards.
    - `script`: SQL without BEGIN and COMMIT, which records the revision too.
    - `indexes`: what PostgreSQL builds before the transaction begins; in `script` for SQLite.
    """

    before: str | None
    revision: str
    oldest_program: str
    title: str
    script: str
    indexes: tuple[OnlineIndex, ...] = ()

    @property
    def is_additive(self) -> bool:
        """Whether programs made for the revision before go on working."""
        return self.before is None or self.oldest_program <= self.before


def number_of(revision: str) -> int:
    """*revision*, four digits, as a number. Raises `SchemaRevisionError`."""
    if not (revision.isascii() and revision.isdecimal()):
        raise SchemaRevisionError(f"The database's revision {revision!r} is not one of this program's.")
    return int(revision)


def steps(dialect: str, revision: str | None, revisions: Revisions) -> Sequence[Step]:
    """What brings a database of *dialect* (``sqlite``, ``postgresql``) from *revision* to the head, in order.

    Empty where there is nothing to do. Raises `SchemaRevisionError` for a revision that is not known.
    """
    if revision == revisions.head:
        return ()
    with _ALEMBIC:
        return _steps(dialect, revision, revisions)


def _steps(dialect: str, revision: str | None, revisions: Revisions) -> Sequence[Step]:
    # Alembic and Mako load only where something has to be migrated.
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    scripts = ScriptDirectory.from_config(_config(dialect, revisions))
    if revision is None:
        head = scripts.get_revision(revisions.head)
        script = _sql(dialect, revisions, f"base:{revisions.head}")
        return (Step(None, revisions.head, _oldest(head), "Make everything", script),)
    try:
        scripts.get_revision(revision)
        missing = list(scripts.iterate_revisions(revisions.head, revision))
    except CommandError as error:
        raise SchemaRevisionError(
            f"The database is at revision {revision!r}, which this program does not know; "
            "run the program that made it, or a later one."
        ) from error
    return tuple(_step(dialect, revisions, each) for each in reversed(missing))


def _step(dialect: str, revisions: Revisions, script: "Script") -> Step:
    before = str(script.down_revision)
    sql = _sql(dialect, revisions, f"{before}:{script.revision}")
    indexes: tuple[OnlineIndex, ...] = getattr(script.module, "online_indexes", ())
    if dialect == "sqlite":
        sql = "".join(f"{each.sql(concurrently=False)};\n" for each in indexes) + sql
        indexes = ()
    return Step(before, script.revision, _oldest(script), script.doc.rstrip("."), sql, indexes)


def _oldest(script: "Script") -> str:
    declared = getattr(script.module, "oldest_program", None)
    if not isinstance(declared, str):
        raise SchemaRevisionError(
            f"Revision {script.revision!r} does not declare oldest_program, the oldest revision whose "
            "programs work on the database after it."
        )
    return declared


def _sql(dialect: str, revisions: Revisions, span: str) -> str:
    from alembic import command  # noqa: PLC0415 - as above

    output = io.StringIO()
    command.upgrade(_config(dialect, revisions, output), span, sql=True)
    return output.getvalue()


def _config(dialect: str, revisions: Revisions, output: io.StringIO | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config(output_buffer=output) if output is not None else Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option(
        "version_locations", "\n".join(str(each) for each in revisions.folders).replace("%", "%%")
    )
    config.attributes["dialect"] = dialect
    return config
