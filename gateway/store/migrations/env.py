"""Alembic's environment: SQL text for the migrator (offline), or a given connection (online).

Online is for development, where ``alembic revision --autogenerate`` compares tables.py with a database; the
connection or the URL comes from the Alembic configuration.
"""

import sqlalchemy as sa
from alembic import context

from gateway.store.tables import metadata


def offline() -> None:
    """Write SQL for ``dialect``. The migrator holds the transaction, so none is written."""
    context.configure(
        dialect_name=context.config.attributes.get("dialect") or context.config.get_main_option("dialect"),
        target_metadata=metadata,
        literal_binds=True,
        render_as_batch=True,
        transactional_ddl=False,
    )
    context.run_migrations()


def online() -> None:
    """Run on ``connection`` of the configuration's attributes, else on ``sqlalchemy.url``."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url") or "")
        with engine.connect() as connection:
            _run(connection)
    else:
        _run(connection)


def _run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
