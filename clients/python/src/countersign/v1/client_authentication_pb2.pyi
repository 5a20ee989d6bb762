from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientAuthentication(_message.Message):
    __slots__ = ("private_key_jwt", "client_secret")
    PRIVATE_KEY_JWT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    private_key_jwt: PrivateKeyJwt
    client_secret: ClientSecret
    def __init__(self, private_key_jwt: _Optional[_Union[PrivateKeyJwt, _Mapping]] = ..., client_secret: _Optional[_Union[ClientSecret, _Mapping]] = ...) -> None: ...

class PrivateKeyJwt(_message.Message):
    __slots__ = ("assertion",)
    ASSERTION_FIELD_NUMBER: _ClassVar[int]
    assertion: str
    def __init__(self, assertion: _Optional[str] = ...) -> None: ...

class ClientSecret(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: str
    def __init__(self, secret: _Optional[str] = ...) -> None: ...
