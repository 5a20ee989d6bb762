"""``countersign serve --config FILE``: production. It makes nothing up; what is missing stops the start."""

import argparse
from functools import partial
from pathlib import Path

from gateway.config import Settings, load
from gateway.ports import Ports
from gateway.workers import supervise


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("serve", help="serve, with the configuration in a file")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    parser.add_argument(
        "--migrate", action="store_true", help="bring the database to the revision that this version needs"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; returns the exit status."""
    settings = load(arguments.config)
    return supervise(
        settings, arguments.config, migrate=arguments.migrate, on_ready=partial(announce, settings)
    )


def announce(settings: Settings, ports: Ports) -> None:
    """Print the one line that says where calls are taken; programs wait for it."""
    tls = settings.server.tls_address.rpartition(":")[0]
    mtls = settings.server.mtls_address.rpartition(":")[0]
    print(f"Ready: TLS {tls}:{ports.tls}, mutual TLS {mtls}:{ports.mtls}", flush=True)
