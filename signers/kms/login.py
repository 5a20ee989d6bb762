"""The vendors' own libraries obtain credentials by blocking calls: each is made on a thread, one at a
time.
"""

from collections.abc import Callable
from typing import TypeVar

from signers.errors import SignerTimeoutError, SignerUnavailableError
from signers.pkcs11.threads import call_in_thread

T = TypeVar("T")

LOGIN_TIMEOUT = 9.0
"""Seconds; a little less than `signers.remote.credentials` grants, so that this error names the cause."""


class Login:
    """Runs blocking calls, of which none starts while an earlier one hangs: there is at most one thread."""

    def __init__(self, name: str) -> None:
        """*name* is the redacted name for errors."""
        self._name = name
        self._running = False

    async def run(self, call: Callable[[], T]) -> T:
        """What *call* returns or raises, within `LOGIN_TIMEOUT`.

        Raises `SignerUnavailableError` while an earlier call still hangs, `SignerTimeoutError` when this one
        does.
        """
        if self._running:
            raise SignerUnavailableError(
                "An earlier attempt to obtain credentials still hangs.", key=self._name
            )
        self._running = True

        def tracked() -> T:
            try:
                return call()
            finally:
                self._running = False

        try:
            return await call_in_thread(tracked, seconds=LOGIN_TIMEOUT, key=self._name)
        except SignerTimeoutError:
            raise SignerTimeoutError(
                f"No credentials came within {LOGIN_TIMEOUT:g} seconds.", key=self._name
            ) from None
