"""Starting and ending the signer process: a new program, never a fork, with one inherited socket."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

_ROOT = str(Path(__file__).resolve().parents[2])
REAP_SECONDS = 5.0


def start() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Start `signers.isolated.program`; returns it and the gateway's end of the socket, not blocking.

    It inherits the environment (vendor libraries are configured there), standard error, and one descriptor.
    Raises `OSError`.
    """
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            # -P: what lies in the working directory is never imported.
            [sys.executable, "-P", "-m", "signers.isolated.program", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": _python_path()},
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return process, ours


async def kill(process: "subprocess.Popen[bytes]") -> int | None:
    """SIGKILL *process* and wait for its end; returns its exit code, or None where it does not end."""
    process.kill()
    return await wait(process, REAP_SECONDS)


async def wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """The exit code of *process*, or None where it has not ended within *seconds*."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (code := process.poll()) is None:
        if loop.time() > end:
            logger.error("Signer process %d does not end.", process.pid)
            return None
        await asyncio.sleep(0.005)
    return code


def _python_path() -> str:
    """Where the new program finds this package, which need not be installed."""
    known = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(path for path in (known, _ROOT) if path)
