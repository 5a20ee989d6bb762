import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PresentationRequestState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESENTATION_REQUEST_STATE_UNSPECIFIED: _ClassVar[PresentationRequestState]
    PRESENTATION_REQUEST_STATE_CREATED: _ClassVar[PresentationRequestState]
    PRESENTATION_REQUEST_STATE_FETCHED: _ClassVar[PresentationRequestState]
    PRESENTATION_REQUEST_STATE_SUBMITTED: _ClassVar[PresentationRequestState]
    PRESENTATION_REQUEST_STATE_VERIFIED: _ClassVar[PresentationRequestState]
    PRESENTATION_REQUEST_STATE_REFUSED: _ClassVar[PresentationRequestState]
    PRESENTATION_REQUEST_STATE_EXPIRED: _ClassVar[PresentationRequestState]

class PresentationCheckOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESENTATION_CHECK_OUTCOME_UNSPECIFIED: _ClassVar[PresentationCheckOutcome]
    PRESENTATION_CHECK_OUTCOME_PASSED: _ClassVar[PresentationCheckOutcome]
    PRESENTATION_CHECK_OUTCOME_FAILED: _ClassVar[PresentationCheckOutcome]
    PRESENTATION_CHECK_OUTCOME_SKIPPED: _ClassVar[PresentationCheckOutcome]
    PRESENTATION_CHECK_OUTCOME_UNKNOWN: _ClassVar[PresentationCheckOutcome]

class CredentialState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDENTIAL_STATE_UNSPECIFIED: _ClassVar[CredentialState]
    CREDENTIAL_STATE_ACTIVE: _ClassVar[CredentialState]
    CREDENTIAL_STATE_SUSPENDED: _ClassVar[CredentialState]
    CREDENTIAL_STATE_REVOKED: _ClassVar[CredentialState]

class PresentationResponseMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESENTATION_RESPONSE_MODE_UNSPECIFIED: _ClassVar[PresentationResponseMode]
    PRESENTATION_RESPONSE_MODE_POST: _ClassVar[PresentationResponseMode]
    PRESENTATION_RESPONSE_MODE_DIRECT_POST: _ClassVar[PresentationResponseMode]
PRESENTATION_REQUEST_STATE_UNSPECIFIED: PresentationRequestState
PRESENTATION_REQUEST_STATE_CREATED: PresentationRequestState
PRESENTATION_REQUEST_STATE_FETCHED: PresentationRequestState
PRESENTATION_REQUEST_STATE_SUBMITTED: PresentationRequestState
PRESENTATION_REQUEST_STATE_VERIFIED: PresentationRequestState
PRESENTATION_REQUEST_STATE_REFUSED: PresentationRequestState
PRESENTATION_REQUEST_STATE_EXPIRED: PresentationRequestState
PRESENTATION_CHECK_OUTCOME_UNSPECIFIED: PresentationCheckOutcome
PRESENTATION_CHECK_OUTCOME_PASSED: PresentationCheckOutcome
PRESENTATION_CHECK_OUTCOME_FAILED: PresentationCheckOutcome
PRESENTATION_CHECK_OUTCOME_SKIPPED: PresentationCheckOutcome
PRESENTATION_CHECK_OUTCOME_UNKNOWN: PresentationCheckOutcome
CREDENTIAL_STATE_UNSPECIFIED: CredentialState
CREDENTIAL_STATE_ACTIVE: CredentialState
CREDENTIAL_STATE_SUSPENDED: CredentialState
CREDENTIAL_STATE_REVOKED: CredentialState
PRESENTATION_RESPONSE_MODE_UNSPECIFIED: PresentationResponseMode
PRESENTATION_RESPONSE_MODE_POST: PresentationResponseMode
PRESENTATION_RESPONSE_MODE_DIRECT_POST: PresentationResponseMode

class PresentationRequest(_message.Message):
    __slots__ = ("name", "verifier", "state", "authorization_request_uri", "request_uri", "create_time", "expire_time", "fetch_time", "submit_time", "verification", "wallet_error", "nonce", "response_code")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    FETCH_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    WALLET_ERROR_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    verifier: str
    state: PresentationRequestState
    authorization_request_uri: str
    request_uri: str
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    fetch_time: _timestamp_pb2.Timestamp
    submit_time: _timestamp_pb2.Timestamp
    verification: PresentationVerification
    wallet_error: str
    nonce: str
    response_code: str
    def __init__(self, name: _Optional[str] = ..., verifier: _Optional[str] = ..., state: _Optional[_Union[PresentationRequestState, str]] = ..., authorization_request_uri: _Optional[str] = ..., request_uri: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fetch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., submit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verification: _Optional[_Union[PresentationVerification, _Mapping]] = ..., wallet_error: _Optional[str] = ..., nonce: _Optional[str] = ..., response_code: _Optional[str] = ...) -> None: ...

class PresentationVerification(_message.Message):
    __slots__ = ("accepted", "checks", "holder", "credentials", "evaluation_time", "at_time")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_TIME_FIELD_NUMBER: _ClassVar[int]
    AT_TIME_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    checks: _containers.RepeatedCompositeFieldContainer[PresentationCheck]
    holder: str
    credentials: _containers.RepeatedCompositeFieldContainer[PresentedCredential]
    evaluation_time: _timestamp_pb2.Timestamp
    at_time: bool
    def __init__(self, accepted: _Optional[bool] = ..., checks: _Optional[_Iterable[_Union[PresentationCheck, _Mapping]]] = ..., holder: _Optional[str] = ..., credentials: _Optional[_Iterable[_Union[PresentedCredential, _Mapping]]] = ..., evaluation_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., at_time: _Optional[bool] = ...) -> None: ...

