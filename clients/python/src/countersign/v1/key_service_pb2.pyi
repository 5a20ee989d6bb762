import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KeyPurpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_PURPOSE_UNSPECIFIED: _ClassVar[KeyPurpose]
    KEY_PURPOSE_TOKENS: _ClassVar[KeyPurpose]
    KEY_PURPOSE_INTROSPECTION: _ClassVar[KeyPurpose]
    KEY_PURPOSE_CERTIFICATES: _ClassVar[KeyPurpose]
    KEY_PURPOSE_PRESENTATION_REQUESTS: _ClassVar[KeyPurpose]
    KEY_PURPOSE_LINKED_DOMAINS: _ClassVar[KeyPurpose]
    KEY_PURPOSE_STATUS_LISTS: _ClassVar[KeyPurpose]
    KEY_PURPOSE_CLIENT_ACCESS_TOKENS: _ClassVar[KeyPurpose]
    KEY_PURPOSE_OCSP_RESPONSES: _ClassVar[KeyPurpose]
    KEY_PURPOSE_DELEGATION: _ClassVar[KeyPurpose]
    KEY_PURPOSE_AUDIT: _ClassVar[KeyPurpose]

class SignatureAlgorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNATURE_ALGORITHM_UNSPECIFIED: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_EDDSA: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_ES256: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_ES384: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_ES512: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_ES256K: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_RS256: _ClassVar[SignatureAlgorithm]
    SIGNATURE_ALGORITHM_PS256: _ClassVar[SignatureAlgorithm]

class KeyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_STATE_UNSPECIFIED: _ClassVar[KeyState]
    KEY_STATE_PREPARED: _ClassVar[KeyState]
    KEY_STATE_ACTIVE: _ClassVar[KeyState]
    KEY_STATE_RETIRING: _ClassVar[KeyState]
    KEY_STATE_RETIRED: _ClassVar[KeyState]
    KEY_STATE_DISABLED: _ClassVar[KeyState]

class KeyCheckOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_CHECK_OUTCOME_UNSPECIFIED: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_VERIFIED: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_NOT_FOUND: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_AMBIGUOUS: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_UNUSABLE: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_MISMATCH: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_PIN_REFUSED: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_UNAVAILABLE: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_BUSY: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_TIMED_OUT: _ClassVar[KeyCheckOutcome]
    KEY_CHECK_OUTCOME_SIGNATURE_INVALID: _ClassVar[KeyCheckOutcome]
KEY_PURPOSE_UNSPECIFIED: KeyPurpose
KEY_PURPOSE_TOKENS: KeyPurpose
KEY_PURPOSE_INTROSPECTION: KeyPurpose
KEY_PURPOSE_CERTIFICATES: KeyPurpose
KEY_PURPOSE_PRESENTATION_REQUESTS: KeyPurpose
KEY_PURPOSE_LINKED_DOMAINS: KeyPurpose
KEY_PURPOSE_STATUS_LISTS: KeyPurpose
KEY_PURPOSE_CLIENT_ACCESS_TOKENS: KeyPurpose
KEY_PURPOSE_OCSP_RESPONSES: KeyPurpose
KEY_PURPOSE_DELEGATION: KeyPurpose
KEY_PURPOSE_AUDIT: KeyPurpose
SIGNATURE_ALGORITHM_UNSPECIFIED: SignatureAlgorithm
SIGNATURE_ALGORITHM_EDDSA: SignatureAlgorithm
SIGNATURE_ALGORITHM_ES256: SignatureAlgorithm
SIGNATURE_ALGORITHM_ES384: SignatureAlgorithm
SIGNATURE_ALGORITHM_ES512: SignatureAlgorithm
SIGNATURE_ALGORITHM_ES256K: SignatureAlgorithm
SIGNATURE_ALGORITHM_RS256: SignatureAlgorithm
SIGNATURE_ALGORITHM_PS256: SignatureAlgorithm
KEY_STATE_UNSPECIFIED: KeyState
KEY_STATE_PREPARED: KeyState
KEY_STATE_ACTIVE: KeyState
KEY_STATE_RETIRING: KeyState
KEY_STATE_RETIRED: KeyState
KEY_STATE_DISABLED: KeyState
KEY_CHECK_OUTCOME_UNSPECIFIED: KeyCheckOutcome
KEY_CHECK_OUTCOME_VERIFIED: KeyCheckOutcome
KEY_CHECK_OUTCOME_NOT_FOUND: KeyCheckOutcome
KEY_CHECK_OUTCOME_AMBIGUOUS: KeyCheckOutcome
KEY_CHECK_OUTCOME_UNUSABLE: KeyCheckOutcome
KEY_CHECK_OUTCOME_MISMATCH: KeyCheckOutcome
KEY_CHECK_OUTCOME_PIN_REFUSED: KeyCheckOutcome
KEY_CHECK_OUTCOME_UNAVAILABLE: KeyCheckOutcome
KEY_CHECK_OUTCOME_BUSY: KeyCheckOutcome
KEY_CHECK_OUTCOME_TIMED_OUT: KeyCheckOutcome
KEY_CHECK_OUTCOME_SIGNATURE_INVALID: KeyCheckOutcome

