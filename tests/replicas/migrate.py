"""``countersign migrate up`` of a program of the run, see `tests.replicas.program`."""

import argparse
import sys
from pathlib import Path

from gateway import cli
from tests.replicas.program import become


def main() -> None:
    """Migrate to the revision of this program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    become()
    sys.argv = ["countersign", "migrate", "up", "--config", str(arguments.config)]
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
