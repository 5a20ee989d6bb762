"""A worker without a server: ``python -m tests.support.worker_process MODE FOLDER``, and the two pipes.

Its link to the supervisor is the real one. It notes its process id in ``FOLDER/started``, which worker it is
and how often it was started before in ``FOLDER/identity-PID``, and misbehaves as
MODE says: ``sound``, ``crash-once``, ``never``, ``hang-once``, ``mute``, ``stubborn``, ``hup``, or

- ``refused``: a token refused its PIN; ``refused-later``: so for all but the first two;
- ``late``: the first is ready after a moment, and notes in ``FOLDER/alone`` who has started by then;
- ``revoke``: one of them, noted in ``FOLDER/teller``, tells the others as often as it can, and each that is
  told notes it in ``FOLDER/heard-PID``.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from gateway.ports import Ports
from gateway.worker_link import EX_NOPERM, SupervisorLink


async def serve(arguments: argparse.Namespace, *, first: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    if arguments.mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, (arguments.folder / "hup").touch)
    link = SupervisorLink(
        status_fd=arguments.status_fd, lifeline_fd=arguments.lifeline_fd, stop=stop, drain_timeout=0.1
    )
    if arguments.mode == "late" and first:
        await asyncio.sleep(0.5)
        (arguments.folder / "alone").write_text((arguments.folder / "started").read_text())
    if arguments.mode == "mute":
        await asyncio.sleep(3600)
    beat = asyncio.create_task(link.beat())
    if arguments.mode == "revoke":
        link.listen((arguments.folder / f"heard-{os.getpid()}").touch)
    link.ready(Ports(tls=1, mtls=2))
    if arguments.mode == "hang-once" and first:
        time.sleep(3600)  # noqa: ASYNC251 - a loop that is blocked is what this is for
    if arguments.mode == "crash-once" and first:
        os._exit(3)
    while arguments.mode == "revoke" and is_teller(arguments.folder) and not stop.is_set():
        link.revoked()
        await asyncio.sleep(0)
    await stop.wait()
    beat.cancel()


def is_teller(folder: Path) -> bool:
    with suppress(FileExistsError), (folder / "teller").open("x") as file:
        file.write(str(os.getpid()))
    return (folder / "teller").read_text() == str(os.getpid())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int, required=True)
    parser.add_argument("--worker", type=int, required=True)
    parser.add_argument("--restarts", type=int, required=True)
    arguments = parser.parse_args()
    started = arguments.folder / "started"
    first = not started.exists()
    (arguments.folder / f"identity-{os.getpid()}").write_text(f"{arguments.worker} {arguments.restarts}")
    with started.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if arguments.mode == "never":
        sys.exit(1)
    others = len(started.read_text().split()) - 1
    if arguments.mode == "refused" or (arguments.mode == "refused-later" and others > 1):
        sys.exit(EX_NOPERM)
    asyncio.run(serve(arguments, first=first))
    os._exit(0)


if __name__ == "__main__":
    main()
