"""Types of the services in countersign/v1/enrollment_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import AsyncUnaryUnary, UnaryUnary
from countersign.v1 import enrollment_service_pb2


class EnrollmentServiceStub:
    def __init__(self, channel: Any) -> None: ...
    ListProvisioners: UnaryUnary[enrollment_service_pb2.ListProvisionersRequest, enrollment_service_pb2.ListProvisionersResponse]
    CreateNonce: UnaryUnary[enrollment_service_pb2.CreateNonceRequest, enrollment_service_pb2.CreateNonceResponse]
    CreateAccount: UnaryUnary[enrollment_service_pb2.CreateAccountRequest, enrollment_service_pb2.CreateAccountResponse]
    GetAccount: UnaryUnary[enrollment_service_pb2.GetAccountRequest, enrollment_service_pb2.GetAccountResponse]
    UpdateAccount: UnaryUnary[enrollment_service_pb2.UpdateAccountRequest, enrollment_service_pb2.UpdateAccountResponse]
    DeactivateAccount: UnaryUnary[enrollment_service_pb2.DeactivateAccountRequest, enrollment_service_pb2.DeactivateAccountResponse]
    RolloverAccountKey: UnaryUnary[enrollment_service_pb2.RolloverAccountKeyRequest, enrollment_service_pb2.RolloverAccountKeyResponse]
    CreateOrder: UnaryUnary[enrollment_service_pb2.CreateOrderRequest, enrollment_service_pb2.CreateOrderResponse]
    GetOrder: UnaryUnary[enrollment_service_pb2.GetOrderRequest, enrollment_service_pb2.GetOrderResponse]
    ListOrders: UnaryUnary[enrollment_service_pb2.ListOrdersRequest, enrollment_service_pb2.ListOrdersResponse]
    GetAuthorization: UnaryUnary[enrollment_service_pb2.GetAuthorizationRequest, enrollment_service_pb2.GetAuthorizationResponse]
    DeactivateAuthorization: UnaryUnary[enrollment_service_pb2.DeactivateAuthorizationRequest, enrollment_service_pb2.DeactivateAuthorizationResponse]
    AnswerChallenge: UnaryUnary[enrollment_service_pb2.AnswerChallengeRequest, enrollment_service_pb2.AnswerChallengeResponse]
    FinalizeOrder: UnaryUnary[enrollment_service_pb2.FinalizeOrderRequest, enrollment_service_pb2.FinalizeOrderResponse]
    GetCertificate: UnaryUnary[enrollment_service_pb2.GetCertificateRequest, enrollment_service_pb2.GetCertificateResponse]
    RevokeCertificate: UnaryUnary[enrollment_service_pb2.RevokeCertificateRequest, enrollment_service_pb2.RevokeCertificateResponse]
    GetRenewalInfo: UnaryUnary[enrollment_service_pb2.GetRenewalInfoRequest, enrollment_service_pb2.GetRenewalInfoResponse]
    GetCertificateRevocationList: UnaryUnary[enrollment_service_pb2.GetCertificateRevocationListRequest, enrollment_service_pb2.GetCertificateRevocationListResponse]
    GetOcspResponse: UnaryUnary[enrollment_service_pb2.GetOcspResponseRequest, enrollment_service_pb2.GetOcspResponseResponse]
    CreateExternalAccountKey: UnaryUnary[enrollment_service_pb2.CreateExternalAccountKeyRequest, enrollment_service_pb2.CreateExternalAccountKeyResponse]
    ListExternalAccountKeys: UnaryUnary[enrollment_service_pb2.ListExternalAccountKeysRequest, enrollment_service_pb2.ListExternalAccountKeysResponse]
    DeleteExternalAccountKey: UnaryUnary[enrollment_service_pb2.DeleteExternalAccountKeyRequest, enrollment_service_pb2.DeleteExternalAccountKeyResponse]

class EnrollmentServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    ListProvisioners: AsyncUnaryUnary[enrollment_service_pb2.ListProvisionersRequest, enrollment_service_pb2.ListProvisionersResponse]
    CreateNonce: AsyncUnaryUnary[enrollment_service_pb2.CreateNonceRequest, enrollment_service_pb2.CreateNonceResponse]
    CreateAccount: AsyncUnaryUnary[enrollment_service_pb2.CreateAccountRequest, enrollment_service_pb2.CreateAccountResponse]
    GetAccount: AsyncUnaryUnary[enrollment_service_pb2.GetAccountRequest, enrollment_service_pb2.GetAccountResponse]
    UpdateAccount: AsyncUnaryUnary[enrollment_service_pb2.UpdateAccountRequest, enrollment_service_pb2.UpdateAccountResponse]
    DeactivateAccount: AsyncUnaryUnary[enrollment_service_pb2.DeactivateAccountRequest, enrollment_service_pb2.DeactivateAccountResponse]
    RolloverAccountKey: AsyncUnaryUnary[enrollment_service_pb2.RolloverAccountKeyRequest, enrollment_service_pb2.RolloverAccountKeyResponse]
    CreateOrder: AsyncUnaryUnary[enrollment_service_pb2.CreateOrderRequest, enrollment_service_pb2.CreateOrderResponse]
    GetOrder: AsyncUnaryUnary[enrollment_service_pb2.GetOrderRequest, enrollment_service_pb2.GetOrderResponse]
    ListOrders: AsyncUnaryUnary[enrollment_service_pb2.ListOrdersRequest, enrollment_service_pb2.ListOrdersResponse]
    GetAuthorization: AsyncUnaryUnary[enrollment_service_pb2.GetAuthorizationRequest, enrollment_service_pb2.GetAuthorizationResponse]
    DeactivateAuthorization: AsyncUnaryUnary[enrollment_service_pb2.DeactivateAuthorizationRequest, enrollment_service_pb2.DeactivateAuthorizationResponse]
    AnswerChallenge: AsyncUnaryUnary[enrollment_service_pb2.AnswerChallengeRequest, enrollment_service_pb2.AnswerChallengeResponse]
    FinalizeOrder: AsyncUnaryUnary[enrollment_service_pb2.FinalizeOrderRequest, enrollment_service_pb2.FinalizeOrderResponse]
    GetCertificate: AsyncUnaryUnary[enrollment_service_pb2.GetCertificateRequest, enrollment_service_pb2.GetCertificateResponse]
    RevokeCertificate: AsyncUnaryUnary[enrollment_service_pb2.RevokeCertificateRequest, enrollment_service_pb2.RevokeCertificateResponse]
    GetRenewalInfo: AsyncUnaryUnary[enrollment_service_pb2.GetRenewalInfoRequest, enrollment_service_pb2.GetRenewalInfoResponse]
    GetCertificateRevocationList: AsyncUnaryUnary[enrollment_service_pb2.GetCertificateRevocationListRequest, enrollment_service_pb2.GetCertificateRevocationListResponse]
    GetOcspResponse: AsyncUnaryUnary[enrollment_service_pb2.GetOcspResponseRequest, enrollment_service_pb2.GetOcspResponseResponse]
    CreateExternalAccountKey: AsyncUnaryUnary[enrollment_service_pb2.CreateExternalAccountKeyRequest, enrollment_service_pb2.CreateExternalAccountKeyResponse]
    ListExternalAccountKeys: AsyncUnaryUnary[enrollment_service_pb2.ListExternalAccountKeysRequest, enrollment_service_pb2.ListExternalAccountKeysResponse]
    DeleteExternalAccountKey: AsyncUnaryUnary[enrollment_service_pb2.DeleteExternalAccountKeyRequest, enrollment_service_pb2.DeleteExternalAccountKeyResponse]

class EnrollmentServiceServicer:
    def ListProvisioners(
        self, request: enrollment_service_pb2.ListProvisionersRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.ListProvisionersResponse] | enrollment_service_pb2.ListProvisionersResponse: ...
    def CreateNonce(
        self, request: enrollment_service_pb2.CreateNonceRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.CreateNonceResponse] | enrollment_service_pb2.CreateNonceResponse: ...
    def CreateAccount(
        self, request: enrollment_service_pb2.CreateAccountRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.CreateAccountResponse] | enrollment_service_pb2.CreateAccountResponse: ...
    def GetAccount(
        self, request: enrollment_service_pb2.GetAccountRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetAccountResponse] | enrollment_service_pb2.GetAccountResponse: ...
    def UpdateAccount(
        self, request: enrollment_service_pb2.UpdateAccountRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.UpdateAccountResponse] | enrollment_service_pb2.UpdateAccountResponse: ...
    def DeactivateAccount(
        self, request: enrollment_service_pb2.DeactivateAccountRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.DeactivateAccountResponse] | enrollment_service_pb2.DeactivateAccountResponse: ...
    def RolloverAccountKey(
        self, request: enrollment_service_pb2.RolloverAccountKeyRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.RolloverAccountKeyResponse] | enrollment_service_pb2.RolloverAccountKeyResponse: ...
    def CreateOrder(
        self, request: enrollment_service_pb2.CreateOrderRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.CreateOrderResponse] | enrollment_service_pb2.CreateOrderResponse: ...
    def GetOrder(
        self, request: enrollment_service_pb2.GetOrderRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetOrderResponse] | enrollment_service_pb2.GetOrderResponse: ...
    def ListOrders(
        self, request: enrollment_service_pb2.ListOrdersRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.ListOrdersResponse] | enrollment_service_pb2.ListOrdersResponse: ...
    def GetAuthorization(
        self, request: enrollment_service_pb2.GetAuthorizationRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetAuthorizationResponse] | enrollment_service_pb2.GetAuthorizationResponse: ...
    def DeactivateAuthorization(
        self, request: enrollment_service_pb2.DeactivateAuthorizationRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.DeactivateAuthorizationResponse] | enrollment_service_pb2.DeactivateAuthorizationResponse: ...
    def AnswerChallenge(
        self, request: enrollment_service_pb2.AnswerChallengeRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.AnswerChallengeResponse] | enrollment_service_pb2.AnswerChallengeResponse: ...
    def FinalizeOrder(
        self, request: enrollment_service_pb2.FinalizeOrderRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.FinalizeOrderResponse] | enrollment_service_pb2.FinalizeOrderResponse: ...
    def GetCertificate(
        self, request: enrollment_service_pb2.GetCertificateRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetCertificateResponse] | enrollment_service_pb2.GetCertificateResponse: ...
    def RevokeCertificate(
        self, request: enrollment_service_pb2.RevokeCertificateRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.RevokeCertificateResponse] | enrollment_service_pb2.RevokeCertificateResponse: ...
    def GetRenewalInfo(
        self, request: enrollment_service_pb2.GetRenewalInfoRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetRenewalInfoResponse] | enrollment_service_pb2.GetRenewalInfoResponse: ...
    def GetCertificateRevocationList(
        self, request: enrollment_service_pb2.GetCertificateRevocationListRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetCertificateRevocationListResponse] | enrollment_service_pb2.GetCertificateRevocationListResponse: ...
    def GetOcspResponse(
        self, request: enrollment_service_pb2.GetOcspResponseRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.GetOcspResponseResponse] | enrollment_service_pb2.GetOcspResponseResponse: ...
    def CreateExternalAccountKey(
        self, request: enrollment_service_pb2.CreateExternalAccountKeyRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.CreateExternalAccountKeyResponse] | enrollment_service_pb2.CreateExternalAccountKeyResponse: ...
    def ListExternalAccountKeys(
        self, request: enrollment_service_pb2.ListExternalAccountKeysRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.ListExternalAccountKeysResponse] | enrollment_service_pb2.ListExternalAccountKeysResponse: ...
    def DeleteExternalAccountKey(
        self, request: enrollment_service_pb2.DeleteExternalAccountKeyRequest, context: Any
    ) -> Awaitable[enrollment_service_pb2.DeleteExternalAccountKeyResponse] | enrollment_service_pb2.DeleteExternalAccountKeyResponse: ...

def add_EnrollmentServiceServicer_to_server(servicer: EnrollmentServiceServicer, server: Any) -> None: ...
