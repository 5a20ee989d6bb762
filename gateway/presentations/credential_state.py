"""The state of a credential, as status lists tell it and as a presentation definition may ask for it."""

from enum import StrEnum


class CredentialState(StrEnum):
    """Active, unless the issuer published that it is suspended (for now) or revoked (for good)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
