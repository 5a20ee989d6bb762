"""``countersign keys``: the keys of the gateway, on its own database.

Running workers follow within a second.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.application import load_roots, open_application
from gateway.cli.key_faults import explain_fault
from gateway.cli.operator import name_operator
from gateway.config import ConfigurationError, load
from gateway.keys.certificates import ca_key_identifier
from gateway.keys.management import KeyManager
from gateway.keys.model import KeyPurpose, KeyRecord
from signers import Algorithm

_Action = Callable[[KeyManager, argparse.Namespace], Awaitable[int]]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("keys", help="list, create, rotate, disable, check and certify keys")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="show every key").set_defaults(act=_list)
    create = actions.add_parser("create", help="generate a key, or adopt one, and publish it")
    _add_purpose(create)
    create.add_argument("--uri", required=True, help="where the key is to be, or is")
    create.add_argument("--existing", action="store_true", help="adopt the key instead of generating one")
    create.add_argument(
        "--delegated-for", type=float, metavar="DAYS", help="have the delegating key certify it, for so long"
    )
    create.set_defaults(act=_create)
    rotate = actions.add_parser("rotate", help="let the prepared key sign and the active one retire")
    _add_purpose(rotate)
    rotate.add_argument("--key", help="the prepared key's id, where there are several")
    rotate.set_defaults(act=_rotate)
    disable = actions.add_parser("disable", help="withdraw a key at once, and what it signed with it")
    disable.add_argument("key", help="the key's id")
    disable.add_argument("--reason", required=True, help="why, for the record")
    disable.set_defaults(act=_disable)
    check = actions.add_parser("check", help="sign and verify with a key, or with every one that signs")
    check.add_argument("key", nargs="?", help="the key's id; without it every prepared and active key")
    check.set_defaults(act=_check)
    _add_certificates(actions)
    parser.set_defaults(run=run)


def _add_certificates(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    request = actions.add_parser("request-cert", help="print a PKCS#10 request, or a certificate, for a key")
    request.add_argument("key", help="the key's id")
    request.add_argument("--subject", required=True, help="as in RFC 4514: 'CN=Signing root,O=Example'")
    request.add_argument(
        "--self-signed", type=float, metavar="DAYS", help="print a CA certificate by the key for itself"
    )
    request.set_defaults(act=_request_certificate)
    shown = actions.add_parser("show-cert", help="print a key's certificate and those above it")
    shown.add_argument("key", help="the key's id")
    shown.set_defaults(act=_show_certificate)
    imported = actions.add_parser("import-cert", help="give a key its certificate and those above it")
    imported.add_argument("key", help="the key's id")
    imported.add_argument(
        "file", type=Path, help="PEM, the key's own certificate first; - for standard input"
    )
    imported.set_defaults(act=_import_certificate)


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit status."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    name_operator()
    settings = load(arguments.config)
    async with open_application(settings, load_roots(settings)) as application:
        act: _Action = arguments.act
        return await act(application.keys, arguments)


async def _list(keys: KeyManager, _: argparse.Namespace) -> int:
    print(f"{'key':44}{'purpose':24}{'algorithm':11}{'state':10}{'since':21}  uri")
    for status in await keys.list():
        print(_line(status.record))
        for note in _notes(status.record):
            print(f"    {note}")
        if status.fault:
            print(f"    cannot be used: {explain_fault(status.fault)}")
    return 0


async def _create(keys: KeyManager, arguments: argparse.Namespace) -> int:
    days = arguments.delegated_for
    record = await keys.create(
        arguments.purpose,
        arguments.algorithm,
        arguments.uri,
        existing=arguments.existing,
        key=None,
        signs_for=None if days is None else timedelta(days=days),
    )
    print(_line(record))
    for note in _notes(record):
        print(f"    {note}")
    return 0


async def _rotate(keys: KeyManager, arguments: argparse.Namespace) -> int:
    rotation = await keys.rotate(
        arguments.purpose, arguments.algorithm, key_id=arguments.key, expected_revision=None, key=None
    )
    print(_line(rotation.active))
    if rotation.retiring is not None:
        print(_line(rotation.retiring))
    return 0


async def _disable(keys: KeyManager, arguments: argparse.Namespace) -> int:
    print(_line(await keys.disable(arguments.key, reason=arguments.reason)))
    for status in await keys.list():
        if status.record.issuer_key_id == arguments.key:
            print(_line(status.record))
    return 0


async def _check(keys: KeyManager, arguments: argparse.Namespace) -> int:
    chosen = [arguments.key]
    if arguments.key is None:
        chosen = [status.record.key_id for status in await keys.list() if status.record.signs]
    healthy = True
    for key_id in chosen:
        check = await keys.check(key_id)
        if check.fault is None:
            print(f"{key_id} signs, and its signature verifies ({check.seconds * 1000:.1f} ms)")
        else:
            healthy = False
            print(f"{key_id} does not sign: {explain_fault(check.fault)}")
    return 0 if healthy else 1


async def _request_certificate(keys: KeyManager, arguments: argparse.Namespace) -> int:
    if arguments.self_signed is None:
        made = await keys.certificates.certification_request(arguments.key, arguments.subject)
    else:
        made = await keys.certificates.self_signed(
            arguments.key, arguments.subject, days=arguments.self_signed
        )
    print(made.decode("ascii"), end="")
    return 0


async def _show_certificate(keys: KeyManager, arguments: argparse.Namespace) -> int:
    record = (await keys.get(arguments.key)).record
    if not record.chain_pem:
        print(f"{record.key_id} has no certificate", file=sys.stderr)
        return 1
    print(record.chain_pem.decode("ascii"), end="")
    return 0


async def _import_certificate(keys: KeyManager, arguments: argparse.Namespace) -> int:
    record = await keys.certificates.import_chain(arguments.key, _read(arguments.file))
    print(_line(record))
    for note in _notes(record):
        print(f"    {note}")
    return 0


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}; name a PEM file.") from error


def _add_purpose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--purpose", type=KeyPurpose, required=True, choices=list(KeyPurpose))
    parser.add_argument("--algorithm", type=Algorithm, required=True, choices=list(Algorithm))


def _line(record: KeyRecord) -> str:
    times = (record.create_time, record.activate_time, record.disable_time)
    since = max(t for t in times if t is not None)
    return (
        f"{record.key_id:44}{record.purpose.value:24}{record.algorithm.value:11}{record.state.value:10}"
        f"{_time(since):21}  {record.redacted_uri}"
    )


def _notes(record: KeyRecord) -> list[str]:
    notes = []
    if record.issuer_key_id is not None:
        notes.append(f"delegated by {record.issuer_key_id}")
    if record.sign_until is not None:
        notes.append(f"signs until {_time(record.sign_until)}")
    if record.chain_pem:
        count = record.chain_pem.count(b"-----BEGIN CERTIFICATE-----")
        notes.append(f"published with {count} certificate{'s' if count > 1 else ''}")
        if record.purpose is KeyPurpose.CERTIFICATES:
            notes.append(f"CA with the key identifier {ca_key_identifier(record)}")
    if record.retire_time is not None:
        notes.append(f"published until {_time(record.retire_time)}")
    if record.disable_reason:
        notes.append(f"disabled because: {record.disable_reason}")
    return notes


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
