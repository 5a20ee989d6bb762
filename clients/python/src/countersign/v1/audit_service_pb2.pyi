import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetAuditLogHeadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAuditLogHeadResponse(_message.Message):
    __slots__ = ("head",)
    HEAD_FIELD_NUMBER: _ClassVar[int]
    head: AuditLogHead
    def __init__(self, head: _Optional[_Union[AuditLogHead, _Mapping]] = ...) -> None: ...

class AuditLogHead(_message.Message):
    __slots__ = ("sequence_number", "hash", "pruned_sequence_number", "last_checkpoint", "enabled")
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PRUNED_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LAST_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    sequence_number: int
    hash: bytes
    pruned_sequence_number: int
    last_checkpoint: AuditCheckpoint
    enabled: bool
    def __init__(self, sequence_number: _Optional[int] = ..., hash: _Optional[bytes] = ..., pruned_sequence_number: _Optional[int] = ..., last_checkpoint: _Optional[_Union[AuditCheckpoint, _Mapping]] = ..., enabled: _Optional[bool] = ...) -> None: ...

class AuditCheckpoint(_message.Message):
    __slots__ = ("sequence_number", "sign_time", "jws")
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SIGN_TIME_FIELD_NUMBER: _ClassVar[int]
    JWS_FIELD_NUMBER: _ClassVar[int]
    sequence_number: int
    sign_time: _timestamp_pb2.Timestamp
    jws: str
    def __init__(self, sequence_number: _Optional[int] = ..., sign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., jws: _Optional[str] = ...) -> None: ...

class ExportAuditLogRequest(_message.Message):
    __slots__ = ("first_sequence_number", "start_time", "last_sequence_number", "end_time", "max_segments")
    FIRST_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    first_sequence_number: int
    start_time: _timestamp_pb2.Timestamp
    last_sequence_number: int
    end_time: _timestamp_pb2.Timestamp
    max_segments: int
    def __init__(self, first_sequence_number: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sequence_number: _Optional[int] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_segments: _Optional[int] = ...) -> None: ...

class ExportAuditLogResponse(_message.Message):
    __slots__ = ("lines", "next_sequence_number")
    LINES_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedScalarFieldContainer[bytes]
    next_sequence_number: int
    def __init__(self, lines: _Optional[_Iterable[bytes]] = ..., next_sequence_number: _Optional[int] = ...) -> None: ...
