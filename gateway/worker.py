"""One worker process: ``python -m gateway.worker --config FILE``, two pipes, and which worker it is.

Started by `gateway.workers.Supervisor` and by nothing else. SIGTERM drains; SIGHUP looks for changed
certificates; SIGINT is the supervisor's to answer, as a terminal sends it to both.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop

from gateway.config import ConfigurationError, Settings, load
from gateway.errors import GatewayError
from gateway.pki import PkiError
from gateway.ports import ListenError, Ports
from gateway.rpc.server import GrpcServer
from gateway.server import run_worker
from gateway.store import StoreError
from gateway.telemetry.logs import LogWriter, open_log
from gateway.tls_files import TlsFileError
from gateway.worker_link import EX_CONFIG, EX_NOPERM, SupervisorLink, WorkerIdentity
from signers import (
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    PinError,
    SignerError,
)

logger = logging.getLogger(__name__)

_UNUSABLE: Final = (
    ConfigurationError,
    StoreError,
    TlsFileError,
    ListenError,
    PkiError,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
)
"""What another attempt cannot mend: somebody has to change a file or a setting first."""


def main() -> None:
    """Serve until told to stop. Never returns: the process ends here."""
    arguments = _parse(sys.argv[1:])
    # Before anything else: their default action is to end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        settings = load(arguments.config)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        _exit(EX_CONFIG)
    with open_log(settings.log) as log:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(settings, log, arguments))
            code = 0
        except PinError as error:
            logger.error("%s", error)  # noqa: TRY400 - as below
            code = EX_NOPERM
        except _UNUSABLE as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all, and what to do
            code = EX_CONFIG
        except (GatewayError, SignerError) as error:
            logger.error("The start failed: %s", error, extra={"cause": getattr(error, "cause", None)})  # noqa: TRY400 - as above
            code = 1
        except Exception:
            logger.exception("The worker failed")
            code = 1
    _exit(code)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.worker")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int, required=True)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--restarts", type=int, default=0)
    return parser.parse_args(arguments)


def _exit(code: int) -> None:
    """End at once. PKCS#11 modules and the OpenSSL in them are known to crash in their exit destructors, and
    everything that has to be closed is closed by now.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _serve(settings: Settings, log: LogWriter, arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    link = SupervisorLink(
        status_fd=arguments.status_fd,
        lifeline_fd=arguments.lifeline_fd,
        stop=stop,
        drain_timeout=settings.server.drain_timeout,
    )
    beat = asyncio.create_task(link.beat(), name="heartbeat")

    def ready(server: GrpcServer, ports: Ports) -> None:
        loop.add_signal_handler(signal.SIGHUP, server.reload)
        link.ready(ports)

    # What was loaded so far lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        await run_worker(
            settings,
            log,
            ready=ready,
            stop=stop,
            neighbors=link,
            worker=WorkerIdentity(arguments.worker, arguments.restarts),
        )
    finally:
        beat.cancel()


if __name__ == "__main__":
    main()
