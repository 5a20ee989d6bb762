"""How much each caller may ask for, and who is refused first."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from gateway.limits.method_classes import MethodClass
from gateway.limits.rate_limits import known_methods
from gateway.principal import Role
from gateway.settings.section import Section


class LimitSettings(Section):
    """What one caller may take of a worker, and who is refused first when it is overloaded.

    - `reserved_calls`: the part of `server.max_concurrent_calls` that minting, enrolling, verifying and
      metadata cannot take, so that introspection gets in; a quarter of that is for revocation and
      administration alone.
    - `queue_target`: seconds that new calls may wait before they are looked at. While they wait longer, calls
      that mint, enroll or verify are refused with OVERLOADED, as many as it takes; 0 looks at nothing.
    - `calls_per_caller`: calls of one caller under way per worker; by default half of
      `server.max_concurrent_calls`. More are refused with RATE_LIMITED.
    - `streams_per_caller`: the same for streams, such as WatchRevocations.
    - `rate_limit_callers`: callers that each rule of `[[rate_limits]]` remembers; those beyond share one
      bucket.
    """

    reserved_calls: float = Field(0.2, ge=0, le=0.9)
    queue_target: float = Field(0.5, ge=0)
    calls_per_caller: int | None = Field(None, ge=1)
    streams_per_caller: int = Field(100, ge=1)
    rate_limit_callers: int = Field(10_000, ge=1)


class RateLimitSettings(Section):
    """How often some callers may call some methods. Of the rules for a call the first one counts.

    - `callers`: by name, as the access log has it: a SPIFFE ID, a subject, `client:` and a client id.
    - `roles`: whoever has one of them.
    - `anonymous`: whoever has no name; each address, or /64 network of IPv6, counts as one caller.
      Without `callers`, `roles` and `anonymous` the rule is for everybody.
    - `methods`: of the classes mint, introspect, revoke, enroll, verify, audit, admin, metadata, of a
      service (`countersign.v1.TokenService`), or one (`countersign.v1.TokenService/MintToken`); empty for all
      but health. A request over HTTPS counts as the method that does the same.
    - `rate`: calls per second of each caller in each worker; every item of a batch is one. Without it these
      callers are not limited.
    - `burst`: calls that may come at once after a pause; by default those of one second.
    """

    callers: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    anonymous: bool = False
    methods: tuple[str, ...] = ()
    rate: float | None = Field(None, gt=0, le=1_000_000)
    burst: int | None = Field(None, ge=1, le=1_000_000)

    @field_validator("methods")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not known_methods(name):
                classes = ", ".join(each for each in MethodClass if each is not MethodClass.HEALTH)
                raise ValueError(
                    f"{name!r} names no method: write a class ({classes}), a service or service/method"
                )
        return value

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        if self.rate is None and self.burst is not None:
            raise ValueError("burst is of a rate; add the rate, or remove burst")
        return self
