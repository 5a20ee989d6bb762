"""How a service behind a network is used: what a key URI does not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from signers.errors import KeyUriError

MAX_TIMEOUT = 300.0
MAX_CONCURRENCY = 1024
MAX_QUEUE = 1_000_000


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Settings for every provider of one scheme.

    `timeout`: seconds after which a signature is given up, whatever the caller waits, retries included.
    `attempt_timeout`: seconds for one request, half of `timeout` at most; a request that hangs leaves time
    for another.
    `attempts`: requests made for one signature where the failure is one that passes.
    `concurrency`: requests under way at once, and answers that wait to be verified. Where the service signs
    batches, fewer requests make larger batches.
    `max_queue`: signatures that may wait; beyond, calls fail at once with `SignerBusyError`.
    `max_batch`: signatures in one request, at most; lowered to what the service takes.
    `budget`: requests per second that this process may make, to be set below the service's quota; None for no
    limit. `burst`: requests that may be made at once after a pause.
    `budget_wait`: seconds that a signature may wait for the budget; where it would wait longer, the call
    fails at once with `SignerThrottledError`.
    """

    timeout: float = 10.0
    attempt_timeout: float = 3.0
    attempts: int = 3
    concurrency: int = 8
    max_queue: int = 1024
    max_batch: int = 64
    budget: float | None = None
    burst: int = 10
    budget_wait: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= MAX_TIMEOUT or not 0 < self.attempt_timeout <= MAX_TIMEOUT:
            raise KeyUriError(f"A signer's timeouts must be more than 0 and at most {MAX_TIMEOUT:g} seconds.")
        if not 1 <= self.concurrency <= MAX_CONCURRENCY or not 1 <= self.max_queue <= MAX_QUEUE:
            raise KeyUriError(f"concurrency must be 1 to {MAX_CONCURRENCY}, and max_queue 1 to {MAX_QUEUE}.")
        if self.attempts < 1 or self.max_batch < 1 or self.burst < 1:
            raise KeyUriError("attempts, max_batch and burst must be 1 or more.")
        if (self.budget is not None and self.budget <= 0) or self.budget_wait < 0:
            raise KeyUriError("A budget must be more than 0 requests per second, and budget_wait 0 or more.")


@dataclass(frozen=True, slots=True)
class RemoteOverrides:
    """What an operator wants otherwise than a backend's own `RemoteOptions`; None leaves it as it is."""

    timeout: float | None = None
    attempt_timeout: float | None = None
    attempts: int | None = None
    concurrency: int | None = None
    max_queue: int | None = None
    max_batch: int | None = None
    budget: float | None = None
    burst: int | None = None
    budget_wait: float | None = None

    def over(self, defaults: RemoteOptions) -> RemoteOptions:
        """*defaults* with these in their place. Raises `KeyUriError` for values that do not go together."""
        wanted = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(defaults, **{name: value for name, value in wanted.items() if value is not None})


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """The options of every scheme. `processes` share one quota, so each gets its part of the budget."""

    by_scheme: Mapping[str, RemoteOverrides | RemoteOptions] = field(default_factory=dict)
    processes: int = 1

    def get(self, scheme: str, defaults: RemoteOptions) -> RemoteOptions:
        """The options of *scheme*, whose backend has *defaults*."""
        wanted = self.by_scheme.get(scheme, defaults)
        options = wanted if isinstance(wanted, RemoteOptions) else wanted.over(defaults)
        if options.budget is None:
            return options
        return replace(options, budget=options.budget / self.processes)
