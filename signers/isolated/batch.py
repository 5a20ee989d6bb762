"""A SIGN request for a slow key: several threads make its signatures, and they are answered together."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from signers.errors import SignerError, SignerUnavailableError
from signers.isolated.crew import Pace
from signers.isolated.frames import SignRequest
from signers.isolated.host import HostedKey
from signers.pkcs11.session import Session, SessionLease
from signers.pkcs11.signing_key import TimedSignature

logger = logging.getLogger(__name__)


class Batch:
    """The places of one request, each a job of its own.

    So a single batch has all sessions at work, and a thread that is long in one job hangs in one signature.
    """

    def __init__(
        self,
        key: HostedKey,
        request: SignRequest,
        answer: Callable[[list[TimedSignature] | SignerError], None],
    ) -> None:
        """*answer* is called once, by the thread that ends last: with all signatures, or the first error."""
        self._key = key
        self._messages = request.messages
        self._answer = answer
        self._lock = threading.Lock()
        self._left = len(request.messages)
        self._signed: dict[int, TimedSignature] = {}
        self._error: SignerError | None = None

    def sign(self, place: int, pace: Pace, lease: SessionLease) -> None:
        """Sign the message at *place*, unless another failed already; all or none are wanted."""
        signed: TimedSignature | None = None
        error: SignerError | None = None
        if self._error is None:
            try:
                signed = lease.run(partial(self._in_session, place), key=self._key.name)
                pace.add(signed.signing)
            except Exception as caught:  # noqa: BLE001  # Whatever it is, it belongs to who asked.
                error = reported(caught, self._key.name)
        with self._lock:
            if signed is not None:
                self._signed[place] = signed
            self._error = self._error or error
            self._left -= 1
            done = not self._left
        if done:
            self._answer(self._error or [self._signed[each] for each in range(len(self._messages))])

    def _in_session(self, place: int, session: Session) -> TimedSignature:
        return self._key.in_session(session).sign_timed(self._messages[place], session)


def reported(error: Exception, key: str) -> SignerError:
    """*error* as it is told to the gateway; what is no `SignerError` is logged here."""
    if isinstance(error, SignerError):
        return error
    logger.error("%s: signing failed", key, exc_info=error)
    return SignerUnavailableError(f"The signer process failed: {type(error).__name__}.", key=key)
