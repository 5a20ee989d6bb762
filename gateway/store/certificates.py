"""Certificates from the moment that their serial number is taken; revocations; revocation lists."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.enrollment.model import Order
from gateway.enrollment.ports import Certificate, Crl, Reservation
from gateway.errors import Reason, StateError
from gateway.pki.crl import RevocationReason, RevokedEntry
from gateway.store.database import Database, Row, Transaction, to_microseconds, to_seconds
from gateway.store.enrollment_tables import certificates, crls
from gateway.store.failures import StoreCause, unavailable
from gateway.store.order_document import datetime_to_microseconds, microseconds_to_datetime
from gateway.store.orders import change_order
from gateway.store.restored import NEVER_RESTORED, RestoreMarks
from gateway.store.statement import SqlDialect, Statement

KEPT_UNSIGNED = 30 * 24 * 3600.0
"""Seconds that a reservation stays which nobody came back for."""
KEPT_CRL = 30 * 24 * 3600.0
"""Seconds that a list stays after its next update."""

_COLUMNS = tuple(column.name for column in certificates.columns)
_CRL_COLUMNS = tuple(column.name for column in crls.columns)
_BY_ID = certificates.c.certificate_id == sa.bindparam("certificate")
_OF_ISSUER = certificates.c.issuer_key_id == sa.bindparam("issuer")
_RESERVED = (
    "certificate_id",
    "serial",
    "order_id",
    "account_id",
    "provisioner",
    "issuer_key_id",
    "request_der",
    "issue_time",
    "lease_time",
    "expire_time",
)
_SIGNED = ("der", "issuer_pem", "not_before", "not_after", "spki_sha256", "expire_time")


def _reserve(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(certificates).values({name: sa.bindparam(name) for name in _RESERVED})
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(certificates.c.certificate_id)
    return statement


_RESERVE = Statement(_reserve)
_FIND = Statement(lambda _: sa.select(certificates).where(_BY_ID, certificates.c.der.is_not(None)))
_FIND_BY_SERIAL = Statement(
    lambda _: sa.select(certificates).where(
        _OF_ISSUER, certificates.c.serial == sa.bindparam("number"), certificates.c.der.is_not(None)
    )
)
_TAKE_OVER = Statement(
    lambda _: (
        sa.update(certificates)
        .where(
            certificates.c.order_id == sa.bindparam("order"),
            certificates.c.der.is_(None),
            certificates.c.lease_time <= sa.bindparam("now"),
        )
        .values(lease_time=sa.bindparam("until"))
        .returning(*certificates.c)
    )
)
_RELEASE = Statement(
    lambda _: (
        sa.update(certificates)
        .where(_BY_ID, certificates.c.der.is_(None))
        .values(lease_time=sa.bindparam("over"))
        .returning(certificates.c.certificate_id)
    )
)
_COMPLETE = Statement(
    lambda _: (
        sa.update(certificates)
        .where(_BY_ID, certificates.c.der.is_(None))
        .values({name: sa.bindparam(name) for name in _SIGNED})
    )
)
_FORGET = Statement(lambda _: sa.delete(certificates).where(_BY_ID, certificates.c.der.is_(None)))
_REVOKE = Statement(
    lambda _: (
        sa.update(certificates)
        .where(_BY_ID, certificates.c.der.is_not(None), certificates.c.revoke_time.is_(None))
        .values(revoke_time=sa.bindparam("now"), revoke_reason=sa.bindparam("reason"))
        .returning(certificates.c.certificate_id)
    )
)
_REVOKED = Statement(
    lambda _: (
        sa.select(certificates.c.serial, certificates.c.revoke_time, certificates.c.revoke_reason)
        .where(
            _OF_ISSUER,
            certificates.c.revoke_time.is_not(None),
            certificates.c.not_after > sa.bindparam("now"),
        )
        .order_by(certificates.c.revoke_time, certificates.c.serial)
        .limit(sa.bindparam("size", type_=sa.BigInteger))
    ),
    scan=True,
)
_LAST_REVOCATION = Statement(
    lambda _: sa.select(sa.func.max(certificates.c.revoke_time)).where(
        _OF_ISSUER, certificates.c.revoke_time.is_not(None)
    )
)
_LATEST_CRL = Statement(
    lambda _: (
        sa.select(crls)
        .where(crls.c.issuer_key_id == sa.bindparam("issuer"))
        .order_by(crls.c.number.desc())
        .limit(sa.literal_column("1"))
    )
)


def _publish(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(crls).values({name: sa.bindparam(name) for name in _CRL_COLUMNS})
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(crls.c.number)
    return statement


_PUBLISH = Statement(_publish)


class SqlCertificateRepository:
    """`gateway.enrollment.ports.CertificateRepository`.

    What changes a stored certificate takes its row before its order's, so that no two wait for each other.
    """

    def __init__(self, database: Database, marks: RestoreMarks = NEVER_RESTORED) -> None:
        self._database = database
        self._last_crl_number = marks.crl_number

    async def reserve(self, reservation: Reservation, step: Callable[[Order], Order] | None) -> Order | None:
        """See `CertificateRepository.reserve`."""

        async def work(transaction: Transaction) -> Order | None:
            changed = None
            if step is not None and reservation.order_id is not None:
                changed = await change_order(transaction, reservation.order_id, step)
            if await transaction.fetch_one(_RESERVE, **_reservation_values(reservation)) is None:
                raise unavailable(StoreCause.BUSY)
            return changed

        return await self._database.transaction(work)

    async def take_over(self, order_id: str, *, now: float, lease_time: float) -> Reservation | None:
        """See `CertificateRepository.take_over`."""
        row = await self._database.write(
            _TAKE_OVER, order=order_id, now=to_microseconds(now), until=to_microseconds(lease_time)
        )
        return None if row is None else _reservation(row)

    async def release(self, certificate_id: str) -> None:
        """See `CertificateRepository.release`."""
        await self._database.write(_RELEASE, certificate=certificate_id, over=0)

    async def complete(
        self, certificate: Certificate, step: Callable[[Order], Order] | None
    ) -> tuple[Certificate, Order | None]:
        """See `CertificateRepository.complete`."""

        async def work(transaction: Transaction) -> tuple[Certificate, Order | None]:
            values = _signed_values(certificate)
            if await transaction.execute(_COMPLETE, certificate=certificate.certificate_id, **values) != 1:
                row = await transaction.fetch_one(_FIND, certificate=certificate.certificate_id)
                if row is None:
                    raise StateError(Reason.ENROLLMENT_NOT_FOUND, "The certificate was given up.")
                return _certificate(row), None
            if step is None or certificate.order_id is None:
                return certificate, None
            return certificate, await change_order(transaction, certificate.order_id, step)

        return await self._database.transaction(work)

    async def abandon(self, certificate_id: str, order_id: str, step: Callable[[Order], Order]) -> bool:
        """See `CertificateRepository.abandon`."""

        async def work(transaction: Transaction) -> bool:
            if await transaction.execute(_FORGET, certificate=certificate_id) != 1:
                return False
            await change_order(transaction, order_id, step)
            return True

        return await self._database.transaction(work)

    async def get(self, certificate_id: str) -> Certificate | None:
        """See `CertificateRepository.get`."""
        row = await self._database.fetch_one(_FIND, certificate=certificate_id)
        return None if row is None else _certificate(row)

    async def by_serial(self, issuer_key_id: str, serial: int) -> Certificate | None:
        """See `CertificateRepository.by_serial`."""
        row = await self._database.fetch_one(_FIND_BY_SERIAL, issuer=issuer_key_id, number=_hex(serial))
        return None if row is None else _certificate(row)

    async def revoke(self, certificate_id: str, *, reason: RevocationReason, now: float) -> bool:
        """See `CertificateRepository.revoke`."""
        row = await self._database.write(
            _REVOKE, certificate=certificate_id, now=to_microseconds(now), reason=reason.value
        )
        return row is not None

    async def revoked(self, issuer_key_id: str, *, now: float, limit: int) -> Sequence[RevokedEntry]:
        """See `CertificateRepository.revoked`."""
        rows = await self._database.fetch_all(
            _REVOKED, issuer=issuer_key_id, now=to_microseconds(now), size=limit
        )
        return tuple(
            RevokedEntry(int(serial, 16), microseconds_to_datetime(time), RevocationReason(reason))
            for serial, time, reason in rows
        )

    async def last_revocation(self, issuer_key_id: str) -> float | None:
        """See `CertificateRepository.last_revocation`."""
        row = await self._database.fetch_one(_LAST_REVOCATION, issuer=issuer_key_id)
        return None if row is None or row[0] is None else to_seconds(row[0])

    async def latest_crl(self, issuer_key_id: str) -> Crl | None:
        """See `CertificateRepository.latest_crl`."""
        row = await self._database.fetch_one(_LATEST_CRL, issuer=issuer_key_id)
        return None if row is None else _crl(row)

    @property
    def last_crl_number(self) -> int:
        """See `CertificateRepository.last_crl_number`."""
        return self._last_crl_number

    async def publish_crl(self, crl: Crl) -> Crl:
        """See `CertificateRepository.publish_crl`."""
        stored = await self._database.write(
            _PUBLISH,
            issuer_key_id=crl.issuer_key_id,
            number=crl.number,
            this_update=to_microseconds(crl.this_update),
            next_update=to_microseconds(crl.next_update),
            expire_time=to_microseconds(crl.next_update + KEPT_CRL),
            der=crl.der,
        )
        if stored is not None:
            return crl
        latest = await self.latest_crl(crl.issuer_key_id)
        if latest is None:
            raise unavailable(StoreCause.BUSY)
        return latest


def _hex(serial: int) -> str:
    return f"{serial:040x}"


def _reservation_values(reservation: Reservation) -> dict[str, Any]:
    return {
        "certificate_id": reservation.certificate_id,
        "serial": _hex(reservation.serial),
        "order_id": reservation.order_id,
        "account_id": reservation.account_id,
        "provisioner": reservation.provisioner,
        "issuer_key_id": reservation.issuer_key_id,
        "request_der": reservation.request_der,
        "issue_time": to_microseconds(reservation.issue_time),
        "lease_time": to_microseconds(reservation.lease_time),
        "expire_time": to_microseconds(reservation.issue_time + KEPT_UNSIGNED),
    }


def _reservation(row: Row) -> Reservation:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Reservation(
        certificate_id=values["certificate_id"],
        serial=int(values["serial"], 16),
        order_id=values["order_id"],
        account_id=values["account_id"],
        provisioner=values["provisioner"],
        issuer_key_id=values["issuer_key_id"],
        request_der=values["request_der"],
        issue_time=to_seconds(values["issue_time"]),
        lease_time=to_seconds(values["lease_time"]),
    )


def _signed_values(certificate: Certificate) -> dict[str, Any]:
    not_after = datetime_to_microseconds(certificate.not_after)
    return {
        "der": certificate.der,
        "issuer_pem": certificate.issuer_pem,
        "not_before": datetime_to_microseconds(certificate.not_before),
        "not_after": not_after,
        "spki_sha256": certificate.spki_sha256,
        "expire_time": not_after,
    }


def _certificate(row: Row) -> Certificate:
    values = dict(zip(_COLUMNS, row, strict=True))
    revoked, reason = values["revoke_time"], values["revoke_reason"]
    try:
        return Certificate(
            certificate_id=values["certificate_id"],
            serial=int(values["serial"], 16),
            order_id=values["order_id"],
            account_id=values["account_id"],
            provisioner=values["provisioner"],
            issuer_key_id=values["issuer_key_id"],
            der=values["der"],
            issuer_pem=values["issuer_pem"],
            not_before=microseconds_to_datetime(values["not_before"]),
            not_after=microseconds_to_datetime(values["not_after"]),
            spki_sha256=values["spki_sha256"],
            revoke_time=None if revoked is None else to_seconds(revoked),
            revoke_reason=None if reason is None else RevocationReason(reason),
        )
    except (TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def _crl(row: Row) -> Crl:
    values = dict(zip(_CRL_COLUMNS, row, strict=True))
    return Crl(
        issuer_key_id=values["issuer_key_id"],
        number=values["number"],
        this_update=to_seconds(values["this_update"]),
        next_update=to_seconds(values["next_update"]),
        der=values["der"],
    )
