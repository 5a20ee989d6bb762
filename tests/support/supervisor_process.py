"""A supervisor as a program of its own: ``python -m tests.support.supervisor_process MODE FOLDER WORKERS``.

Notes in ``FOLDER/ready`` that every worker is ready.
"""

import asyncio
import sys
from pathlib import Path

from gateway.workers import Supervisor


def main() -> int:
    mode, folder, workers = sys.argv[1:]
    supervisor = Supervisor(
        (sys.executable, "-m", "tests.support.worker_process", mode, folder),
        workers=int(workers),
        on_ready=lambda _: (Path(folder) / "ready").touch(),
    )
    return asyncio.run(supervisor.run())


if __name__ == "__main__":
    sys.exit(main())
