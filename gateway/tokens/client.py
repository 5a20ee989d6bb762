"""A registered OAuth client (RFC 7591 §2, RFC 8705 §2), as the rules see it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gateway.jose.jwk import JwkSet
from gateway.pki.certificate_identity import CertificateIdentity
from signers import Algorithm


class ClientAuthenticationMethod(StrEnum):
    """How a client proves who it is; exactly one is pinned per client (RFC 7591 §2, RFC 8705 §2)."""

    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_BASIC = "client_secret_basic"
    CLIENT_SECRET_POST = "client_secret_post"
    NONE = "none"


class GrantType(StrEnum):
    """A grant by the name that RFC 7591 §2 registers."""

    CLIENT_CREDENTIALS = "client_credentials"
    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class AccessTokenFormat(StrEnum):
    """What a client's access tokens look like to it."""

    JWT = "jwt"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class TokenExchangePolicy:
    """What a client may do with others' tokens (RFC 8693).

    - `impersonation`: without an actor token it gets a token that does not name it as the actor.
    - `bound_subject_tokens`: it may exchange a token that is meant for it and bound to somebody else's key;
      it has seen the proof, and the gateway has not.
    """

    impersonation: bool = False
    bound_subject_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """One registered client.

    - `identity`: the certificate name to match, for `tls_client_auth` only (RFC 8705 §2.1.2).
    - `jwks`: certificates (x5c) for `self_signed_tls_client_auth`, keys for `private_key_jwt`; or `jwks_uri`,
      where the client publishes them (RFC 7591 §2), never both.
    - `secret_hash`: SHA-256 of a generated 256-bit secret; 32 bytes. A fast hash is sound because the
      secret is never chosen by a human.
    - `scopes`: what it may be granted; `audiences`: resource identifiers it may ask tokens for, and
      `default_audience` the one used when it names none.
    - `resources`: identifiers by which it is known as a resource server; it may introspect tokens whose
      `aud` holds one of them.
    - `certificate_bound_access_tokens`: RFC 8705 §3.4; without a certificate the mint is refused.
    - `dpop_bound_access_tokens`: RFC 9449 §5.2; without a proof the mint is refused.
    - `redirect_uris`: where a user may be sent back to, see `gateway.tokens.redirect_uri`.
    - `require_pushed_authorization_requests`: RFC 9126 §6; others are refused.
    - `access_token_format`: a JWT says what it is to everybody, an opaque token to who may introspect it.
    - `token_exchange`: what it may exchange, where it has that grant.
    - `introspection_signed_response_algorithm`: RFC 9701 §6; None means the gateway's default.
    - `access_token_lifetime`: None means the gateway's default.
    - `revision` counts changes from 1 and is the client's etag.
    - times are seconds since the epoch.
    """

    client_id: str
    display_name: str
    authentication_method: ClientAuthenticationMethod
    identity: CertificateIdentity | None
    jwks: JwkSet | None
    secret_hash: bytes | None
    grant_types: frozenset[GrantType]
    scopes: frozenset[str]
    audiences: frozenset[str]
    default_audience: str | None
    resources: frozenset[str]
    certificate_bound_access_tokens: bool
    access_token_lifetime: timedelta | None
    disabled: bool
    revision: int
    create_time: float
    update_time: float
    dpop_bound_access_tokens: bool = False
    redirect_uris: frozenset[str] = frozenset()
    require_pushed_authorization_requests: bool = False
    access_token_format: AccessTokenFormat = AccessTokenFormat.JWT
    token_exchange: TokenExchangePolicy = TokenExchangePolicy()
    introspection_signed_response_algorithm: Algorithm | None = None
    jwks_uri: str | None = None
