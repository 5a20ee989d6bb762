import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TokenType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_TYPE_UNSPECIFIED: _ClassVar[TokenType]
    TOKEN_TYPE_BEARER: _ClassVar[TokenType]
    TOKEN_TYPE_DPOP: _ClassVar[TokenType]
TOKEN_TYPE_UNSPECIFIED: TokenType
TOKEN_TYPE_BEARER: TokenType
TOKEN_TYPE_DPOP: TokenType

class AccessToken(_message.Message):
    __slots__ = ("value", "type", "issue_time", "expire_time", "scope", "token_id", "audience", "confirmation")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    value: str
    type: TokenType
    issue_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    scope: _containers.RepeatedScalarFieldContainer[str]
    token_id: str
    audience: _containers.RepeatedScalarFieldContainer[str]
    confirmation: Confirmation
    def __init__(self, value: _Optional[str] = ..., type: _Optional[_Union[TokenType, str]] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., scope: _Optional[_Iterable[str]] = ..., token_id: _Optional[str] = ..., audience: _Optional[_Iterable[str]] = ..., confirmation: _Optional[_Union[Confirmation, _Mapping]] = ...) -> None: ...

class Confirmation(_message.Message):
    __slots__ = ("x5t_s256", "jkt")
    X5T_S256_FIELD_NUMBER: _ClassVar[int]
    JKT_FIELD_NUMBER: _ClassVar[int]
    x5t_s256: bytes
    jkt: bytes
    def __init__(self, x5t_s256: _Optional[bytes] = ..., jkt: _Optional[bytes] = ...) -> None: ...
