import datetime

from countersign.v1 import access_token_pb2 as _access_token_pb2
from countersign.v1 import client_authentication_pb2 as _client_authentication_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TokenTypeHint(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_TYPE_HINT_UNSPECIFIED: _ClassVar[TokenTypeHint]
    TOKEN_TYPE_HINT_ACCESS_TOKEN: _ClassVar[TokenTypeHint]
    TOKEN_TYPE_HINT_REFRESH_TOKEN: _ClassVar[TokenTypeHint]
TOKEN_TYPE_HINT_UNSPECIFIED: TokenTypeHint
TOKEN_TYPE_HINT_ACCESS_TOKEN: TokenTypeHint
TOKEN_TYPE_HINT_REFRESH_TOKEN: TokenTypeHint

class IntrospectTokenRequest(_message.Message):
    __slots__ = ("token", "token_type_hint", "client_id", "authentication", "sign_response")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TYPE_HINT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    SIGN_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    token: str
    token_type_hint: TokenTypeHint
    client_id: str
    authentication: _client_authentication_pb2.ClientAuthentication
    sign_response: bool
    def __init__(self, token: _Optional[str] = ..., token_type_hint: _Optional[_Union[TokenTypeHint, str]] = ..., client_id: _Optional[str] = ..., authentication: _Optional[_Union[_client_authentication_pb2.ClientAuthentication, _Mapping]] = ..., sign_response: _Optional[bool] = ...) -> None: ...

class IntrospectTokenResponse(_message.Message):
    __slots__ = ("active", "token", "signed_response")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SIGNED_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    active: bool
    token: IntrospectedToken
    signed_response: str
    def __init__(self, active: _Optional[bool] = ..., token: _Optional[_Union[IntrospectedToken, _Mapping]] = ..., signed_response: _Optional[str] = ...) -> None: ...

class WatchRevocationsRequest(_message.Message):
    __slots__ = ("cursor",)
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    def __init__(self, cursor: _Optional[str] = ...) -> None: ...

class WatchRevocationsResponse(_message.Message):
    __slots__ = ("revocations", "cursor")
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    revocations: _containers.RepeatedCompositeFieldContainer[Revocation]
    cursor: str
    def __init__(self, revocations: _Optional[_Iterable[_Union[Revocation, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class Revocation(_message.Message):
    __slots__ = ("token_id", "grant_id", "revoke_time", "expire_time")
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    grant_id: str
    revoke_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, token_id: _Optional[str] = ..., grant_id: _Optional[str] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BatchIntrospectTokensRequest(_message.Message):
    __slots__ = ("items", "client_id", "authentication")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[BatchIntrospectTokensItem]
    client_id: str
    authentication: _client_authentication_pb2.ClientAuthentication
    def __init__(self, items: _Optional[_Iterable[_Union[BatchIntrospectTokensItem, _Mapping]]] = ..., client_id: _Optional[str] = ..., authentication: _Optional[_Union[_client_authentication_pb2.ClientAuthentication, _Mapping]] = ...) -> None: ...

class BatchIntrospectTokensItem(_message.Message):
    __slots__ = ("token", "token_type_hint")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TYPE_HINT_FIELD_NUMBER: _ClassVar[int]
    token: str
    token_type_hint: TokenTypeHint
    def __init__(self, token: _Optional[str] = ..., token_type_hint: _Optional[_Union[TokenTypeHint, str]] = ...) -> None: ...

class BatchIntrospectTokensResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchIntrospectTokensResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchIntrospectTokensResult, _Mapping]]] = ...) -> None: ...

class BatchIntrospectTokensResult(_message.Message):
    __slots__ = ("active", "token")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    active: bool
    token: IntrospectedToken
    def __init__(self, active: _Optional[bool] = ..., token: _Optional[_Union[IntrospectedToken, _Mapping]] = ...) -> None: ...

class IntrospectedToken(_message.Message):
    __slots__ = ("scope", "client_id", "username", "token_type", "issue_time", "not_before_time", "expire_time", "subject", "audience", "issuer", "token_id", "confirmation", "additional_claims", "auth_time", "acr", "amr", "grant_id", "actor")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TYPE_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    ADDITIONAL_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    AUTH_TIME_FIELD_NUMBER: _ClassVar[int]
    ACR_FIELD_NUMBER: _ClassVar[int]
    AMR_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    scope: _containers.RepeatedScalarFieldContainer[str]
    client_id: str
    username: str
    token_type: _access_token_pb2.TokenType
    issue_time: _timestamp_pb2.Timestamp
    not_before_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    subject: str
    audience: _containers.RepeatedScalarFieldContainer[str]
    issuer: str
    token_id: str
    confirmation: _access_token_pb2.Confirmation
    additional_claims: _struct_pb2.Struct
    auth_time: _timestamp_pb2.Timestamp
    acr: str
    amr: _containers.RepeatedScalarFieldContainer[str]
    grant_id: str
    actor: Actor
    def __init__(self, scope: _Optional[_Iterable[str]] = ..., client_id: _Optional[str] = ..., username: _Optional[str] = ..., token_type: _Optional[_Union[_access_token_pb2.TokenType, str]] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_before_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., subject: _Optional[str] = ..., audience: _Optional[_Iterable[str]] = ..., issuer: _Optional[str] = ..., token_id: _Optional[str] = ..., confirmation: _Optional[_Union[_access_token_pb2.Confirmation, _Mapping]] = ..., additional_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., auth_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acr: _Optional[str] = ..., amr: _Optional[_Iterable[str]] = ..., grant_id: _Optional[str] = ..., actor: _Optional[_Union[Actor, _Mapping]] = ...) -> None: ...

class Actor(_message.Message):
    __slots__ = ("subject", "prior")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PRIOR_FIELD_NUMBER: _ClassVar[int]
    subject: str
    prior: Actor
    def __init__(self, subject: _Optional[str] = ..., prior: _Optional[_Union[Actor, _Mapping]] = ...) -> None: ...
