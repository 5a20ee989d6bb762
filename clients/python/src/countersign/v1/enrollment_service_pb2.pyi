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

class AccountStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCOUNT_STATUS_UNSPECIFIED: _ClassVar[AccountStatus]
    ACCOUNT_STATUS_VALID: _ClassVar[AccountStatus]
    ACCOUNT_STATUS_DEACTIVATED: _ClassVar[AccountStatus]
    ACCOUNT_STATUS_REVOKED: _ClassVar[AccountStatus]

class OrderStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_STATUS_UNSPECIFIED: _ClassVar[OrderStatus]
    ORDER_STATUS_PENDING: _ClassVar[OrderStatus]
    ORDER_STATUS_READY: _ClassVar[OrderStatus]
    ORDER_STATUS_PROCESSING: _ClassVar[OrderStatus]
    ORDER_STATUS_VALID: _ClassVar[OrderStatus]
    ORDER_STATUS_INVALID: _ClassVar[OrderStatus]

class AuthorizationStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTHORIZATION_STATUS_UNSPECIFIED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_PENDING: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_VALID: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_INVALID: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_DEACTIVATED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_EXPIRED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_REVOKED: _ClassVar[AuthorizationStatus]

class ChallengeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHALLENGE_STATUS_UNSPECIFIED: _ClassVar[ChallengeStatus]
    CHALLENGE_STATUS_PENDING: _ClassVar[ChallengeStatus]
    CHALLENGE_STATUS_VALID: _ClassVar[ChallengeStatus]
    CHALLENGE_STATUS_INVALID: _ClassVar[ChallengeStatus]

class RevocationReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVOCATION_REASON_UNSPECIFIED: _ClassVar[RevocationReason]
    REVOCATION_REASON_KEY_COMPROMISE: _ClassVar[RevocationReason]
    REVOCATION_REASON_AFFILIATION_CHANGED: _ClassVar[RevocationReason]
    REVOCATION_REASON_SUPERSEDED: _ClassVar[RevocationReason]
    REVOCATION_REASON_CESSATION_OF_OPERATION: _ClassVar[RevocationReason]
    REVOCATION_REASON_PRIVILEGE_WITHDRAWN: _ClassVar[RevocationReason]
ACCOUNT_STATUS_UNSPECIFIED: AccountStatus
ACCOUNT_STATUS_VALID: AccountStatus
ACCOUNT_STATUS_DEACTIVATED: AccountStatus
ACCOUNT_STATUS_REVOKED: AccountStatus
ORDER_STATUS_UNSPECIFIED: OrderStatus
ORDER_STATUS_PENDING: OrderStatus
ORDER_STATUS_READY: OrderStatus
ORDER_STATUS_PROCESSING: OrderStatus
ORDER_STATUS_VALID: OrderStatus
ORDER_STATUS_INVALID: OrderStatus
AUTHORIZATION_STATUS_UNSPECIFIED: AuthorizationStatus
AUTHORIZATION_STATUS_PENDING: AuthorizationStatus
AUTHORIZATION_STATUS_VALID: AuthorizationStatus
AUTHORIZATION_STATUS_INVALID: AuthorizationStatus
AUTHORIZATION_STATUS_DEACTIVATED: AuthorizationStatus
AUTHORIZATION_STATUS_EXPIRED: AuthorizationStatus
AUTHORIZATION_STATUS_REVOKED: AuthorizationStatus
CHALLENGE_STATUS_UNSPECIFIED: ChallengeStatus
CHALLENGE_STATUS_PENDING: ChallengeStatus
CHALLENGE_STATUS_VALID: ChallengeStatus
CHALLENGE_STATUS_INVALID: ChallengeStatus
REVOCATION_REASON_UNSPECIFIED: RevocationReason
REVOCATION_REASON_KEY_COMPROMISE: RevocationReason
REVOCATION_REASON_AFFILIATION_CHANGED: RevocationReason
REVOCATION_REASON_SUPERSEDED: RevocationReason
REVOCATION_REASON_CESSATION_OF_OPERATION: RevocationReason
REVOCATION_REASON_PRIVILEGE_WITHDRAWN: RevocationReason

class ListProvisionersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProvisionersResponse(_message.Message):
    __slots__ = ("provisioners",)
    PROVISIONERS_FIELD_NUMBER: _ClassVar[int]
    provisioners: _containers.RepeatedCompositeFieldContainer[Provisioner]
    def __init__(self, provisioners: _Optional[_Iterable[_Union[Provisioner, _Mapping]]] = ...) -> None: ...

class Provisioner(_message.Message):
    __slots__ = ("name", "url", "challenges", "external_account_required", "terms_url")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    CHALLENGES_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ACCOUNT_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    TERMS_URL_FIELD_NUMBER: _ClassVar[int]
    name: str
    url: str
    challenges: _containers.RepeatedScalarFieldContainer[str]
    external_account_required: bool
    terms_url: str
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ..., challenges: _Optional[_Iterable[str]] = ..., external_account_required: _Optional[bool] = ..., terms_url: _Optional[str] = ...) -> None: ...

class CreateNonceRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateNonceResponse(_message.Message):
    __slots__ = ("nonce", "expire_time")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, nonce: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignedRequest(_message.Message):
    __slots__ = ("protected", "payload", "signature")
    PROTECTED_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    protected: str
    payload: str
    signature: str
    def __init__(self, protected: _Optional[str] = ..., payload: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...

class CreateAccountRequest(_message.Message):
    __slots__ = ("parent", "signed_request")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SIGNED_REQUEST_FIELD_NUMBER: _ClassVar[int]
    parent: str
    signed_request: SignedRequest
    def __init__(self, parent: _Optional[str] = ..., signed_request: _Optional[_Union[SignedRequest, _Mapping]] = ...) -> None: ...

class CreateAccountResponse(_message.Message):
    __slots__ = ("account", "created")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    account: Account
    created: bool
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("name", "provisioner", "status", "contact", "key_thumbprint", "external_account_key", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVISIONER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    KEY_THUMBPRINT_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ACCOUNT_KEY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    provisioner: str
    status: AccountStatus
    contact: _containers.RepeatedScalarFieldContainer[str]
    key_thumbprint: str
    external_account_key: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., provisioner: _Optional[str] = ..., status: _Optional[_Union[AccountStatus, str]] = ..., contact: _Optional[_Iterable[str]] = ..., key_thumbprint: _Optional[str] = ..., external_account_key: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class UpdateAccountRequest(_message.Message):
    __slots__ = ("name", "contact")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    name: str
    contact: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., contact: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class DeactivateAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeactivateAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class RolloverAccountKeyRequest(_message.Message):
    __slots__ = ("name", "signed_request")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNED_REQUEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    signed_request: SignedRequest
    def __init__(self, name: _Optional[str] = ..., signed_request: _Optional[_Union[SignedRequest, _Mapping]] = ...) -> None: ...

class RolloverAccountKeyResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class Identifier(_message.Message):
    __slots__ = ("type", "name")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    type: str
    name: str
    def __init__(self, type: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class CreateOrderRequest(_message.Message):
    __slots__ = ("parent", "identifiers", "not_before", "not_after", "replaces")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    parent: str
    identifiers: _containers.RepeatedCompositeFieldContainer[Identifier]
    not_before: _timestamp_pb2.Timestamp
    not_after: _timestamp_pb2.Timestamp
    replaces: str
    def __init__(self, parent: _Optional[str] = ..., identifiers: _Optional[_Iterable[_Union[Identifier, _Mapping]]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replaces: _Optional[str] = ...) -> None: ...

class CreateOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: Order
    def __init__(self, order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("name", "status", "identifiers", "authorizations", "not_before", "not_after", "expire_time", "certificate", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATIONS_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: OrderStatus
    identifiers: _containers.RepeatedCompositeFieldContainer[Identifier]
    authorizations: _containers.RepeatedScalarFieldContainer[str]
    not_before: _timestamp_pb2.Timestamp
    not_after: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    certificate: str
    error: Problem
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[OrderStatus, str]] = ..., identifiers: _Optional[_Iterable[_Union[Identifier, _Mapping]]] = ..., authorizations: _Optional[_Iterable[str]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., certificate: _Optional[str] = ..., error: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("type", "detail")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    type: str
    detail: str
    def __init__(self, type: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: Order
    def __init__(self, order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("orders", "next_page_token")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, orders: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetAuthorizationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class Authorization(_message.Message):
    __slots__ = ("name", "status", "identifier", "wildcard", "challenges", "expire_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    WILDCARD_FIELD_NUMBER: _ClassVar[int]
    CHALLENGES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: AuthorizationStatus
    identifier: Identifier
    wildcard: bool
    challenges: _containers.RepeatedCompositeFieldContainer[Challenge]
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[AuthorizationStatus, str]] = ..., identifier: _Optional[_Union[Identifier, _Mapping]] = ..., wildcard: _Optional[bool] = ..., challenges: _Optional[_Iterable[_Union[Challenge, _Mapping]]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("name", "type", "status", "url", "token", "target", "validate_time", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    status: ChallengeStatus
    url: str
    token: str
    target: str
    validate_time: _timestamp_pb2.Timestamp
    error: Problem
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., status: _Optional[_Union[ChallengeStatus, str]] = ..., url: _Optional[str] = ..., token: _Optional[str] = ..., target: _Optional[str] = ..., validate_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class DeactivateAuthorizationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeactivateAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class IdTokenAnswer(_message.Message):
    __slots__ = ("token", "key_authorization")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    KEY_AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    token: str
    key_authorization: str
    def __init__(self, token: _Optional[str] = ..., key_authorization: _Optional[str] = ...) -> None: ...

class AccessTokenAnswer(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class ReadyAnswer(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AnswerChallengeRequest(_message.Message):
    __slots__ = ("name", "id_token", "access_token", "ready")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    name: str
    id_token: IdTokenAnswer
    access_token: AccessTokenAnswer
    ready: ReadyAnswer
    def __init__(self, name: _Optional[str] = ..., id_token: _Optional[_Union[IdTokenAnswer, _Mapping]] = ..., access_token: _Optional[_Union[AccessTokenAnswer, _Mapping]] = ..., ready: _Optional[_Union[ReadyAnswer, _Mapping]] = ...) -> None: ...

class AnswerChallengeResponse(_message.Message):
    __slots__ = ("challenge", "authorization_status", "order_status")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_STATUS_FIELD_NUMBER: _ClassVar[int]
    ORDER_STATUS_FIELD_NUMBER: _ClassVar[int]
    challenge: Challenge
    authorization_status: AuthorizationStatus
    order_status: OrderStatus
    def __init__(self, challenge: _Optional[_Union[Challenge, _Mapping]] = ..., authorization_status: _Optional[_Union[AuthorizationStatus, str]] = ..., order_status: _Optional[_Union[OrderStatus, str]] = ...) -> None: ...

class FinalizeOrderRequest(_message.Message):
    __slots__ = ("name", "csr_der")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CSR_DER_FIELD_NUMBER: _ClassVar[int]
    name: str
    csr_der: bytes
    def __init__(self, name: _Optional[str] = ..., csr_der: _Optional[bytes] = ...) -> None: ...

class FinalizeOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: Order
    def __init__(self, order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class GetCertificateRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetCertificateResponse(_message.Message):
    __slots__ = ("certificate",)
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    certificate: Certificate
    def __init__(self, certificate: _Optional[_Union[Certificate, _Mapping]] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("name", "certificate_der", "chain_pem", "serial_number", "not_before", "not_after", "revoke_time", "revoke_reason", "renewal_identifier")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_DER_FIELD_NUMBER: _ClassVar[int]
    CHAIN_PEM_FIELD_NUMBER: _ClassVar[int]
    SERIAL_NUMBER_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_REASON_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    name: str
    certificate_der: bytes
    chain_pem: bytes
    serial_number: str
    not_before: _timestamp_pb2.Timestamp
    not_after: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    revoke_reason: RevocationReason
    renewal_identifier: str
    def __init__(self, name: _Optional[str] = ..., certificate_der: _Optional[bytes] = ..., chain_pem: _Optional[bytes] = ..., serial_number: _Optional[str] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_reason: _Optional[_Union[RevocationReason, str]] = ..., renewal_identifier: _Optional[str] = ...) -> None: ...

class RevokeCertificateRequest(_message.Message):
    __slots__ = ("certificate_der", "reason", "account", "signed_request")
    CERTIFICATE_DER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SIGNED_REQUEST_FIELD_NUMBER: _ClassVar[int]
    certificate_der: bytes
    reason: RevocationReason
    account: str
    signed_request: SignedRequest
    def __init__(self, certificate_der: _Optional[bytes] = ..., reason: _Optional[_Union[RevocationReason, str]] = ..., account: _Optional[str] = ..., signed_request: _Optional[_Union[SignedRequest, _Mapping]] = ...) -> None: ...

class RevokeCertificateResponse(_message.Message):
    __slots__ = ("revoke_time",)
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    revoke_time: _timestamp_pb2.Timestamp
    def __init__(self, revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetRenewalInfoRequest(_message.Message):
    __slots__ = ("renewal_identifier",)
    RENEWAL_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    renewal_identifier: str
    def __init__(self, renewal_identifier: _Optional[str] = ...) -> None: ...

class GetRenewalInfoResponse(_message.Message):
    __slots__ = ("window_start", "window_end", "retry_after")
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    window_start: _timestamp_pb2.Timestamp
    window_end: _timestamp_pb2.Timestamp
    retry_after: _duration_pb2.Duration
    def __init__(self, window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetCertificateRevocationListRequest(_message.Message):
    __slots__ = ("parent", "issuer_key_identifier")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_KEY_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    parent: str
    issuer_key_identifier: bytes
    def __init__(self, parent: _Optional[str] = ..., issuer_key_identifier: _Optional[bytes] = ...) -> None: ...

class GetCertificateRevocationListResponse(_message.Message):
    __slots__ = ("crl_der", "number", "this_update", "next_update")
    CRL_DER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    THIS_UPDATE_FIELD_NUMBER: _ClassVar[int]
    NEXT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    crl_der: bytes
    number: int
    this_update: _timestamp_pb2.Timestamp
    next_update: _timestamp_pb2.Timestamp
    def __init__(self, crl_der: _Optional[bytes] = ..., number: _Optional[int] = ..., this_update: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_update: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetOcspResponseRequest(_message.Message):
    __slots__ = ("request_der",)
    REQUEST_DER_FIELD_NUMBER: _ClassVar[int]
    request_der: bytes
    def __init__(self, request_der: _Optional[bytes] = ...) -> None: ...

class GetOcspResponseResponse(_message.Message):
    __slots__ = ("response_der",)
    RESPONSE_DER_FIELD_NUMBER: _ClassVar[int]
    response_der: bytes
    def __init__(self, response_der: _Optional[bytes] = ...) -> None: ...

class CreateExternalAccountKeyRequest(_message.Message):
    __slots__ = ("parent", "reference", "lifetime")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    parent: str
    reference: str
    lifetime: _duration_pb2.Duration
    def __init__(self, parent: _Optional[str] = ..., reference: _Optional[str] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateExternalAccountKeyResponse(_message.Message):
    __slots__ = ("key", "secret")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    key: ExternalAccountKey
    secret: bytes
    def __init__(self, key: _Optional[_Union[ExternalAccountKey, _Mapping]] = ..., secret: _Optional[bytes] = ...) -> None: ...

class ExternalAccountKey(_message.Message):
    __slots__ = ("name", "key_id", "reference", "account", "create_time", "expire_time", "bind_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    BIND_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    key_id: str
    reference: str
    account: str
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    bind_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., key_id: _Optional[str] = ..., reference: _Optional[str] = ..., account: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bind_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListExternalAccountKeysRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExternalAccountKeysResponse(_message.Message):
    __slots__ = ("keys", "next_page_token")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[ExternalAccountKey]
    next_page_token: str
    def __init__(self, keys: _Optional[_Iterable[_Union[ExternalAccountKey, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteExternalAccountKeyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteExternalAccountKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
