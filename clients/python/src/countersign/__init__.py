"""Client of the Countersign identity gateway: `GatewayClient`, and `SyncGatewayClient` without asyncio.

The messages and stubs of the API are in `countersign.v1`.
"""

from countersign._base import ClientNotOpenError
from countersign._enrollment import EnrollmentRefusedError
from countersign.authorizations import AuthorizationCode, AuthorizationRequest, Pkce, PushedRequest
from countersign.client import GatewayClient
from countersign.clients import (
    AccessTokenFormat,
    AuthenticationMethod,
    CertificateName,
    Client,
    ClientSecretBasicAuth,
    ClientSecretPostAuth,
    ClientWithSecret,
    GrantType,
    NoAuth,
    PrivateKeyJwtAuth,
    SelfSignedTlsClientAuth,
    TlsClientAuth,
    TokenExchangePolicy,
)
from countersign.credentials import AssertionKey, ClientCredential, ClientSecret
from countersign.devices import DeviceKey, WireDevice
from countersign.dpop import DpopKey
from countersign.errors import (
    AuthenticationError,
    ConflictError,
    CountersignError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from countersign.keys import (
    Key,
    KeyCheck,
    KeyCheckOutcome,
    KeyPurpose,
    KeyRotation,
    KeyState,
    SignatureAlgorithm,
)
from countersign.retry import RetryPolicy
from countersign.sync_client import SyncGatewayClient
from countersign.tls import TlsConfig
from countersign.tokens import (
    AccessToken,
    Actor,
    EcPublicKey,
    GrantedTokens,
    IntrospectedToken,
    JsonWebKey,
    JsonWebKeySet,
    OkpPublicKey,
    Revocation,
    RevocationBatch,
    RsaPublicKey,
    ServerMetadata,
    TokenRequest,
    TokenType,
    TokenTypeHint,
)
from countersign.v1.reason import Reason

__all__ = [
    "AccessToken",
    "AccessTokenFormat",
    "Actor",
    "AssertionKey",
    "AuthenticationError",
    "AuthenticationMethod",
    "AuthorizationCode",
    "AuthorizationRequest",
    "CertificateName",
    "Client",
    "ClientCredential",
    "ClientNotOpenError",
    "ClientSecret",
    "ClientSecretBasicAuth",
    "ClientSecretPostAuth",
    "ClientWithSecret",
    "ConflictError",
    "CountersignError",
    "DeadlineExceededError",
    "DeviceKey",
    "DpopKey",
    "EcPublicKey",
    "EnrollmentRefusedError",
    "FieldViolation",
    "GatewayClient",
    "GrantType",
    "GrantedTokens",
    "IntrospectedToken",
    "InvalidRequestError",
    "JsonWebKey",
    "JsonWebKeySet",
    "Key",
    "KeyCheck",
    "KeyCheckOutcome",
    "KeyPurpose",
    "KeyRotation",
    "KeyState",
    "NoAuth",
    "NotFoundError",
    "OkpPublicKey",
    "PermissionDeniedError",
    "Pkce",
    "PrivateKeyJwtAuth",
    "PushedRequest",
    "Reason",
    "RetryPolicy",
    "Revocation",
    "RevocationBatch",
    "RsaPublicKey",
    "SelfSignedTlsClientAuth",
    "ServerMetadata",
    "SignatureAlgorithm",
    "SyncGatewayClient",
    "TlsClientAuth",
    "TlsConfig",
    "TokenExchangePolicy",
    "TokenRequest",
    "TokenType",
    "TokenTypeHint",
    "UnavailableError",
    "WireDevice",
]
