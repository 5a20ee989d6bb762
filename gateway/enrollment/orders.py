"""Orders and authorizations (RFC 8555 §7.4, §7.5): made, read, listed, given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock
from gateway.enrollment import transitions
from gateway.enrollment.authorities import moment
from gateway.enrollment.certified_names import certified_names, names_in
from gateway.enrollment.identifiers import (
    Identifier,
    IdentifierType,
    names_of,
    parse_identifiers,
    shown_names,
)
from gateway.enrollment.ids import new_id
from gateway.enrollment.model import (
    Account,
    Authorization,
    AuthorizationStatus,
    Challenge,
    Order,
    OrderStatus,
)
from gateway.enrollment.ports import CertificateRepository, OrderRepository
from gateway.enrollment.provisioners import Provisioner, Provisioners
from gateway.enrollment.transitions import TransitionError
from gateway.errors import Reason, RequestError, StateError
from gateway.pki import issuance_errors
from gateway.pki.renewal import RenewalIdentifier


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What newOrder asks for. Times are in UTC, None where the provisioner is to decide."""

    identifiers: Sequence[tuple[str, str]]
    not_before: datetime | None = None
    not_after: datetime | None = None
    replaces: str | None = None


class Orders:
    """Each method takes an account that its door has established as the caller's, and valid."""

    def __init__(
        self,
        *,
        orders: OrderRepository,
        certificates: CertificateRepository,
        provisioners: Provisioners,
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._certificates = certificates
        self._provisioners = provisioners
        self._clock = clock

    async def create(self, account: Account, wish: OrderWish) -> Order:
        """A pending order, with an authorization for each identifier.

        Raises `RequestError`: INVALID_FIELD, UNSUPPORTED_IDENTIFIER, REJECTED_IDENTIFIER; `StateError`
        ENROLLMENT_NOT_FOUND for what *replaces* names, ALREADY_REPLACED where another order replaces it;
        `AvailabilityError`.
        """
        provisioner = self._provisioners.get(account.provisioner)
        identifiers = parse_identifiers(wish.identifiers)
        now = self._clock()
        expire_time = now + provisioner.order_lifetime
        authorizations = tuple(_authorization(provisioner, each, expire_time) for each in identifiers)
        _require_permitted(provisioner, identifiers)
        try:
            provisioner.profile.validity.window(moment(now), wish.not_before, wish.not_after)
        except issuance_errors.RequestError as error:
            raise RequestError(
                Reason.INVALID_FIELD, "The validity asked for is not granted.", field="not_after"
            ) from error
        replaced = None
        if wish.replaces is not None:
            replaced = await self._replaceable(account, identifiers, wish.replaces)
        order = Order(
            order_id=new_id(),
            account_id=account.account_id,
            provisioner=provisioner.name,
            status=OrderStatus.PENDING,
            identifiers=identifiers,
            authorizations=authorizations,
            not_before=wish.not_before,
            not_after=wish.not_after,
            create_time=now,
            expire_time=expire_time,
            replaces=wish.replaces,
        )
        await self._orders.create(order, replaced=replaced)
        return order

    async def get(self, account: Account, order_id: str) -> Order:
        """The account's order as of now. Raises `StateError` ENROLLMENT_NOT_FOUND."""
        order = await self._orders.get(order_id)
        if order is None or order.account_id != account.account_id:
            raise _missing("order")
        return transitions.as_of(order, self._clock())

    async def by_authorization(self, account: Account, authorization_id: str) -> tuple[Order, Authorization]:
        """The account's authorization as of now, with its order. Raises `StateError` ENROLLMENT_NOT_FOUND."""
        order = await self._orders.by_authorization(authorization_id)
        if order is None or order.account_id != account.account_id:
            raise _missing("authorization")
        order = transitions.as_of(order, self._clock())
        found = order.authorization(authorization_id)
        if found is None:
            raise _missing("authorization")
        return order, found

    async def list_ids(
        self, account: Account, *, after: str | None, limit: int
    ) -> tuple[Sequence[str], str | None]:
        """A page of the account's orders by id, and the last id where more follow (RFC 8555 §7.1.2.1)."""
        found = await self._orders.list_ids(account.account_id, after=after, limit=limit + 1)
        page = found[:limit]
        return page, page[-1] if len(found) > limit else None

    async def deactivate_authorization(
        self, account: Account, authorization_id: str
    ) -> tuple[Order, Authorization]:
        """Give an authorization up (RFC 8555 §7.5.2). Raises `StateError`: ENROLLMENT_NOT_FOUND,
        ORDER_NOT_READY where it is over already.
        """
        order, _ = await self.by_authorization(account, authorization_id)
        now = self._clock()
        try:
            await self._orders.change(
                order.order_id,
                lambda before: transitions.deactivate_authorization(before, authorization_id, now),
            )
        except TransitionError as error:
            raise not_ready(error) from error
        return await self.by_authorization(account, authorization_id)

    async def _replaceable(self, account: Account, identifiers: Sequence[Identifier], text: str) -> str:
        """The id of the certificate to replace, the account's own, which names one of *identifiers*.

        RFC 9773 §5. Whether another order replaces it is decided where this one is stored.
        """
        try:
            identifier = RenewalIdentifier.parse(text)
        except issuance_errors.RevocationError as error:
            raise RequestError(
                Reason.INVALID_FIELD, "It is not a renewal identifier.", field="replaces"
            ) from error
        found = await self._certificates.by_serial(identifier.key_identifier.hex(), identifier.serial)
        if found is None or found.account_id != account.account_id:
            raise _missing("certificate")
        certified = names_in(found.der)
        if all(certified.isdisjoint(shown_names(each)) for each in identifiers):
            raise RequestError(
                Reason.INVALID_FIELD, "The certificate to replace has none of these names.", field="replaces"
            )
        return found.certificate_id


def not_ready(error: TransitionError) -> StateError:
    """What a caller is told of a step that is not open; to be raised from *error*."""
    return StateError(
        Reason.ORDER_NOT_READY,
        "The order, or its part, is not in the state that this needs.",
        metadata={"status": error.status},
    )


def _require_permitted(provisioner: Provisioner, identifiers: tuple[Identifier, ...]) -> None:
    """The profile certifies these names; else nobody is asked to show control, and no host is looked at."""
    try:
        provisioner.profile.names.require(*certified_names(names_of(identifiers)))
    except issuance_errors.RequestError as error:
        raise RequestError(
            Reason.REJECTED_IDENTIFIER,
            "The provisioner does not certify these names.",
            field="identifiers",
            metadata={"fault": error.code.value},
            cause=error.code.value,
        ) from error


def _authorization(provisioner: Provisioner, identifier: Identifier, expire_time: float) -> Authorization:
    kinds = provisioner.offered(identifier)
    if not kinds:
        raise RequestError(
            Reason.UNSUPPORTED_IDENTIFIER,
            "The provisioner does not certify identifiers of this type.",
            field="identifiers",
        )
    # The walk-through's client expects the token to be the same for both challenges of an authorization.
    token = new_id()
    return Authorization(
        authorization_id=new_id(),
        identifier=identifier,
        status=AuthorizationStatus.PENDING,
        expire_time=expire_time,
        challenges=tuple(Challenge(new_id(), kind, token) for kind in kinds),
        all_required=identifier.type is IdentifierType.WIRE_ID,
    )


def _missing(what: str) -> StateError:
    return StateError(Reason.ENROLLMENT_NOT_FOUND, f"There is no such {what}.", field="name")
