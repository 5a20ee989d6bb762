"""countersign.v1.EnrollmentService: convert, call, convert back."""

from typing import Final, TypeAlias

import grpc
from countersign.v1 import enrollment_service_pb2 as pb
from countersign.v1 import enrollment_service_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from gateway.clock import Clock
from gateway.enrollment.accounts import AccountWish, parse_key_change
from gateway.enrollment.core import Enrollment
from gateway.enrollment.device_proof import same
from gateway.enrollment.model import Account
from gateway.enrollment.revocations import parse_revocation
from gateway.enrollment.signed_requests import SignedRequest, accept, parse_signed_request
from gateway.errors import Reason, RequestError
from gateway.jose.jwk import Jwk
from gateway.rpc.current import current_call
from gateway.rpc.enrollment_conversion import (
    REASONS,
    account_message,
    answer_of,
    answered_message,
    authorization_message,
    certificate_message,
    external_key_message,
    flattened_of,
    order_message,
    provisioner_message,
    timestamp,
    wish_of,
)
from gateway.rpc.enrollment_names import account_name, ids_of
from gateway.rpc.resources import after_of, page_size_of, page_token_of

_Context: TypeAlias = grpc.aio.ServicerContext
_SERVICE: Final = "/countersign.v1.EnrollmentService/"


