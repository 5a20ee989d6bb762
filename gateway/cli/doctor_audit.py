"""What ``countersign doctor`` says of the audit log: whether it is signed, and whether its end holds."""

import time
from datetime import UTC, datetime
from typing import Final

from gateway.audit.checkpoint import TrustedKeys
from gateway.audit.export import Range, export
from gateway.audit.faults import AuditError
from gateway.audit.ports import StoredCheckpoint
from gateway.audit.verification import seen_checkpoints, verify_lines
from gateway.cli.audit import OpenedLog, open_log
from gateway.cli.findings import Finding
from gateway.config import Settings
from gateway.keys.model import KeyPurpose

_SUBJECT: Final = "audit log"
_MOST: Final = 1_000
"""Segments whose hashes are computed; ``countersign audit verify`` computes all."""
_LATE: Final = 3
"""Checkpoint intervals after which one is missing."""


async def audit_findings(settings: Settings) -> list[Finding]:
    """The state of the chain; nothing where the log is off and was never on. Raises `AvailabilityError`."""
    async with open_log(settings) as log:
        head = await log.repository.head()
        if not settings.audit.enabled:
            if not head.sequence_number:
                return []
            remedy = "set audit.enabled on every replica, or what they do is not on record"
            return [Finding(_SUBJECT, "there is one, and it is off", remedy, fatal=False)]
        latest = await log.repository.latest_checkpoint()
        return [
            _signing_key(log),
            await _end(log, latest),
            *_checkpoints(settings, log, latest, head.sequence_number),
        ]


def _signing_key(log: OpenedLog) -> Finding:
    algorithm = log.settings.audit.algorithm
    if any(key.algorithm is algorithm for key in log.keys):
        return Finding(_SUBJECT, f"a key for {KeyPurpose.AUDIT.value} ({algorithm.value}) is registered")
    return Finding(
        _SUBJECT,
        f"no key for {KeyPurpose.AUDIT.value} ({algorithm.value}) is registered: nothing is signed",
        "declare one in [[keys]] with the purpose audit",
    )


async def _end(log: OpenedLog, latest: StoredCheckpoint | None) -> Finding:
    """Whether the last segments follow from each other, and from what was signed."""
    head = await log.repository.head()
    signed = 0 if latest is None else latest.head.sequence_number
    first = max(min(signed, head.sequence_number) - 1, head.sequence_number - _MOST, 0) + 1
    issuer, chosen = log.settings.tokens.issuer, Range(first, head.sequence_number)
    lines = [line async for line in export(log.repository, chosen, issuer=issuer, keys=(), now=time.time())]
    keys = TrustedKeys(log.keys)
    try:
        seen = seen_checkpoints([] if latest is None else [latest.jws], keys)
        verdict = verify_lines(lines, keys, seen)
    except AuditError as error:
        return Finding(
            _SUBJECT, f"{error.fault}: {error}", "keep the database as it is, and compare it with exports"
        )
    return Finding(
        _SUBJECT,
        f"{head.sequence_number} segments; the last {verdict.segments} follow from each other, "
        f"{verdict.unsigned} of them are not signed yet",
    )


def _checkpoints(
    settings: Settings, log: OpenedLog, latest: StoredCheckpoint | None, head: int
) -> list[Finding]:
    if not log.keys or not head:
        return []
    remedy = "see the log of the workers for why they sign none"
    if latest is None:
        return [Finding(_SUBJECT, "there is no checkpoint yet", remedy, fatal=False)]
    signed = f"{datetime.fromtimestamp(latest.sign_time, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
    late = time.time() - latest.sign_time > _LATE * settings.audit.checkpoint_interval
    if late and latest.head.sequence_number < head:
        return [Finding(_SUBJECT, f"the last checkpoint was signed at {signed}", remedy, fatal=False)]
    return []
