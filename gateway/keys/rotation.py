"""Keys that replace themselves: of all workers of all replicas, one makes each key, and one promotes it.

A key signs for a period. In the last quarter of it, or earlier where verifiers keep the key set for longer,
its successor is made and published; at its end the successor, once it has shown that it signs, takes over.
Nothing here takes a key out: the one before is retiring until what it signed has expired, and only the file
of a delegated key, which a certificate and not the file makes valuable, is deleted once another one signs. A
delegated CA signs revocation lists as long as it is retiring, and its file is deleted after that. It is
replaced while its certificate outlives whatever it may issue.

Who makes a key is decided by a lease that one statement grants. The name of the key to be made follows from
the key before it: so where a replica ends between making and registering one, the next finds it and goes on.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from gateway.clock import Clock
from gateway.errors import GatewayError, Reason, StateError
from gateway.keys.keyring import Keyring
from gateway.keys.management import KeyManager
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.ports import KeyRepository
from signers import Algorithm, SignerError

logger = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between looks at the keyring, which cost nothing as long as nothing is due."""

RETRY: Final = 5.0
"""Seconds after a failure before the same is tried again."""

LEASE: Final = 700.0
"""Seconds that one replica has for making a key: longer than a token may take to open, make and find it."""

_NAME_SIZE: Final = 16
_ENDED: Final = frozenset({KeyState.RETIRING, KeyState.RETIRED, KeyState.DISABLED})


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """See `gateway.config.RotationSettings`; *period* in seconds.

    *issues_for*: of a CA's key, the longest lifetime in seconds of what it issues, which its own certificate
    must have left; 0 for all others, whose time to sign is reckoned without that already.
    """

    purpose: KeyPurpose
    algorithm: Algorithm
    period: float
    uri: str
    delegated: bool = False
    issues_for: float = 0.0


class KeyRotator:
    """Owns the task that rotates; an async context manager."""

    def __init__(
        self,
        *,
        policies: Sequence[RotationPolicy],
        keyring: Keyring,
        manager: KeyManager,
        repository: KeyRepository,
        discard: Callable[[str], None],
        clock: Clock,
        publish_before_use: timedelta,
        interval: float = INTERVAL,
    ) -> None:
        """*discard* deletes the private key that a ``file:`` URI names, if it is there; raises `OSError`.

        Raises `ValueError` for a period in which no successor can be published in time.
        """
        published = publish_before_use.total_seconds()
        for policy in policies:
            if policy.period <= published:
                raise ValueError(
                    f"{policy.purpose}: a period of {policy.period:g} s is not longer than verifiers keep "
                    f"the key set, {published:g} s"
                )
        self._policies = tuple(policies)
        self._keyring = keyring
        self._manager = manager
        self._repository = repository
        self._discard = discard
        self._clock = clock
        self._published = published
        self._interval = interval
        self._retry_at: dict[RotationPolicy, float] = {}
        self._discarded: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._policies:
            self._task = asyncio.create_task(self._run(), name="key-rotation")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def rotate_due(self) -> None:
        """Do now whatever is due. A failure is logged and holds up no other policy."""
        now = self._clock()
        for policy in self._policies:
            if self._retry_at.get(policy, now) > now:
                continue
            try:
                await self._rotate(policy)
            except (GatewayError, SignerError, OSError) as error:
                self._retry_at[policy] = now + RETRY
                logger.warning(
                    "a key could not be rotated; the one before signs on",
                    extra={
                        "purpose": policy.purpose.value,
                        "algorithm": policy.algorithm.value,
                        "cause": f"{type(error).__name__}: {error} {getattr(error, 'cause', None) or ''}",
                    },
                )

    async def _run(self) -> None:
        while True:
            try:
                await self.rotate_due()
            except Exception:
                # A fault of ours must not end the task for good; the log shows it each time.
                logger.exception("key rotation failed")
            await asyncio.sleep(self._interval)

    async def _rotate(self, policy: RotationPolicy) -> None:
        line = _Line.of(policy, self._keyring.view.records)
        now = self._clock()
        if line.is_promotion_due(now, self._published) and line.prepared is not None:
            await self._promote(policy, line.prepared)
        elif line.is_successor_due(now, self._published):
            await self._make(policy)
        if policy.delegated:
            await self._discard_ended(line)

    async def _promote(self, policy: RotationPolicy, prepared: KeyRecord) -> None:
        try:
            await self._manager.rotate(
                policy.purpose, policy.algorithm, key_id=prepared.key_id, expected_revision=None, key=None
            )
        except StateError as error:
            # Not prepared any more: another replica was first, and what is left is to see it.
            if error.reason is Reason.KEY_STATE_CONFLICT and "state" in error.metadata:
                return
            raise
        logger.info("key rotated", extra={"key_id": prepared.key_id, "purpose": policy.purpose.value})

    async def _make(self, policy: RotationPolicy) -> None:
        now = self._clock()
        until = now + LEASE
        kind = policy.purpose, policy.algorithm
        if not await self._repository.claim_rotation(*kind, now=now, until=until):
            return
        try:
            # What this worker knew may be older than the work of who had the lease before.
            line = _Line.of(policy, await self._repository.all())
            if line.is_successor_due(now, self._published):
                await self._create(policy, line)
        finally:
            await asyncio.shield(self._repository.release_rotation(*kind, until=until))

    async def _create(self, policy: RotationPolicy, line: "_Line") -> None:
        uri = policy.uri.replace("{after}", line.name_of_next())
        signs_for = None
        if policy.delegated:
            # Twice the period: while the issuer is away for less than that, its delegate signs on.
            lead = _lead(policy.period, self._published)
            signs_for = timedelta(seconds=lead + 2 * policy.period)
        try:
            record = await self._manager.create(
                *line.kind, uri, existing=False, key=None, signs_for=signs_for
            )
        except StateError as error:
            if error.reason is not Reason.KEY_ALREADY_EXISTS:
                raise
            # Somebody made it who did not come to registering it.
            record = await self._manager.create(*line.kind, uri, existing=True, key=None, signs_for=signs_for)
        logger.info("key made", extra={"key_id": record.key_id, "purpose": policy.purpose.value})

    async def _discard_ended(self, line: "_Line") -> None:
        if line.active is None:
            # What nothing has taken the place of may be needed to find out what happened.
            return
        for record in line.records:
            if (
                record.issuer_key_id is not None
                and record.state in _ENDED
                and not record.signs
                and record.key_id not in self._discarded
            ):
                await asyncio.to_thread(self._discard, record.uri)
                self._discarded.add(record.key_id)


