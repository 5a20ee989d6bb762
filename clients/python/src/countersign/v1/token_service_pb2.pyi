import datetime

from countersign.v1 import access_token_pb2 as _access_token_pb2
from countersign.v1 import client_authentication_pb2 as _client_authentication_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MintTokenRequest(_message.Message):
    __slots__ = ("client_id", "authentication", "client_credentials", "authorization_code", "refresh_token", "token_exchange", "jwt_bearer", "scope", "resource")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_CODE_FIELD_NUMBER: _ClassVar[int]
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    JWT_BEARER_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    authentication: _client_authentication_pb2.ClientAuthentication
    client_credentials: ClientCredentialsGrant
    authorization_code: AuthorizationCodeGrant
    refresh_token: RefreshTokenGrant
    token_exchange: TokenExchangeGrant
    jwt_bearer: JwtBearerGrant
    scope: _containers.RepeatedScalarFieldContainer[str]
    resource: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, client_id: _Optional[str] = ..., authentication: _Optional[_Union[_client_authentication_pb2.ClientAuthentication, _Mapping]] = ..., client_credentials: _Optional[_Union[ClientCredentialsGrant, _Mapping]] = ..., authorization_code: _Optional[_Union[AuthorizationCodeGrant, _Mapping]] = ..., refresh_token: _Optional[_Union[RefreshTokenGrant, _Mapping]] = ..., token_exchange: _Optional[_Union[TokenExchangeGrant, _Mapping]] = ..., jwt_bearer: _Optional[_Union[JwtBearerGrant, _Mapping]] = ..., scope: _Optional[_Iterable[str]] = ..., resource: _Optional[_Iterable[str]] = ...) -> None: ...

class MintTokenResponse(_message.Message):
    __slots__ = ("token", "refresh_token", "refresh_token_expire_time")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REFRESH_TOKEN_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    token: _access_token_pb2.AccessToken
    refresh_token: str
    refresh_token_expire_time: _timestamp_pb2.Timestamp
    def __init__(self, token: _Optional[_Union[_access_token_pb2.AccessToken, _Mapping]] = ..., refresh_token: _Optional[str] = ..., refresh_token_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AuthorizationCodeGrant(_message.Message):
    __slots__ = ("code", "redirect_uri", "code_verifier")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    CODE_VERIFIER_FIELD_NUMBER: _ClassVar[int]
    code: str
    redirect_uri: str
    code_verifier: str
    def __init__(self, code: _Optional[str] = ..., redirect_uri: _Optional[str] = ..., code_verifier: _Optional[str] = ...) -> None: ...

class RefreshTokenGrant(_message.Message):
    __slots__ = ("refresh_token",)
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    refresh_token: str
    def __init__(self, refresh_token: _Optional[str] = ...) -> None: ...

class TokenExchangeGrant(_message.Message):
    __slots__ = ("subject_token", "actor_token")
    SUBJECT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACTOR_TOKEN_FIELD_NUMBER: _ClassVar[int]
    subject_token: str
    actor_token: str
    def __init__(self, subject_token: _Optional[str] = ..., actor_token: _Optional[str] = ...) -> None: ...

class JwtBearerGrant(_message.Message):
    __slots__ = ("assertion",)
    ASSERTION_FIELD_NUMBER: _ClassVar[int]
    assertion: str
    def __init__(self, assertion: _Optional[str] = ...) -> None: ...

class ClientCredentialsGrant(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BatchMintTokensRequest(_message.Message):
    __slots__ = ("client_id", "authentication", "items")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    authentication: _client_authentication_pb2.ClientAuthentication
    items: _containers.RepeatedCompositeFieldContainer[BatchMintTokensItem]
    def __init__(self, client_id: _Optional[str] = ..., authentication: _Optional[_Union[_client_authentication_pb2.ClientAuthentication, _Mapping]] = ..., items: _Optional[_Iterable[_Union[BatchMintTokensItem, _Mapping]]] = ...) -> None: ...

class BatchMintTokensItem(_message.Message):
    __slots__ = ("client_credentials", "scope", "resource")
    CLIENT_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    client_credentials: ClientCredentialsGrant
    scope: _containers.RepeatedScalarFieldContainer[str]
    resource: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, client_credentials: _Optional[_Union[ClientCredentialsGrant, _Mapping]] = ..., scope: _Optional[_Iterable[str]] = ..., resource: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchMintTokensResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchMintTokensResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchMintTokensResult, _Mapping]]] = ...) -> None: ...

