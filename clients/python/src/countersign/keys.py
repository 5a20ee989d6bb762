"""The keys that the gateway signs with."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class KeyPurpose(StrEnum):
    """What a key signs; it has exactly one purpose."""

    TOKENS = "tokens"
    INTROSPECTION = "introspection"
    CERTIFICATES = "certificates"
    PRESENTATION_REQUESTS = "presentation_requests"
    LINKED_DOMAINS = "linked_domains"
    STATUS_LISTS = "status_lists"
    CLIENT_ACCESS_TOKENS = "client_access_tokens"
    OCSP_RESPONSES = "ocsp_responses"
    DELEGATION = "delegation"
    AUDIT = "audit"
    UNRECOGNIZED = "unrecognized"


class SignatureAlgorithm(StrEnum):
    """A signature algorithm by its JOSE name."""

    EDDSA = "EdDSA"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    ES256K = "ES256K"
    RS256 = "RS256"
    PS256 = "PS256"
    UNRECOGNIZED = "unrecognized"


class KeyState(StrEnum):
    """Where a key is in its life; `DISABLED` takes it out of any other state for good."""

    PREPARED = "prepared"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    DISABLED = "disabled"
    UNRECOGNIZED = "unrecognized"


class KeyCheckOutcome(StrEnum):
    """What a check of a key found; only `VERIFIED` means that it works."""

    VERIFIED = "verified"
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    UNUSABLE = "unusable"
    MISMATCH = "mismatch"
    PIN_REFUSED = "pin_refused"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    TIMED_OUT = "timed_out"
    SIGNATURE_INVALID = "signature_invalid"
    UNRECOGNIZED = "unrecognized"


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair that the gateway signs with.

    - `key_id`: the RFC 7638 SHA-256 thumbprint, base64url without padding; the `kid` of what it signs.
    - `uri`: where the private key lives, without secrets; `backend` is its scheme.
    - `public_key_der`: SubjectPublicKeyInfo, DER; `public_key_sha256` is its SHA-256, 32 bytes.
    - `last_error`: why the replica that answered could not use it last; empty where it could.
    - `certificates_der`: its certificates, DER, its own first; empty where it has none.
    - `issuer`: of a delegated key, the `key_id` of the key that certified it; `sign_until_time` is when it
      stops signing.
    - `etag`: give it to `rotate_key` to make sure that nothing changed meanwhile.
    """

    key_id: str
    purpose: KeyPurpose
    algorithm: SignatureAlgorithm
    state: KeyState
    uri: str
    backend: str
    public_key_der: bytes
    public_key_sha256: bytes
    create_time: datetime
    activate_time: datetime | None
    retire_time: datetime | None
    disable_time: datetime | None
    disable_reason: str
    last_error: str
    etag: str
    certificates_der: tuple[bytes, ...] = ()
    issuer: str | None = None
    sign_until_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """What a rotation did: the key that signs now, and the one that signed before, if there was one."""

    active_key: Key
    retiring_key: Key | None


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What a check found, how long the signature took, and what an operator can do about a failure."""

    key_id: str
    outcome: KeyCheckOutcome
    duration: timedelta
    detail: str
