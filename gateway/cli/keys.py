"""``countersign keys``: list, create, rotate, disable and check keys, on the gateway's own database.

Running workers follow within half a second.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from gateway.application import Application, load_roots, open_application
from gateway.config import load
from gateway.keys.model import KeyPurpose, KeyRecord
from signers import Algorithm

_Action = Callable[[Application, argparse.Namespace], Awaitable[int]]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("keys", help="list, create, rotate, disable and check keys")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="show every key").set_defaults(act=_list)
    create = actions.add_parser("create", help="generate a key, or adopt one, and publish it")
    _add_purpose(create)
    create.add_argument("--uri", required=True, help="where the key is to be, or is")
    create.add_argument("--existing", action="store_true", help="adopt the key instead of generating one")
    create.set_defaults(act=_create)
    rotate = actions.add_parser("rotate", help="let the prepared key sign and the active one retire")
    _add_purpose(rotate)
    rotate.add_argument("--key", help="the prepared key's id, where there are several")
    rotate.set_defaults(act=_rotate)
    disable = actions.add_parser("disable", help="withdraw a key at once, and what it signed with it")
    disable.add_argument("key", help="the key's id")
    disable.add_argument("--reason", required=True, help="why, for the record")
    disable.set_defaults(act=_disable)
    check = actions.add_parser("check", help="sign and verify with a key")
    check.add_argument("key", help="the key's id")
    check.set_defaults(act=_check)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit status."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    settings = load(arguments.config)
    async with open_application(settings, load_roots(settings)) as application:
        act: _Action = arguments.act
        return await act(application, arguments)


async def _list(application: Application, _: argparse.Namespace) -> int:
    print(f"{'key':44}{'purpose':24}{'algorithm':11}{'state':10}{'since':21}")
    for status in await application.keys.list():
        print(_line(status.record) + (f"  ({status.fault})" if status.fault else ""))
    return 0


async def _create(application: Application, arguments: argparse.Namespace) -> int:
    record = await application.keys.create(
        arguments.purpose, arguments.algorithm, arguments.uri, existing=arguments.existing, key=None
    )
    print(_line(record))
    return 0


async def _rotate(application: Application, arguments: argparse.Namespace) -> int:
    rotation = await application.keys.rotate(
        arguments.purpose, arguments.algorithm, key_id=arguments.key, expected_revision=None, key=None
    )
    print(_line(rotation.active))
    if rotation.retiring is not None:
        print(_line(rotation.retiring))
    return 0


async def _disable(application: Application, arguments: argparse.Namespace) -> int:
    print(_line(await application.keys.disable(arguments.key, reason=arguments.reason)))
    return 0


async def _check(application: Application, arguments: argparse.Namespace) -> int:
    check = await application.keys.check(arguments.key)
    if check.fault is not None:
        print(f"{arguments.key} does not sign: {check.fault}")
        return 1
    print(f"{arguments.key} signs, and its signature verifies ({check.seconds * 1000:.1f} ms)")
    return 0


def _add_purpose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--purpose", type=KeyPurpose, required=True, choices=list(KeyPurpose))
    parser.add_argument("--algorithm", type=Algorithm, required=True, choices=list(Algorithm))


def _line(record: KeyRecord) -> str:
    times = (record.create_time, record.activate_time, record.retire_time, record.disable_time)
    since = datetime.fromtimestamp(max(t for t in times if t is not None), tz=UTC)
    return (
        f"{record.key_id:44}{record.purpose.value:24}{record.algorithm.value:11}{record.state.value:10}"
        f"{since:%Y-%m-%dT%H:%M:%SZ}"
    )
