"""``countersign serve --config FILE``: production. It makes nothing up; what is missing stops the start."""

import argparse
from pathlib import Path

from gateway.config import load
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
    return supervise(settings, arguments.config, migrate=arguments.migrate)
