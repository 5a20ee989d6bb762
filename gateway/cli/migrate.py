"""``countersign migrate``: at which revision the database is, what is to be done, and doing it.

Safe while gateways serve: see docs/upgrades.md.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.config import Settings, load
from gateway.store import open_store
from gateway.store.failures import SchemaRevisionError
from gateway.store.migrations import HEAD_REVISION, SchemaState, Step, pending_steps, schema_state, upgrade
from gateway.store.migrations.revisions import CURRENT
from gateway.store.replicas import Replica
from gateway.wiring.store import store_options, store_url


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser(
        "migrate", help="show the database's revision, and bring it to this version's"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    status = actions.add_parser("status", help="the revision, what is to be done, and who uses the database")
    status.set_defaults(run=_status)
    up = actions.add_parser("up", help="take every step that is to be done; gateways may serve meanwhile")
    up.add_argument("--dry-run", action="store_true", help="only print the SQL")
    up.set_defaults(run=_up)
    for action in (status, up):
        action.add_argument("--config", type=Path, required=True, help="the TOML file")


def _status(arguments: argparse.Namespace) -> int:
    """Print; returns 0 where nothing is to be done, 1 otherwise."""
    settings = load(arguments.config)
    state, steps, replicas = asyncio.run(_look(settings))
    print(f"database: revision {state.revision or 'none'}; this program: {HEAD_REVISION}")
    if state.oldest_program:
        print(f"programs from revision {state.oldest_program:04d} on may use it")
    for step in steps:
        print(_describe(step))
    for replica in replicas:
        print(_line(replica))
    return 1 if steps else 0


def _up(arguments: argparse.Namespace) -> int:
    settings = load(arguments.config)
    if arguments.dry_run:
        _, steps, _ = asyncio.run(_look(settings))
        for step in steps:
            print(f"-- {_describe(step)}")
            for index in step.indexes:
                print(f"{index.sql(concurrently=True)};")
            print(step.script)
        return 0
    before = asyncio.run(upgrade(store_url(settings), options=store_options(settings)))
    if SchemaState(before).is_ahead(CURRENT):
        print(f"database: revision {before}, ahead of this program's {HEAD_REVISION}, which works on it")
        return 0
    print(f"database: revision {HEAD_REVISION}, {f'was {before}' if before else 'new'}")
    return 0


async def _look(settings: Settings) -> tuple[SchemaState, Sequence[Step], Sequence[Replica]]:
    url, options = store_url(settings), store_options(settings)
    state = await schema_state(url, options=options)
    steps = await pending_steps(url, options=options)
    replicas: Sequence[Replica] = ()
    try:
        async with open_store(url, options=options) as store:
            replicas = await store.replicas.alive()
    except SchemaRevisionError:
        pass  # The steps say what there is to do; an older schema may not know who uses it.
    return state, steps, replicas


def _describe(step: Step) -> str:
    if step.before is None:
        return f"{step.revision}: make everything"
    kind = "additive" if step.is_additive else "a contraction"
    return f"{step.revision}: {step.title} ({kind}: needs programs from revision {step.oldest_program} on)"


def _line(replica: Replica) -> str:
    return (
        f"alive: {replica.host}, process {replica.process_id}, version {replica.build}, "
        f"revision {replica.program:04d}, clock {replica.skew:+.1f} s"
    )
