"""Which proofs were used, in this process."""

import hashlib
import json
from collections import deque

from countersign.resource_server.errors import Fault, InvalidProofError, VerificationUnavailableError


class ReplayTable:
    """At most *max_entries* proofs, each for *lifetime* seconds; one proof takes about 200 octets.

    A table that is full refuses new proofs rather than forget one that could be used again.
    """

    def __init__(self, *, max_entries: int, lifetime: float) -> None:
        self._max_entries = max_entries
        self._lifetime = lifetime
        self._used: set[bytes] = set()
        # All live equally long, so that the first in is the first to go.
        self._ends: deque[tuple[float, bytes]] = deque()

    def use(self, *parts: str, now: float) -> None:
        """Record a use. Raises `InvalidProofError`, `VerificationUnavailableError`."""
        while self._ends and self._ends[0][0] < now:
            self._used.discard(self._ends.popleft()[1])
        # JSON keeps the parts apart whatever they hold, and the digest bounds what is kept.
        digest = hashlib.sha256(json.dumps(parts).encode("ascii")).digest()
        if digest in self._used:
            raise InvalidProofError(Fault.REPLAYED, "The proof was used before.")
        if len(self._used) >= self._max_entries:
            raise VerificationUnavailableError(Fault.TABLE_FULL, "Too many proofs are in use.")
        self._used.add(digest)
        self._ends.append((now + self._lifetime, digest))
