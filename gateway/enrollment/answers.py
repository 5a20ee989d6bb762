"""Answering a challenge (RFC 8555 §7.5.1): judged at once, and settled in one step.

A verdict is reached before anything is written. Of answers that race, the first to be stored decides, and the
others are told what became of the challenge; no answer is judged twice by what it uses up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from gateway.clock import Clock
from gateway.enrollment import transitions, wire_dpop, wire_oidc
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.identifiers import WireIdentity, names_of
from gateway.enrollment.model import (
    Account,
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    ChallengeType,
    Order,
    OrderStatus,
    Problem,
    challenge_of,
)
from gateway.enrollment.orders import Orders, not_ready
from gateway.enrollment.ports import OrderRepository, SingleUse, UsedError
from gateway.enrollment.provisioners import Provisioners
from gateway.enrollment.transitions import TransitionError, Verdict
from gateway.errors import Reason, RequestError, StateError
from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims

_MAX_TOKEN: Final = 24 * 1024  # characters
_OPEN: Final = (ChallengeStatus.PENDING, AuthorizationStatus.PENDING)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IdTokenAnswer:
    """For wire-oidc-01; *key_authorization* is the first generation's ``keyauth``."""

    id_token: str = field(repr=False)
    key_authorization: str | None = None


@dataclass(frozen=True, slots=True)
class AccessTokenAnswer:
    """For wire-dpop-01."""

    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadyAnswer:
    """For the challenges of DNS names and addresses: what is to be found is in place."""


Answer: TypeAlias = IdTokenAnswer | AccessTokenAnswer | ReadyAnswer


@dataclass(frozen=True, slots=True)
class Answered:
    """A challenge with what it belongs to, as of now."""

    order: Order
    authorization: Authorization
    challenge: Challenge


def parse_answer(payload: bytes) -> Answer:
    """The answer that an ACME payload is (``{"id_token": ...}``, ``{"access_token": ...}``, ``{}``).

    Raises `RequestError` INVALID_FIELD.
    """
    try:
        claims = Claims.parse(payload)
        if "id_token" in claims:
            return IdTokenAnswer(
                claims.string("id_token", max_length=_MAX_TOKEN), claims.optional_string("keyauth")
            )
        if "access_token" in claims:
            return AccessTokenAnswer(claims.string("access_token", max_length=_MAX_TOKEN))
    except JoseError as error:
        raise RequestError(Reason.INVALID_FIELD, "The answer is malformed.", field="payload") from error
    return ReadyAnswer()


class Challenges:
    """Judges and settles answers."""

    def __init__(
        self,
        *,
        orders: Orders,
        repository: OrderRepository,
        provisioners: Provisioners,
        domains: DomainValidator | None,
        clock: Clock,
    ) -> None:
        """*domains*: None where no provisioner certifies DNS names or addresses."""
        self._orders = orders
        self._repository = repository
        self._provisioners = provisioners
        self._domains = domains
        self._clock = clock

    async def get(self, account: Account, authorization_id: str, challenge_id: str) -> Answered:
        """The account's challenge. Raises `StateError` ENROLLMENT_NOT_FOUND."""
        order, _ = await self._orders.by_authorization(account, authorization_id)
        return _answered(order, authorization_id, challenge_id)

    async def answer(
        self, account: Account, authorization_id: str, challenge_id: str, answer: Answer
    ) -> Answered:
        """The challenge after *answer*; one that is not pending is returned as it is.

        A bad answer is no error: the challenge becomes invalid and says why. Raises `StateError`:
        ENROLLMENT_NOT_FOUND, ORDER_NOT_READY where the order or authorization is over; `RequestError`
        INVALID_FIELD for an answer of another kind, which leaves the challenge as it is; `AvailabilityError`.
        """
        found = await self.get(account, authorization_id, challenge_id)
        if (found.challenge.status, found.authorization.status) != _OPEN:
            return found
        if found.order.status is not OrderStatus.PENDING:
            # Another authorization has ended the order: nothing is looked up for it any more.
            raise not_ready(TransitionError("the order is over", found.order.status))
        verdict, uses = await self._judge(account, found, answer)
        settled = await self._settle(found, verdict, uses)
        if settled is None:
            return await self.get(account, authorization_id, challenge_id)
        return _answered(settled, authorization_id, challenge_id)

    async def _settle(self, found: Answered, verdict: Verdict, uses: Sequence[SingleUse]) -> Order | None:
        """The order with *verdict*; None where another answer was first, or the order ended meanwhile."""
        authorization_id = found.authorization.authorization_id
        challenge_id = found.challenge.challenge_id
        now = self._clock()

        def step(before: Order) -> Order:
            return transitions.settle(before, authorization_id, challenge_id, verdict, now)

        try:
            return await self._repository.change(found.order.order_id, step, uses=uses)
        except UsedError:
            replayed = Verdict(Problem("rejectedIdentifier", "What was presented was used before."))
            return await self._settle(found, replayed, ())
        except TransitionError as error:
            if error.status not in {ChallengeStatus.VALID, ChallengeStatus.INVALID}:
                raise not_ready(error) from error
            return None

    async def _judge(
        self, account: Account, found: Answered, answer: Answer
    ) -> tuple[Verdict, Sequence[SingleUse]]:
        provisioner = self._provisioners.get(found.order.provisioner)
        challenge = found.challenge
        url = provisioner.challenge_url(found.authorization.authorization_id, challenge.challenge_id)
        match challenge.type, answer:
            case ChallengeType.WIRE_OIDC, IdTokenAnswer(id_token, key_authorization):
                identity = _identity(found.order)
                return await wire_oidc.judge(
                    wire_oidc.OidcAnswer(id_token, key_authorization, challenge, url, identity, account),
                    _required(provisioner.oidc),
                )
            case ChallengeType.WIRE_DPOP, AccessTokenAnswer(access_token):
                identity = _identity(found.order)
                return wire_dpop.judge(
                    wire_dpop.DpopAnswer(access_token, challenge, url, identity, account),
                    _required(provisioner.dpop),
                    self._clock(),
                )
            case ChallengeType.HTTP | ChallengeType.DNS | ChallengeType.TLS_ALPN, ReadyAnswer():
                verdict = await _required(self._domains).judge(
                    challenge.type,
                    found.authorization.identifier,
                    challenge.token,
                    account.key_authorization(challenge.token),
                )
                return verdict, ()
            case _:
                raise RequestError(
                    Reason.INVALID_FIELD,
                    f"This is no answer to {challenge.type}.",
                    field="answer",
                )


def _answered(order: Order, authorization_id: str, challenge_id: str) -> Answered:
    authorization = order.authorization(authorization_id)
    challenge = None if authorization is None else challenge_of(authorization, challenge_id)
    if authorization is None or challenge is None:
        raise StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such challenge.", field="name")
    return Answered(order, authorization, challenge)


def _required(part: _T | None) -> _T:
    """A part that the provisioner's configuration must have, since it offers the challenge."""
    if part is None:
        raise RuntimeError("a challenge is offered that the provisioner is not configured for")
    return part


def _identity(order: Order) -> WireIdentity:
    return _required(names_of(order.identifiers).wire)
