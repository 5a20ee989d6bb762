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


def connect_arguments(options: StoreOptions) -> dict[str, Any]:
    """What every connection is opened with."""
    return {
        "timeout": options.connect_timeout,
        "command_timeout": options.command_timeout,
        "statement_cache_size": 256 if options.prepared_statements else 0,
    }


async def connect(dsn: str, options: StoreOptions) -> Any:
    """One connection of its own, for migrating. Raises what asyncpg raises."""
    return await opening(import_asyncpg().connect(dsn, **connect_arguments(options)))


async def opening(attempt: Any) -> Any:
    """Await a connection attempt; a URL that is wrong in itself is a `StoreUrlError`, without the URL."""
    try:
        return await attempt
    except ssl.SSLError:
        raise
    except ValueError as error:
        raise StoreUrlError(f"The PostgreSQL URL is not usable: {type(error).__name__}.") from None
