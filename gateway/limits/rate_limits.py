"""Which caller may call what how often: the rules of ``[[rate_limits]]``, for both doors.

A rule is looked for by method once, when the method is wrapped; where no rule is for it a call costs nothing.
The buckets are those of this worker: a connection stays with one worker, so that a caller with few
connections would be refused far below its rate if each worker granted a part of it only.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.authorization import POLICIES
from gateway.errors import AvailabilityError, Reason
from gateway.failures import MIN_PAUSE
from gateway.limits.buckets import TokenBuckets
from gateway.limits.method_classes import MethodClass, class_of, service_of
from gateway.principal import Principal, Role

MAX_PAUSE: Final = timedelta(hours=1)
"""What a caller is told at most; a batch can owe more."""
_STEP: Final = timedelta(milliseconds=10)
"""Of the pauses that callers are told, so that refusals are much alike."""


@dataclass(frozen=True, slots=True)
class RateRule:
    """*rate* calls per second, and *burst* at once, for each of some callers; None for as many as they like.

    *callers*, *roles* and *anonymous* say whose; none of them, everybody's. *methods* are classes, services
    and methods without the slash before; empty for all.
    """

    callers: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    anonymous: bool = False
    methods: frozenset[str] = frozenset()
    rate: float | None = None
    burst: int | None = None

    def is_for(self, method: str) -> bool:
        """Whether *method* (full gRPC name) is one of the rule's. Health is nobody's."""
        kind = class_of(method)
        if kind is MethodClass.HEALTH:
            return False
        return not self.methods or not self.methods.isdisjoint({kind, service_of(method), method[1:]})

    def is_of(self, principal: Principal) -> bool:
        """Whether *principal* is one of the rule's callers."""
        if not (self.callers or self.roles or self.anonymous):
            return True
        if not principal.name:
            return self.anonymous
        return principal.name in self.callers or not self.roles.isdisjoint(principal.roles)


def known_methods(name: str) -> frozenset[str]:
    """The methods that *name*, an entry of `RateRule.methods`, stands for; none where it is not one."""
    rule = RateRule(methods=frozenset({name}))
    return frozenset(method for method in POLICIES if rule.is_for(method))


class MethodLimit:
    """The rules for one method, in their order, with the buckets that they share with other methods."""

    def __init__(self, rules: Sequence[tuple[RateRule, TokenBuckets | None]]) -> None:
        self._rules = tuple(rules)

    def take(self, principal: Principal, caller: str, tokens: int = 1) -> None:
        """Count *tokens* calls of *principal*, whose bucket is named *caller*.

        Raises `AvailabilityError` RATE_LIMITED with the time to wait, counting nothing.
        """
        buckets = self._buckets(principal)
        if buckets is not None and (wait := buckets.take(caller, tokens)) > 0:
            raise _limited(wait)

    def check(self, principal: Principal, caller: str) -> None:
        """Raises as `take` would for one call, and counts nothing in any case."""
        buckets = self._buckets(principal)
        if buckets is not None and (wait := buckets.wait(caller)) > 0:
            raise _limited(wait)

    def _buckets(self, principal: Principal) -> TokenBuckets | None:
        for rule, buckets in self._rules:
            if rule.is_of(principal):
                return buckets
        return None


class RateLimits:
    """All rules, each with its buckets, of which *callers* are kept. *clock* gives seconds, monotonic."""

    def __init__(
        self,
        rules: Sequence[RateRule] = (),
        *,
        callers: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = [(rule, _buckets(rule, callers, clock)) for rule in rules]

    def of(self, method: str) -> MethodLimit | None:
        """What limits *method* (full gRPC name); None where nothing does."""
        rules = [(rule, buckets) for rule, buckets in self._rules if rule.is_for(method)]
        return MethodLimit(rules) if any(buckets is not None for _, buckets in rules) else None


def _buckets(rule: RateRule, callers: int, clock: Callable[[], float]) -> TokenBuckets | None:
    if rule.rate is None:
        return None
    burst = max(1, math.ceil(rule.rate)) if rule.burst is None else rule.burst
    return TokenBuckets(rule.rate, burst, callers=callers, clock=clock)


def _limited(wait: float) -> AvailabilityError:
    return AvailabilityError(
        Reason.RATE_LIMITED,
        "The caller has called too often; retry after the pause that comes with this error.",
        retry_after=min(_STEP * math.ceil(max(timedelta(seconds=wait), MIN_PAUSE) / _STEP), MAX_PAUSE),
        cause="rate",
    )
