"""Registered OAuth clients (RFC 7591 §2, RFC 8705 §2)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, TypedDict


class GrantType(StrEnum):
    """A grant that a client may use, by its registered name."""

    CLIENT_CREDENTIALS = "client_credentials"
    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    UNRECOGNIZED = "unrecognized"


class AccessTokenFormat(StrEnum):
    """What a client's access tokens look like to it."""

    JWT = "jwt"
    OPAQUE = "opaque"
    UNRECOGNIZED = "unrecognized"


@dataclass(frozen=True, slots=True)
class TokenExchangePolicy:
    """What a client may do with others' tokens (RFC 8693).

    - `impersonation`: without an actor token it gets one that does not name it as the actor.
    - `bound_subject_tokens`: it may exchange tokens that are meant for it and bound to others' keys.
    """

    impersonation: bool = False
    bound_subject_tokens: bool = False


class CertificateName(StrEnum):
    """The kinds of names by which `tls_client_auth` knows a certificate (RFC 8705 §2.1.2)."""

    SUBJECT_DN = "subject_dn"
    SAN_DNS = "san_dns"
    SAN_URI = "san_uri"
    SAN_IP = "san_ip"
    SAN_EMAIL = "san_email"


@dataclass(frozen=True, slots=True)
class TlsClientAuth:
    """A certificate of a trusted authority that holds this name.

    `value` is an RFC 4514 string for `SUBJECT_DN`, and text for the others.
    """

    kind: CertificateName
    value: str


@dataclass(frozen=True, slots=True)
class SelfSignedTlsClientAuth:
    """One of these certificates, DER, whoever issued them; or those of a JWK Set that is published at
    *jwks_uri*. Exactly one of the two is set.
    """

    certificates: tuple[bytes, ...] = ()
    jwks_uri: str | None = None


@dataclass(frozen=True, slots=True)
class PrivateKeyJwtAuth:
    """An assertion signed with a key of this JWK Set, public keys only, as JSON; or of the one that is
    published at *jwks_uri*, an https URL. Exactly one of the two is set.
    """

    jwks: str = ""
    jwks_uri: str | None = None


@dataclass(frozen=True, slots=True)
class ClientSecretBasicAuth:
    """A generated secret, sent over HTTP in the Authorization header."""


@dataclass(frozen=True, slots=True)
class ClientSecretPostAuth:
    """A generated secret, sent over HTTP in the request body."""


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Nothing: a public client, with authorization codes and refresh tokens only."""


AuthenticationMethod: TypeAlias = (
    TlsClientAuth
    | SelfSignedTlsClientAuth
    | PrivateKeyJwtAuth
    | ClientSecretBasicAuth
    | ClientSecretPostAuth
    | NoAuth
)


class ClientFields(TypedDict, total=False):
    """The fields of a client that its registration may set; those left out keep their default or value."""

    display_name: str
    grant_types: Collection[GrantType]
    scopes: Collection[str]
    audiences: Collection[str]
    default_audience: str | None
    resources: Collection[str]
    certificate_bound_access_tokens: bool
    dpop_bound_access_tokens: bool
    redirect_uris: Collection[str]
    require_pushed_authorization_requests: bool
    access_token_format: AccessTokenFormat
    token_exchange: TokenExchangePolicy
    introspection_signed_response_alg: str
    access_token_lifetime: timedelta | None
    disabled: bool


class ClientChanges(ClientFields, total=False):
    """The fields of a client that an update may change; None clears one that may be absent."""

    authentication: AuthenticationMethod


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client.

    - `authentication`: how it proves who it is; None for a method newer than this package.
    - `scopes`, `audiences`: what it may ask tokens for; `default_audience` where it names none.
    - `resources`: the identifiers by which it is known as a resource server.
    - `access_token_lifetime`: None means the gateway's default.
    - `etag`: give it to `update_client` or `delete_client` to make sure that nothing changed meanwhile.
    """

    client_id: str
    display_name: str
    authentication: AuthenticationMethod | None
    grant_types: frozenset[GrantType]
    scopes: frozenset[str]
    audiences: frozenset[str]
    default_audience: str | None
    resources: frozenset[str]
    certificate_bound_access_tokens: bool
    access_token_lifetime: timedelta | None
    disabled: bool
    create_time: datetime
    update_time: datetime
    etag: str
    dpop_bound_access_tokens: bool = False
    redirect_uris: frozenset[str] = frozenset()
    require_pushed_authorization_requests: bool = False
    access_token_format: AccessTokenFormat = AccessTokenFormat.JWT
    token_exchange: TokenExchangePolicy = TokenExchangePolicy()
    introspection_signed_response_alg: str = ""


@dataclass(frozen=True, slots=True)
class ClientWithSecret:
    """A client, and the secret that was generated for it, shown once and no part of the repr.

    `client_secret` is None for a method without a secret, and where the call had to be repeated because its
    first reply was lost: then `rotate_client_secret` generates another.
    """

    client: Client
    client_secret: str | None = field(repr=False)
