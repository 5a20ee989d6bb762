"""A SIGN request for a slow key: several threads make its signatures, another verifies them as they come, and
they are answered together.
"""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count

from signers.errors import SignerError, SignerUnavailableError
from signers.isolated.crew import Pace
from signers.isolated.frames import SignRequest
from signers.isolated.host import HostedKey
from signers.isolated.verifier import Job as Verification
from signers.pkcs11.session import Session, SessionLease
from signers.pkcs11.signing_key import TimedSignature, UnverifiedSignature

logger = logging.getLogger(__name__)


class Batch:
    """The places of one request, which threads take one by one until none is left.

    So a single batch can have all sessions at work.
    """

    def __init__(
        self,
        key: HostedKey,
        request: SignRequest,
        pace: Pace,
        verify: Callable[[Verification], None],
        answer: Callable[[list[TimedSignature] | SignerError], None],
    ) -> None:
        """*verify* has a verification done elsewhere. *answer* is called once, by the thread that ends last:
        with all signatures, or the first error.
        """
        self._key = key
        self._messages = request.messages
        self._pace = pace
        self._verify = verify
        self._answer = answer
        # Every step below is one operation that is atomic by itself, so that no thread waits for a lock.
        self._places = deque(range(len(request.messages)))
        self._ended = count(1)
        self._signed: dict[int, TimedSignature] = {}
        self._error: SignerError | None = None

    def sign(self, lease: SessionLease) -> bool:
        """Sign the next message, unless another failed: all or none are wanted. Whether any is left."""
        try:
            place = self._places.popleft()
        except IndexError:
            return False
        if self._error is None:
            try:
                made = lease.run(partial(self._in_session, place), key=self._key.name)
                self._pace.add(made.signing)
            except Exception as error:  # noqa: BLE001  # Whatever it is, it belongs to who asked.
                self._fail(error)
            else:
                self._verify(partial(self._finish, place, made))
                return bool(self._places)
        self._end_place()
        return bool(self._places)

    def _in_session(self, place: int, session: Session) -> UnverifiedSignature:
        return self._key.in_session(session).sign_unverified(self._messages[place], session)

    def _finish(self, place: int, made: UnverifiedSignature) -> None:
        """Verify what was signed at *place*, unless another has failed."""
        if self._error is None:
            try:
                self._signed[place] = made.verified()
            except Exception as error:  # noqa: BLE001  # As above.
                self._fail(error)
        self._end_place()

    def _fail(self, error: Exception) -> None:
        # Where two fail at once, either is told.
        self._error = reported(error, self._key.name)

    def _end_place(self) -> None:
        if next(self._ended) == len(self._messages):
            self._answer(self._error or [self._signed[each] for each in range(len(self._messages))])


def reported(error: Exception, key: str) -> SignerError:
    """*error* as it is told to the gateway; what is no `SignerError` is logged here."""
    if isinstance(error, SignerError):
        return error
    logger.error("%s: signing failed", key, exc_info=error)
    return SignerUnavailableError(f"The signer process failed: {type(error).__name__}.", key=key)
