"""``countersign audit``: export, verify, show, checkpoint and prune the audit log; see docs/audit.md."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.application import load_roots, open_application
from gateway.audit.chain import Head
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.checkpointing import Checkpointer
from gateway.audit.events import AuditPruned
from gateway.audit.export import Range, export
from gateway.audit.faults import AuditError
from gateway.audit.ports import AuditRepository
from gateway.cli.audit_verification import (
    add_trust,
    print_verdict,
    trusted_by,
    verify_database,
    verify_file,
    verify_files,
)
from gateway.cli.operator import name_operator
from gateway.config import ConfigurationError, Settings, load
from gateway.jose.jwk import Jwk
from gateway.store import open_store
from gateway.wiring.audit import checkpoint_keys
from gateway.wiring.store import store_options, store_url

_POLL = 0.5


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """The log in the database of a configuration, and the public keys that sign its checkpoints."""

    settings: Settings
    repository: AuditRepository
    keys: tuple[Jwk, ...]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("audit", help="export, verify, show, checkpoint and prune the audit log")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    exported = _action(actions, "export", _export, "print the log as JSON lines that can be verified offline")
    exported.add_argument("--from", dest="first", help="a segment's number, or a time (RFC 3339)")
    exported.add_argument("--to", dest="last", help="likewise; both ends are included")
    _action(actions, "keys", _keys, "print the public keys of checkpoints, a JWK Set, to keep elsewhere")
    tail = _action(actions, "tail", _tail, "print the last records")
    tail.add_argument("-n", type=int, default=10, help="how many segments (10)")
    tail.add_argument("--follow", action="store_true", help="go on with what is recorded from now on")
    _action(actions, "checkpoint", _checkpoint, "sign a checkpoint now")
    verify = _action(actions, "verify", _verify, "verify an export, or the database", config=False)
    verify.add_argument(
        "files", nargs="*", type=Path, metavar="file", help="an export, and those that go on from it in order"
    )
    verify.add_argument("--config", type=Path, help="verify the database of this TOML file instead")
    add_trust(verify)
    prune = _action(actions, "prune", _prune, "delete what was exported, up to its last checkpoint")
    prune.add_argument("--exported", type=Path, required=True, help="the export; it is verified first")
    add_trust(prune)


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    act: Callable[[argparse.Namespace], Awaitable[int]],
    text: str,
    *,
    config: bool = True,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    if config:
        parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    parser.set_defaults(run=_run, act=act)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    act: Callable[[argparse.Namespace], Awaitable[int]] = arguments.act
    name_operator()

    async def run() -> int:
        return await act(arguments)

    try:
        return asyncio.run(run())
    except AuditError as error:
        print(f"FAIL  {error.fault}: {error}")
        return 1


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[OpenedLog]:
    """The log of *settings*, to read; no signer is opened. Raises as `gateway.store.open_store`."""
    async with open_store(store_url(settings), options=store_options(settings)) as store:
        yield OpenedLog(settings, store.audit, checkpoint_keys(await store.keys.all()))


async def _export(arguments: argparse.Namespace) -> int:
    async with open_log(load(arguments.config)) as log:
        chosen = await _range(log.repository, arguments.first, arguments.last)
        issuer = log.settings.tokens.issuer
        async for line in export(log.repository, chosen, issuer=issuer, keys=log.keys, now=time.time()):
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    return 0


async def _keys(arguments: argparse.Namespace) -> int:
    async with open_log(load(arguments.config)) as log:
        print(json.dumps({"keys": [key.members() for key in log.keys]}, indent=2))
    return 0


async def _tail(arguments: argparse.Namespace) -> int:
    async with open_log(load(arguments.config)) as log:
        after = max((await log.repository.head()).sequence_number - arguments.n, 0)
        while True:
            segments = await log.repository.segments(after=after, limit=64)
            for segment in segments:
                after = segment.sequence_number
                for record in segment.records:
                    sys.stdout.buffer.write(record + b"\n")
            sys.stdout.buffer.flush()
            if not segments:
                if not arguments.follow:
                    return 0
                await asyncio.sleep(_POLL)


async def _checkpoint(arguments: argparse.Namespace) -> int:
    settings = load(arguments.config)
    async with open_application(settings, load_roots(settings)) as application:
        signed = await _enabled(application.checkpointer).sign_now()
    if signed is None:
        print("nothing to sign: no segment is behind the last checkpoint, or another replica signs it now")
        return 0
    print(f"segment {signed.head.sequence_number} {signed.head.hash.hex()}")
    return 0


async def _verify(arguments: argparse.Namespace) -> int:
    if bool(arguments.files) == (arguments.config is not None):
        raise ConfigurationError("name either an export or --config.")
    if arguments.config is None:
        print_verdict(verify_files(arguments.files, trusted_by(arguments)))
        return 0
    async with open_log(load(arguments.config)) as log:
        trusted = trusted_by(arguments, otherwise=log.keys)
        print_verdict(await verify_database(log.repository, log.settings.tokens.issuer, log.keys, trusted))
    return 0


async def _prune(arguments: argparse.Namespace) -> int:
    settings = load(arguments.config)
    async with open_log(settings) as log:
        trusted = trusted_by(arguments, otherwise=log.keys)
        pruned = await log.repository.pruned()
    verdict = verify_file(arguments.exported, trusted)
    upto = _prunable(verdict.after, verdict.last_checkpoint, pruned)
    async with open_application(settings, load_roots(settings)) as application:
        _enabled(application.checkpointer)
        await application.trail.record(AuditPruned(upto.sequence_number, upto.hash.hex()))
        try:
            deleted = await application.store.audit.prune(upto)
        except ValueError as error:
            raise ConfigurationError(
                f"{arguments.exported}: it is no export of this database: {error}; nothing was deleted."
            ) from error
    print(f"{deleted} segments up to {upto.sequence_number} deleted; keep {arguments.exported}")
    return 0


def _prunable(after: Head, last: Checkpoint | None, pruned: Head) -> Head:
    """Up to where an export covers everything that is still there. Raises `ConfigurationError`."""
    if after != pruned:
        raise ConfigurationError(
            f"the export begins behind segment {after.sequence_number}, the database behind segment "
            f"{pruned.sequence_number}; export from the first segment that is there."
        )
    if last is None or last.head.sequence_number <= pruned.sequence_number:
        raise ConfigurationError("the export holds no checkpoint behind what was pruned; sign one first.")
    return last.head


def _enabled(checkpointer: Checkpointer | None) -> Checkpointer:
    if checkpointer is None:
        raise ConfigurationError("audit.enabled: is false; what is done to the log must be on record too.")
    return checkpointer


async def _range(repository: AuditRepository, first: str | None, last: str | None) -> Range:
    """The segments that ``--from`` and ``--to`` name. Raises `ConfigurationError`."""
    head = (await repository.head()).sequence_number
    begin, end = 1, head
    if first is not None:
        begin = int(first) if first.isdecimal() else await repository.first_since(_time(first))
    if last is not None:
        # Microseconds are the finest that is kept, and the end is included.
        end = int(last) if last.isdecimal() else await repository.first_since(_time(last) + 1e-6) - 1
    return Range(max(begin, 1), min(end, head))


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{text}: is neither a segment's number nor a time; write 2026-01-31T12:00:00Z."
        ) from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
