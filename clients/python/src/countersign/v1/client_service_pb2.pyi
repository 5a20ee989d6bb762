import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GrantType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GRANT_TYPE_UNSPECIFIED: _ClassVar[GrantType]
    GRANT_TYPE_CLIENT_CREDENTIALS: _ClassVar[GrantType]
    GRANT_TYPE_AUTHORIZATION_CODE: _ClassVar[GrantType]
    GRANT_TYPE_REFRESH_TOKEN: _ClassVar[GrantType]
    GRANT_TYPE_TOKEN_EXCHANGE: _ClassVar[GrantType]
    GRANT_TYPE_JWT_BEARER: _ClassVar[GrantType]

class AccessTokenFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_TOKEN_FORMAT_UNSPECIFIED: _ClassVar[AccessTokenFormat]
    ACCESS_TOKEN_FORMAT_JWT: _ClassVar[AccessTokenFormat]
    ACCESS_TOKEN_FORMAT_OPAQUE: _ClassVar[AccessTokenFormat]
GRANT_TYPE_UNSPECIFIED: GrantType
GRANT_TYPE_CLIENT_CREDENTIALS: GrantType
GRANT_TYPE_AUTHORIZATION_CODE: GrantType
GRANT_TYPE_REFRESH_TOKEN: GrantType
GRANT_TYPE_TOKEN_EXCHANGE: GrantType
GRANT_TYPE_JWT_BEARER: GrantType
ACCESS_TOKEN_FORMAT_UNSPECIFIED: AccessTokenFormat
ACCESS_TOKEN_FORMAT_JWT: AccessTokenFormat
ACCESS_TOKEN_FORMAT_OPAQUE: AccessTokenFormat

class Client(_message.Message):
    __slots__ = ("name", "client_id", "display_name", "tls_client_auth", "self_signed_tls_client_auth", "private_key_jwt", "client_secret_basic", "client_secret_post", "none", "grant_types", "scopes", "audiences", "default_audience", "resources", "certificate_bound_access_tokens", "access_token_lifetime", "disabled", "create_time", "update_time", "etag", "dpop_bound_access_tokens", "redirect_uris", "require_pushed_authorization_requests", "access_token_format", "token_exchange", "introspection_signed_response_alg")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    TLS_CLIENT_AUTH_FIELD_NUMBER: _ClassVar[int]
    SELF_SIGNED_TLS_CLIENT_AUTH_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_KEY_JWT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_BASIC_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_POST_FIELD_NUMBER: _ClassVar[int]
    NONE_FIELD_NUMBER: _ClassVar[int]
    GRANT_TYPES_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_BOUND_ACCESS_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_LIFETIME_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    DPOP_BOUND_ACCESS_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URIS_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_PUSHED_AUTHORIZATION_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_FORMAT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    INTROSPECTION_SIGNED_RESPONSE_ALG_FIELD_NUMBER: _ClassVar[int]
    name: str
    client_id: str
    display_name: str
    tls_client_auth: TlsClientAuth
    self_signed_tls_client_auth: SelfSignedTlsClientAuth
    private_key_jwt: PrivateKeyJwtAuth
    client_secret_basic: ClientSecretBasicAuth
    client_secret_post: ClientSecretPostAuth
    none: NoAuth
    grant_types: _containers.RepeatedScalarFieldContainer[GrantType]
    scopes: _containers.RepeatedScalarFieldContainer[str]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    default_audience: str
    resources: _containers.RepeatedScalarFieldContainer[str]
    certificate_bound_access_tokens: bool
    access_token_lifetime: _duration_pb2.Duration
    disabled: bool
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    dpop_bound_access_tokens: bool
    redirect_uris: _containers.RepeatedScalarFieldContainer[str]
    require_pushed_authorization_requests: bool
    access_token_format: AccessTokenFormat
    token_exchange: TokenExchangePolicy
    introspection_signed_response_alg: str
    def __init__(self, name: _Optional[str] = ..., client_id: _Optional[str] = ..., display_name: _Optional[str] = ..., tls_client_auth: _Optional[_Union[TlsClientAuth, _Mapping]] = ..., self_signed_tls_client_auth: _Optional[_Union[SelfSignedTlsClientAuth, _Mapping]] = ..., private_key_jwt: _Optional[_Union[PrivateKeyJwtAuth, _Mapping]] = ..., client_secret_basic: _Optional[_Union[ClientSecretBasicAuth, _Mapping]] = ..., client_secret_post: _Optional[_Union[ClientSecretPostAuth, _Mapping]] = ..., none: _Optional[_Union[NoAuth, _Mapping]] = ..., grant_types: _Optional[_Iterable[_Union[GrantType, str]]] = ..., scopes: _Optional[_Iterable[str]] = ..., audiences: _Optional[_Iterable[str]] = ..., default_audience: _Optional[str] = ..., resources: _Optional[_Iterable[str]] = ..., certificate_bound_access_tokens: _Optional[bool] = ..., access_token_lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., disabled: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., dpop_bound_access_tokens: _Optional[bool] = ..., redirect_uris: _Optional[_Iterable[str]] = ..., require_pushed_authorization_requests: _Optional[bool] = ..., access_token_format: _Optional[_Union[AccessTokenFormat, str]] = ..., token_exchange: _Optional[_Union[TokenExchangePolicy, _Mapping]] = ..., introspection_signed_response_alg: _Optional[str] = ...) -> None: ...

