"""Signers as the keyring hands them out: withdrawn at once, counted, and on record.

This is the one seam through which every signature of the gateway goes, whatever it is for.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Final

from gateway.keys.freshness import Freshness
from gateway.keys.model import KeyRecord, KeyState
from gateway.telemetry.audit import AuditedKey, AuditLog, SignatureRecord
from gateway.telemetry.caller import current_caller
from gateway.telemetry.request_id import current_request_id
from gateway.telemetry.signing_spans import traced
from gateway.telemetry.spans import current_span
from signers import Algorithm, PublicKey, Signer, SignerError, SignerUnavailableError
from signers.durations import Histogram, StageTimes

CANCELLED: Final = "Cancelled"
"""What a signature counts as whose caller went away, or had no time left."""


class KeyUsage:
    """What is known of one key's use, on one event loop, by all guards that it had.

    `withdrawn`: it signs no more. `errors` counts by class of error; `fault` is the last one, None after a
    success.
    """

    def __init__(self) -> None:
        self.withdrawn = False
        self.calls = Histogram()
        self.signatures = 0
        self.errors: Counter[str] = Counter()
        self.fault: str | None = None

    def failed(self, fault: str, signatures: int) -> None:
        """Count *signatures* that were not made."""
        self.errors[fault] += signatures
        if fault != CANCELLED:
            self.fault = fault


class GuardedSigner:
    """A `Signer` that refuses once it is withdrawn, and of which every use is counted and recorded.

    A signature that was under way when the key was withdrawn is not handed out.
    """

    def __init__(
        self, inner: Signer, used: AuditedKey, usage: KeyUsage, freshness: Freshness, audit: AuditLog | None
    ) -> None:
        self.usage = usage
        self._inner = inner
        self._sign = inner.sign
        self._used = used
        self._freshness = freshness
        self._audit = audit

    @property
    def inner(self) -> Signer:
        """The signer that this one guards."""
        return self._inner

    @property
    def key_id(self) -> str:
        return self._inner.key_id

    @property
    def algorithm(self) -> Algorithm:
        return self._inner.algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._inner.public_key

    @property
    def stages(self) -> StageTimes | None:
        """The parts of a signature's time, where the backend tells them apart."""
        stages = getattr(self._inner, "stages", None)
        return stages if isinstance(stages, StageTimes) else None

    async def sign(self, message: bytes) -> bytes:
        """See `Signer.sign`. Raises `SignerUnavailableError` too where the key was withdrawn."""
        freshness = self._freshness
        started = perf_counter()
        if started > freshness.until or self.usage.withdrawn:
            await self._require_allowed(1)
        span = current_span.get()
        try:
            if span is None:
                signature = await self._sign(message)
            else:
                signature = await traced(span, self._used, 1, self._sign(message))
        except SignerError as error:
            self.usage.failed(type(error).__name__, 1)
            raise
        except asyncio.CancelledError:
            self.usage.failed(CANCELLED, 1)
            raise
        ended = perf_counter()
        if ended > freshness.until or self.usage.withdrawn:
            await self._require_allowed(1)
        self._signed(ended - started, 1)
        return signature

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """See `Signer.sign_many`. Raises as `sign`."""
        count = len(messages)
        started = perf_counter()
        if started > self._freshness.until or self.usage.withdrawn:
            await self._require_allowed(count)
        span = current_span.get()
        try:
            if span is None:
                signatures = await self._inner.sign_many(messages)
            else:
                signatures = await traced(span, self._used, count, self._inner.sign_many(messages))
        except SignerError as error:
            self.usage.failed(type(error).__name__, count)
            raise
        except asyncio.CancelledError:
            self.usage.failed(CANCELLED, count)
            raise
        ended = perf_counter()
        if ended > self._freshness.until or self.usage.withdrawn:
            await self._require_allowed(count)
        if count:
            self._signed(ended - started, count)
        return signatures

    async def check(self) -> None:
        """See `Signer.check`. A probe is no use of the key, and not counted as one."""
        try:
            await self._inner.check()
        except SignerError as error:
            self.usage.fault = type(error).__name__
            raise
        self.usage.fault = None

    def _signed(self, seconds: float, count: int) -> None:
        usage = self.usage
        usage.calls.add(seconds)
        usage.signatures += count
        usage.fault = None
        if self._audit is not None:
            self._audit.signed(
                SignatureRecord(
                    time.time(), self._used, current_caller.get(), current_request_id.get(), count
                )
            )

    async def _require_allowed(self, count: int) -> None:
        try:
            if not self.usage.withdrawn and perf_counter() > self._freshness.until:
                await self._freshness.confirm()
            if self.usage.withdrawn:
                raise SignerUnavailableError("The key was withdrawn.", key=self._used.key)
        except SignerError as error:
            self.usage.failed(type(error).__name__, count)
            raise


class SignerGuards:
    """One `GuardedSigner` for each open signer. Counts outlive the signer: a key that is opened anew goes on.

    *audit* is told of every signature; None keeps no record.
    """

    def __init__(self, freshness: Freshness, audit: AuditLog | None) -> None:
        self._freshness = freshness
        self._audit = audit
        self._guards: dict[str, GuardedSigner] = {}

    def guard(self, record: KeyRecord, signer: Signer) -> GuardedSigner:
        """The guard of *signer*, which holds the key of *record*; the same one for the same signer."""
        guard = self._guards.get(record.key_id)
        if guard is not None and guard.inner is signer:
            return guard
        usage = KeyUsage() if guard is None else guard.usage
        used = AuditedKey(
            record.key_id,
            record.redacted_uri,
            record.purpose.value,
            record.algorithm.value,
            record.uri.partition(":")[0],
        )
        guard = self._guards[record.key_id] = GuardedSigner(signer, used, usage, self._freshness, self._audit)
        return guard

    def withdraw(self, records: Iterable[KeyRecord], now: float) -> None:
        """Keys that are disabled, or whose time is over, sign nothing more, nor hand anything out.

        A retiring key does hand out what is under way. Guards of keys that are gone for good are forgotten.
        """
        for record in records:
            guard = self._guards.get(record.key_id)
            if guard is not None and (record.state is KeyState.DISABLED or is_over(record, now)):
                guard.usage.withdrawn = True
            if guard is not None and record.state in {KeyState.RETIRED, KeyState.DISABLED}:
                del self._guards[record.key_id]


def is_over(record: KeyRecord, now: float) -> bool:
    """Whether *record* is of a delegated key that may sign no more."""
    return record.sign_until is not None and record.sign_until <= now
