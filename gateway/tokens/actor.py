"""Who acts for whom (RFC 8693 §4.1 ``act`` and §4.4 ``may_act``)."""

from dataclasses import dataclass
from typing import Any, Final

from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwt import Claims

MAX_DEPTH: Final = 4
"""Actors of one token, the present one included."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One who acts. `prior`: who acted before, for information only (RFC 8693 §4.1)."""

    subject: str
    prior: "Actor | None" = None

    def members(self) -> dict[str, Any]:
        """The value of ``act``."""
        members: dict[str, Any] = {"sub": self.subject}
        if self.prior is not None:
            members["act"] = self.prior.members()
        return members

    def depth(self) -> int:
        """How many actors there are."""
        return 1 if self.prior is None else 1 + self.prior.depth()


def actor_from(claims: Claims, name: str = "act", *, depth: int = MAX_DEPTH) -> Actor | None:
    """The claim *name*, or None where it is absent. Raises `JoseError`, for a chain too long as well."""
    if name not in claims:
        return None
    if depth == 0:
        raise JoseError(JoseFault.CLAIM_INVALID, f"more than {MAX_DEPTH} actors", member=name)
    members = claims.nested(name)
    return Actor(members.string("sub"), actor_from(members, depth=depth - 1))
