"""The span of a signature, with the parts of its time where the backend tells them apart."""

import time
from collections.abc import Awaitable
from typing import TypeVar

from gateway.telemetry.audit import AuditedKey
from gateway.telemetry.spans import AttributeValue, Span, SpanKind
from signers.durations import Stage, StageTimes, call_stages

T = TypeVar("T")
_NANO = 1_000_000_000


async def traced(span: Span, used: AuditedKey, signatures: int, signing: Awaitable[T]) -> T:
    """Await *signing*, which makes *signatures* with the key *used*, and record it as a part of *span*."""
    stages = StageTimes()
    token = call_stages.set(stages)
    started, error = time.time_ns(), ""
    try:
        return await signing
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        call_stages.reset(token)
        _record(span, used, signatures, started, stages, error)


def _record(
    span: Span, used: AuditedKey, signatures: int, started: int, stages: StageTimes, error: str
) -> None:
    times = {stage: each.seconds for stage, each in stages.totals().items() if any(each.counts)}
    attributes: dict[str, AttributeValue] = {
        "countersign.key_id": used.key_id,
        "countersign.purpose": used.purpose,
        "countersign.algorithm": used.algorithm,
        "countersign.backend": used.backend,
        "countersign.signatures": signatures,
    }
    attributes |= {f"countersign.signature.{stage}_seconds": seconds for stage, seconds in times.items()}
    whole = span.child("sign", started, time.time_ns(), attributes, error=error)
    if signatures != 1:
        return  # Sums over several threads have no place on a line of time.
    begun = started
    for stage in (Stage.QUEUE, Stage.SIGN, Stage.VERIFY):
        if stage in times:
            ended = begun + round(times[stage] * _NANO)
            kind = SpanKind.CLIENT if stage is Stage.SIGN else SpanKind.INTERNAL
            whole.child(f"sign.{stage}", begun, ended, {"countersign.backend": used.backend}, kind=kind)
            begun = ended
