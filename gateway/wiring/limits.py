"""The rules of the configuration, with their buckets."""

from gateway.config import Settings
from gateway.limits.rate_limits import RateLimits, RateRule


def rate_limits_of(settings: Settings) -> RateLimits:
    """What ``[[rate_limits]]`` says, for one worker."""
    rules = [
        RateRule(
            callers=frozenset(each.callers),
            roles=frozenset(each.roles),
            anonymous=each.anonymous,
            methods=frozenset(each.methods),
            rate=each.rate,
            burst=each.burst,
        )
        for each in settings.rate_limits
    ]
    return RateLimits(rules, callers=settings.limits.rate_limit_callers)
