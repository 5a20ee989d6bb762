"""The audit log."""

from pydantic import Field

from gateway.settings.section import Section
from signers import Algorithm


class AuditSettings(Section):
    """The audit log: a record in the database before every effect; see docs/audit.md for what it costs.

    - `enabled`: whether it is kept. While it is, nothing that is recorded happens unless its record can be
      written; every replica must have it on.
    - `algorithm`: that of the key with the purpose ``audit``, which signs checkpoints.
    - `checkpoint_interval`: seconds from one checkpoint to the next, while there is anything to sign.
    - `checkpoint_segments`: a checkpoint is signed earlier, once so many segments came.
    - `segment_records`: records that share one commit at most.
    - `queue`: records of a worker that may wait for their commit; one more is refused with AUDIT_UNAVAILABLE.
    - `timeout`: seconds that a commit of records may take.
    - `refusals`: whether refused calls are on record too, counted: one record for each kind of them and
      interval.
    - `refusal_interval`: seconds from one such count to the next.
    """

    enabled: bool = False
    algorithm: Algorithm = Algorithm.ES256
    checkpoint_interval: float = Field(60.0, ge=1, le=86_400)
    checkpoint_segments: int = Field(10_000, ge=1)
    segment_records: int = Field(1_000, ge=1, le=10_000)
    queue: int = Field(10_000, ge=1)
    timeout: float = Field(5.0, gt=0)
    refusals: bool = True
    refusal_interval: float = Field(60.0, ge=1, le=3_600)
