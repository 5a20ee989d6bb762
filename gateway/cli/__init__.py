"""``countersign``: serve, dev, keys, clients, audit, migrate, backup, restore, doctor, demo: its modules."""

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

__all__ = ["main"]

_COMMANDS: Final = (
    *("serve", "dev", "keys", "clients", "audit"),
    *("migrate", "backup", "restore", "doctor", "demo"),
)
_KEY_ID: Final = re.compile(r"-[A-Za-z0-9_-]{42}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 failed, 2 misused."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = _Parser(prog="countersign", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    # Only what is asked for is loaded: a supervisor needs a third of the modules, and half of the time.
    for command in given[:1] if given and given[0] in _COMMANDS else _COMMANDS:
        import_module(f"{__name__}.{command}").add_parser(commands)
    parsed = parser.parse_args(given)
    try:
        status: int = parsed.run(parsed)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        explanation = _explain(error)
        if explanation is None:
            raise
        print(f"countersign: {explanation}", file=sys.stderr)
        return 1
    return status


class _Parser(argparse.ArgumentParser):
    """Takes a key id for what it is where it begins with a hyphen, as one of 64 thumbprints does."""

    def _parse_optional(self, arg_string: str) -> Any:
        return None if _KEY_ID.fullmatch(arg_string) else super()._parse_optional(arg_string)


def _explain(error: Exception) -> str | None:
    """What to say about an error that is no defect; None for a defect."""
    # Loaded only here, for the same reason.
    from gateway.config import ConfigurationError  # noqa: PLC0415 - as above
    from gateway.errors import GatewayError  # noqa: PLC0415 - as above
    from gateway.store import StoreError  # noqa: PLC0415 - as above
    from signers import SignerError  # noqa: PLC0415 - as above

    if isinstance(error, GatewayError):
        return f"{error.reason}: {error.message}"
    if isinstance(error, ConfigurationError | StoreError | SignerError):
        return str(error)
    return None
