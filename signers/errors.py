"""Everything a signer may raise.

    SignerError
    ├── KeyUriError             the key URI cannot be parsed, or names an unknown scheme
    ├── KeyNotFoundError        no key answers to the URI
    ├── KeyAmbiguousError       more than one key answers to the URI
    ├── KeyUnusableError        found, but not usable: wrong type, readable by others, wrong passphrase
    ├── KeyMismatchError        its public key is not the one that was pinned
    ├── PinError                the PIN was refused or cannot be read; never retried
    ├── AccessDeniedError       the service refuses the credentials, or their use of this key
    ├── SignerUnavailableError  the device or service does not answer now; retrying later may work
    ├── SignerBusyError         every session is taken and the queue is full; retry after a pause
    │   └── SignerThrottledError  the budget or the service's quota is used up; retry after `retry_after`
    ├── SignerTimeoutError      the deadline passed before the signature came
    └── SignatureInvalidError   the signer returned a signature that does not verify; never released

Messages carry the key's redacted name, never a PIN, a passphrase or a whole URI.
"""

from enum import StrEnum
from typing import ClassVar


class FaultClass(StrEnum):
    """What a caller can do about an error: try again, slow down, or nothing until an operator has acted."""

    RETRYABLE = "retryable"
    THROTTLED = "throttled"
    PERMANENT = "permanent"


class SignerError(Exception):
    """Root of the package.

    `key` is the redacted name of the key concerned, or None; `retry_after` the seconds after which the same
    call may succeed, None where nothing is known about that.
    """

    fault_class: ClassVar[FaultClass] = FaultClass.PERMANENT

    def __init__(self, message: str, *, key: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.retry_after = retry_after


class KeyUriError(SignerError):
    """The key URI cannot be parsed, or its scheme has no backend."""


class KeyNotFoundError(SignerError):
    """No key answers to the URI."""


class KeyAmbiguousError(SignerError):
    """More than one key answers to the URI, so none is chosen."""


class KeyUnusableError(SignerError):
    """The key exists but may not be used: wrong type or curve, open permissions, wrong passphrase."""


class KeyMismatchError(SignerError):
    """The public key found is not the one that the configuration pinned."""


class PinError(SignerError):
    """The PIN was refused, locked or could not be read. Nothing tries it a second time."""


class AccessDeniedError(SignerError):
    """The service refuses the credentials, or does not let them use this key."""


class SignerUnavailableError(SignerError):
    """The device or service cannot be reached now. A later call may succeed."""

    fault_class = FaultClass.RETRYABLE


class SignerBusyError(SignerError):
    """All sessions are in use and the waiting room is full."""

    fault_class = FaultClass.THROTTLED


class SignerThrottledError(SignerBusyError):
    """The budget on this side, or the service's own quota, is used up. `retry_after` says until when."""


class SignerTimeoutError(SignerError):
    """The deadline passed before a signature came back."""

    fault_class = FaultClass.RETRYABLE


class SignatureInvalidError(SignerError):
    """The signature that came back does not verify with the key's public half. It is never released."""
