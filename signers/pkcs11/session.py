"""The session of one worker thread, replaced when it breaks."""

import logging
from collections.abc import Callable
from typing import TypeVar

from signers.errors import SignerError
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import Cryptoki, CryptokiError
from signers.pkcs11.module import Module
from signers.pkcs11.objects import TokenKey
from signers.pkcs11.return_values import RECOVERABLE, concerns_the_key, signer_error
from signers.pkcs11.token import Token

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Session:
    """An open session, and the keys that were found in it.

    Handles are kept per session: the standard ties some objects to one, and so a handle can never outlive
    the session or the generation that it was found in. One thread uses the session; whoever finds that it
    made a wrong signature removes the key from `keys`, which is one atomic step.
    """

    def __init__(self, cryptoki: Cryptoki, handle: int, slot: int, generation: int) -> None:
        self.cryptoki = cryptoki
        self.handle = handle
        self.slot = slot
        self.generation = generation
        self.keys: dict[object, TokenKey] = {}

    def require_login(self) -> None:
        """Raise `CryptokiError` (USER_NOT_LOGGED_IN) where private keys cannot be seen."""
        state = self.cryptoki.session_state(self.handle)
        if state not in (ck.CKS_RO_USER_FUNCTIONS, ck.CKS_RW_USER_FUNCTIONS):
            raise CryptokiError("C_GetSessionInfo", ck.CKR_USER_NOT_LOGGED_IN)


class SessionLease:
    """One thread's hold on one session of a token. Used by that thread alone."""

    def __init__(self, module: Module, token: Token, *, read_write: bool) -> None:
        self._module = module
        self._token = token
        self._read_write = read_write
        self._session: Session | None = None

    def run(self, call: Callable[[Session], T], *, key: str) -> T:
        """Run *call* with an open session; *key* is the redacted name for errors.

        After an error of the session or device, once more with a new session; where that fails as well, the
        module is asked to recover. Raises `SignerError`.
        """
        generation = self._module.enter()
        try:
            self._token.require_connected(generation)
            try:
                return call(self._open(generation))
            except CryptokiError as error:
                if concerns_the_key(error) or error.code == ck.CKR_SESSION_COUNT:
                    raise signer_error(error, key=key) from error
                logger.info("%s: %s; trying a new session", key, error)
            self._discard()
            return self._run_again(call, generation, key)
        finally:
            self._module.leave()

    def close(self) -> None:
        """Close the session, if the module still knows it."""
        try:
            generation = self._module.enter()
        except SignerError:
            return
        try:
            if self._session is not None and self._session.generation == generation:
                self._discard()
        finally:
            self._module.leave()

    def _run_again(self, call: Callable[[Session], T], generation: int, key: str) -> T:
        try:
            return call(self._open(generation))
        except CryptokiError as error:
            self._discard()
            if error.code in RECOVERABLE:
                self._module.request_recovery(generation, str(error))
            raise signer_error(error, key=key) from error

    def _open(self, generation: int) -> Session:
        session = self._session
        if session is None or session.generation != generation:
            cryptoki, slot = self._module.cryptoki, self._token.info.slot
            handle = cryptoki.open_session(slot, read_write=self._read_write)
            session = self._session = Session(cryptoki, handle, slot, generation)
        return session

    def _discard(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            session.cryptoki.close_session(session.handle)
        except CryptokiError as error:
            logger.debug("Closing a broken session: %s", error)
