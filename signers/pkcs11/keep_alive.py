"""Using a login that nothing else uses, so that no device takes it for idle and closes it."""

import logging
import threading

from signers.errors import SignerError
from signers.pkcs11.binding import CryptokiError
from signers.pkcs11.module import Module
from signers.pkcs11.return_values import RECOVERABLE
from signers.pkcs11.token import Token

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 1.0
"""Seconds that closing waits for a use under way; one that hangs is left behind."""


class KeepAlive(threading.Thread):
    """Uses the session that holds a token's login every *interval* seconds.

    An HSM that has gone is found out that way as well, and waited for before anybody needs a signature. A
    daemon, because a use may hang in the device.
    """

    def __init__(self, module: Module, token: Token, interval: float) -> None:
        super().__init__(name="pkcs11-keep-alive", daemon=True)
        self._stop_event = threading.Event()
        self._module = module
        self._token = token
        self._interval = interval

    def run(self) -> None:
        while not self._stop_event.wait(self._interval):
            self._use()

    def close(self) -> None:
        """Stop; before the login is given back."""
        self._stop_event.set()
        self.join(CLOSE_TIMEOUT)

    def _use(self) -> None:
        try:
            generation = self._module.enter()
        except SignerError:
            return  # It is being reconnected already.
        try:
            self._token.touch()
        except CryptokiError as error:
            logger.info("%s: not kept alive: %s", self._token.name, error)
            if error.code in RECOVERABLE:
                self._module.request_recovery(generation, str(error))
        finally:
            self._module.leave()