class EnrollmentService(enrollment_service_pb2_grpc.EnrollmentServiceServicer):
    """Enrolls devices for backend services; every account belongs to the caller that made it."""

    def __init__(self, enrollment: Enrollment, *, nonce_lifetime: int, clock: Clock) -> None:
        """*nonce_lifetime*: seconds."""
        self._enrollment = enrollment
        self._nonce_lifetime = nonce_lifetime
        self._clock = clock

    async def ListProvisioners(
        self, request: pb.ListProvisionersRequest, context: _Context
    ) -> pb.ListProvisionersResponse:
        """What is configured."""
        return pb.ListProvisionersResponse(
            provisioners=[provisioner_message(each) for each in self._enrollment.provisioners.all]
        )

    async def CreateNonce(self, request: pb.CreateNonceRequest, context: _Context) -> pb.CreateNonceResponse:
        """A nonce for this caller."""
        return pb.CreateNonceResponse(
            nonce=self._enrollment.nonces.issue(subject=_owner()),
            expire_time=timestamp(self._clock() + self._nonce_lifetime),
        )

    async def CreateAccount(
        self, request: pb.CreateAccountRequest, context: _Context
    ) -> pb.CreateAccountResponse:
        """RFC 8555 §7.3."""
        (provisioner,) = ids_of(request.parent, "provisioners", field="parent")
        signed, key, url = await self._signed(request.signed_request, "CreateAccount")
        wish = AccountWish.parse(signed.payload)
        account, created = await self._enrollment.accounts.create(provisioner, _owner(), key, wish, url=url)
        return pb.CreateAccountResponse(account=account_message(account), created=created)

    async def GetAccount(self, request: pb.GetAccountRequest, context: _Context) -> pb.GetAccountResponse:
        """One account, also one that is over."""
        (account_id,) = ids_of(request.name, "accounts")
        account = await self._enrollment.accounts.get(account_id, owner=_owner())
        return pb.GetAccountResponse(account=account_message(account))

    async def UpdateAccount(
        self, request: pb.UpdateAccountRequest, context: _Context
    ) -> pb.UpdateAccountResponse:
        """RFC 8555 §7.3.2."""
        account = await self._account(*ids_of(request.name, "accounts"))
        changed = await self._enrollment.accounts.update_contact(account, list(request.contact))
        return pb.UpdateAccountResponse(account=account_message(changed))

    async def DeactivateAccount(
        self, request: pb.DeactivateAccountRequest, context: _Context
    ) -> pb.DeactivateAccountResponse:
        """RFC 8555 §7.3.6."""
        account = await self._account(*ids_of(request.name, "accounts"))
        changed = await self._enrollment.accounts.deactivate(account)
        return pb.DeactivateAccountResponse(account=account_message(changed))

    async def RolloverAccountKey(
        self, request: pb.RolloverAccountKeyRequest, context: _Context
    ) -> pb.RolloverAccountKeyResponse:
        """RFC 8555 §7.3.5; the caller stands for the outer signature."""
        account = await self._account(*ids_of(request.name, "accounts"))
        signed, key, _ = await self._signed(request.signed_request, "RolloverAccountKey")
        named, old_key = parse_key_change(signed.payload)
        if not same(named, request.name) or not same(old_key.thumbprint, account.thumbprint):
            raise RequestError(
                Reason.SIGNED_REQUEST_REFUSED,
                "The new key has signed for another account, or for another old key.",
                field="signed_request",
            )
        changed = await self._enrollment.accounts.roll_over(account, key)
        return pb.RolloverAccountKeyResponse(account=account_message(changed))

    async def CreateOrder(self, request: pb.CreateOrderRequest, context: _Context) -> pb.CreateOrderResponse:
        """RFC 8555 §7.4."""
        account = await self._account(*ids_of(request.parent, "accounts", field="parent"))
        order = await self._enrollment.orders.create(account, wish_of(request))
        return pb.CreateOrderResponse(order=order_message(order))

    async def GetOrder(self, request: pb.GetOrderRequest, context: _Context) -> pb.GetOrderResponse:
        """One order."""
        account_id, order_id = ids_of(request.name, "accounts", "orders")
        account = await self._account(account_id)
        order = await self._enrollment.issuing.current(account, order_id)
        return pb.GetOrderResponse(order=order_message(order))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: _Context) -> pb.ListOrdersResponse:
        """A page of names."""
        account = await self._account(*ids_of(request.parent, "accounts", field="parent"))
        page, more = await self._enrollment.orders.list_ids(
            account, after=after_of(request.page_token), limit=page_size_of(request.page_size)
        )
        parent = account_name(account.account_id)
        return pb.ListOrdersResponse(
            orders=[f"{parent}/orders/{each}" for each in page], next_page_token=page_token_of(more)
        )

    async def GetAuthorization(
        self, request: pb.GetAuthorizationRequest, context: _Context
    ) -> pb.GetAuthorizationResponse:
        """One authorization."""
        account_id, authorization_id = ids_of(request.name, "accounts", "authorizations")
        account = await self._account(account_id)
        order, found = await self._enrollment.orders.by_authorization(account, authorization_id)
        provisioner = self._enrollment.provisioners.get(order.provisioner)
        return pb.GetAuthorizationResponse(authorization=authorization_message(order, found, provisioner))

    async def DeactivateAuthorization(
        self, request: pb.DeactivateAuthorizationRequest, context: _Context
    ) -> pb.DeactivateAuthorizationResponse:
        """RFC 8555 §7.5.2."""
        account_id, authorization_id = ids_of(request.name, "accounts", "authorizations")
        account = await self._account(account_id)
        order, found = await self._enrollment.orders.deactivate_authorization(account, authorization_id)
        provisioner = self._enrollment.provisioners.get(order.provisioner)
        return pb.DeactivateAuthorizationResponse(
            authorization=authorization_message(order, found, provisioner)
        )

    async def AnswerChallenge(
        self, request: pb.AnswerChallengeRequest, context: _Context
    ) -> pb.AnswerChallengeResponse:
        """RFC 8555 §7.5.1, judged at once."""
        account_id, authorization_id, challenge_id = ids_of(
            request.name, "accounts", "authorizations", "challenges"
        )
        account = await self._account(account_id)
        answered = await self._enrollment.challenges.answer(
            account, authorization_id, challenge_id, answer_of(request)
        )
        provisioner = self._enrollment.provisioners.get(answered.order.provisioner)
        return answered_message(answered, provisioner)

    async def FinalizeOrder(
        self, request: pb.FinalizeOrderRequest, context: _Context
    ) -> pb.FinalizeOrderResponse:
        """RFC 8555 §7.4."""
        account_id, order_id = ids_of(request.name, "accounts", "orders")
        account = await self._account(account_id)
        order = await self._enrollment.issuing.finalize(account, order_id, request.csr_der)
        return pb.FinalizeOrderResponse(order=order_message(order))

    async def GetCertificate(
        self, request: pb.GetCertificateRequest, context: _Context
    ) -> pb.GetCertificateResponse:
        """RFC 8555 §7.4.2."""
        account_id, certificate_id = ids_of(request.name, "accounts", "certificates")
        account = await self._account(account_id)
        found = await self._enrollment.issuing.certificate(account, certificate_id)
        return pb.GetCertificateResponse(certificate=certificate_message(found))

    async def RevokeCertificate(
        self, request: pb.RevokeCertificateRequest, context: _Context
    ) -> pb.RevokeCertificateResponse:
        """RFC 8555 §7.6."""
        revocations = self._enrollment.revocations
        match request.WhichOneof("authority"):
            case "account":
                account = await self._account(*ids_of(request.account, "accounts", field="account"))
                reason = REASONS.get(request.reason)
                if reason is None:
                    raise RequestError(Reason.BAD_REVOCATION_REASON, "Not a reason.", field="reason")
                revoked = await revocations.revoke_by_account(account, request.certificate_der, reason)
            case "signed_request":
                signed, key, _ = await self._signed(request.signed_request, "RevokeCertificate")
                der, reason = parse_revocation(signed.payload)
                revoked = await revocations.revoke_by_key(key, der, reason)
            case _:
                raise RequestError(Reason.MISSING_FIELD, "Say who revokes.", field="authority")
        return pb.RevokeCertificateResponse(revoke_time=timestamp(revoked.revoke_time or self._clock()))

    async def GetRenewalInfo(
        self, request: pb.GetRenewalInfoRequest, context: _Context
    ) -> pb.GetRenewalInfoResponse:
        """RFC 9773 §4."""
        info = await self._enrollment.revocations.renewal_info(request.renewal_identifier)
        retry_after = Duration()
        retry_after.FromTimedelta(info.retry_after)
        return pb.GetRenewalInfoResponse(
            window_start=timestamp(info.window.start.timestamp()),
            window_end=timestamp(info.window.end.timestamp()),
            retry_after=retry_after,
        )

    async def GetCertificateRevocationList(
        self, request: pb.GetCertificateRevocationListRequest, context: _Context
    ) -> pb.GetCertificateRevocationListResponse:
        """RFC 5280 §5."""
        (provisioner,) = ids_of(request.parent, "provisioners", field="parent")
        issuer = request.issuer_key_identifier.hex() or None
        crl = await self._enrollment.revocations.crl(provisioner, issuer)
        return pb.GetCertificateRevocationListResponse(
            crl_der=crl.der,
            number=crl.number,
            this_update=timestamp(crl.this_update),
            next_update=timestamp(crl.next_update),
        )

    async def GetOcspResponse(
        self, request: pb.GetOcspResponseRequest, context: _Context
    ) -> pb.GetOcspResponseResponse:
        """RFC 6960."""
        return pb.GetOcspResponseResponse(
            response_der=await self._enrollment.ocsp.respond(request.request_der)
        )

    async def CreateExternalAccountKey(
        self, request: pb.CreateExternalAccountKeyRequest, context: _Context
    ) -> pb.CreateExternalAccountKeyResponse:
        """RFC 8555 §7.3.4."""
        (provisioner,) = ids_of(request.parent, "provisioners", field="parent")
        lifetime = float(request.lifetime.seconds)
        key = await self._enrollment.external.create(provisioner, request.reference, lifetime)
        return pb.CreateExternalAccountKeyResponse(key=external_key_message(key), secret=key.secret)

    async def ListExternalAccountKeys(
        self, request: pb.ListExternalAccountKeysRequest, context: _Context
    ) -> pb.ListExternalAccountKeysResponse:
        """A page of keys, by id."""
        (provisioner,) = ids_of(request.parent, "provisioners", field="parent")
        size = page_size_of(request.page_size)
        found = await self._enrollment.external.list(
            provisioner, after=after_of(request.page_token), limit=size + 1
        )
        more = found[size - 1].key_id if len(found) > size else None
        return pb.ListExternalAccountKeysResponse(
            keys=[external_key_message(each) for each in found[:size]], next_page_token=page_token_of(more)
        )

    async def DeleteExternalAccountKey(
        self, request: pb.DeleteExternalAccountKeyRequest, context: _Context
    ) -> pb.DeleteExternalAccountKeyResponse:
        """For good."""
        provisioner, key_id = ids_of(request.name, "provisioners", "externalAccountKeys")
        await self._enrollment.external.delete(provisioner, key_id)
        return pb.DeleteExternalAccountKeyResponse()

    async def _account(self, account_id: str) -> Account:
        """The caller's valid account."""
        return await self._enrollment.accounts.usable(account_id, owner=_owner())

    async def _signed(self, message: pb.SignedRequest, method: str) -> tuple[SignedRequest, Jwk, str]:
        """The verified request, the key that signed it and carries itself, and the URL it is signed for."""
        signed = parse_signed_request(flattened_of(message))
        key, url = signed.require_jwk(), _SERVICE + method
        await accept(signed, key=key, url=url, nonces=self._enrollment.nonces, subject=_owner())
        return signed, key, url


def _owner() -> str:
    return current_call().principal.name
