"""What the audit log knows of: one frozen value for each kind of event, all of it plain text and numbers.

No field ever holds a secret, a token, a code, a proof or what was signed. Where a field is personal data, its
description in docs/audit.md says so. Times are whole seconds since the epoch; hashes and serial numbers are
lower-case hexadecimal, thumbprints base64url without padding as in the protocols they come from.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class TokenMinted:
    """An access token is about to be handed out."""

    event: ClassVar[str] = "token.minted"

    client_id: str
    subject: str
    token_id: str
    format: str
    grant_type: str
    grant_id: str | None
    audience: tuple[str, ...]
    scope: tuple[str, ...]
    bound_to: str | None
    actor: str | None
    expire_time: int


@dataclass(frozen=True, slots=True)
class TokenRevoked:
    """An access token is about to become inactive; *client_id* is None where a bare id is revoked."""

    event: ClassVar[str] = "token.revoked"

    client_id: str | None
    token_id: str


@dataclass(frozen=True, slots=True)
class GrantRevoked:
    """A grant, with every token of it, is about to end; *cause* is a stable word."""

    event: ClassVar[str] = "grant.revoked"

    client_id: str
    grant_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class RefreshTokenReused:
    """A refresh token that was used before came again: its grant is about to end, or to be answered alike."""

    event: ClassVar[str] = "refresh_token.reused"

    client_id: str
    grant_id: str


@dataclass(frozen=True, slots=True)
class CodeIssued:
    """An authorization code is about to be handed out for a user who logged in."""

    event: ClassVar[str] = "code.issued"

    client_id: str
    subject: str
    audience: tuple[str, ...]
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceTokenMinted:
    """A client access token, by which a backend vouches for a device, is about to be handed out."""

    event: ClassVar[str] = "device_token.minted"

    subject: str
    token_id: str
    key_thumbprint: str
    expire_time: int


@dataclass(frozen=True, slots=True)
class ClientCreated:
    """An OAuth client is about to be registered."""

    event: ClassVar[str] = "client.created"

    client_id: str
    authentication_method: str


@dataclass(frozen=True, slots=True)
class ClientUpdated:
    """An OAuth client is about to be changed, *revision* being the one that the change makes."""

    event: ClassVar[str] = "client.updated"

    client_id: str
    revision: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class ClientSecretRotated:
    """A client is about to get a new secret."""

    event: ClassVar[str] = "client.secret_rotated"

    client_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class ClientDeleted:
    """An OAuth client is about to be deleted."""

    event: ClassVar[str] = "client.deleted"

    client_id: str


@dataclass(frozen=True, slots=True)
class CertificateIssued:
    """A certificate was signed and is about to be stored, which is before anybody gets it."""

    event: ClassVar[str] = "certificate.issued"

    provisioner: str
    account_id: str
    order_id: str
    serial_number: str
    issuer_key_id: str
    certificate_sha256: str
    identifiers: tuple[str, ...]
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class CertificateRevoked:
    """A certificate is about to be revoked."""

    event: ClassVar[str] = "certificate.revoked"

    provisioner: str
    account_id: str | None
    serial_number: str
    issuer_key_id: str
    revocation_reason: str


@dataclass(frozen=True, slots=True)
class PresentationVerified:
    """A presentation was judged, and the verdict is about to be told."""

    event: ClassVar[str] = "presentation.verified"

    verifier: str
    presentation_request_id: str | None
    accepted: bool
    failed_checks: tuple[str, ...]
    credentials: int


@dataclass(frozen=True, slots=True)
class KeyCreated:
    """A key is about to be registered, in *state*."""

    event: ClassVar[str] = "key.created"

    key_id: str
    purpose: str
    algorithm: str
    state: str
    uri: str
    issuer_key_id: str | None


@dataclass(frozen=True, slots=True)
class KeyActivated:
    """A key is about to sign; the one before it, if any, is about to retire."""

    event: ClassVar[str] = "key.activated"

    key_id: str
    purpose: str
    algorithm: str
    replaces: str | None


@dataclass(frozen=True, slots=True)
class KeyRetired:
    """A key's last signature has expired, and it is about to leave the key set."""

    event: ClassVar[str] = "key.retired"

    key_id: str
    purpose: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class KeyDisabled:
    """A key, and what it certified, is about to be withdrawn."""

    event: ClassVar[str] = "key.disabled"

    key_id: str
    stated_reason: str


@dataclass(frozen=True, slots=True)
class KeyCertified:
    """A key is about to get a certificate from outside."""

    event: ClassVar[str] = "key.certified"

    key_id: str
    certificate_sha256: str


@dataclass(frozen=True, slots=True)
class AuditPruned:
    """Segments up to *sequence_number*, whose hash is *hash*, are about to be deleted from the database."""

    event: ClassVar[str] = "audit.pruned"

    sequence_number: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditExported:
    """Segments *first_sequence_number* to *last_sequence_number* are about to be given out to a caller."""

    event: ClassVar[str] = "audit.exported"

    first_sequence_number: int
    last_sequence_number: int


@dataclass(frozen=True, slots=True)
class CallsRefused:
    """Calls of one kind that were refused, counted since the last such record of the same worker.

    *refused_caller* is empty for nobody, and None for more kinds than are told apart; then nothing but their
    count is known. *method* is empty for any. *first_request_id*, *first_time*: of the first of them;
    *last_time*: of the last.
    """

    event: ClassVar[str] = "calls.refused"

    refused_caller: str | None
    refused_reason: str
    refused_cause: str
    method: str
    count: int
    first_request_id: str
    first_time: int
    last_time: int


Event = (
    TokenMinted
    | TokenRevoked
    | GrantRevoked
    | RefreshTokenReused
    | CodeIssued
    | DeviceTokenMinted
    | ClientCreated
    | ClientUpdated
    | ClientSecretRotated
    | ClientDeleted
    | CertificateIssued
    | CertificateRevoked
    | PresentationVerified
    | KeyCreated
    | KeyActivated
    | KeyRetired
    | KeyDisabled
    | KeyCertified
    | AuditPruned
    | AuditExported
    | CallsRefused
)
"""Everything that is recorded."""
