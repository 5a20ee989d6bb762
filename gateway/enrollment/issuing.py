"""From a ready order to its certificate (RFC 8555 §7.4), once, whatever breaks in between.

1. The request is checked, and everything else that could refuse the certificate.
2. In one step the order is under way and a serial number with the request is on record. One caller gets here.
3. The certificate is signed.
4. In one step it is stored and the order is valid; only what is stored is ever shown.

Whoever comes after a crash between 2 and 4 finds the reservation, whose lease is over, and signs again: the
same number, names and times, so that no order leads to two certificates.
"""

import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.audit.events import CertificateIssued
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.enrollment import transitions
from gateway.enrollment.authorities import moment, unavailable
from gateway.enrollment.certified_names import certified_names, wire_names
from gateway.enrollment.identifiers import names_of
from gateway.enrollment.ids import new_id
from gateway.enrollment.model import Account, ChallengeType, Order, OrderStatus, Problem
from gateway.enrollment.orders import Orders, not_ready
from gateway.enrollment.ports import Certificate, CertificateRepository, Reservation
from gateway.enrollment.provisioners import Provisioner, Provisioners
from gateway.enrollment.transitions import TransitionError
from gateway.enrollment.wire_names import Generation
from gateway.errors import AuthorizationError, Reason, RequestError, StateError
from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import IssuingError, RequestFault
from gateway.pki.issuance_errors import RequestError as CsrRefusedError
from gateway.pki.issue import issue
from gateway.pki.issuing_ca import IssuingCa
from gateway.pki.leaf import Leaf
from gateway.pki.order_names import require_exact_names
from gateway.pki.serials import new_serial
from signers import SignerError

logger = logging.getLogger(__name__)

LEASE: Final = 30.0
"""Seconds that a caller signs undisturbed; longer than any signer may take."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that a certificate is made of, but its number."""

    provisioner: Provisioner
    ca: IssuingCa
    leaf: Leaf


class Issuing:
    """Finalizes orders and gives certificates out."""

    def __init__(
        self,
        *,
        orders: Orders,
        certificates: CertificateRepository,
        provisioners: Provisioners,
        clock: Clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        self._orders = orders
        self._certificates = certificates
        self._provisioners = provisioners
        self._clock = clock
        self._trail = trail

    async def finalize(self, account: Account, order_id: str, request_der: bytes) -> Order:
        """The account's order with its certificate. A valid order is returned as it is.

        Raises `RequestError` BAD_CSR with the fault as metadata; `StateError`: ENROLLMENT_NOT_FOUND,
        ORDER_NOT_READY; `AvailabilityError`, `SignerError`: then the same call may be made again.
        """
        order = await self._orders.get(account, order_id)
        if order.status is OrderStatus.VALID:
            return order
        if order.status is OrderStatus.PROCESSING:
            return await self._resume(account, order)
        if order.status is not OrderStatus.READY:
            raise not_ready(TransitionError("the order is not ready", order.status))
        try:
            plan = self._plan(order, account, request_der)
        except CsrRefusedError as error:
            raise bad_csr(error) from error
        now = self._clock()
        reservation = Reservation(
            certificate_id=new_id(),
            serial=new_serial(),
            order_id=order.order_id,
            account_id=account.account_id,
            provisioner=order.provisioner,
            issuer_key_id=plan.ca.key_identifier.hex(),
            request_der=request_der,
            issue_time=now,
            lease_time=now + LEASE,
        )
        try:
            await self._certificates.reserve(
                reservation, lambda before: transitions.begin_issuing(before, now)
            )
        except TransitionError as error:
            if error.status == OrderStatus.VALID:
                return await self._orders.get(account, order_id)
            raise not_ready(error) from error
        return await self._sign(account, order, reservation, plan)

    async def current(self, account: Account, order_id: str) -> Order:
        """The account's order; where its certificate was left half made, it is made now.

        Raises as `finalize`, but for ORDER_NOT_READY.
        """
        order = await self._orders.get(account, order_id)
        if order.status is not OrderStatus.PROCESSING:
            return order
        try:
            return await self._resume(account, order)
        except StateError:
            return await self._orders.get(account, order_id)

    async def certificate(self, account: Account, certificate_id: str) -> Certificate:
        """A certificate of the account. Raises `StateError` ENROLLMENT_NOT_FOUND."""
        found = await self._certificates.get(certificate_id)
        if found is None or found.account_id != account.account_id:
            raise StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such certificate.", field="name")
        return found

    async def _resume(self, account: Account, order: Order) -> Order:
        now = self._clock()
        reservation = await self._certificates.take_over(order.order_id, now=now, lease_time=now + LEASE)
        if reservation is None:
            latest = await self._orders.get(account, order.order_id)
            if latest.status is OrderStatus.PROCESSING:
                raise not_ready(TransitionError("the certificate is being made", latest.status))
            return latest
        logger.info("a half made certificate is finished", extra={"order_id": order.order_id})
        provisioner = self._provisioners.get(order.provisioner)
        # The CA that it was reserved with signs it, though another may issue by now.
        authority = provisioner.ca(reservation.issuer_key_id)
        if authority is None:
            return await self._abandon(account, order, reservation, "serverInternal", "The CA was changed.")
        ca = authority.current()
        try:
            leaf = _leaf(order, CertificateRequest.parse(reservation.request_der))
        except CsrRefusedError as error:
            # It was accepted by an older version of these rules.
            await self._refuse(account, order, reservation)
            raise bad_csr(error) from error
        return await self._sign(account, order, reservation, _Plan(provisioner, ca, leaf))

    async def _sign(self, account: Account, order: Order, reservation: Reservation, plan: _Plan) -> Order:
        try:
            der = await issue(
                plan.provisioner.profile,
                plan.leaf,
                plan.ca,
                serial=reservation.serial,
                now=moment(reservation.issue_time),
            )
        except CsrRefusedError as error:
            await self._refuse(account, order, reservation)
            raise bad_csr(error) from error
        except IssuingError as error:
            await self._certificates.release(reservation.certificate_id)
            raise unavailable(error) from error
        except SignerError:
            await self._certificates.release(reservation.certificate_id)
            raise
        certificate = made(reservation, der, plan.ca)
        async with self._trail.around(_issued(certificate, order)) as effect:
            _, done = await self._certificates.complete(
                certificate, lambda before: transitions.issued(before, reservation.certificate_id)
            )
            if done is None:
                effect.absent("ANOTHER_WAS_FIRST")
        logger.info(
            "certificate issued",
            extra={
                "provisioner": order.provisioner,
                "order_id": order.order_id,
                "serial_number": f"{reservation.serial:040x}",
            },
        )
        # None where another caller's certificate was stored first: then that one's order holds.
        return done or await self._orders.get(account, order.order_id)

    async def _refuse(self, account: Account, order: Order, reservation: Reservation) -> None:
        await self._abandon(account, order, reservation, "badCSR", "The request leads to no certificate.")

    async def _abandon(
        self, account: Account, order: Order, reservation: Reservation, kind: str, detail: str
    ) -> Order:
        await self._certificates.abandon(
            reservation.certificate_id,
            order.order_id,
            lambda before: transitions.abandoned(before, Problem(kind, detail)),
        )
        return await self._orders.get(account, order.order_id)

    def _plan(self, order: Order, account: Account, request_der: bytes) -> _Plan:
        """Whatever can be refused is refused here, while the order can still be finalized otherwise."""
        provisioner = self._provisioners.get(order.provisioner)
        request = CertificateRequest.parse(request_der)
        _require_key(order, account, request)
        leaf = _leaf(order, request)
        profile = provisioner.profile
        profile.require_request(request)
        profile.names.require(leaf.subject, leaf.names)
        ca = provisioner.authority.issuing().current()
        ca.constraints.require(leaf.subject, leaf.names)
        start, end = profile.validity.window(moment(self._clock()), leaf.not_before, leaf.not_after)
        outlives = leaf.not_after is not None and end > ca.not_after
        if outlives or (leaf.not_before is not None and start < ca.not_before):
            raise CsrRefusedError(RequestFault.VALIDITY_REFUSED, "the certificate would outlive its CA")
        return _Plan(provisioner, ca, leaf)


def made(reservation: Reservation, der: bytes, ca: IssuingCa) -> Certificate:
    """The record of the signed certificate *der*."""
    certificate = x509.load_der_x509_certificate(der)
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        certificate_id=reservation.certificate_id,
        serial=reservation.serial,
        order_id=reservation.order_id,
        account_id=reservation.account_id,
        provisioner=reservation.provisioner,
        issuer_key_id=reservation.issuer_key_id,
        der=der,
        issuer_pem=ca.pem,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        spki_sha256=hashlib.sha256(spki).digest(),
    )