class TlsClientAuth(_message.Message):
    __slots__ = ("subject_dn", "san_dns", "san_uri", "san_ip", "san_email")
    SUBJECT_DN_FIELD_NUMBER: _ClassVar[int]
    SAN_DNS_FIELD_NUMBER: _ClassVar[int]
    SAN_URI_FIELD_NUMBER: _ClassVar[int]
    SAN_IP_FIELD_NUMBER: _ClassVar[int]
    SAN_EMAIL_FIELD_NUMBER: _ClassVar[int]
    subject_dn: str
    san_dns: str
    san_uri: str
    san_ip: str
    san_email: str
    def __init__(self, subject_dn: _Optional[str] = ..., san_dns: _Optional[str] = ..., san_uri: _Optional[str] = ..., san_ip: _Optional[str] = ..., san_email: _Optional[str] = ...) -> None: ...

class SelfSignedTlsClientAuth(_message.Message):
    __slots__ = ("certificates", "jwks", "jwks_uri")
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    JWKS_FIELD_NUMBER: _ClassVar[int]
    JWKS_URI_FIELD_NUMBER: _ClassVar[int]
    certificates: _containers.RepeatedScalarFieldContainer[bytes]
    jwks: str
    jwks_uri: str
    def __init__(self, certificates: _Optional[_Iterable[bytes]] = ..., jwks: _Optional[str] = ..., jwks_uri: _Optional[str] = ...) -> None: ...

class PrivateKeyJwtAuth(_message.Message):
    __slots__ = ("jwks", "jwks_uri")
    JWKS_FIELD_NUMBER: _ClassVar[int]
    JWKS_URI_FIELD_NUMBER: _ClassVar[int]
    jwks: str
    jwks_uri: str
    def __init__(self, jwks: _Optional[str] = ..., jwks_uri: _Optional[str] = ...) -> None: ...

class ClientSecretBasicAuth(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClientSecretPostAuth(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NoAuth(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TokenExchangePolicy(_message.Message):
    __slots__ = ("impersonation", "bound_subject_tokens")
    IMPERSONATION_FIELD_NUMBER: _ClassVar[int]
    BOUND_SUBJECT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    impersonation: bool
    bound_subject_tokens: bool
    def __init__(self, impersonation: _Optional[bool] = ..., bound_subject_tokens: _Optional[bool] = ...) -> None: ...

class CreateClientRequest(_message.Message):
    __slots__ = ("request_id", "client_id", "client")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    client_id: str
    client: Client
    def __init__(self, request_id: _Optional[str] = ..., client_id: _Optional[str] = ..., client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class CreateClientResponse(_message.Message):
    __slots__ = ("client", "client_secret")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    client: Client
    client_secret: str
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., client_secret: _Optional[str] = ...) -> None: ...

class GetClientRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetClientResponse(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class ListClientsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListClientsResponse(_message.Message):
    __slots__ = ("clients", "next_page_token")
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    clients: _containers.RepeatedCompositeFieldContainer[Client]
    next_page_token: str
    def __init__(self, clients: _Optional[_Iterable[_Union[Client, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateClientRequest(_message.Message):
    __slots__ = ("client", "update_mask")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    client: Client
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateClientResponse(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: Client
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ...) -> None: ...

class DeleteClientRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class DeleteClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RotateClientSecretRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RotateClientSecretResponse(_message.Message):
    __slots__ = ("client", "client_secret")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    client: Client
    client_secret: str
    def __init__(self, client: _Optional[_Union[Client, _Mapping]] = ..., client_secret: _Optional[str] = ...) -> None: ...
