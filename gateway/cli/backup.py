"""``countersign backup FILE``: a copy of the SQLite database, while gateways serve from it."""

import argparse
import asyncio
from pathlib import Path

from gateway.clock import system_clock
from gateway.config import load
from gateway.store import StoreError, check_revision
from gateway.store.options import SqliteUrl, parse_url
from gateway.store.restoring import back_up
from gateway.wiring.store import store_options, store_url


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("backup", help="copy the SQLite database, while it is used")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    parser.add_argument("file", type=Path, help="the new file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Copy; returns 0. Raises `StoreError`, for PostgreSQL too."""
    settings = load(arguments.config)
    url, options = store_url(settings), store_options(settings)
    target = parse_url(url)
    if not isinstance(target, SqliteUrl):
        raise StoreError(
            "PostgreSQL has tools of its own: pg_dump --format=custom, or base backups with archived WAL; "
            "see docs/upgrades.md."
        )
    asyncio.run(check_revision(url, options=options))
    asyncio.run(
        back_up(target.path, arguments.file.absolute(), clock=system_clock, busy_timeout=options.busy_timeout)
    )
    print(f"{arguments.file}: {arguments.file.stat().st_size} bytes; `countersign restore` puts it back")
    return 0
