"""Tokens, what they say, and what verifies them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias


class TokenType(StrEnum):
    """How a token is presented (RFC 6750, RFC 9449). The value is the scheme of an Authorization header."""

    BEARER = "Bearer"
    DPOP = "DPoP"
    UNRECOGNIZED = "Unrecognized"


class TokenTypeHint(StrEnum):
    """What kind of token a caller thinks it has (RFC 7009 §4.1.2). It never changes the answer."""

    ACCESS_TOKEN = "access_token"
    REFRESH_TOKEN = "refresh_token"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One token of a batch: the scope and the resources asked for, as in `mint_token`."""

    scope: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token as it was issued (RFC 9068). `value` is the secret, and no part of the repr.

    - `scope`: what was granted; may be less than was asked for.
    - `token_id`: the `jti`; no secret.
    - `x5t_s256`: SHA-256 of the client certificate that the token is bound to (RFC 8705 §3.1), 32 bytes; None
      where it is bound to none.
    - `jkt`: RFC 7638 SHA-256 thumbprint of the DPoP key that it is bound to (RFC 9449 §6.1), 32 bytes;
      None where it is bound to none.
    """

    value: str = field(repr=False)
    token_type: TokenType
    issue_time: datetime
    expire_time: datetime
    scope: tuple[str, ...]
    token_id: str
    audience: tuple[str, ...]
    x5t_s256: bytes | None
    jkt: bytes | None = None

    @property
    def authorization(self) -> str:
        """The value of an Authorization header that presents the token."""
        return f"{self.token_type} {self.value}"


@dataclass(frozen=True, slots=True)
class GrantedTokens:
    """What a code or a refresh token was exchanged for.

    - `refresh_token`: the one to use from now on, perhaps the same as before; None where there is none. A
      secret, and no part of the repr.
    - `refresh_token_expire_time`: when it expires even where it is used.
    """

    access_token: AccessToken
    refresh_token: str | None = field(repr=False)
    refresh_token_expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts for the subject of a token (RFC 8693 §4.1); `prior` acted before, for information only."""

    subject: str
    prior: "Actor | None" = None


@dataclass(frozen=True, slots=True)
class IntrospectedToken:
    """What an active token says (RFC 7662 §2.2).

    A resource server that finds `x5t_s256` must compare it with SHA-256 of the certificate of its own
    connection, and refuse the token where they differ (RFC 8705 §3); one that finds `jkt` must check the DPoP
    proof of the request (RFC 9449 §7.1). `token_type` is None for a refresh token, which only its own client
    sees; `grant_id` is what all tokens of one authorization share.
    """

    scope: tuple[str, ...]
    client_id: str
    username: str
    token_type: TokenType | None
    issue_time: datetime
    not_before_time: datetime | None
    expire_time: datetime
    subject: str
    audience: tuple[str, ...]
    issuer: str
    token_id: str
    x5t_s256: bytes | None
    additional_claims: Mapping[str, Any]
    jkt: bytes | None = None
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()
    grant_id: str = ""
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """A token, by `token_id`, or every token with the claim `grant_id`, that is no longer valid; the other is
    empty. After `expire_time` it can be forgotten.
    """

    token_id: str
    grant_id: str
    revoke_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class RevocationBatch:
    """Revocations in order, none where there is no news, and the cursor to resume at after them."""

    revocations: tuple[Revocation, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """Authorization server metadata (RFC 8414 §2). `document` is the whole of it, JSON in UTF-8."""

    issuer: str
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    mtls_endpoint_aliases: Mapping[str, str]
    scopes_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    tls_client_certificate_bound_access_tokens: bool
    document: bytes = field(repr=False)
    dpop_signing_alg_values_supported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EcPublicKey:
    """An elliptic-curve public key (RFC 7518 §6.2.1); big-endian, padded to the size of the curve."""

    crv: str
    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True)
class OkpPublicKey:
    """An octet key pair's public key (RFC 8037 §2)."""

    crv: str
    x: bytes


@dataclass(frozen=True, slots=True)
class RsaPublicKey:
    """An RSA public key (RFC 7518 §6.3.1); integers are big-endian without leading zero bytes."""

    n: bytes
    e: bytes


PublicKey: TypeAlias = EcPublicKey | OkpPublicKey | RsaPublicKey


@dataclass(frozen=True, slots=True)
class JsonWebKey:
    """A public key that verifies tokens (RFC 7517 §4). `public_key` is None for an unknown kind."""

    kid: str
    alg: str
    use: str
    public_key: PublicKey | None


@dataclass(frozen=True, slots=True)
class JsonWebKeySet:
    """The public keys that verify tokens (RFC 7517 §5).

    - `document`: the whole set, JSON in UTF-8, as a JOSE library reads it.
    - `max_age`: how long it may be cached.
    """

    keys: tuple[JsonWebKey, ...]
    document: bytes = field(repr=False)
    max_age: timedelta
