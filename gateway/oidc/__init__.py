"""Upstream OpenID providers: metadata, keys, ID tokens, and logins by authorization code.

    Provider          metadata and keys of one provider, kept, rotated and survived
    IdTokenVerifier   compact ID token -> IdToken
    ClaimMapping      IdToken -> the names that a use case knows
    RelyingParty      a login: redirect, code, tokens

Everything is fetched by `gateway.fetching`. Errors: `gateway.oidc.errors`.
"""

from gateway.oidc.authorization import LoginWishes, PendingLogin
from gateway.oidc.errors import (
    AuthorizationResponseError,
    ClaimMappingError,
    IdTokenError,
    OidcError,
    OidcFault,
    ProviderError,
)
from gateway.oidc.id_token import Expected, IdToken
from gateway.oidc.mapping import (
    WIRE_DEVICE_AND_USER,
    WIREAPP_ID,
    ClaimKind,
    ClaimMapping,
    ClaimPath,
    ClaimRule,
    MappedClaims,
)
from gateway.oidc.metadata import ProviderMetadata
from gateway.oidc.provider import Provider, ProviderConfig
from gateway.oidc.refreshing import RefreshPolicy
from gateway.oidc.relying_party import Login, RelyingParty
from gateway.oidc.token_endpoint import (
    ClientAuthentication,
    ClientSecretBasic,
    PrivateKeyJwt,
    PublicClient,
    TokenResponse,
)
from gateway.oidc.verifier import IdTokenVerifier

__all__ = [
    "WIREAPP_ID",
    "WIRE_DEVICE_AND_USER",
    "AuthorizationResponseError",
    "ClaimKind",
    "ClaimMapping",
    "ClaimMappingError",
    "ClaimPath",
    "ClaimRule",
    "ClientAuthentication",
    "ClientSecretBasic",
    "Expected",
    "IdToken",
    "IdTokenError",
    "IdTokenVerifier",
    "Login",
    "LoginWishes",
    "MappedClaims",
    "OidcError",
    "OidcFault",
    "PendingLogin",
    "PrivateKeyJwt",
    "Provider",
    "ProviderConfig",
    "ProviderError",
    "ProviderMetadata",
    "PublicClient",
    "RefreshPolicy",
    "RelyingParty",
    "TokenResponse",
]
