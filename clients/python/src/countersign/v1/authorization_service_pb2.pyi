import datetime

from countersign.v1 import client_authentication_pb2 as _client_authentication_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuthorizationRequest(_message.Message):
    __slots__ = ("redirect_uri", "scope", "resource", "code_challenge", "dpop_jkt", "state", "prompt", "max_age")
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CODE_CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    DPOP_JKT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    redirect_uri: str
    scope: _containers.RepeatedScalarFieldContainer[str]
    resource: _containers.RepeatedScalarFieldContainer[str]
    code_challenge: str
    dpop_jkt: str
    state: str
    prompt: str
    max_age: _duration_pb2.Duration
    def __init__(self, redirect_uri: _Optional[str] = ..., scope: _Optional[_Iterable[str]] = ..., resource: _Optional[_Iterable[str]] = ..., code_challenge: _Optional[str] = ..., dpop_jkt: _Optional[str] = ..., state: _Optional[str] = ..., prompt: _Optional[str] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PushAuthorizationRequestRequest(_message.Message):
    __slots__ = ("client_id", "authentication", "request")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    authentication: _client_authentication_pb2.ClientAuthentication
    request: AuthorizationRequest
    def __init__(self, client_id: _Optional[str] = ..., authentication: _Optional[_Union[_client_authentication_pb2.ClientAuthentication, _Mapping]] = ..., request: _Optional[_Union[AuthorizationRequest, _Mapping]] = ...) -> None: ...

class PushAuthorizationRequestResponse(_message.Message):
    __slots__ = ("request_uri", "expires_in")
    REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    request_uri: str
    expires_in: _duration_pb2.Duration
    def __init__(self, request_uri: _Optional[str] = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateAuthorizationCodeRequest(_message.Message):
    __slots__ = ("client_id", "request_uri", "authorization_request", "subject", "auth_time", "acr", "amr")
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_REQUEST_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    AUTH_TIME_FIELD_NUMBER: _ClassVar[int]
    ACR_FIELD_NUMBER: _ClassVar[int]
    AMR_FIELD_NUMBER: _ClassVar[int]
    client_id: str
    request_uri: str
    authorization_request: AuthorizationRequest
    subject: str
    auth_time: _timestamp_pb2.Timestamp
    acr: str
    amr: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, client_id: _Optional[str] = ..., request_uri: _Optional[str] = ..., authorization_request: _Optional[_Union[AuthorizationRequest, _Mapping]] = ..., subject: _Optional[str] = ..., auth_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acr: _Optional[str] = ..., amr: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateAuthorizationCodeResponse(_message.Message):
    __slots__ = ("code", "expire_time", "redirect_uri", "state", "issuer")
    CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    code: str
    expire_time: _timestamp_pb2.Timestamp
    redirect_uri: str
    state: str
    issuer: str
    def __init__(self, code: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., redirect_uri: _Optional[str] = ..., state: _Optional[str] = ..., issuer: _Optional[str] = ...) -> None: ...
