"""What resolving a DID gives, and the protocol that every DID method speaks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.dids.did_url import Did
from gateway.dids.document import DidDocument


class Source(StrEnum):
    """Where the state of a DID comes from."""

    SELF = "self"  # Computed from the DID alone.
    WEB = "web"  # Fetched from the host that the DID names.
    NODE = "node"  # The configured Sidetree node's answer.
    SELF_UNPUBLISHED = "self_unpublished"  # From the DID; the node was asked and knows no later state.
    SELF_UNCHECKED = "self_unchecked"  # From the DID; the node should have been asked and was not reachable.


@dataclass(frozen=True, slots=True)
class Resolution:
    """A resolved DID.

    - `lifetime`: seconds for which it may be kept; None where it follows from the DID and never changes.
    - `size`: octets that it was made of, which is what a cache counts.
    - `equivalent_ids`: other spellings of the same DID (DID Core §7.1.3 equivalentId); a short form is one.
    """

    document: DidDocument
    source: Source
    lifetime: float | None = None
    size: int = 0
    equivalent_ids: tuple[str, ...] = ()


class MethodResolver(Protocol):
    """One DID method."""

    async def resolve(self, did: Did) -> Resolution:
        """Resolve *did*, which is of this method, within a bound of its own. Raises `DidError`."""
        ...
