# ruff: noqa: ASYNC109 - a gRPC call takes its deadline as an argument and sends it to the server.
"""Enrollment, for asyncio. Results are messages of `countersign.v1.enrollment_service_pb2`."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from countersign._aio import AsyncCaller
from countersign._enrollment import (
    METHOD_PREFIX,
    WIRE_DPOP,
    WIRE_OIDC,
    answer,
    challenge_of,
    passed,
    revocation,
    stamp,
)
from countersign._operations.enrollment import enrollment, tokens
from countersign._wire import span_to_wire
from countersign.devices import DeviceKey, WireDevice
from countersign.v1 import enrollment_service_pb2 as pb
from countersign.v1 import token_service_pb2 as tokens_pb


class AsyncEnrollment(AsyncCaller):
    """The methods of EnrollmentService, and the whole flow of a device in one call."""

    async def create_client_nonce(self, client_id: str, *, timeout: float | None = None) -> str:
        """Return a nonce for one DPoP proof of the device *client_id*."""
        request = tokens_pb.CreateClientNonceRequest(client_id=client_id)
        response = await self._call(tokens("CreateClientNonce", request), timeout)
        result: str = response.nonce
        return result

    async def mint_client_access_token(
        self,
        client_id: str,
        dpop_proof: str,
        *,
        handle: str,
        display_name: str,
        domain: str,
        team: str = "",
        nonce: str = "",
        timeout: float | None = None,
    ) -> str:
        """Mint the access token that vouches for a device to the CA. Not repeated: a proof works once."""
        request = tokens_pb.MintClientAccessTokenRequest(
            client_id=client_id,
            dpop_proof=dpop_proof,
            handle=handle,
            display_name=display_name,
            domain=domain,
            team=team,
            nonce=nonce,
        )
        response = await self._call(tokens("MintClientAccessToken", request, repeatable=False), timeout)
        result: str = response.token
        return result

    async def list_provisioners(self, *, timeout: float | None = None) -> list[pb.Provisioner]:
        """Return what is configured."""
        request = pb.ListProvisionersRequest()
        response = await self._call(enrollment("ListProvisioners", request), timeout)
        result: list[pb.Provisioner] = list(response.provisioners)
        return result

    async def create_nonce(self, *, timeout: float | None = None) -> str:
        """Return a nonce for one signed request of this caller."""
        request = pb.CreateNonceRequest()
        response = await self._call(enrollment("CreateNonce", request), timeout)
        result: str = response.nonce
        return result

    async def create_account(
        self, parent: str, signed_request: pb.SignedRequest, *, timeout: float | None = None
    ) -> pb.Account:
        """Return the account of the key that signed the request, made where it is new. Not repeated."""
        request = pb.CreateAccountRequest(parent=parent, signed_request=signed_request)
        response = await self._call(enrollment("CreateAccount", request, repeatable=False), timeout)
        result: pb.Account = response.account
        return result

    async def get_account(self, name: str, *, timeout: float | None = None) -> pb.Account:
        """Return an account."""
        request = pb.GetAccountRequest(name=name)
        response = await self._call(enrollment("GetAccount", request), timeout)
        result: pb.Account = response.account
        return result

    async def update_account(
        self, name: str, contact: Sequence[str], *, timeout: float | None = None
    ) -> pb.Account:
        """Replace the contacts of an account."""
        request = pb.UpdateAccountRequest(name=name, contact=contact)
        response = await self._call(enrollment("UpdateAccount", request), timeout)
        result: pb.Account = response.account
        return result

    async def deactivate_account(self, name: str, *, timeout: float | None = None) -> pb.Account:
        """Give an account up for good. Not repeated."""
        request = pb.DeactivateAccountRequest(name=name)
        response = await self._call(enrollment("DeactivateAccount", request, repeatable=False), timeout)
        result: pb.Account = response.account
        return result

    async def rollover_account_key(
        self, name: str, signed_request: pb.SignedRequest, *, timeout: float | None = None
    ) -> pb.Account:
        """Move an account to the key that signed the request. Not repeated."""
        request = pb.RolloverAccountKeyRequest(name=name, signed_request=signed_request)
        response = await self._call(enrollment("RolloverAccountKey", request, repeatable=False), timeout)
        result: pb.Account = response.account
        return result

    async def create_order(
        self,
        parent: str,
        identifiers: Sequence[pb.Identifier],
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        replaces: str = "",
        timeout: float | None = None,
    ) -> pb.Order:
        """Order a certificate. Not repeated: each call makes another order."""
        request = pb.CreateOrderRequest(
            parent=parent,
            identifiers=identifiers,
            not_before=stamp(not_before),
            not_after=stamp(not_after),
            replaces=replaces,
        )
        response = await self._call(enrollment("CreateOrder", request, repeatable=False), timeout)
        result: pb.Order = response.order
        return result

    async def get_order(self, name: str, *, timeout: float | None = None) -> pb.Order:
        """Return an order."""
        request = pb.GetOrderRequest(name=name)
        response = await self._call(enrollment("GetOrder", request), timeout)
        result: pb.Order = response.order
        return result

    async def list_orders(
        self, parent: str, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> tuple[list[str], str]:
        """Return a page of names of orders, and the token of the next page."""
        request = pb.ListOrdersRequest(parent=parent, page_size=page_size, page_token=page_token)
        response = await self._call(enrollment("ListOrders", request), timeout)
        result: tuple[list[str], str] = (list(response.orders), response.next_page_token)
        return result

    async def get_authorization(self, name: str, *, timeout: float | None = None) -> pb.Authorization:
        """Return an authorization with its challenges."""
        request = pb.GetAuthorizationRequest(name=name)
        response = await self._call(enrollment("GetAuthorization", request), timeout)
        result: pb.Authorization = response.authorization
        return result

    async def deactivate_authorization(self, name: str, *, timeout: float | None = None) -> pb.Authorization:
        """Give an authorization up. Not repeated."""
        request = pb.DeactivateAuthorizationRequest(name=name)
        response = await self._call(enrollment("DeactivateAuthorization", request, repeatable=False), timeout)
        result: pb.Authorization = response.authorization
        return result

    async def answer_challenge(
        self,
        name: str,
        *,
        id_token: str = "",
        key_authorization: str = "",
        access_token: str = "",
        timeout: float | None = None,
    ) -> pb.AnswerChallengeResponse:
        """Answer a challenge: with an ID token, an access token, or neither where something is in place."""
        request = answer(name, id_token, key_authorization, access_token)
        response = await self._call(enrollment("AnswerChallenge", request), timeout)
        result: pb.AnswerChallengeResponse = response
        return result

    async def finalize_order(self, name: str, csr_der: bytes, *, timeout: float | None = None) -> pb.Order:
        """Have the certificate of a ready order issued."""
        request = pb.FinalizeOrderRequest(name=name, csr_der=csr_der)
        response = await self._call(enrollment("FinalizeOrder", request), timeout)
        result: pb.Order = response.order
        return result

    async def get_certificate(self, name: str, *, timeout: float | None = None) -> pb.Certificate:
        """Return a certificate with its chain."""
        request = pb.GetCertificateRequest(name=name)
        response = await self._call(enrollment("GetCertificate", request), timeout)
        result: pb.Certificate = response.certificate
        return result

    async def revoke_certificate(
        self,
        *,
        account: str = "",
        certificate_der: bytes = b"",
        reason: pb.RevocationReason = pb.REVOCATION_REASON_UNSPECIFIED,
        signed_request: pb.SignedRequest | None = None,
        timeout: float | None = None,
    ) -> datetime:
        """Revoke a certificate of *account*, or by a request that its key signed. Not repeated."""
        request = revocation(account, certificate_der, reason, signed_request)
        response = await self._call(enrollment("RevokeCertificate", request, repeatable=False), timeout)
        result: datetime = response.revoke_time.ToDatetime(tzinfo=UTC)
        return result

    async def get_renewal_info(
        self, renewal_identifier: str, *, timeout: float | None = None
    ) -> pb.GetRenewalInfoResponse:
        """Tell when to renew a certificate."""
        request = pb.GetRenewalInfoRequest(renewal_identifier=renewal_identifier)
        response = await self._call(enrollment("GetRenewalInfo", request), timeout)
        result: pb.GetRenewalInfoResponse = response
        return result

    async def get_certificate_revocation_list(
        self, parent: str, *, issuer_key_identifier: bytes = b"", timeout: float | None = None
    ) -> pb.GetCertificateRevocationListResponse:
        """Return the current list of one of a provisioner's CAs; by default of the one that issues."""
        request = pb.GetCertificateRevocationListRequest(
            parent=parent, issuer_key_identifier=issuer_key_identifier
        )
        response = await self._call(enrollment("GetCertificateRevocationList", request), timeout)
        result: pb.GetCertificateRevocationListResponse = response
        return result

    async def get_ocsp_response(self, request_der: bytes, *, timeout: float | None = None) -> bytes:
        """Answer an OCSP request."""
        request = pb.GetOcspResponseRequest(request_der=request_der)
        response = await self._call(enrollment("GetOcspResponse", request), timeout)
        result: bytes = response.response_der
        return result

    async def create_external_account_key(
        self, parent: str, *, lifetime: timedelta, reference: str = "", timeout: float | None = None
    ) -> pb.CreateExternalAccountKeyResponse:
        """Make a key that binds one new account. Not repeated."""
        request = pb.CreateExternalAccountKeyRequest(
            parent=parent, lifetime=span_to_wire(lifetime), reference=reference
        )
        response = await self._call(
            enrollment("CreateExternalAccountKey", request, repeatable=False), timeout
        )
        result: pb.CreateExternalAccountKeyResponse = response
        return result

    async def list_external_account_keys(
        self, parent: str, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> tuple[list[pb.ExternalAccountKey], str]:
        """Return a page of binding keys, and the token of the next page."""
        request = pb.ListExternalAccountKeysRequest(parent=parent, page_size=page_size, page_token=page_token)
        response = await self._call(enrollment("ListExternalAccountKeys", request), timeout)
        result: tuple[list[pb.ExternalAccountKey], str] = (list(response.keys), response.next_page_token)
        return result

    async def delete_external_account_key(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a binding key. Not repeated."""
        request = pb.DeleteExternalAccountKeyRequest(name=name)
        await self._call(enrollment("DeleteExternalAccountKey", request, repeatable=False), timeout)

    async def enroll_wire_device(
        self,
        provisioner: str,
        device: WireDevice,
        *,
        account_key: DeviceKey,
        certificate_key: DeviceKey,
        login: Callable[[pb.Challenge, str], Awaitable[str]],
        timeout: float | None = None,
    ) -> pb.Certificate:
        """Enroll *device*: account, order, both proofs, and its certificate for *certificate_key*.

        *login* is given the challenge and its key authorization, and returns an ID token of the user whose
        claims ``keyauth`` and ``acme_aud`` are that and the challenge's URL. *timeout* is for each call.
        Raises `CountersignError`; `EnrollmentRefusedError` where a challenge is not passed.
        """
        nonce = await self.create_nonce(timeout=timeout)
        url = f"{METHOD_PREFIX}CreateAccount"
        signed = account_key.signed_request({"termsOfServiceAgreed": True}, url=url, nonce=nonce)
        account = await self.create_account(f"provisioners/{provisioner}", signed, timeout=timeout)
        order = await self.create_order(account.name, device.identifiers(), timeout=timeout)
        found = [await self.get_authorization(name, timeout=timeout) for name in order.authorizations]
        dpop, oidc = challenge_of(found, WIRE_DPOP), challenge_of(found, WIRE_OIDC)
        proof = account_key.dpop_proof(
            device,
            target=dpop.target,
            nonce=await self.create_client_nonce(device.client_id, timeout=timeout),
            challenge=dpop.token,
            audience=dpop.url,
            now=int(time.time()),
        )
        token = await self.mint_client_access_token(
            device.client_id,
            proof,
            handle=device.handle,
            display_name=device.display_name,
            domain=device.domain,
            team=device.team,
            timeout=timeout,
        )
        passed(await self.answer_challenge(dpop.name, access_token=token, timeout=timeout))
        id_token = await login(oidc, account_key.key_authorization(oidc.token))
        passed(await self.answer_challenge(oidc.name, id_token=id_token, timeout=timeout))
        request = certificate_key.wire_request(device)
        done = await self.finalize_order(order.name, request, timeout=timeout)
        return await self.get_certificate(done.certificate, timeout=timeout)
