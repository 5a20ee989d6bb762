"""Which state follows which (RFC 8555 §7.1.6). Pure: each function makes the next value or refuses.

A function is given the order as it is, within the transaction that stores what it returns; so of two that
race, the second sees what the first has done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from gateway.enrollment.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    Order,
    OrderStatus,
    Problem,
    challenge_of,
)

_OPEN: Final = frozenset({OrderStatus.PENDING, OrderStatus.READY})


class TransitionError(Exception):
    """The step is not open from here. *status* is the state that things are in."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an answer: *error* is None where it is good, and then *evidence* is what it showed."""

    error: Problem | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


def as_of(order: Order, now: float) -> Order:
    """*order* with everything that has expired by *now* in the state that this leads to.

    An order that is under way when its time is over stays so: its certificate is being made.
    """
    authorizations = tuple(_aged(each, now) for each in order.authorizations)
    aged = order if authorizations == order.authorizations else replace(order, authorizations=authorizations)
    if aged.status in _OPEN and now >= aged.expire_time:
        return replace(aged, status=OrderStatus.INVALID, error=Problem("malformed", "The order has expired."))
    return _followed(aged)


def settle(order: Order, authorization_id: str, challenge_id: str, verdict: Verdict, now: float) -> Order:
    """*order* after the verdict on an answer to one pending challenge.

    A bad answer makes the challenge, its authorization and the order invalid. Raises `TransitionError` where
    the challenge, its authorization or the order is not pending any more.
    """
    order = as_of(order, now)
    authorization = order.authorization(authorization_id)
    challenge = None if authorization is None else challenge_of(authorization, challenge_id)
    if authorization is None or challenge is None:
        raise TransitionError("the order has no such challenge", "missing")
    if challenge.status is not ChallengeStatus.PENDING:
        raise TransitionError("the challenge was answered before", challenge.status)
    if authorization.status is not AuthorizationStatus.PENDING:
        raise TransitionError("the authorization is not pending", authorization.status)
    if order.status is not OrderStatus.PENDING:
        raise TransitionError("the order is not pending", order.status)
    settled = replace(
        challenge,
        status=ChallengeStatus.VALID if verdict.error is None else ChallengeStatus.INVALID,
        validate_time=now if verdict.error is None else None,
        error=verdict.error,
        evidence=MappingProxyType(dict(verdict.evidence) if verdict.error is None else {}),
    )
    return _followed(_with(order, _judged(authorization, settled)))


def deactivate_authorization(order: Order, authorization_id: str, now: float) -> Order:
    """*order* after its client gave up an authorization (RFC 8555 §7.5.2). Raises `TransitionError`."""
    order = as_of(order, now)
    authorization = order.authorization(authorization_id)
    if authorization is None:
        raise TransitionError("the order has no such authorization", "missing")
    if authorization.status not in {AuthorizationStatus.PENDING, AuthorizationStatus.VALID}:
        raise TransitionError("the authorization is over", authorization.status)
    return _followed(_with(order, replace(authorization, status=AuthorizationStatus.DEACTIVATED)))


def begin_issuing(order: Order, now: float) -> Order:
    """*order*, ready, with its certificate under way. Raises `TransitionError`."""
    order = as_of(order, now)
    if order.status is not OrderStatus.READY:
        raise TransitionError("the order is not ready", order.status)
    return replace(order, status=OrderStatus.PROCESSING)


def issued(order: Order, certificate_id: str) -> Order:
    """*order* with its certificate. Raises `TransitionError` unless it was under way."""
    if order.status is not OrderStatus.PROCESSING:
        raise TransitionError("no certificate is under way", order.status)
    return replace(order, status=OrderStatus.VALID, certificate_id=certificate_id)


def abandoned(order: Order, error: Problem) -> Order:
    """*order* whose certificate cannot be made. Raises `TransitionError` unless it was under way."""
    if order.status is not OrderStatus.PROCESSING:
        raise TransitionError("no certificate is under way", order.status)
    return replace(order, status=OrderStatus.INVALID, error=error)


def _aged(authorization: Authorization, now: float) -> Authorization:
    """RFC 8555 §7.1.6: a pending one becomes invalid when its time is over, a valid one expired."""
    if now < authorization.expire_time:
        return authorization
    if authorization.status is AuthorizationStatus.PENDING:
        return replace(authorization, status=AuthorizationStatus.INVALID)
    if authorization.status is AuthorizationStatus.VALID:
        return replace(authorization, status=AuthorizationStatus.EXPIRED)
    return authorization


def _judged(authorization: Authorization, settled: Challenge) -> Authorization:
    challenges = tuple(
        settled if each.challenge_id == settled.challenge_id else each for each in authorization.challenges
    )
    done = [each.status is ChallengeStatus.VALID for each in challenges]
    if settled.status is ChallengeStatus.INVALID:
        status = AuthorizationStatus.INVALID
    elif all(done) or (any(done) and not authorization.all_required):
        status = AuthorizationStatus.VALID
    else:
        status = authorization.status
    return replace(authorization, challenges=challenges, status=status)


def _with(order: Order, changed: Authorization) -> Order:
    return replace(
        order,
        authorizations=tuple(
            changed if each.authorization_id == changed.authorization_id else each
            for each in order.authorizations
        ),
    )


def _followed(order: Order) -> Order:
    """The order's own state, as its authorizations make it."""
    if order.status not in _OPEN:
        return order
    states = {each.status for each in order.authorizations}
    if states == {AuthorizationStatus.VALID}:
        return order if order.status is OrderStatus.READY else replace(order, status=OrderStatus.READY)
    if states <= {AuthorizationStatus.VALID, AuthorizationStatus.PENDING}:
        return order
    return replace(order, status=OrderStatus.INVALID, error=order.error or _first_error(order))


def _first_error(order: Order) -> Problem:
    for authorization in order.authorizations:
        for challenge in authorization.challenges:
            if challenge.error is not None:
                return challenge.error
    return Problem("unauthorized", "An authorization of the order does not hold any more.")
