"""Certificates over ACME: their chain, their revocation, and when to renew them (RFC 8555 §7.4.2, §7.6)."""

import json
import math
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.responses import Response

from gateway.edge.acme_documents import rfc3339
from gateway.edge.acme_door import AcmeDoor
from gateway.edge.acme_requests import flattened_jws
from gateway.edge.exchange import EdgeRequest
from gateway.enrollment.revocations import parse_revocation
from gateway.enrollment.signed_requests import parse_signed_request

CHAIN: Final = "application/pem-certificate-chain"


class CertificateEndpoint:
    """The chain in PEM, the certificate first (RFC 8555 §9.1). There is one chain, so no alternate link."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """POST-as-GET."""
        door = self._door
        signed = await door.by_account(request)
        signed.require_read()
        found = await door.enrollment.issuing.certificate(signed.account, request.parameters["certificate"])
        leaf = x509.load_der_x509_certificate(found.der).public_bytes(Encoding.PEM)
        headers = {"cache-control": "no-store"}
        return door.dressed(Response(leaf + found.issuer_pem, 200, headers, CHAIN))


class RevokeCertificateEndpoint:
    """RFC 8555 §7.6: signed by the account that it was issued to, or by the certificate's own key."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """200 without a body."""
        door, revocations = self._door, self._door.enrollment.revocations
        signed = parse_signed_request(flattened_jws(request))
        if signed.jwk is None:
            account = (await door.accept_account(request, signed)).account
            await revocations.revoke_by_account(account, *parse_revocation(signed.payload))
        else:
            await door.accept(request, signed, signed.jwk)
            await revocations.revoke_by_key(signed.jwk, *parse_revocation(signed.payload))
        return door.dressed(Response(status_code=200, headers={"cache-control": "no-store"}))


class RenewalInfoEndpoint:
    """RFC 9773 §4: open to everybody, and without a nonce."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The window, and how long it may be relied on."""
        info = await self._door.enrollment.revocations.renewal_info(request.parameters["certificate"])
        window = {"start": rfc3339(info.window.start), "end": rfc3339(info.window.end)}
        pause = str(math.ceil(info.retry_after.total_seconds()))
        return Response(
            json.dumps({"suggestedWindow": window}), 200, {"retry-after": pause}, "application/json"
        )
