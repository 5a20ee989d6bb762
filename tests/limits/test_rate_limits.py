"""Which rule counts for which call."""

from datetime import timedelta

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.failures import MIN_PAUSE
from gateway.limits.rate_limits import MAX_PAUSE, RateLimits, RateRule, known_methods
from gateway.principal import ANONYMOUS, Principal, Role

MINT = "/countersign.v1.TokenService/MintToken"
BATCH = "/countersign.v1.TokenService/BatchMintTokens"
INTROSPECT = "/countersign.v1.IntrospectionService/IntrospectToken"
HEALTH = "/grpc.health.v1.Health/Check"
ALICE = Principal("spiffe://example.org/alice", frozenset({Role.CLIENT}))
BOB = Principal("spiffe://example.org/bob", frozenset({Role.VERIFIER}))


def limits(*rules: RateRule) -> RateLimits:
    """Rules whose clock stands still."""
    return RateLimits(rules, clock=lambda: 100.0)


def passes(limit, principal, caller=None, tokens=1) -> int:
    """How many calls in a row pass, up to ten; the next is RATE_LIMITED."""
    for count in range(10):
        try:
            limit.take(principal, caller or principal.name, tokens)
        except AvailabilityError as error:
            if error.reason is not Reason.RATE_LIMITED:
                raise
            return count
    return 10


def test_without_rules_nothing_is_looked_for():
    """A method that no rule is for has nothing to ask in its calls."""
    assert limits().of(MINT) is None
    assert limits(RateRule(methods=frozenset({"introspect"}), rate=1)).of(MINT) is None
    assert limits(RateRule(methods=frozenset({"mint"}))).of(MINT) is None


def test_health_is_never_limited():
    """No rule is for health, not even one for all methods."""
    assert limits(RateRule(rate=1)).of(HEALTH) is None


@pytest.mark.parametrize(
    "name",
    ["mint", "countersign.v1.TokenService", "countersign.v1.TokenService/MintToken"],
)
def test_methods_by_class_service_and_name(name):
    """A rule names methods in any of three ways."""
    made = limits(RateRule(methods=frozenset({name}), rate=1, burst=2))
    assert passes(made.of(MINT), ALICE) == 2
    assert made.of(INTROSPECT) is None


def test_methods_share_the_bucket_of_their_rule():
    """Who has used up a rule's burst with one method has none left for another."""
    made = limits(RateRule(methods=frozenset({"mint"}), rate=1, burst=2))
    assert passes(made.of(MINT), ALICE) == 2
    assert passes(made.of(BATCH), ALICE) == 0


def test_callers_by_name_role_and_without_a_name():
    """A rule is for whom it names; others are not limited by it."""
    by_name = limits(RateRule(callers=frozenset({ALICE.name}), rate=1, burst=1)).of(MINT)
    by_role = limits(RateRule(roles=frozenset({Role.CLIENT}), rate=1, burst=1)).of(MINT)
    nameless = limits(RateRule(anonymous=True, rate=1, burst=1)).of(MINT)
    for limit in (by_name, by_role):
        assert passes(limit, ALICE) == 1
        assert passes(limit, BOB) == 10
        assert passes(limit, ANONYMOUS, "192.0.2.1") == 10
    assert passes(nameless, ALICE) == 10
    assert passes(nameless, ANONYMOUS, "192.0.2.1") == 1
    assert passes(nameless, ANONYMOUS, "192.0.2.2") == 1


def test_the_first_rule_counts():
    """A rule for one caller before a rule for everybody gives that caller another rate, or none."""
    made = limits(
        RateRule(callers=frozenset({ALICE.name})),
        RateRule(roles=frozenset({Role.VERIFIER}), rate=1, burst=3),
        RateRule(rate=1, burst=1),
    ).of(MINT)
    assert passes(made, ALICE) == 10
    assert passes(made, BOB) == 3
    assert passes(made, ANONYMOUS, "192.0.2.1") == 1


def test_the_default_burst_is_that_of_a_second():
    """It is at least one, so that a rate below one per second lets calls through at all."""
    assert passes(limits(RateRule(rate=4)).of(MINT), ALICE) == 4
    assert passes(limits(RateRule(rate=0.1)).of(MINT), ALICE) == 1


def test_the_time_to_wait_is_told():
    """A refusal says when the same call passes, between the bounds of what is worth telling."""
    limit = limits(RateRule(rate=0.5, burst=1)).of(MINT)
    limit.take(ALICE, ALICE.name)
    with pytest.raises(AvailabilityError) as caught:
        limit.take(ALICE, ALICE.name)
    assert caught.value.retry_after.total_seconds() == pytest.approx(2, abs=1e-4)
    slow, fast = limits(RateRule(rate=1e-6)).of(MINT), limits(RateRule(rate=1e6, burst=1)).of(MINT)
    for limit, told in ((slow, MAX_PAUSE), (fast, MIN_PAUSE)):
        limit.take(ALICE, ALICE.name)
        with pytest.raises(AvailabilityError) as caught:
            limit.check(ALICE, ALICE.name)
        assert caught.value.retry_after == told
    assert timedelta() < MIN_PAUSE


def test_checking_counts_nothing():
    """A batch is looked at before it is parsed, and counted afterwards."""
    limit = limits(RateRule(rate=1, burst=3)).of(BATCH)
    for _ in range(5):
        limit.check(ALICE, ALICE.name)
    assert passes(limit, ALICE, tokens=3) == 1
    with pytest.raises(AvailabilityError):
        limit.check(ALICE, ALICE.name)


def test_names_of_no_method():
    """What names no method is known to be a mistake."""
    assert MINT in known_methods("mint")
    assert known_methods("countersign.v1.TokenService/MintToken") == {MINT}
    for name in ("", "mints", "health", "TokenService", "countersign.v1.TokenService/Mint"):
        assert not known_methods(name)
