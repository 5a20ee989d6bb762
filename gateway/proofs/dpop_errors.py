"""Why a DPoP proof was refused: one stable code for each rule, and what OAuth calls it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.jose.errors import JoseError, JoseFault


class DpopFault(StrEnum):
    """The rule that refused the proof. The numbers are the checks of RFC 9449 §4.3."""

    HEADER_MISSING = "dpop_header_missing"  # 1
    HEADER_REPEATED = "dpop_header_repeated"  # 1
    TOO_LARGE = "dpop_too_large"
    MALFORMED = "dpop_malformed"  # 2
    TYP_MISMATCH = "dpop_typ_mismatch"  # 3, 4
    ALG_MISSING = "dpop_alg_missing"  # 3
    ALG_NOT_ACCEPTED = "dpop_alg_not_accepted"  # 5
    EXTENSION_UNSUPPORTED = "dpop_extension_unsupported"  # crit, b64, zip: RFC 7515 §4.1.11
    KEY_MISSING = "dpop_key_missing"  # 3
    KEY_PRIVATE = "dpop_key_private"  # 7
    KEY_INVALID = "dpop_key_invalid"
    KEY_TOO_SMALL = "dpop_key_too_small"
    KEY_NOT_FOR_ALG = "dpop_key_not_for_alg"
    SIGNATURE_INVALID = "dpop_signature_invalid"  # 6
    CLAIM_MISSING = "dpop_claim_missing"  # 3
    CLAIM_INVALID = "dpop_claim_invalid"
    METHOD_MISMATCH = "dpop_method_mismatch"  # 8
    TARGET_MISMATCH = "dpop_target_mismatch"  # 9
    NONCE_MISSING = "dpop_nonce_missing"  # 10
    NONCE_MISMATCH = "dpop_nonce_mismatch"  # 10
    ISSUED_TOO_LONG_AGO = "dpop_issued_too_long_ago"  # 11
    ISSUED_IN_FUTURE = "dpop_issued_in_future"  # 11
    EXPIRED = "dpop_expired"
    NOT_YET_VALID = "dpop_not_yet_valid"
    ACCESS_TOKEN_HASH_MISSING = "dpop_ath_missing"  # 12
    ACCESS_TOKEN_MISMATCH = "dpop_ath_mismatch"  # 12
    KEY_MISMATCH = "dpop_jkt_mismatch"  # 12
    REPLAYED = "dpop_replayed"


_NONCE_FAULTS: Final = frozenset({DpopFault.NONCE_MISSING, DpopFault.NONCE_MISMATCH})


class DpopError(Exception):
    """The proof was refused.

    *fault* is stable; *member* names the header parameter or claim concerned, where there is one. The message
    carries names and sizes, never a part of the proof.
    """

    def __init__(self, fault: DpopFault, message: str, *, member: str | None = None) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.member = member

    @property
    def oauth_error(self) -> str:
        """``use_dpop_nonce`` where a fresh nonce helps (RFC 9449 §8), else ``invalid_dpop_proof`` (§5)."""
        return "use_dpop_nonce" if self.fault in _NONCE_FAULTS else "invalid_dpop_proof"


def from_jose(error: JoseError) -> DpopError:
    """The refusal that a refusal of the JOSE layer means for a proof; to be raised from *error*."""
    fault = _FROM_JOSE.get(error.code, DpopFault.MALFORMED)
    return DpopError(fault, f"the proof was refused as {error.code}", member=error.member)


# What is missing here concerns the encoding of the token: MALFORMED.
_FROM_JOSE: Final[Mapping[JoseFault, DpopFault]] = {
    JoseFault.TOKEN_TOO_LARGE: DpopFault.TOO_LARGE,
    JoseFault.HEADER_TOO_LARGE: DpopFault.TOO_LARGE,
    JoseFault.TYP_MISMATCH: DpopFault.TYP_MISMATCH,
    JoseFault.ALG_MISSING: DpopFault.ALG_MISSING,
    JoseFault.ALG_NONE: DpopFault.ALG_NOT_ACCEPTED,
    JoseFault.ALG_SYMMETRIC: DpopFault.ALG_NOT_ACCEPTED,
    JoseFault.ALG_UNSUPPORTED: DpopFault.ALG_NOT_ACCEPTED,
    JoseFault.CRIT_UNSUPPORTED: DpopFault.EXTENSION_UNSUPPORTED,
    JoseFault.B64_UNSUPPORTED: DpopFault.EXTENSION_UNSUPPORTED,
    JoseFault.ZIP_UNSUPPORTED: DpopFault.EXTENSION_UNSUPPORTED,
    JoseFault.SIGNATURE_MISSING: DpopFault.SIGNATURE_INVALID,
    JoseFault.SIGNATURE_INVALID: DpopFault.SIGNATURE_INVALID,
    JoseFault.CLAIM_MISSING: DpopFault.CLAIM_MISSING,
    JoseFault.CLAIM_INVALID: DpopFault.CLAIM_INVALID,
}

_KEY_FAULTS: Final[Mapping[JoseFault, DpopFault]] = {
    JoseFault.EMBEDDED_KEY_MISSING: DpopFault.KEY_MISSING,
    JoseFault.PRIVATE_KEY_MEMBER: DpopFault.KEY_PRIVATE,
    JoseFault.KEY_TOO_SMALL: DpopFault.KEY_TOO_SMALL,
    JoseFault.ALG_MISMATCH: DpopFault.KEY_NOT_FOR_ALG,
    JoseFault.KEY_USE_MISMATCH: DpopFault.KEY_NOT_FOR_ALG,
}


def from_key(error: JoseError) -> DpopError:
    """As `from_jose`, for what is wrong with the embedded key."""
    fault = _KEY_FAULTS.get(error.code, DpopFault.KEY_INVALID)
    return DpopError(fault, f"the embedded key was refused as {error.code}", member=error.member)
