"""The audit log from the configuration: the trail of a worker, and who signs its checkpoints."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from gateway.audit.checkpoint import TYP
from gateway.audit.checkpointing import Checkpointer
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.audit.reading import AuditReader
from gateway.audit.refusals import RefusalCounts, RefusalRecorder
from gateway.audit.trail import ChainTrail
from gateway.clock import Clock
from gateway.config import Settings
from gateway.jose.jwk import Jwk
from gateway.keys.keyring import Keyring, public_key_of
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.store import Store

_MAX_HOST: Final = 64


@asynccontextmanager
async def audit_trail(settings: Settings, store: Store, clock: Clock) -> AsyncIterator[AuditTrail]:
    """Where use cases write to; `NO_TRAIL` where the log is off. Leaving writes what still waits."""
    audit = settings.audit
    if not audit.enabled:
        yield NO_TRAIL
        return
    trail = ChainTrail(
        store.audit,
        writer=_writer(),
        queue=audit.queue,
        segment_records=audit.segment_records,
        timeout=audit.timeout,
        clock=clock,
    )
    async with trail:
        yield trail


def checkpointer(settings: Settings, store: Store, keyring: Keyring, clock: Clock) -> Checkpointer | None:
    """Who signs checkpoints, not entered yet; None where the log is off."""
    audit = settings.audit
    if not audit.enabled:
        return None

    async def sign(payload: bytes) -> str:
        key = keyring.signing_key(KeyPurpose.AUDIT, audit.algorithm)
        return await key.sign_jws(TYP, payload)

    return Checkpointer(
        store.audit,
        sign=sign,
        issuer=settings.tokens.issuer,
        interval=audit.checkpoint_interval,
        segments=audit.checkpoint_segments,
        clock=clock,
    )


def refusal_recorder(
    settings: Settings, counts: RefusalCounts | None, trail: AuditTrail
) -> AbstractAsyncContextManager[object]:
    """Who puts refused calls on record, not entered yet; nobody where there are no *counts*."""
    if counts is None:
        return nullcontext()
    return RefusalRecorder(counts, trail, interval=settings.audit.refusal_interval)


def audit_reader(settings: Settings, store: Store, trail: AuditTrail, clock: Clock) -> AuditReader:
    """What gives the log out to callers."""

    async def keys() -> tuple[Jwk, ...]:
        return checkpoint_keys(await store.keys.all())

    return AuditReader(
        store.audit,
        keys=keys,
        issuer=settings.tokens.issuer,
        trail=trail,
        enabled=settings.audit.enabled,
        clock=clock,
    )


def checkpoint_keys(records: Iterable[KeyRecord]) -> tuple[Jwk, ...]:
    """The public keys of those *records* whose checkpoints count."""
    return tuple(
        Jwk(public_key_of(record), kid=record.key_id, algorithm=record.algorithm, use="sig")
        for record in records
        if record.purpose is KeyPurpose.AUDIT and record.state is not KeyState.DISABLED
    )


def _writer() -> str:
    """The name of this worker: its host and process, and something that no other start of it had."""
    return f"{socket.gethostname()[:_MAX_HOST]}-{os.getpid()}-{secrets.token_hex(4)}"