@dataclass(frozen=True, slots=True)
class _Line:
    """The keys of one policy, oldest first, and what is due for them."""

    policy: RotationPolicy
    records: tuple[KeyRecord, ...]
    active: KeyRecord | None
    prepared: KeyRecord | None

    @classmethod
    def of(cls, policy: RotationPolicy, records: Sequence[KeyRecord]) -> "_Line":
        mine = tuple(
            record
            for record in records
            if record.purpose is policy.purpose and record.algorithm is policy.algorithm
        )
        active = [record for record in mine if record.state is KeyState.ACTIVE]
        prepared = [record for record in mine if record.state is KeyState.PREPARED]
        return cls(policy, mine, next(iter(active), None), next(iter(prepared), None))

    @property
    def kind(self) -> tuple[KeyPurpose, Algorithm]:
        return self.policy.purpose, self.policy.algorithm

    def name_of_next(self) -> str:
        """What ``{after}`` stands for: hex digits, as services differ in what else they take in a name."""
        if not self.records:
            return "first"
        return hashlib.sha256(self.records[-1].key_id.encode()).hexdigest()[:_NAME_SIZE]

    def is_promotion_due(self, now: float, published: float) -> bool:
        """Where no key signs, at once: there is nothing to wait for."""
        if self.prepared is None:
            return False
        return self._ends() <= now and (self.active is None or self.prepared.create_time + published <= now)

    def is_successor_due(self, now: float, published: float) -> bool:
        return self.prepared is None and self._ends() - _lead(self.policy.period, published) <= now

    def _ends(self) -> float:
        """When the active key's period is over, in seconds since the epoch."""
        active = self.active
        if active is None or (self.policy.delegated and active.issuer_key_id is None):
            # Nothing signs; or the slow key does itself what it is to delegate from now on.
            return float("-inf")
        ends = (active.activate_time or active.create_time) + self.policy.period
        return ends if active.sign_until is None else min(ends, active.sign_until - self.policy.issues_for)


def _lead(period: float, published: float) -> float:
    """How long before the end of a period the successor is made."""
    return max(published, period / 4)
