"""Keeping the keyring current: keys declared in the configuration, and every change that a replica makes.

Several tasks, so that a device that hangs keeps no change from being seen. One follows the database: a change
reaches every worker when the database tells of it, and within `interval` seconds (0.25 by default) where it
does not, by comparing the change number of the key table, one tiny read, and reloading only when it moved.
The others open signers, which may wait for a device.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from time import perf_counter
from types import TracebackType
from typing import Final, Self

from gateway.audit.events import KeyRetired
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.errors import AvailabilityError, GatewayError, Reason
from gateway.keys.declared import DeclaredKey, register_declared
from gateway.keys.freshness import MAX_AGE, Freshness
from gateway.keys.guarded import SignerGuards, is_over
from gateway.keys.keyring import Keyring, KeyringView
from gateway.keys.model import KeyRecord, KeyState
from gateway.keys.opening import OpenSigners, SignerOpener
from gateway.keys.ports import KeyRepository
from gateway.news import News, NoNews
from gateway.telemetry.audit import AuditLog
from signers import FaultClass, PinError, Signer, SignerError

logger = logging.getLogger(__name__)

_REOPEN_INTERVAL: Final = 1.0
TOLD_INTERVAL: Final = 0.5
"""Seconds between looks at the database while it tells every change as it is committed: still well below the
age at which what is known of the keys may not be used any more."""


class KeyringLoader:
    """Owns the tasks that keep *keyring* current; an async context manager.

    Entering imports the declared keys and loads the rest. A declared key that is wrong (missing, ambiguous,
    of another type, not the pinned one, or behind a refused PIN) raises `SignerError` and stops the start. A
    device that does not answer does not: keys known from before are published and verified with, and signing
    starts when the device is back.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        repository: KeyRepository,
        signers: SignerOpener,
        declared: Sequence[DeclaredKey],
        clock: Clock,
        audit: AuditLog | None = None,
        interval: float = 0.25,
        reopen_interval: float = _REOPEN_INTERVAL,
        max_age: float = MAX_AGE,
        news: News | None = None,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*interval* and *reopen_interval*: seconds between looks at the database, and at closed signers.

        *audit* is told of every signature. *max_age*: see `gateway.keys.freshness`. *news*: which changes
        other processes make, where that is told.
        """
        self._keyring = keyring
        self._repository = repository
        self._opener = signers
        self._open = OpenSigners(signers, self._publish)
        self._missing = list(declared)
        self._clock = clock
        self._trail = trail
        self._freshness = Freshness(self.refresh, max_age=max_age)
        self._guards = SignerGuards(self._freshness, audit)
        self._over: frozenset[str] = frozenset()
        self._interval = interval
        self._reopen_interval = reopen_interval
        self._change_number = -1
        self._records: tuple[KeyRecord, ...] = ()
        self._lock = asyncio.Lock()
        self._ensuring = asyncio.Lock()
        self._changed = asyncio.Event()
        self._news = news or NoNews()
        self._told = asyncio.Event()
        self._news.listen(self._told.set)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for declared in self._missing.copy():
            await self._import(declared)
        await self.refresh()
        self._open.open_missing(self._records)
        try:
            await self._open.settle()
        except BaseException:
            await self._open.aclose()
            raise
        self._tasks = [
            asyncio.create_task(self._forever(step), name=f"keyring-{name}")
            for name, step in (
                ("records", self._follow),
                ("signers", self._reopen),
                ("declared", self._import_missing),
            )
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._freshness.aclose()
        await self._open.aclose()

    async def refresh(self, opened: Signer | None = None) -> None:
        """Bring the keyring up to date with the database now, without waiting for any device.

        *opened* is the signer of a key that the caller has just changed: it signs from now on. Raises
        `AvailabilityError`.
        """
        async with self._lock:
            began = perf_counter()
            now = self._clock()
            due = [record for record in self._records if _is_due(record, now)]
            if due:
                await self._retire(due, now)
            number = await self._repository.change_number()
            if number != self._change_number:
                # The number was read first: a change in between is seen as one more at the next look.
                self._records = await self._repository.all()
                self._change_number = number
                self._changed.set()
            elif opened is None and self._over == self._over_at(now):
                self._freshness.confirmed(began)
                return
            if opened is not None:
                self._open.adopt(opened)
            self._publish()
            self._freshness.confirmed(began)

    async def _retire(self, due: Sequence[KeyRecord], now: float) -> None:
        """Move *due* to RETIRED; another replica may have been first. Raises `AvailabilityError`."""
        try:
            async with AsyncExitStack() as stack:
                effects = [
                    await stack.enter_async_context(self._trail.around(_retired(record))) for record in due
                ]
                if not await self._repository.retire_due(now=now):
                    for effect in effects:
                        effect.absent("ANOTHER_WAS_FIRST")
        except AvailabilityError as error:
            if error.reason is not Reason.AUDIT_UNAVAILABLE:
                raise
            # They are published for longer; what else changed about keys has to be seen all the same.
            logger.warning("keys could not be retired", extra={"cause": str(error)})

    async def ensure_fresh(self) -> None:
        """Look again where what is known of the keys is older than `max_age`: before a signature is accepted.

        Raises `AvailabilityError`.
        """
        if perf_counter() <= self._freshness.until:
            return
        async with self._ensuring:
            # Of many that wait the first one looks for all.
            if perf_counter() > self._freshness.until:
                await self.refresh()

    def _over_at(self, now: float) -> frozenset[str]:
        return frozenset(record.key_id for record in self._records if is_over(record, now))

    def _publish(self) -> None:
        now = self._clock()
        self._over = self._over_at(now)
        self._open.keep_only(self._records)
        self._guards.withdraw(self._records, now)
        opened = self._open.signers
        guarded = {
            record.key_id: self._guards.guard(record, opened[record.key_id])
            for record in self._records
            if record.key_id in opened and record.key_id not in self._over
        }
        self._keyring.replace(KeyringView(self._records, guarded, dict(self._open.faults)))

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except (GatewayError, SignerError) as error:
                # The last view stays in force: it is at most as old as the outage, and health reports it.
                logger.warning("keyring refresh failed", extra={"cause": str(error)})
            except Exception:
                # A fault of ours must not end the task for good; the log shows it each time.
                logger.exception("keyring refresh failed")

    async def _follow(self) -> None:
        pause = max(self._interval, TOLD_INTERVAL) if self._news.certain else self._interval
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._told.wait()
        # Before the look: what is told from here on may come too late for it.
        self._told.clear()
        await self.refresh()

    async def _reopen(self) -> None:
        try:
            async with asyncio.timeout(self._reopen_interval):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        self._open.open_missing(self._records)

    async def _import_missing(self) -> None:
        await asyncio.sleep(self._reopen_interval)
        for declared in self._missing.copy():
            await self._import(declared)

    async def _import(self, declared: DeclaredKey) -> None:
        """Register *declared* where its device answers; else it stays missing. Raises what must stop a start.

        A key with a refused PIN is not asked for again.
        """
        try:
            signer = await self._opener.open(
                declared.uri,
                declared.algorithm,
                public_key_sha256=declared.public_key_sha256,
                certificate=declared.certificate,
            )
        except PinError:
            self._missing.remove(declared)
            raise
        except SignerError as error:
            if error.fault_class is FaultClass.PERMANENT:
                raise
            logger.warning("a declared key cannot be reached yet", extra={"cause": str(error)})
            return
        await register_declared(declared, signer, self._repository, self._clock, self._trail)
        self._missing.remove(declared)
        await self.refresh(signer)


def _retired(record: KeyRecord) -> KeyRetired:
    return KeyRetired(record.key_id, record.purpose.value, record.algorithm.value)


def _is_due(record: KeyRecord, now: float) -> bool:
    return record.state is KeyState.RETIRING and record.retire_time is not None and record.retire_time <= now
