"""A key as the gateway keeps it: a reference to a signer's key, a purpose, and a place in its life."""

from dataclasses import dataclass
from enum import StrEnum

from signers import Algorithm
from signers.uri import redact


class KeyPurpose(StrEnum):
    """What a key signs. One key has one purpose, so that no signature can stand for another kind."""

    TOKENS = "tokens"
    INTROSPECTION = "introspection"
    CERTIFICATES = "certificates"
    PRESENTATION_REQUESTS = "presentation-requests"
    LINKED_DOMAINS = "linked-domains"
    STATUS_LISTS = "status-lists"
    CLIENT_ACCESS_TOKENS = "client-access-tokens"
    OCSP_RESPONSES = "ocsp-responses"
    DELEGATION = "delegation"
    AUDIT = "audit"


class KeyState(StrEnum):
    """A key's life. It only moves forward; DISABLED can be entered from anywhere and left to nowhere.

    PREPARED: published, not yet used. ACTIVE: signs. RETIRING: no longer signs, still published until the
    last thing it signed has expired; a CA's key issues no more, and signs revocation lists until then.
    RETIRED: no longer published. DISABLED: withdrawn at once, and what it signed is no longer honored.
    """

    PREPARED = "prepared"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key. At most one key per (purpose, algorithm) is ACTIVE, by a unique index of the database.

    A *delegated* key is one that another key of the gateway certified, to sign in its place for a while.

    - `key_id`: RFC 7638 SHA-256 thumbprint, base64url; also the JWS ``kid``.
    - `uri`: how the signer finds it; may name a PIN source, never holds a PIN.
    - `public_key_der`: SubjectPublicKeyInfo; pins the key, whatever the URI finds later.
    - `retire_time`: when a RETIRING key may become RETIRED. Times are seconds since the epoch, None before
      the event.
    - `revision` counts changes from 1 and is the key's etag.
    - `chain_pem`: PEM certificates, the key's own first, each issued by the next; empty where it has none.
    - `issuer_key_id`: of a delegated key, the key that certified it; disabling that one disables this one.
    - `sign_until`: of a delegated key, when it signs no more, whatever its state: what it signs must not
      outlive its certificate.
    """

    key_id: str
    purpose: KeyPurpose
    algorithm: Algorithm
    uri: str
    public_key_der: bytes
    state: KeyState
    create_time: float
    activate_time: float | None
    retire_time: float | None
    disable_time: float | None
    disable_reason: str
    revision: int
    chain_pem: bytes = b""
    issuer_key_id: str | None = None
    sign_until: float | None = None

    @property
    def signs(self) -> bool:
        """Whether the key signs, or may soon, and so has to be open."""
        if self.state is KeyState.RETIRING:
            # Whoever has its certificates needs its revocation lists, and answers by its OCSP responder.
            return self.purpose is KeyPurpose.CERTIFICATES
        return self.state in {KeyState.PREPARED, KeyState.ACTIVE}

    @property
    def redacted_uri(self) -> str:
        """`uri` as it may be shown."""
        return redact(self.uri)
