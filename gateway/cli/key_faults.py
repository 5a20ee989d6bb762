"""Why a key cannot be used, and what to do about it, in plain words: one sentence for each class of error."""

from typing import Final

from signers import (
    AccessDeniedError,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    PinError,
    SignatureInvalidError,
    SignerBusyError,
    SignerError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)

_REMEDIES: Final[dict[type[SignerError], str]] = {
    KeyUriError: "mend the key URI; docs/hsm.md and docs/kms.md have its grammar",
    KeyNotFoundError: "create it with `countersign keys create`, or mend the object, id or path in the URI",
    KeyAmbiguousError: "name it by id as well as by object, so that one key is left",
    KeyUnusableError: "the key is there but must not, or cannot, sign with this algorithm; "
    "change what the message names, or make another key",
    KeyMismatchError: "this is another key than the one pinned; restore the right one, or change the pin",
    PinError: "put the right PIN where pin-source points; it was tried once and is not tried again",
    AccessDeniedError: "renew the credentials, or let their policy read the key and sign",
    SignerUnavailableError: "see that the token, HSM or service is up, unsealed, and where the URI says",
    SignerBusyError: "the token has fewer sessions than are asked of it; lower pkcs11.sessions, or wait",
    SignerThrottledError: "wait, raise the quota of the service, or let the key delegate (docs/hsm.md)",
    SignerTimeoutError: "see that the device or service answers from this machine, in less than its timeout",
    SignatureInvalidError: "the device returns wrong signatures; take it out of service and have it examined",
}
_WORDS: Final[dict[str, str]] = {
    "KeyUriError": "its URI cannot be used",
    "KeyNotFoundError": "no key is where its URI points",
    "KeyAmbiguousError": "several keys answer to its URI",
    "KeyUnusableError": "the key found does not fit",
    "KeyMismatchError": "another key is in its place",
    "PinError": "the PIN was refused",
    "AccessDeniedError": "the service refuses access",
    "SignerUnavailableError": "its device or service does not answer",
    "SignerBusyError": "its device is busy",
    "SignerThrottledError": "its quota is used up",
    "SignerTimeoutError": "its device does not answer in time",
    "SignatureInvalidError": "its device made a wrong signature",
}


def remedy(kind: type[SignerError]) -> str:
    """What to do about an error of *kind*, or of what it derives from."""
    return next((_REMEDIES[each] for each in kind.__mro__ if each in _REMEDIES), "see the gateway's log")


def explain_fault(name: str) -> str:
    """The class of error *name*, as a health report or a check gives it, and what to do."""
    kind = next((each for each in _REMEDIES if each.__name__ == name), SignerError)
    return f"{_WORDS.get(name, name)} -> {remedy(kind)}"
