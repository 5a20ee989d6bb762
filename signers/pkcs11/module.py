"""A PKCS#11 module: initialized once per process, shared, and initialized again after its device came back.

Threads that call the module pass a gate (`enter`, `leave`). When a device is lost, recovery closes the gate,
waits until nobody is inside, runs C_Finalize and C_Initialize, logs in again and opens the gate with the next
*generation* number. After a lost connection no other way leads back: every call, C_GetSlotList included,
fails until the module was finalized.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

from signers.errors import (
    KeyUriError,
    SignerError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.pkcs11.binding import Cryptoki, CryptokiError, TokenInfo
from signers.pkcs11.recovery import RecoveryThread
from signers.pkcs11.return_values import signer_error
from signers.pkcs11.token import Token
from signers.uri import Pkcs11Uri

logger = logging.getLogger(__name__)

MIN_INTERVAL = 0.5
"""Seconds that pass after a recovery before the next, so that one broken key cannot keep the gate shut."""


class State(Enum):
    CLOSED = "closed"
    READY = "ready"
    RECOVERING = "recovering"


class Module:
    """One loaded module.

    Every method is thread-safe. `attach` and `detach` may block as the device does; the others do not.
    `key_management` is held by whoever generates keys.
    """

    def __init__(self, path: str, cryptoki: Cryptoki) -> None:
        self.path = path
        self.cryptoki = cryptoki
        self.key_management = threading.Lock()
        self._pid = os.getpid()
        # Guards the fields below; held for moments only.
        self._changed = threading.Condition()
        self._state = State.CLOSED
        self._generation = 0
        self._inside = 0
        self._cause = ""
        self._recovered_at = float("-inf")
        self._recovery: RecoveryThread | None = None
        # Held while the module is initialized, finalized or logged into.
        self._administration = threading.Lock()
        self._administered_since: float | None = None
        self._initialized = False
        self._tokens: dict[str, Token] = {}
        self._refused: dict[TokenInfo, str] = {}

    @property
    def cause(self) -> str:
        """Why the module was closed to callers last."""
        return self._cause

    @property
    def generation(self) -> int:
        """How often the module was initialized anew."""
        return self._generation

    @property
    def refused(self) -> Mapping[TokenInfo, str]:
        """The tokens, as in slot 0, that refused a PIN, and why; a copy."""
        return dict(self._refused)

    def refuse(self, refused: Mapping[TokenInfo, str]) -> None:
        """Try no PIN on tokens that refused one in a process before this."""
        self._refused.update(refused)

    def is_ready(self) -> bool:
        """Whether the gate is open."""
        return self._state is State.READY

    def is_administration_stuck(self, timeout: float) -> bool:
        """Whether opening, closing or recovery has waited in the module for more than *timeout* seconds."""
        since = self._administered_since
        return since is not None and time.monotonic() - since > timeout

    def require_same_process(self) -> None:
        """Raise `SignerUnavailableError` in a forked child, where the module's state must not be used."""
        if os.getpid() != self._pid:
            raise SignerUnavailableError(
                "This process was forked after the PKCS#11 module was loaded; open signers after the fork, "
                "or spawn processes instead of forking."
            )

    def enter(self) -> int:
        """Pass the gate; returns the generation. Raises `SignerUnavailableError` at once where it is shut."""
        with self._changed:
            if self._state is not State.READY:
                raise SignerUnavailableError(f"The PKCS#11 module is being reconnected: {self._cause}")
            self._inside += 1
            return self._generation

    def leave(self) -> None:
        """Leave what `enter` entered."""
        with self._changed:
            self._inside -= 1
            if not self._inside:
                self._changed.notify_all()

    def attach(self, uri: Pkcs11Uri, timeout: float, *, read_write: bool = False) -> Token:
        """Log in to the token that *uri* names, or share the login that is there. Raises `SignerError`.

        *read_write*: see `Token`.
        """
        self.require_same_process()
        with self._administer(timeout):
            token = self._tokens.get(uri.token_name)
            if token is None:
                token = self._connect(uri, read_write=read_write)
            elif not token.has_same_pin(uri):
                raise KeyUriError("Two keys of one token differ in pin-source; use one.", key=uri.token_name)
            token.references += 1
            return token

    def detach(self, token: Token, timeout: float) -> None:
        """Give *token* back. The last one closes its login, and the last token finalizes the module."""
        self.require_same_process()
        with self._administer(timeout):
            token.references -= 1
            if token.references:
                return
            self._tokens.pop(token.name, None)
            if self.is_ready():
                token.disconnect()
            if not self._tokens:
                self._close()

    def request_recovery(self, generation: int, cause: str) -> None:
        """Shut the gate and have the module initialized again, unless that happened since *generation*."""
        with self._changed:
            if self._state is not State.READY or generation != self._generation:
                return
            if time.monotonic() - self._recovered_at < MIN_INTERVAL:
                return
            logger.warning("%s: reconnecting, because %s", self.path, cause)
            self._state, self._cause = State.RECOVERING, cause
            self._start_recovery()

    def _connect(self, uri: Pkcs11Uri, *, read_write: bool) -> Token:
        opened = self._state is State.CLOSED
        if opened:
            try:
                self._initialize()
            except CryptokiError as error:
                raise signer_error(error, key=uri.token_name) from error
            with self._changed:
                self._generation += 1
                self._state = State.READY
        token = Token(self.cryptoki, uri, self._refused, read_write=read_write)
        generation = self.enter()
        try:
            token.connect(generation)
        except CryptokiError as error:
            raise signer_error(error, key=uri.token_name) from error
        finally:
            self.leave()
            if opened and not token.is_connected(generation):
                self._close()
        self._tokens[token.name] = token
        return token

    def _reconnect(self, token: Token, generation: int) -> bool:
        try:
            token.connect(generation)
        except (CryptokiError, SignerError) as error:
            logger.info("%s: not connected: %s", token.name, error)
            return False
        return True

    def _recover(self, stop: threading.Event) -> bool:
        """One attempt at recovery; returns whether nothing is left to do. Called by the recovery thread."""
        return (self.is_ready() or self._reopen(stop)) and self._reconnect_absent(stop)

    def _reopen(self, stop: threading.Event) -> bool:
        with self._changed:
            while self._inside and not stop.is_set():
                self._changed.wait()
        with self._administer(None):
            if stop.is_set():
                return True
            self._finalize()
            try:
                self._initialize()
            except CryptokiError as error:
                logger.info("%s: still not back: %s", self.path, error)
                return False
            tokens = list(self._tokens.values())
            connected = [self._reconnect(token, self._generation + 1) for token in tokens]
            if not any(connected) and any(token.refusal is None for token in tokens):
                return False
            with self._changed:
                self._generation += 1
                self._state, self._recovered_at = State.READY, time.monotonic()
        logger.warning("%s: back, generation %d", self.path, self._generation)
        return True

    def _reconnect_absent(self, stop: threading.Event) -> bool:
        """Log in to tokens that were absent when the module came back; returns whether none is left."""
        with self._administer(None):
            if stop.is_set():
                return True
            generation = self.enter()
            try:
                absent = [
                    token
                    for token in self._tokens.values()
                    if token.refusal is None and not token.is_connected(generation)
                ]
                # A list, so that one absent token does not keep the next one from being tried.
                results = [self._reconnect(token, generation) for token in absent]
            finally:
                self.leave()
            return all(results)

    def _may_end_recovery(self, recovery: RecoveryThread) -> bool:
        with self._changed:
            if self._recovery is recovery:
                if self._state is State.RECOVERING:
                    return False
                self._recovery = None
            return True

    def _close(self) -> None:
        with self._changed:
            if self._recovery is not None:
                self._recovery.stop.set()
                self._recovery = None
                self._changed.notify_all()
            if self._inside:
                # C_Finalize under a running call is undefined (PKCS#11 v2.40 §5.4), so the module stays open.
                logger.error("%s: %d calls hang; not finalized", self.path, self._inside)
                self._state = State.READY
                return
            self._state, self._cause = State.CLOSED, "closed"
        self._finalize()

    def _initialize(self) -> None:
        self.cryptoki.initialize()
        self._initialized = True

    def _finalize(self) -> None:
        if not self._initialized:
            return
        self._initialized = False
        try:
            self.cryptoki.finalize()
        except CryptokiError as error:
            logger.info("%s: %s", self.path, error)

    def _start_recovery(self) -> None:
        if self._recovery is None:
            self._recovery = RecoveryThread(self._recover, self._may_end_recovery)
            self._recovery.start()

    @contextmanager
    def _administer(self, timeout: float | None) -> Iterator[None]:
        if not self._administration.acquire(timeout=-1 if timeout is None else timeout):
            raise SignerTimeoutError(f"The PKCS#11 module {self.path} hangs.")
        self._administered_since = time.monotonic()
        try:
            yield
        finally:
            self._administered_since = None
            self._administration.release()
