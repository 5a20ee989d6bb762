"""What was revoked and could still be presented."""

import heapq
from collections.abc import Iterable
from typing import TypeAlias

from countersign.resource_server.token import VerifiedToken
from countersign.tokens import Revocation

_Name: TypeAlias = tuple[str, str]  # "token" or "grant", and its id


class RevokedSet:
    """At most *max_entries* ids, each until *margin* seconds after nothing of it can be valid.

    One takes about 300 octets. A set that had to leave one out is `overflown`, until it is made anew.
    """

    def __init__(self, *, max_entries: int, margin: float) -> None:
        self._max_entries = max_entries
        self._margin = margin
        self._ends: dict[_Name, float] = {}
        self._order: list[tuple[float, _Name]] = []
        self.overflown = False

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, token: VerifiedToken) -> bool:
        return ("token", token.token_id) in self._ends or (
            token.grant_id is not None and ("grant", token.grant_id) in self._ends
        )

    def add(self, revocations: Iterable[Revocation], *, now: float) -> None:
        """Take *revocations* in, and forget what has expired; *now* is in seconds since the epoch."""
        self.forget(now)
        for each in revocations:
            name = ("token", each.token_id) if each.token_id else ("grant", each.grant_id)
            end = each.expire_time.timestamp() + self._margin
            known = self._ends.get(name)
            if end <= now or (known is not None and known >= end):
                continue
            if known is None and len(self._ends) >= self._max_entries:
                self.overflown = True
                return
            self._ends[name] = end
            heapq.heappush(self._order, (end, name))

    def forget(self, now: float) -> None:
        """Drop what nobody can present any more."""
        while self._order and self._order[0][0] <= now:
            end, name = heapq.heappop(self._order)
            # A later end of the same id has an entry of its own.
            if self._ends.get(name) == end:
                del self._ends[name]