def _issued(certificate: Certificate, order: Order) -> CertificateIssued:
    return CertificateIssued(
        provisioner=certificate.provisioner,
        account_id=order.account_id,
        order_id=order.order_id,
        serial_number=f"{certificate.serial:040x}",
        issuer_key_id=certificate.issuer_key_id,
        certificate_sha256=hashlib.sha256(certificate.der).hexdigest(),
        identifiers=tuple(f"{each.type}:{each.value}" for each in order.identifiers),
        not_before=int(certificate.not_before.timestamp()),
        not_after=int(certificate.not_after.timestamp()),
    )


def bad_csr(error: CsrRefusedError) -> RequestError:
    """What a caller is told of *error*; to be raised from it."""
    return RequestError(
        Reason.BAD_CSR,
        "The certification request is not accepted for this order.",
        field="csr_der",
        metadata={"fault": error.code.value},
        cause=error.code.value,
    )


def _require_key(order: Order, account: Account, request: CertificateRequest) -> None:
    """Whose key may be certified: the account's own in the first generation, any other else (§11.1)."""
    wire = names_of(order.identifiers).wire
    if wire is None or wire.generation is Generation.SECOND:
        request.refuse_key(account.key.public_key)
        return
    request.require_key(account.key.public_key)
    evidence = order.evidence(ChallengeType.WIRE_DPOP)
    if evidence is None or evidence.get("jkt") != account.thumbprint:
        raise AuthorizationError(
            Reason.ACCOUNT_UNUSABLE,
            "The account's key is not the one that the device has proven.",
            cause="account_key_changed_since_the_proof",
        )


def _leaf(order: Order, request: CertificateRequest) -> Leaf:
    """What the order's certificate certifies. Raises `CsrRefusedError` for other names than the order's."""
    names = names_of(order.identifiers)
    if names.wire is None:
        require_exact_names(request, names.alternative)
    else:
        if not all(order.evidence(kind) for kind in (ChallengeType.WIRE_OIDC, ChallengeType.WIRE_DPOP)):
            # Unreachable by the state machine; a certificate is worth a second look.
            raise not_ready(TransitionError("the order lacks evidence", order.status))
        wire_names(names.wire).require_in(request)
    subject, alternative = certified_names(names)
    return Leaf(request.public_key, subject, alternative, order.not_before, order.not_after)
