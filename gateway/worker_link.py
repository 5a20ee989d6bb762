"""The worker's end of its two pipes to the supervisor.

- *status*, written here: ``ready`` and the ports once, then ``beat`` while the event loop turns, and
  ``revoked`` when something was revoked;
- *lifeline*, held open there: an octet says that another worker revoked something; its end means that the
  supervisor is gone, and the worker goes too.
"""

import asyncio
import dataclasses
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.ports import Ports

logger = logging.getLogger(__name__)

_MAX_READ: Final = 1024

BEAT_INTERVAL: Final = 1.0
"""Seconds between two signs of life."""
ORPHAN_GRACE: Final = 5.0
"""Seconds beyond the drain timeout after which an orphan that still runs ends itself."""
REVOKED: Final = b"revoked\n"
"""What the supervisor passes on to the other workers as one octet of their lifelines."""
TELL_INTERVAL: Final = 0.005
"""Seconds between two of them, however much is revoked."""
EXIT_ORPHANED: Final = 70
EX_CONFIG: Final = 78
"""How a worker ends that another attempt cannot help (sysexits.h)."""
EX_NOPERM: Final = 77
"""How a worker ends whose PIN a token refused: another attempt may lock the token."""


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Which worker of this machine it is: its number, from 0, and how often it was started anew."""

    number: int = 0
    restarts: int = 0


class SupervisorLink:
    """Both pipes. *stop* is set when the supervisor is gone; *drain_timeout* is in seconds."""

    def __init__(
        self, *, status_fd: int, lifeline_fd: int, stop: asyncio.Event, drain_timeout: float
    ) -> None:
        self._status_fd = status_fd
        self._lifeline_fd = lifeline_fd
        self._stop = stop
        self._grace = drain_timeout + ORPHAN_GRACE
        self._on_revoked: Callable[[], None] = lambda: None
        self._telling = self._tell_again = False
        self._loop = asyncio.get_running_loop()
        os.set_blocking(status_fd, False)
        # A thread, because the loop itself may be what hangs when the supervisor is killed.
        threading.Thread(target=self._watch_lifeline, name="lifeline", daemon=True).start()

    def ready(self, ports: Ports) -> None:
        """The worker serves on *ports*."""
        self._write(f"ready {json.dumps(dataclasses.asdict(ports))}\n".encode())

    def listen(self, on_revoked: Callable[[], None]) -> None:
        """Call *on_revoked*, in the event loop, when another worker has revoked something."""
        self._on_revoked = on_revoked

    def revoked(self) -> None:
        """Tell the other workers that something was revoked: soon, and not more often than makes sense."""
        if self._telling:
            self._tell_again = True
            return
        self._telling = True
        self._write(REVOKED)
        self._loop.call_later(TELL_INTERVAL, self._told)

    def _told(self) -> None:
        self._telling = False
        if self._tell_again:
            self._tell_again = False
            self.revoked()

    async def beat(self) -> None:
        """Give signs of life until cancelled."""
        while True:
            self._write(b"beat\n")
            await asyncio.sleep(BEAT_INTERVAL)

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._status_fd, line)
        except BlockingIOError:
            logger.warning("The supervisor does not read: a sign of life was left out")
        except OSError:
            logger.warning("The supervisor is gone")

    def _watch_lifeline(self) -> None:
        while True:
            try:
                if not os.read(self._lifeline_fd, _MAX_READ):
                    break
                self._loop.call_soon_threadsafe(self._heard)
            except InterruptedError:
                continue
            except (OSError, RuntimeError):  # RuntimeError: the event loop is closed, and the worker ends.
                break
        self._loop.call_soon_threadsafe(self._orphaned)
        threading.Event().wait(self._grace)
        os._exit(EXIT_ORPHANED)

    def _heard(self) -> None:
        self._on_revoked()

    def _orphaned(self) -> None:
        logger.error("The supervisor is gone; this worker drains and ends")
        self._stop.set()
