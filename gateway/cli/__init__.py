"""``countersign``: serve | dev | keys | clients | doctor | demo. Each subcommand is one module here."""

import argparse
import sys
from collections.abc import Sequence

from gateway.cli import clients, demo, dev, doctor, keys, serve
from gateway.config import ConfigurationError
from gateway.errors import GatewayError
from gateway.store import StoreError
from signers import SignerError

__all__ = ["main"]

_COMMANDS = (serve, dev, keys, clients, doctor, demo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 failed, 2 misused."""
    parser = argparse.ArgumentParser(prog="countersign", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in _COMMANDS:
        command.add_parser(commands)
    parsed = parser.parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except GatewayError as error:
        print(f"countersign: {error.reason}: {error.message}", file=sys.stderr)
        return 1
    except (ConfigurationError, StoreError, SignerError) as error:
        print(f"countersign: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status
