"""A worker that may reach servers on ``localhost`` whose certificates are from the run's root."""

import sys
from pathlib import Path
from typing import Any

from gateway import application, worker
from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from tests.replicas.program import become


def main() -> None:
    """Serve until told to stop."""
    folder = Path(sys.argv[sys.argv.index("--config") + 1]).parent
    door = DangerousLoopbackDoor(frozenset({"localhost"}), (folder / "client-ca.pem").read_text())

    class ReachingClient(GuardedClient):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{"door": door} | options)

    become()
    application.GuardedClient = ReachingClient  # type: ignore[misc]  # The one difference.
    worker.main()


if __name__ == "__main__":
    main()
