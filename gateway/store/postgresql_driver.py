"""asyncpg, imported only where PostgreSQL is used, and how it connects."""

import ssl
from typing import Any

from gateway.store.failures import MissingDriverError, StoreUrlError
from gateway.store.options import StoreOptions


def import_asyncpg() -> Any:
    """The driver. Raises `MissingDriverError` where the extra is not installed."""
    try:
        import asyncpg  # noqa: PLC0415  # Behind the extra.
    except ImportError as error:
        raise MissingDriverError(
            "PostgreSQL needs the asyncpg driver; install the gateway with its 'postgres' extra."
        ) from error
    return asyncpg


async def connect(dsn: str, options: StoreOptions) -> Any:
    """A connection. Raises what asyncpg raises, and `StoreUrlError`, without the URL, for a wrong one."""
    try:
        return await import_asyncpg().connect(
            dsn,
            timeout=options.connect_timeout,
            command_timeout=options.command_timeout,
            statement_cache_size=256 if options.prepared_statements else 0,
        )
    except ssl.SSLError:
        raise
    except ValueError as error:
        raise StoreUrlError(f"The PostgreSQL URL is not usable: {type(error).__name__}.") from None
