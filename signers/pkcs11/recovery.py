"""The thread that brings a module back, at a pace that an HSM and its log can bear."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.02
MAX_DELAY = 0.5
"""Seconds between two attempts: the first is made at once, then the delay doubles up to this."""


class RecoveryThread(threading.Thread):
    """Calls *attempt* until it succeeds and *may_end* agrees, or until its owner sets `stop`.

    A daemon, because an attempt may hang in the device and must not keep the process from ending.
    """

    def __init__(
        self,
        attempt: Callable[[threading.Event], bool],
        may_end: "Callable[[RecoveryThread], bool]",
    ) -> None:
        super().__init__(name="pkcs11-recovery", daemon=True)
        self.stop = threading.Event()
        self._attempt = attempt
        self._may_end = may_end

    def run(self) -> None:
        delay = 0.0
        while not self.stop.wait(delay):
            try:
                done = self._attempt(self.stop)
            except Exception:
                # Whatever it was, giving up here would leave the gate shut for ever.
                logger.exception("An attempt at recovery failed.")
                done = False
            if done and self._may_end(self):
                return
            delay = 0.0 if done else min(MAX_DELAY, max(FIRST_DELAY, delay * 2))
