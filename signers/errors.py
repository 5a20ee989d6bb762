"""Everything a signer may raise.

    SignerError
    ├── KeyUriError             the key URI cannot be parsed, or names an unknown scheme
    ├── KeyNotFoundError        no key answers to the URI
    ├── KeyAmbiguousError       more than one key answers to the URI
    ├── KeyUnusableError        found, but not usable: wrong type, readable by others, wrong passphrase
    ├── KeyMismatchError        its public key is not the one that was pinned
    ├── PinError                the PIN was refused or cannot be read; never retried
    ├── SignerUnavailableError  the device or service does not answer now; retrying later may work
    ├── SignerBusyError         every session is taken and the queue is full; retry after a pause
    ├── SignerTimeoutError      the deadline passed before the signature came
    └── SignatureInvalidError   the signer returned a signature that does not verify; never released

Messages carry the key's redacted name, never a PIN, a passphrase or a whole URI.
"""


class SignerError(Exception):
    """Root of the package. `key` is the redacted name of the key concerned, or None."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


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


class SignerUnavailableError(SignerError):
    """The device or service cannot be reached now. A later call may succeed."""


class SignerBusyError(SignerError):
    """All sessions are in use and the waiting room is full."""


class SignerTimeoutError(SignerError):
    """The deadline passed before a signature came back."""


class SignatureInvalidError(SignerError):
    """The signature that came back does not verify with the key's public half. It is never released."""
