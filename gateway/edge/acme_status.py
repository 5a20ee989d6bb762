"""What relying parties ask about certificates: the list of the revoked, and OCSP (RFC 5280 §5, RFC 6960)."""

import base64
import binascii
from email.utils import formatdate
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.responses import Response

from gateway.edge.acme_door import AcmeDoor
from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import HttpError

CERTIFICATE: Final = "application/pkix-cert"
CRL: Final = "application/pkix-crl"
OCSP_REQUEST: Final = "application/ocsp-request"
OCSP_RESPONSE: Final = "application/ocsp-response"
MAX_OCSP: Final = 4 * 1024
"""Octets of a request."""


class CrlEndpoint:
    """The current list of a provisioner's CA, DER (RFC 5280 §4.2.1.13), as `Revocations.ca` finds it."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """It may be kept for a minute: within that time a new revocation is on no list anyway."""
        issuer = request.parameters.get("issuer")
        crl = await self._door.enrollment.revocations.crl(self._door.provisioner.name, issuer)
        headers = {
            "cache-control": "public, max-age=60",
            "last-modified": formatdate(crl.this_update, usegmt=True),
        }
        return Response(crl.der, 200, headers, CRL)


class IssuerEndpoint:
    """The certificate of one of the provisioner's CAs, DER (RFC 5280 §4.2.2.1, id-ad-caIssuers)."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """It may be kept for an hour: it changes only where another is imported for the same key."""
        door, issuer = self._door, request.parameters["issuer"]
        found = door.enrollment.revocations.ca(door.provisioner.name, issuer)
        headers = {"cache-control": "public, max-age=3600"}
        return Response(found.certificate.public_bytes(Encoding.DER), 200, headers, CERTIFICATE)


class OcspEndpoint:
    """RFC 6960 Appendix A.1: the request in the body of a POST, or as base64 in the path of a GET."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """What goes wrong is told in the answer itself."""
        der = _posted(request) if request.method == "POST" else _in_path(request.parameters["request"])
        answer = await self._door.enrollment.ocsp.respond(der)
        return Response(answer, 200, {"cache-control": "no-store"}, OCSP_RESPONSE)


def _posted(request: EdgeRequest) -> bytes:
    types = request.header_values("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != OCSP_REQUEST:
        raise HttpError(
            415,
            f"Send one content-type header: {OCSP_REQUEST}.",
            headers={"accept": OCSP_REQUEST},
            cause="media_type",
        )
    return request.body


def _in_path(text: str) -> bytes:
    """The octets, or none where the text is no base64: the answer then says that it is malformed."""
    if len(text) > 2 * MAX_OCSP:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
