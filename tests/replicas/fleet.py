"""The clients' side: calls that go to one replica after another, and what became of each, written down."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

import grpc
from countersign import (
    CountersignError,
    DeadlineExceededError,
    GatewayClient,
    RetryPolicy,
    TlsConfig,
    UnavailableError,
)
from countersign._status import error_of_call

from tests.replicas.history import Attempt, History, Kind, Outcome
from tests.support.pki import Issued

R = TypeVar("R")

ATTEMPT_TIMEOUT: Final = 2.5
"""Seconds that a client gives a replica before it asks another."""
PATIENCE: Final = 60.0
"""Seconds after which a client gives up: the run has failed then."""
_AVOIDED: Final = 0.5
"""Seconds for which a replica that did not answer is not the first choice."""


class GivenUpError(Exception):
    """A call that is safe to repeat did not succeed at any replica within `PATIENCE`."""


@dataclass
class Outages:
    """How long calls that were repeated had to wait, and what they met meanwhile."""

    longest: float = 0.0
    longest_kind: str = ""
    repeated: int = 0
    met: Counter[str] = field(default_factory=Counter)


@dataclass
class Fleet:
    """A client of each replica, as one caller with every role."""

    clients: Sequence[GatewayClient]
    history: History
    random: random.Random
    epoch: float = field(default_factory=time.monotonic)
    outages: Outages = field(default_factory=Outages)
    _avoided: dict[int, float] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.epoch

    def number(self) -> int:
        """A number that no other call has."""
        return next(self._numbers)

    def choose(self, *, besides: int | None = None) -> int:
        """A replica, one that answered of late where there is one; never *besides*."""
        choices = [each for each in range(len(self.clients)) if each != besides]
        sound = [each for each in choices if self._avoided.get(each, 0.0) < self.now()]
        return self.random.choice(sound or choices)

    async def attempt(
        self,
        kind: Kind,
        subject: str,
        call: Callable[[GatewayClient], Awaitable[R]],
        *,
        told: Callable[[R], Sequence[str]] = lambda _: (),
        family: str = "",
        replica: int | None = None,
        heard: Sequence[str] = (),
    ) -> tuple[Attempt, R | None]:
        """Make one call at one replica, and write down what became of it.

        *heard*: what *call* fills while it is under way; it was told, whatever becomes of the call.
        """
        at = self.choose() if replica is None else replica
        began = self.now()
        outcome, reason, answer, words = Outcome.OK, "", None, ()
        try:
            answer = await self._with_deadline(call(self.clients[at]))
            words = tuple(told(answer))
        except (UnavailableError, DeadlineExceededError) as error:
            outcome, reason = Outcome.UNKNOWN, error.reason or error.code.name
            self._avoided[at] = self.now() + _AVOIDED
        except CountersignError as error:
            outcome, reason = Outcome.REFUSED, error.reason or error.code.name
        made = Attempt(kind, subject, at, began, self.now(), outcome, (*words, *heard), reason, family)
        self.history.add(made)
        return made, answer

    async def persist(
        self,
        kind: Kind,
        subject: str,
        call: Callable[[GatewayClient], Awaitable[R]],
        *,
        told: Callable[[R], Sequence[str]] = lambda _: (),
        family: str = "",
    ) -> tuple[Attempt, R | None]:
        """Repeat *call*, at one replica after another, until it is answered. Raises `GivenUpError`."""
        began = self.now()
        last: int | None = None
        for tries in itertools.count():
            made, answer = await self.attempt(
                kind, subject, call, told=told, family=family, replica=self.choose(besides=last)
            )
            if made.outcome is not Outcome.UNKNOWN:
                if tries:
                    self._note_outage(kind, made.ended - began)
                return made, answer
            self.outages.met[made.reason] += 1
            if self.now() - began > PATIENCE:
                raise GivenUpError(made.line())
            last = made.replica
            await asyncio.sleep(self.random.uniform(0.02, 0.1))
        raise AssertionError("endless")

    async def race(
        self,
        kind: Kind,
        subject: str,
        call: Callable[[GatewayClient], Awaitable[R]],
        *,
        racers: int = 2,
        told: Callable[[R], Sequence[str]] = lambda _: (),
        family: str = "",
    ) -> list[tuple[Attempt, R | None]]:
        """The same call at several replicas at once."""
        replicas = self.random.sample(range(len(self.clients)), k=min(racers, len(self.clients)))
        return await asyncio.gather(
            *(self.attempt(kind, subject, call, told=told, family=family, replica=at) for at in replicas)
        )

    def _note_outage(self, kind: Kind, seconds: float) -> None:
        self.outages.repeated += 1
        if seconds > self.outages.longest:
            self.outages.longest, self.outages.longest_kind = seconds, kind

    async def _with_deadline(self, call: Awaitable[R]) -> R:
        """A frozen process accepts a connection and never answers: gRPC's own deadline ends such a call."""
        try:
            return await call
        except grpc.aio.AioRpcError as failure:
            raise error_of_call(failure, "") from failure


@asynccontextmanager
async def open_fleet(
    targets: Sequence[str], ca: bytes, identity: Issued, history: History, seed: int
) -> AsyncIterator[Fleet]:
    """Clients that never repeat by themselves, as *identity*, of the mutual-TLS listeners at *targets*."""
    tls = TlsConfig(ca=ca, certificate=identity.chain_pem, private_key=identity.key_pem)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                GatewayClient(target, tls=tls, retry=RetryPolicy(max_attempts=1), timeout=ATTEMPT_TIMEOUT)
            )
            for target in targets
        ]
        yield Fleet(clients, history, random.Random(seed))  # noqa: S311 - a schedule, no secret
