"""``countersign restore [FILE]``: put a backup back, and make it refuse what it may have forgotten.

For PostgreSQL pg_restore puts the dump back, into a new database; this command does the rest.
"""

import argparse
import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

from gateway.clock import system_clock
from gateway.config import load
from gateway.errors import AvailabilityError
from gateway.store import StoreCause, StoreError, StoreOptions, open_store, upgrade
from gateway.store.database import Database
from gateway.store.failures import RestoreNeededError, SchemaRevisionError
from gateway.store.options import PostgresqlUrl, SqliteUrl, parse_url
from gateway.store.postgresql import open_postgresql
from gateway.store.restoring import Restored, mark_complete, mark_restored, put_in_place, replace
from gateway.store.sqlite import open_sqlite
from gateway.wiring.store import store_options, store_url

_ADVICE = """\
What this database cannot know, and you have to see to (docs/upgrades.md):
- Keys, clients and accounts are as they were: disable again what was disabled since the backup.
- Certificates issued since the backup are unknown, and so are revocations since then: repeat these.
- Resource servers that verify tokens offline go on accepting those issued before now until they expire;
  `countersign keys rotate`, then `keys disable` of the old key, ends them at once."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("restore", help="put a backup back, and make it safe to serve")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    parser.add_argument("file", type=Path, nargs="?", help="what `countersign backup` wrote; SQLite only")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--revoke-before",
        type=_time,
        metavar="TIME",
        help="revoke tokens issued up to then, such as 2026-01-31T12:00:00Z; now, unless given",
    )
    choice.add_argument(
        "--keep-tokens", action="store_true", help="revoke none, though some may have been revoked"
    )
    choice.add_argument(
        "--complete",
        action="store_true",
        help="nothing was written to the original after the copy was made: change nothing else",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Restore and report; returns 0. Raises `StoreError`, `AvailabilityError`."""
    settings = load(arguments.config)
    restored = asyncio.run(_restore(arguments, store_url(settings), store_options(settings)))
    if restored is None:
        print("The database is taken for a complete copy; gateways may start.")
        return 0
    print(
        f"Restored: {restored.tokens} tokens and grants revoked, {restored.outstanding} codes and requests "
        f"ended, revocation lists continue after {restored.crl_number}. Gateways may start."
    )
    print(_ADVICE)
    return 0


async def _restore(arguments: argparse.Namespace, url: str, options: StoreOptions) -> Restored | None:
    target = parse_url(url)
    if isinstance(target, SqliteUrl):
        if arguments.file is not None:
            await _require_unused(url, options)
            staged = await put_in_place(
                arguments.file.absolute(), target.path, busy_timeout=options.busy_timeout
            )
            restored = await _mark(arguments, f"sqlite:///{staged}", options)
            replace(staged, target.path)
            return restored
    elif arguments.file is not None:
        raise StoreError(
            "PostgreSQL's dumps are put back by pg_restore, into a new database; then run this without FILE."
        )
    await _require_unused(url, options)
    return await _mark(arguments, url, options)


async def _require_unused(url: str, options: StoreOptions) -> None:
    try:
        async with open_store(url, options=options) as store:
            alive = await store.replicas.alive()
    except (SchemaRevisionError, RestoreNeededError):
        return  # Nobody can serve from it.
    except AvailabilityError as error:
        if error.cause in {StoreCause.CORRUPT, StoreCause.GONE}:
            return  # As above; PostgreSQL that is gone is noticed when it is written to.
        raise
    if alive:
        named = ", ".join(f"{each.host} (process {each.process_id})" for each in alive)
        raise StoreError(
            f"Gateways serve from this database: {named}. Stop all of them; one that was killed counts for a "
            "minute more."
        )


async def _mark(arguments: argparse.Namespace, url: str, options: StoreOptions) -> Restored | None:
    await upgrade(url, options=options)
    has_identity = isinstance(parse_url(url), PostgresqlUrl)
    async with _opened(url, options) as database:
        if arguments.complete:
            await mark_complete(database, has_identity=has_identity)
            return None
        before = None if arguments.keep_tokens else (arguments.revoke_before or system_clock())
        return await mark_restored(
            database, has_identity=has_identity, clock=system_clock, revoke_before=before
        )


def _opened(url: str, options: StoreOptions) -> AbstractAsyncContextManager[Database]:
    """The database alone: a store refuses one that was not made safe."""
    target = parse_url(url)
    if isinstance(target, SqliteUrl):
        return open_sqlite(target.path, options)
    return open_postgresql(target.dsn, options)


def _time(text: str) -> float:
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z") from error
    if given.tzinfo is None:
        given = given.replace(tzinfo=UTC)
    return given.timestamp()
