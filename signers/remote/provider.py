"""A service behind a network as a `signers.base.SignerProvider`, and as a `KeyCreator`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from cryptography import x509

from signers.algorithms import Algorithm
from signers.base import ProviderHealth
from signers.errors import FaultClass, SignerError, SignerTimeoutError
from signers.pinning import require_pinned
from signers.remote.budget import Budget
from signers.remote.circuit import Verdict
from signers.remote.lane import FIRST_RETRY, Lane
from signers.remote.options import RemoteOptions
from signers.remote.service import RemoteService
from signers.remote.signer import RemoteSigner
from signers.verification import require_fit

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_LOOKUPS = 4
"""Look-ups of keys at once. They are rare, and services count them against a small quota."""


class RemoteProvider:
    """The keys of one service, through one lane."""

    def __init__(self, service: RemoteService, options: RemoteOptions, budget: Budget | None = None) -> None:
        self._service = service
        self._options = options
        self._lane = Lane(service.name, options, budget)
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)

    @property
    def lane(self) -> Lane:
        """The lane's circuit, budget and count of requests, for whoever reports them."""
        return self._lane

    async def signer(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> RemoteSigner:
        self._lane.require_open(self._service.name)
        pin = None if public_key_sha256 is None else public_key_sha256.lower()
        find = partial(self._service.find, uri, algorithm, pin)
        key = await self._look_up(find, self._options.attempts, self._options.attempt_timeout)
        require_fit(key.public_key, algorithm, key=key.name)
        require_pinned(
            key.public_key, public_key_sha256=public_key_sha256, certificate=certificate, key=key.name
        )
        logger.info("%s: opened, version %s", key.name, key.version)
        return RemoteSigner(key, self._lane)

    async def create(self, uri: str, algorithm: Algorithm) -> RemoteSigner:
        self._lane.require_open(self._service.name)
        # Once: a request whose answer was lost may have made the key. An RSA key takes a service seconds.
        await self._look_up(partial(self._service.create, uri, algorithm), 1, self._options.timeout)
        return await self.signer(uri, algorithm)

    def health(self) -> ProviderHealth:
        lane = self._lane
        if lane.closed:
            return ProviderHealth(available=False, queued=lane.queued, detail="closed")
        return ProviderHealth(
            available=lane.circuit.verdict is Verdict.CLOSED,
            queued=lane.queued,
            detail=lane.circuit.last_fault,
            budget_left=lane.budget.left,
        )

    async def aclose(self) -> None:
        try:
            await self._lane.aclose()
        finally:
            await self._service.aclose()

    async def _look_up(self, request: Callable[[], Awaitable[T]], attempts: int, seconds: float) -> T:
        """Make *request*, again where it failed in a way that passes, all within the time limit; each attempt
        takes *seconds* at most.
        """
        try:
            async with asyncio.timeout(self._options.timeout), self._lookups:
                for attempt in range(1, attempts):
                    try:
                        return await self._attempt(request, seconds)
                    except SignerError as error:
                        if error.fault_class is not FaultClass.RETRYABLE:
                            raise
                    await asyncio.sleep(FIRST_RETRY * 2**attempt)
                return await self._attempt(request, seconds)
        except TimeoutError:
            raise SignerTimeoutError(
                f"The key was not found out within {self._options.timeout:g} seconds.", key=self._service.name
            ) from None

    async def _attempt(self, request: Callable[[], Awaitable[T]], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await request()
        except TimeoutError:
            raise SignerTimeoutError("The service did not answer in time.", key=self._service.name) from None
