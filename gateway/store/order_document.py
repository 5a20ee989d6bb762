"""An order as the JSON document that its row holds. Times are microseconds since the epoch."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from gateway.enrollment.identifiers import Identifier, IdentifierType
from gateway.enrollment.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    ChallengeType,
    Order,
    OrderStatus,
    Problem,
)
from gateway.store.database import to_microseconds, to_seconds
from gateway.store.failures import StoreCause, unavailable

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
REMEMBERED: Final = 1024
"""Documents; each is a few kilobytes."""


class _Known:
    """The orders of the last documents. What a document says never changes, so any thread may add it."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._lock = Lock()
        self.get = self._orders.get

    def add(self, document: str, order: Order) -> None:
        """Remember it in place of the oldest."""
        with self._lock:
            if len(self._orders) >= REMEMBERED:
                del self._orders[next(iter(self._orders))]
            self._orders[document] = order


_KNOWN: Final = _Known()


def to_document(order: Order) -> str:
    """The document of *order*, its ids included."""
    members = {
        "order_id": order.order_id,
        "account_id": order.account_id,
        "provisioner": order.provisioner,
        "status": order.status,
        "identifiers": [[each.type, each.value] for each in order.identifiers],
        "authorizations": [_authorization_members(each) for each in order.authorizations],
        "not_before": _optional_moment(order.not_before),
        "not_after": _optional_moment(order.not_after),
        "create_time": to_microseconds(order.create_time),
        "expire_time": to_microseconds(order.expire_time),
        "certificate_id": order.certificate_id,
        "error": _problem_members(order.error),
        "replaces": order.replaces,
    }
    document = _ENCODER.encode(members)
    _KNOWN.add(document, order)
    return document


def from_document(document: str) -> Order:
    """The order that *document* holds; `AvailabilityError` (``store_corrupt``) where it holds none.

    A step reads an order, decides, and reads it again where it is written: a document is parsed once, one
    that this process has written never, and the value, of which nothing changes, is shared. Fractions of a
    microsecond, which a document leaves out, are those of whoever wrote it.
    """
    known = _KNOWN.get(document)
    if known is not None:
        return known
    try:
        order = _order(json.loads(document))
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error
    _KNOWN.add(document, order)
    return order


def _order(members: Mapping[str, Any]) -> Order:
    return Order(
        order_id=members["order_id"],
        account_id=members["account_id"],
        provisioner=members["provisioner"],
        status=OrderStatus(members["status"]),
        identifiers=tuple(Identifier(IdentifierType(kind), text) for kind, text in members["identifiers"]),
        authorizations=tuple(_authorization(each) for each in members["authorizations"]),
        not_before=_optional_datetime(members["not_before"]),
        not_after=_optional_datetime(members["not_after"]),
        create_time=to_seconds(members["create_time"]),
        expire_time=to_seconds(members["expire_time"]),
        certificate_id=members["certificate_id"],
        error=_problem(members["error"]),
        replaces=members["replaces"],
    )


def _authorization_members(authorization: Authorization) -> dict[str, Any]:
    return {
        "authorization_id": authorization.authorization_id,
        "identifier": [authorization.identifier.type, authorization.identifier.value],
        "status": authorization.status,
        "expire_time": to_microseconds(authorization.expire_time),
        "challenges": [_challenge_members(each) for each in authorization.challenges],
        "all_required": authorization.all_required,
    }


def _authorization(members: Mapping[str, Any]) -> Authorization:
    kind, text = members["identifier"]
    return Authorization(
        authorization_id=members["authorization_id"],
        identifier=Identifier(IdentifierType(kind), text),
        status=AuthorizationStatus(members["status"]),
        expire_time=to_seconds(members["expire_time"]),
        challenges=tuple(_challenge(each) for each in members["challenges"]),
        all_required=members["all_required"],
    )


def _challenge_members(challenge: Challenge) -> dict[str, Any]:
    validated = challenge.validate_time
    return {
        "challenge_id": challenge.challenge_id,
        "type": challenge.type,
        "token": challenge.token,
        "status": challenge.status,
        "validate_time": None if validated is None else to_microseconds(validated),
        "error": _problem_members(challenge.error),
        "evidence": dict(challenge.evidence),
    }


def _challenge(members: Mapping[str, Any]) -> Challenge:
    validated = members["validate_time"]
    return Challenge(
        challenge_id=members["challenge_id"],
        type=ChallengeType(members["type"]),
        token=members["token"],
        status=ChallengeStatus(members["status"]),
        validate_time=None if validated is None else to_seconds(validated),
        error=_problem(members["error"]),
        evidence=MappingProxyType(members["evidence"]),
    )


def _problem_members(problem: Problem | None) -> list[str] | None:
    return None if problem is None else [problem.type, problem.detail]


def _problem(members: list[str] | None) -> Problem | None:
    return None if members is None else Problem(*members)


def _optional_moment(moment: datetime | None) -> int | None:
    return None if moment is None else datetime_to_microseconds(moment)


def _optional_datetime(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else microseconds_to_datetime(microseconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def datetime_to_microseconds(moment: datetime) -> int:
    """Exactly, where a float of seconds would round."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def microseconds_to_datetime(microseconds: int) -> datetime:
    """In UTC."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
