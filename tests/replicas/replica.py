"""A replica as `countersign serve` runs it, but for one thing: it may reach the run's OpenID provider, on
loopback, which only a composition root can allow.

    python -m tests.replicas.replica --config FILE --build NAME
"""

import argparse
import sys
from pathlib import Path

from gateway import cli, workers
from gateway.workers import Supervisor
from tests.replicas.program import become


class _SupervisorOfOwnWorkers(Supervisor):
    """Starts `tests.replicas.worker` in place of `gateway.worker`."""

    def __init__(self, command: tuple[str, ...], **options: object) -> None:
        replaced = ["tests.replicas.worker" if word == "gateway.worker" else word for word in command]
        super().__init__(replaced, **options)  # type: ignore[arg-type]  # Passed on as they are.


def main() -> None:
    """Serve until told to stop. The build's name is there to be seen in the list of processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    become()
    workers.Supervisor = _SupervisorOfOwnWorkers  # type: ignore[misc]  # The one difference.
    sys.argv = ["countersign", "serve", "--migrate", "--config", str(arguments.config)]
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
