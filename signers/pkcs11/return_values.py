"""What a CKR_ number means for the caller, and for the session or module that it came from."""

from signers.errors import KeyUnusableError, PinError, SignerBusyError, SignerError, SignerUnavailableError
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import CryptokiError

RECOVERABLE = frozenset(
    {
        ck.CKR_GENERAL_ERROR,
        ck.CKR_DEVICE_ERROR,
        ck.CKR_DEVICE_MEMORY,
        ck.CKR_DEVICE_REMOVED,
        ck.CKR_SLOT_ID_INVALID,
        ck.CKR_KEY_HANDLE_INVALID,
        ck.CKR_OBJECT_HANDLE_INVALID,
        ck.CKR_SESSION_CLOSED,
        ck.CKR_SESSION_HANDLE_INVALID,
        ck.CKR_TOKEN_NOT_PRESENT,
        ck.CKR_TOKEN_NOT_RECOGNIZED,
        ck.CKR_USER_NOT_LOGGED_IN,
        ck.CKR_CRYPTOKI_NOT_INITIALIZED,
    }
)
"""A new session may mend these; where it does not, the module is initialized again."""

_PIN = frozenset(
    {
        ck.CKR_PIN_INCORRECT,
        ck.CKR_PIN_INVALID,
        ck.CKR_PIN_LEN_RANGE,
        ck.CKR_PIN_EXPIRED,
        ck.CKR_PIN_LOCKED,
        ck.CKR_USER_PIN_NOT_INITIALIZED,
    }
)

_KEY = frozenset(
    {
        ck.CKR_KEY_SIZE_RANGE,
        ck.CKR_KEY_TYPE_INCONSISTENT,
        ck.CKR_KEY_FUNCTION_NOT_PERMITTED,
        ck.CKR_MECHANISM_INVALID,
        ck.CKR_MECHANISM_PARAM_INVALID,
        ck.CKR_FUNCTION_NOT_SUPPORTED,
        ck.CKR_CURVE_NOT_SUPPORTED,
        ck.CKR_DOMAIN_PARAMS_INVALID,
        ck.CKR_ATTRIBUTE_READ_ONLY,
        ck.CKR_ATTRIBUTE_TYPE_INVALID,
        ck.CKR_ATTRIBUTE_VALUE_INVALID,
        ck.CKR_TEMPLATE_INCOMPLETE,
        ck.CKR_TEMPLATE_INCONSISTENT,
    }
)

_WRITING = frozenset({ck.CKR_SESSION_READ_ONLY, ck.CKR_TOKEN_WRITE_PROTECTED})


def is_pin_refusal(error: CryptokiError) -> bool:
    """Whether a second try with the same PIN could lock the token."""
    return error.code in _PIN


def concerns_the_key(error: CryptokiError) -> bool:
    """Whether the key itself refuses the operation, so that no new session will mend it."""
    return error.code in _KEY or error.code in _WRITING


def signer_error(error: CryptokiError, *, key: str) -> SignerError:
    """The `SignerError` that a caller meets for *error*; *key* is the redacted name."""
    if is_pin_refusal(error):
        return PinError(f"The token refused the PIN: {error}.", key=key)
    if error.code in _WRITING:
        return KeyUnusableError(
            f"The token takes no new keys ({error}); make the key with the vendor's tool and adopt it.",
            key=key,
        )
    if concerns_the_key(error):
        return KeyUnusableError(f"The token refuses this use of the key: {error}.", key=key)
    if error.code == ck.CKR_SESSION_COUNT:
        return SignerBusyError("The token has no free session; lower the number of sessions.", key=key)
    return SignerUnavailableError(f"The token does not answer as it should: {error}.", key=key)
