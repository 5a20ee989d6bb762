"""An audit log for tests: a chain in a store, signed by keys made here, and its export."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.audit.chain import Draft, Head
from gateway.audit.checkpoint import TYP, TrustedKeys
from gateway.audit.checkpointing import Checkpointer
from gateway.audit.events import ClientDeleted, Event
from gateway.audit.export import Range, export
from gateway.audit.ports import AuditRepository
from gateway.audit.records import Actor, Record
from gateway.jose.jwk import Jwk
from signers import Algorithm
from signers.jose_form import thumbprint
from tests.support.assertions import signed_octets
from tests.support.gateway import ISSUER
from tests.support.pki import new_key

EVERYTHING = 2**62


@dataclass(frozen=True)
class AuditKey:
    """A key for checkpoints, which PyJWT signs with."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @property
    def jwk(self) -> Jwk:
        """Its public half."""
        public = self.private.public_key()
        return Jwk(public, kid=thumbprint(public), algorithm=Algorithm.ES256)

    @property
    def trusted(self) -> TrustedKeys:
        """Trust in this key alone."""
        return TrustedKeys([self.jwk])

    async def sign(self, payload: bytes) -> str:
        """A compact JWS of a checkpoint."""
        return signed_octets(self.private, payload, typ=TYP, kid=self.jwk.thumbprint)

    def checkpointer(
        self, repository: AuditRepository, clock: Callable[[], float] = time.time, **changes: float
    ) -> Checkpointer:
        """Who signs with it."""
        options = {"interval": 60.0, "segments": 100} | changes
        return Checkpointer(
            repository,
            sign=self.sign,
            issuer=ISSUER,
            interval=options["interval"],
            segments=int(options["segments"]),
            clock=clock,
        )


def record(event: Event | None = None, *, now: int = 1_000_000) -> Record:
    """A record of *event*, or of any."""
    return Record(event or ClientDeleted("backend"), now, Actor("admin", None, "request-1"))


async def append(repository: AuditRepository, *sizes: int) -> Head:
    """Append a segment of each of *sizes* records, all of them different."""
    head = await repository.head()
    for size in sizes:
        number = head.sequence_number + 1
        texts = [record(ClientDeleted(f"client-{number}-{each}")).encode() for each in range(1, size + 1)]
        head = await repository.append(Draft("writer", number * 1_000_000, tuple(texts)))
    return head


async def exported(
    repository: AuditRepository, keys: Sequence[Jwk], *, first: int = 1, last: int = EVERYTHING
) -> list[bytes]:
    """The lines of an export."""
    chosen = Range(first, last)
    return [line async for line in export(repository, chosen, issuer=ISSUER, keys=keys, now=5.0)]


async def recorded(repository: AuditRepository, *, after: int = 0) -> list[dict[str, Any]]:
    """Every record behind segment *after*, in order."""
    records: list[dict[str, Any]] = []
    while segments := await repository.segments(after=after, limit=100):
        records += [json.loads(text) for segment in segments for text in segment.records]
        after = segments[-1].sequence_number
    return records


async def octets(repository: AuditRepository) -> bytes:
    """All that the log holds, as an export gives it out."""
    return b"\n".join(await exported(repository, []))