class Key(_message.Message):
    __slots__ = ("name", "purpose", "algorithm", "state", "uri", "backend", "public_key_der", "public_key_sha256", "create_time", "activate_time", "retire_time", "disable_time", "disable_reason", "last_error", "etag", "certificates_der", "issuer", "sign_until_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_DER_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_SHA256_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RETIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DISABLE_TIME_FIELD_NUMBER: _ClassVar[int]
    DISABLE_REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_DER_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SIGN_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    purpose: KeyPurpose
    algorithm: SignatureAlgorithm
    state: KeyState
    uri: str
    backend: str
    public_key_der: bytes
    public_key_sha256: bytes
    create_time: _timestamp_pb2.Timestamp
    activate_time: _timestamp_pb2.Timestamp
    retire_time: _timestamp_pb2.Timestamp
    disable_time: _timestamp_pb2.Timestamp
    disable_reason: str
    last_error: str
    etag: str
    certificates_der: _containers.RepeatedScalarFieldContainer[bytes]
    issuer: str
    sign_until_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., purpose: _Optional[_Union[KeyPurpose, str]] = ..., algorithm: _Optional[_Union[SignatureAlgorithm, str]] = ..., state: _Optional[_Union[KeyState, str]] = ..., uri: _Optional[str] = ..., backend: _Optional[str] = ..., public_key_der: _Optional[bytes] = ..., public_key_sha256: _Optional[bytes] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., activate_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., disable_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., disable_reason: _Optional[str] = ..., last_error: _Optional[str] = ..., etag: _Optional[str] = ..., certificates_der: _Optional[_Iterable[bytes]] = ..., issuer: _Optional[str] = ..., sign_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "purpose", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    purpose: KeyPurpose
    state: KeyState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., purpose: _Optional[_Union[KeyPurpose, str]] = ..., state: _Optional[_Union[KeyState, str]] = ...) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys", "next_page_token")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[Key]
    next_page_token: str
    def __init__(self, keys: _Optional[_Iterable[_Union[Key, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetKeyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: Key
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class CreateKeyRequest(_message.Message):
    __slots__ = ("request_id", "purpose", "algorithm", "create_uri", "existing_uri")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    CREATE_URI_FIELD_NUMBER: _ClassVar[int]
    EXISTING_URI_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    purpose: KeyPurpose
    algorithm: SignatureAlgorithm
    create_uri: str
    existing_uri: str
    def __init__(self, request_id: _Optional[str] = ..., purpose: _Optional[_Union[KeyPurpose, str]] = ..., algorithm: _Optional[_Union[SignatureAlgorithm, str]] = ..., create_uri: _Optional[str] = ..., existing_uri: _Optional[str] = ...) -> None: ...

class CreateKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: Key
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class RotateKeyRequest(_message.Message):
    __slots__ = ("request_id", "purpose", "algorithm", "name", "etag")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    purpose: KeyPurpose
    algorithm: SignatureAlgorithm
    name: str
    etag: str
    def __init__(self, request_id: _Optional[str] = ..., purpose: _Optional[_Union[KeyPurpose, str]] = ..., algorithm: _Optional[_Union[SignatureAlgorithm, str]] = ..., name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RotateKeyResponse(_message.Message):
    __slots__ = ("active_key", "retiring_key")
    ACTIVE_KEY_FIELD_NUMBER: _ClassVar[int]
    RETIRING_KEY_FIELD_NUMBER: _ClassVar[int]
    active_key: Key
    retiring_key: Key
    def __init__(self, active_key: _Optional[_Union[Key, _Mapping]] = ..., retiring_key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class DisableKeyRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DisableKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: Key
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class CheckKeyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CheckKeyResponse(_message.Message):
    __slots__ = ("name", "outcome", "duration", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    outcome: KeyCheckOutcome
    duration: _duration_pb2.Duration
    detail: str
    def __init__(self, name: _Optional[str] = ..., outcome: _Optional[_Union[KeyCheckOutcome, str]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., detail: _Optional[str] = ...) -> None: ...
