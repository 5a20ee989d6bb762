"""What a signer's failure to open or make a key means for whoever named its URI."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from gateway.errors import AvailabilityError, Reason, RequestError, StateError
from signers import (
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignerError,
)

_FAULTS: Final[Mapping[type[SignerError], tuple[Reason, str]]] = {
    KeyUriError: (Reason.INVALID_FIELD, "The key URI cannot be used: {error}"),
    KeyNotFoundError: (Reason.KEY_NOT_FOUND, "No key answers to this URI."),
    KeyAmbiguousError: (Reason.KEY_ALREADY_EXISTS, "More than one key answers to this URI, or it is taken."),
    KeyMismatchError: (Reason.KEY_UNUSABLE, "The key found is not the one that was expected."),
    KeyUnusableError: (Reason.KEY_UNUSABLE, "The key cannot be used with this algorithm: {error}"),
}


def explained(error: SignerError) -> RequestError | StateError | AvailabilityError:
    """The error to raise for *error*; `AvailabilityError` where it may pass."""
    for kind, (reason, text) in _FAULTS.items():
        if isinstance(error, kind):
            made = RequestError if reason is Reason.INVALID_FIELD else StateError
            return made(reason, text.format(error=error), field="uri")
    return AvailabilityError(
        Reason.SIGNER_UNAVAILABLE,
        "The signer does not answer now.",
        retry_after=timedelta(seconds=1),
        cause=type(error).__name__,
    )
