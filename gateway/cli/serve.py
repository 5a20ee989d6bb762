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
    """Print where calls are taken; programs wait for the line of gRPC, which comes last."""
    server = settings.server
    if ports.https is not None:
        print(f"HTTPS: https://{_at(server.https_address, ports.https)}", flush=True)
    if ports.https_mtls is not None:
        url = f"https://{_at(server.https_mtls_address, ports.https_mtls)}"
        print(f"HTTPS with client certificates: {url}", flush=True)
    tls, mtls = _at(server.tls_address, ports.tls), _at(server.mtls_address, ports.mtls)
    print(f"Ready: TLS {tls}, mutual TLS {mtls}", flush=True)


def _at(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"
