"""The revisions that this program knows, and the SQL between them."""

import io
from pathlib import Path

from gateway.store.failures import SchemaRevisionError

HEAD_REVISION = "0008"
"""What this program needs. A constant, so that a start does not pay for loading Alembic."""


def upgrade_script(dialect: str, revision: str | None) -> str:
    """SQL that brings a database of *dialect* (``sqlite``, ``postgresql``) from *revision* to the head.

    Empty where there is nothing to do. Without BEGIN and COMMIT: the caller holds the transaction.
    Raises `SchemaRevisionError` for a revision that this program does not know.
    """
    if revision == HEAD_REVISION:
        return ""
    # Alembic and Mako load only where something has to be migrated.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    output = io.StringIO()
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["dialect"] = dialect
    if revision is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(revision)
        except CommandError as error:
            raise SchemaRevisionError(
                f"The database is at revision {revision!r}, which this program does not know; "
                "run the program that made it."
            ) from error
    command.upgrade(config, f"{revision or 'base'}:{HEAD_REVISION}", sql=True)
    return output.getvalue()
