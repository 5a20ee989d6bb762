"""Answering OCSP requests (RFC 6960), by a responder's key of its own to which each CA delegates.

The responder's certificate is issued by the CA when it is first needed, and anew after half of its short
life; every replica has one. Its serial number is taken from the same database as all others.
"""

import asyncio
import logging
from collections import defaultdict
from datetime import timedelta
from typing import Final

from gateway.clock import Clock
from gateway.enrollment.authorities import IssuingAuthority, moment, unavailable
from gateway.enrollment.ids import new_id
from gateway.enrollment.issuing import LEASE, made
from gateway.enrollment.ports import Certificate, CertificateRepository, Reservation
from gateway.enrollment.provisioners import Provisioners
from gateway.errors import GatewayError
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose
from gateway.pki.crl import RevocationReason
from gateway.pki.issuance_errors import IssuingError, RevocationError, RevocationFault
from gateway.pki.ocsp import OcspRequest
from gateway.pki.ocsp_responder import OcspResponder, issue_responder_certificate
from gateway.pki.ocsp_response import (
    CertificateStatus,
    Good,
    ResponseStatus,
    Revoked,
    Unknown,
    unsuccessful,
)
from gateway.pki.serials import new_serial
from signers import Algorithm, Signer, SignerError

logger = logging.getLogger(__name__)

RESPONDER_LIFETIME: Final = timedelta(days=7)
RESPONSE_LIFETIME: Final = timedelta(hours=12)
"""From an answer's thisUpdate to its nextUpdate."""


class Ocsp:
    """Answers requests about the certificates of every provisioner's CA."""

    def __init__(
        self,
        *,
        certificates: CertificateRepository,
        provisioners: Provisioners,
        keyring: Keyring,
        algorithm: Algorithm,
        clock: Clock,
    ) -> None:
        """*algorithm*: that of the key with the purpose ``ocsp-responses``."""
        self._certificates = certificates
        self._provisioners = provisioners
        self._keyring = keyring
        self._algorithm = algorithm
        self._clock = clock
        self._responders: dict[str, OcspResponder] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def respond(self, der: bytes) -> bytes:
        """The DER of the answer to the request *der*; also where that is not one, or nothing can be signed.

        Never raises but for a defect: OCSP tells its failures itself (RFC 6960 §2.3).
        """
        try:
            request = OcspRequest.parse(der)
        except RevocationError:
            return unsuccessful(ResponseStatus.MALFORMED_REQUEST)
        try:
            return await self._respond(request)
        except RevocationError as error:
            unknown = error.code is RevocationFault.UNKNOWN_ISSUER
            status = ResponseStatus.UNAUTHORIZED if unknown else ResponseStatus.MALFORMED_REQUEST
            return unsuccessful(status)
        except (GatewayError, SignerError, IssuingError) as error:
            logger.warning("an OCSP request cannot be answered now", extra={"cause": str(error)})
            return unsuccessful(ResponseStatus.TRY_LATER)

    async def _respond(self, request: OcspRequest) -> bytes:
        for provisioner in self._provisioners.all:
            for authority in provisioner.authority.known():
                if request.issuer in authority.issuer_names:
                    return await self._answer(provisioner.name, authority, request)
        raise RevocationError(RevocationFault.UNKNOWN_ISSUER, "no provisioner has this CA")

    async def _answer(self, provisioner: str, authority: IssuingAuthority, request: OcspRequest) -> bytes:
        responder = await self._responder(provisioner, authority)
        found = await self._certificates.by_serial(authority.key_id, request.serial)
        now = moment(float(int(self._clock())))
        return await responder.respond(
            request, _status(found), this_update=now, next_update=now + RESPONSE_LIFETIME, now=now
        )

    async def _responder(self, provisioner: str, authority: IssuingAuthority) -> OcspResponder:
        """The responder of a CA, whose certificate has at least half of its life left."""
        signer = self._keyring.signing_key(KeyPurpose.OCSP_RESPONSES, self._algorithm).signer
        async with self._locks[authority.key_id]:
            responder = self._responders.get(authority.key_id)
            if responder is None or responder.signer is not signer or self._is_worn(responder):
                responder = await self._delegate(provisioner, authority, signer)
                self._responders[authority.key_id] = responder
        return responder

    def _is_worn(self, responder: OcspResponder) -> bool:
        certificate = responder.certificate
        half = (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / 2
        return moment(self._clock()) >= certificate.not_valid_before_utc + half

    async def _delegate(self, provisioner: str, authority: IssuingAuthority, signer: Signer) -> OcspResponder:
        ca = authority.current()
        now = self._clock()
        reservation = Reservation(
            certificate_id=new_id(),
            serial=new_serial(),
            order_id=None,
            account_id=None,
            provisioner=provisioner,
            issuer_key_id=authority.key_id,
            request_der=b"",
            issue_time=now,
            lease_time=now + LEASE,
        )
        await self._certificates.reserve(reservation, None)
        try:
            der = await issue_responder_certificate(
                ca,
                signer,
                common_name="OCSP responder",
                lifetime=RESPONDER_LIFETIME,
                serial=reservation.serial,
                now=moment(now),
            )
            responder = OcspResponder.open(ca, der, signer, moment(now))
        except IssuingError as error:
            raise unavailable(error) from error
        await self._certificates.complete(made(reservation, der, ca), None)
        return responder


def _status(found: Certificate | None) -> CertificateStatus:
    if found is None:
        return Unknown()
    if found.revoke_time is None:
        return Good()
    return Revoked(moment(found.revoke_time), found.revoke_reason or RevocationReason.UNSPECIFIED)
