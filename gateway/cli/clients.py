"""``countersign clients``: list, show, disable, enable and delete OAuth clients.

Registering one takes structured data and is what ClientService is for; see the README's example.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from gateway.application import Application, load_roots, open_application
from gateway.cli.operator import name_operator
from gateway.config import load
from gateway.tokens.client import Client

_Action = Callable[[Application, argparse.Namespace], Awaitable[None]]
_PAGE = 1_000


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("clients", help="list, show, disable, enable and delete OAuth clients")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="show every client").set_defaults(act=_list)
    for name, act, text in (
        ("show", _show, "show one client"),
        ("disable", _disable, "bar a client; its tokens are no longer active"),
        ("enable", _enable, "let a disabled client in again"),
        ("delete", _delete, "delete a client for good"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("client_id")
        action.set_defaults(act=act)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit status."""
    asyncio.run(_run(arguments))
    return 0


async def _run(arguments: argparse.Namespace) -> None:
    name_operator()
    settings = load(arguments.config)
    async with open_application(settings, load_roots(settings)) as application:
        act: _Action = arguments.act
        await act(application, arguments)


async def _list(application: Application, _: argparse.Namespace) -> None:
    after: str | None = None
    while True:
        page = await application.registrar.list(after=after, limit=_PAGE)
        for client in page.clients:
            print(_line(client))
        if page.next_after is None:
            return
        after = page.next_after


async def _show(application: Application, arguments: argparse.Namespace) -> None:
    client = await application.registrar.get(arguments.client_id)
    print(_line(client))
    print(f"  name       {client.display_name}")
    if client.identity is not None:
        print(f"  identity   {client.identity.kind.value} {client.identity.value}")
    print(f"  scopes     {' '.join(sorted(client.scopes))}")
    print(f"  audiences  {' '.join(sorted(client.audiences))}")
    print(f"  resources  {' '.join(sorted(client.resources))}")


async def _disable(application: Application, arguments: argparse.Namespace) -> None:
    await _set_disabled(application, arguments.client_id, disabled=True)


async def _enable(application: Application, arguments: argparse.Namespace) -> None:
    await _set_disabled(application, arguments.client_id, disabled=False)


async def _set_disabled(application: Application, client_id: str, *, disabled: bool) -> None:
    changed = await application.registrar.update(
        client_id, lambda client: replace(client, disabled=disabled), expected_revision=None
    )
    print(_line(changed))


async def _delete(application: Application, arguments: argparse.Namespace) -> None:
    await application.registrar.delete(arguments.client_id, expected_revision=None)
    print(f"{arguments.client_id} is deleted")


def _line(client: Client) -> str:
    state = "disabled" if client.disabled else "enabled"
    return f"{client.client_id:40}{client.authentication_method.value:30}{state}"
