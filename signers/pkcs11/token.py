"""One token: found by what its URI says, and logged in by a session that does nothing else.

Login is a state of the application on the token, not of a session (PKCS#11 v2.40 §2.6.8), and ends with the
application's last session there. So one session is opened only to log in and to be kept; the sessions that
sign are opened without a PIN, and closing one of them never logs the others out.
"""

import logging
import threading

from signers.errors import (
    KeyAmbiguousError,
    KeyNotFoundError,
    KeyUnusableError,
    PinError,
    SignerUnavailableError,
)
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import Cryptoki, CryptokiError, TokenInfo, ulong
from signers.pkcs11.return_values import is_pin_refusal
from signers.secret_files import read_secret
from signers.uri import Pkcs11Uri

logger = logging.getLogger(__name__)

_NO_READ_ONLY = frozenset(
    {ck.CKR_FUNCTION_FAILED, ck.CKR_ARGUMENTS_BAD, ck.CKR_FUNCTION_NOT_SUPPORTED, ck.CKR_SESSION_READ_ONLY}
)
"""What modules return for want of read-only sessions: no number is meant for that."""


class Token:
    """The login on one token of a module. The module calls `connect`, one caller at a time."""

    def __init__(
        self, cryptoki: Cryptoki, uri: Pkcs11Uri, refused: dict[TokenInfo, str], *, read_write: bool
    ) -> None:
        """*refused* outlives this object: which tokens (as slot 0) refused a PIN in this process, and why.

        *read_write*: the kind of every session, for tokens that open no read-only one.
        """
        self.name = uri.token_name
        self.read_write = read_write
        self.references = 0
        self._cryptoki = cryptoki
        self._uri = uri
        self._refused = refused
        self._refusal: str | None = None
        self._info: TokenInfo | None = None
        self._holder: int | None = None
        self._generation = -1
        self._touching = threading.Lock()

    @property
    def info(self) -> TokenInfo:
        """The token as it was found last. Raises `SignerUnavailableError` before it was found."""
        if self._info is None:
            raise SignerUnavailableError("The token has not been found yet.", key=self.name)
        return self._info

    @property
    def refusal(self) -> str | None:
        """Why the PIN is not tried again, or None."""
        return self._refusal

    def has_same_pin(self, uri: Pkcs11Uri) -> bool:
        """Whether *uri* takes the PIN from where this token's came from."""
        return (self._uri.pin_source, self._uri.pin_value) == (uri.pin_source, uri.pin_value)

    def is_connected(self, generation: int) -> bool:
        """Whether the login was made in *generation* of the module."""
        return self._generation == generation and self._refusal is None

    def require_connected(self, generation: int) -> None:
        """Raise `PinError` after a refused PIN, `SignerUnavailableError` where there is no login."""
        if self._refusal is not None:
            raise PinError(self._refusal, key=self.name)
        if self._generation != generation:
            raise SignerUnavailableError("The token is not there, or not logged in.", key=self.name)

    @property
    def session_limit(self) -> int | None:
        """How many sessions the token allows, the one that logs in included; None where there is no limit."""
        limits = [self.info.max_sessions, self.info.max_rw_sessions if self.read_write else 0]
        return min((limit for limit in limits if limit), default=None)

    def touch(self) -> None:
        """Use the session that holds the login, so that no device takes it for idle and closes it.

        The module must be entered. Raises `CryptokiError` where the session is gone.
        """
        # Providers that share this token share its session, in which one search can be under way.
        with self._touching:
            if self._holder is not None:
                # A search goes to the device; C_GetSessionInfo alone may be answered by the library.
                self._cryptoki.find(self._holder, ((ck.CKA_CLASS, ulong(ck.CKO_PRIVATE_KEY)),), 1)

    def connect(self, generation: int) -> None:
        """Find the token and log in, for *generation* of the module.

        The PIN is read anew. Once refused it is never tried again while this process lives. Raises
        `SignerError` or `CryptokiError`.
        """
        self._holder, self._generation = None, -1
        self._info = self._find()
        self._refusal = self._refused.get(_identity(self._info))
        if self._refusal is not None:
            raise PinError(self._refusal, key=self.name)
        self._require_capable()
        session = self._open_holder(self._info.slot)
        try:
            self._login(session, self._info)
        except BaseException:
            self._close(session)
            raise
        self._holder, self._generation = session, generation

    def disconnect(self) -> None:
        """Close the session that holds the login. The module must be initialized."""
        if self._holder is not None:
            self._close(self._holder)
        self._holder, self._generation = None, -1

    def _require_capable(self) -> None:
        if self.session_limit == 1:
            raise KeyUnusableError(
                "The token allows one session, and two are needed: one to log in, one to sign.", key=self.name
            )
        if self.read_write and self.info.flags & ck.CKF_WRITE_PROTECTED:
            raise KeyUnusableError(
                "The token is write-protected; set pkcs11.read_write_sessions = false.", key=self.name
            )

    def _open_holder(self, slot: int) -> int:
        try:
            return self._cryptoki.open_session(slot, read_write=self.read_write)
        except CryptokiError as error:
            if error.code not in _NO_READ_ONLY or self.read_write:
                raise
            raise KeyUnusableError(
                f"The token opened no read-only session ({error}); set pkcs11.read_write_sessions = true.",
                key=self.name,
            ) from error

    def _find(self) -> TokenInfo:
        present = self._cryptoki.tokens()
        found = [info for info in present if _answers(info, self._uri)]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyAmbiguousError("More than one token answers to this URI; add serial=.", key=self.name)
        # An HSM that cannot be reached looks like this as well, so a later attempt may succeed.
        labels = ", ".join(repr(info.label) for info in present) or "none"
        raise SignerUnavailableError(f"No token answers to this URI; present: {labels}.", key=self.name)

    def _login(self, session: int, info: TokenInfo) -> None:
        if not info.flags & ck.CKF_LOGIN_REQUIRED:
            return
        if info.flags & ck.CKF_USER_PIN_LOCKED:
            raise self._refuse(info, "The user PIN is locked.")
        if info.flags & ck.CKF_USER_PIN_FINAL_TRY:
            # A wrong PIN here would lock the token, and a supervisor that restarts this process would do it.
            raise PinError(
                "One wrong PIN more would lock the token, so none is tried; log in once by another tool.",
                key=self.name,
            )
        pin = self._read_pin(info)
        try:
            self._cryptoki.login(session, pin)
        except CryptokiError as error:
            if error.code == ck.CKR_USER_ALREADY_LOGGED_IN:
                return
            if is_pin_refusal(error):
                raise self._refuse(info, f"The token refused the PIN ({error}).") from error
            raise

    def _read_pin(self, info: TokenInfo) -> bytes | None:
        if self._uri.pin_value is not None:
            return self._uri.pin_value.encode()
        if self._uri.pin_source is not None:
            try:
                return read_secret(self._uri.pin_source, key=self.name)
            except (KeyNotFoundError, KeyUnusableError) as error:
                raise PinError(f"The PIN cannot be read: {error}", key=self.name) from error
        if info.flags & ck.CKF_PROTECTED_AUTHENTICATION_PATH:
            return None
        raise PinError("The token needs a PIN; add '?pin-source=file:/path/to/pin'.", key=self.name)

    def _refuse(self, info: TokenInfo, reason: str) -> PinError:
        self._refusal = f"{reason} It is not tried again; correct it and restart."
        self._refused[_identity(info)] = self._refusal
        logger.error("%s: %s", self.name, self._refusal)
        return PinError(self._refusal, key=self.name)

    def _close(self, session: int) -> None:
        try:
            self._cryptoki.close_session(session)
        except CryptokiError as error:
            logger.debug("%s: %s", self.name, error)


def _answers(info: TokenInfo, uri: Pkcs11Uri) -> bool:
    wanted = (uri.token, uri.serial, uri.manufacturer, uri.model, uri.slot_id)
    found = (info.label, info.serial, info.manufacturer, info.model, info.slot)
    return all(want is None or want == have for want, have in zip(wanted, found, strict=True))


def _identity(info: TokenInfo) -> TokenInfo:
    # The slot's number and the flags change while the token stays the same.
    return TokenInfo(0, info.label, info.manufacturer, info.model, info.serial, 0, 0)