class BatchMintTokensResult(_message.Message):
    __slots__ = ("token", "error")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    token: _access_token_pb2.AccessToken
    error: _status_pb2.Status
    def __init__(self, token: _Optional[_Union[_access_token_pb2.AccessToken, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("client_id", "authentication", "token", "token_id")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    authentication: _client_authentication_pb2.ClientAuthentication
    token: str
    token_id: str
    def __init__(self, client_id: _Optional[str] = ..., authentication: _Optional[_Union[_client_authentication_pb2.ClientAuthentication, _Mapping]] = ..., token: _Optional[str] = ..., token_id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerMetadataRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerMetadataResponse(_message.Message):
    __slots__ = ("metadata", "metadata_json")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    metadata: ServerMetadata
    metadata_json: bytes
    def __init__(self, metadata: _Optional[_Union[ServerMetadata, _Mapping]] = ..., metadata_json: _Optional[bytes] = ...) -> None: ...

class ServerMetadata(_message.Message):
    __slots__ = ("issuer", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri", "mtls_endpoint_aliases", "scopes_supported", "grant_types_supported", "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", "tls_client_certificate_bound_access_tokens", "dpop_signing_alg_values_supported")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    INTROSPECTION_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    JWKS_URI_FIELD_NUMBER: _ClassVar[int]
    MTLS_ENDPOINT_ALIASES_FIELD_NUMBER: _ClassVar[int]
    SCOPES_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    GRANT_TYPES_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ENDPOINT_AUTH_SIGNING_ALG_VALUES_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    TLS_CLIENT_CERTIFICATE_BOUND_ACCESS_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DPOP_SIGNING_ALG_VALUES_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    mtls_endpoint_aliases: MtlsEndpointAliases
    scopes_supported: _containers.RepeatedScalarFieldContainer[str]
    grant_types_supported: _containers.RepeatedScalarFieldContainer[str]
    token_endpoint_auth_methods_supported: _containers.RepeatedScalarFieldContainer[str]
    token_endpoint_auth_signing_alg_values_supported: _containers.RepeatedScalarFieldContainer[str]
    tls_client_certificate_bound_access_tokens: bool
    dpop_signing_alg_values_supported: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, issuer: _Optional[str] = ..., token_endpoint: _Optional[str] = ..., introspection_endpoint: _Optional[str] = ..., revocation_endpoint: _Optional[str] = ..., jwks_uri: _Optional[str] = ..., mtls_endpoint_aliases: _Optional[_Union[MtlsEndpointAliases, _Mapping]] = ..., scopes_supported: _Optional[_Iterable[str]] = ..., grant_types_supported: _Optional[_Iterable[str]] = ..., token_endpoint_auth_methods_supported: _Optional[_Iterable[str]] = ..., token_endpoint_auth_signing_alg_values_supported: _Optional[_Iterable[str]] = ..., tls_client_certificate_bound_access_tokens: _Optional[bool] = ..., dpop_signing_alg_values_supported: _Optional[_Iterable[str]] = ...) -> None: ...

class MtlsEndpointAliases(_message.Message):
    __slots__ = ("token_endpoint", "introspection_endpoint", "revocation_endpoint")
    TOKEN_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    INTROSPECTION_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    def __init__(self, token_endpoint: _Optional[str] = ..., introspection_endpoint: _Optional[str] = ..., revocation_endpoint: _Optional[str] = ...) -> None: ...

class GetJwksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetJwksResponse(_message.Message):
    __slots__ = ("keys", "jwks_json", "max_age")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    JWKS_JSON_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[JsonWebKey]
    jwks_json: bytes
    max_age: _duration_pb2.Duration
    def __init__(self, keys: _Optional[_Iterable[_Union[JsonWebKey, _Mapping]]] = ..., jwks_json: _Optional[bytes] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class JsonWebKey(_message.Message):
    __slots__ = ("kid", "alg", "use", "ec", "okp", "rsa")
    KID_FIELD_NUMBER: _ClassVar[int]
    ALG_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    EC_FIELD_NUMBER: _ClassVar[int]
    OKP_FIELD_NUMBER: _ClassVar[int]
    RSA_FIELD_NUMBER: _ClassVar[int]
    kid: str
    alg: str
    use: str
    ec: EcPublicKey
    okp: OkpPublicKey
    rsa: RsaPublicKey
    def __init__(self, kid: _Optional[str] = ..., alg: _Optional[str] = ..., use: _Optional[str] = ..., ec: _Optional[_Union[EcPublicKey, _Mapping]] = ..., okp: _Optional[_Union[OkpPublicKey, _Mapping]] = ..., rsa: _Optional[_Union[RsaPublicKey, _Mapping]] = ...) -> None: ...

class EcPublicKey(_message.Message):
    __slots__ = ("crv", "x", "y")
    CRV_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    crv: str
    x: bytes
    y: bytes
    def __init__(self, crv: _Optional[str] = ..., x: _Optional[bytes] = ..., y: _Optional[bytes] = ...) -> None: ...

class OkpPublicKey(_message.Message):
    __slots__ = ("crv", "x")
    CRV_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    crv: str
    x: bytes
    def __init__(self, crv: _Optional[str] = ..., x: _Optional[bytes] = ...) -> None: ...

class RsaPublicKey(_message.Message):
    __slots__ = ("n", "e")
    N_FIELD_NUMBER: _ClassVar[int]
    E_FIELD_NUMBER: _ClassVar[int]
    n: bytes
    e: bytes
    def __init__(self, n: _Optional[bytes] = ..., e: _Optional[bytes] = ...) -> None: ...

class CreateClientNonceRequest(_message.Message):
    __slots__ = ("client_id",)
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    def __init__(self, client_id: _Optional[str] = ...) -> None: ...

class CreateClientNonceResponse(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    def __init__(self, nonce: _Optional[str] = ...) -> None: ...

class MintClientAccessTokenRequest(_message.Message):
    __slots__ = ("client_id", "handle", "display_name", "team", "domain", "dpop_proof", "nonce")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DPOP_PROOF_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    handle: str
    display_name: str
    team: str
    domain: str
    dpop_proof: str
    nonce: str
    def __init__(self, client_id: _Optional[str] = ..., handle: _Optional[str] = ..., display_name: _Optional[str] = ..., team: _Optional[str] = ..., domain: _Optional[str] = ..., dpop_proof: _Optional[str] = ..., nonce: _Optional[str] = ...) -> None: ...

class MintClientAccessTokenResponse(_message.Message):
    __slots__ = ("token", "expires_in")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires_in: _duration_pb2.Duration
    def __init__(self, token: _Optional[str] = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