class PresentationCheck(_message.Message):
    __slots__ = ("code", "outcome", "clause", "path", "detail", "advisory", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CLAUSE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ADVISORY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: str
    outcome: PresentationCheckOutcome
    clause: str
    path: str
    detail: str
    advisory: bool
    reason: str
    def __init__(self, code: _Optional[str] = ..., outcome: _Optional[_Union[PresentationCheckOutcome, str]] = ..., clause: _Optional[str] = ..., path: _Optional[str] = ..., detail: _Optional[str] = ..., advisory: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class PresentedCredential(_message.Message):
    __slots__ = ("descriptor_id", "issuer", "subject", "types", "credential", "state", "linked_origin")
    DESCRIPTOR_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LINKED_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    descriptor_id: str
    issuer: str
    subject: str
    types: _containers.RepeatedScalarFieldContainer[str]
    credential: _struct_pb2.Struct
    state: CredentialState
    linked_origin: str
    def __init__(self, descriptor_id: _Optional[str] = ..., issuer: _Optional[str] = ..., subject: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., credential: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., state: _Optional[_Union[CredentialState, str]] = ..., linked_origin: _Optional[str] = ...) -> None: ...

class VerifiedEmployeeQuery(_message.Message):
    __slots__ = ("required_claims", "purpose")
    REQUIRED_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    required_claims: _containers.RepeatedScalarFieldContainer[str]
    purpose: str
    def __init__(self, required_claims: _Optional[_Iterable[str]] = ..., purpose: _Optional[str] = ...) -> None: ...

class CreatePresentationRequestRequest(_message.Message):
    __slots__ = ("verifier", "presentation_definition", "verified_employee", "nonce", "state_parameter", "purpose", "client_name", "response_uri", "response_mode", "lifetime", "qr_code", "return_uri")
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_DEFINITION_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_EMPLOYEE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    STATE_PARAMETER_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_URI_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_MODE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    QR_CODE_FIELD_NUMBER: _ClassVar[int]
    RETURN_URI_FIELD_NUMBER: _ClassVar[int]
    verifier: str
    presentation_definition: str
    verified_employee: VerifiedEmployeeQuery
    nonce: str
    state_parameter: str
    purpose: str
    client_name: str
    response_uri: str
    response_mode: PresentationResponseMode
    lifetime: _duration_pb2.Duration
    qr_code: bool
    return_uri: str
    def __init__(self, verifier: _Optional[str] = ..., presentation_definition: _Optional[str] = ..., verified_employee: _Optional[_Union[VerifiedEmployeeQuery, _Mapping]] = ..., nonce: _Optional[str] = ..., state_parameter: _Optional[str] = ..., purpose: _Optional[str] = ..., client_name: _Optional[str] = ..., response_uri: _Optional[str] = ..., response_mode: _Optional[_Union[PresentationResponseMode, str]] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., qr_code: _Optional[bool] = ..., return_uri: _Optional[str] = ...) -> None: ...

class CreatePresentationRequestResponse(_message.Message):
    __slots__ = ("request", "qr_svg", "qr_png")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    QR_SVG_FIELD_NUMBER: _ClassVar[int]
    QR_PNG_FIELD_NUMBER: _ClassVar[int]
    request: PresentationRequest
    qr_svg: bytes
    qr_png: bytes
    def __init__(self, request: _Optional[_Union[PresentationRequest, _Mapping]] = ..., qr_svg: _Optional[bytes] = ..., qr_png: _Optional[bytes] = ...) -> None: ...

class GetPresentationRequestRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetPresentationRequestResponse(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: PresentationRequest
    def __init__(self, request: _Optional[_Union[PresentationRequest, _Mapping]] = ...) -> None: ...

class WatchPresentationRequestRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchPresentationRequestResponse(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: PresentationRequest
    def __init__(self, request: _Optional[_Union[PresentationRequest, _Mapping]] = ...) -> None: ...

class GetRequestObjectRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetRequestObjectResponse(_message.Message):
    __slots__ = ("request_object",)
    REQUEST_OBJECT_FIELD_NUMBER: _ClassVar[int]
    request_object: str
    def __init__(self, request_object: _Optional[str] = ...) -> None: ...

class SubmitPresentationRequest(_message.Message):
    __slots__ = ("state_parameter", "id_token", "vp_token", "error")
    STATE_PARAMETER_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VP_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    state_parameter: str
    id_token: str
    vp_token: str
    error: str
    def __init__(self, state_parameter: _Optional[str] = ..., id_token: _Optional[str] = ..., vp_token: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class SubmitPresentationResponse(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: PresentationRequest
    def __init__(self, request: _Optional[_Union[PresentationRequest, _Mapping]] = ...) -> None: ...

class VerifyPresentationRequest(_message.Message):
    __slots__ = ("verifier", "presentation_definition", "nonce", "id_token", "vp_token", "at_time")
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_DEFINITION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VP_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AT_TIME_FIELD_NUMBER: _ClassVar[int]
    verifier: str
    presentation_definition: str
    nonce: str
    id_token: str
    vp_token: str
    at_time: _timestamp_pb2.Timestamp
    def __init__(self, verifier: _Optional[str] = ..., presentation_definition: _Optional[str] = ..., nonce: _Optional[str] = ..., id_token: _Optional[str] = ..., vp_token: _Optional[str] = ..., at_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VerifyPresentationResponse(_message.Message):
    __slots__ = ("verification",)
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    verification: PresentationVerification
    def __init__(self, verification: _Optional[_Union[PresentationVerification, _Mapping]] = ...) -> None: ...
