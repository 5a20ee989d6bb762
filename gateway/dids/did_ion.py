"""did:ion: long forms resolved from themselves, short forms by a configured node (ION, Sidetree v1.0.0).

did:ion:<suffix>                    short form
did:ion:<suffix>:<state>            long form
did:ion:test:<suffix>[:<state>]     the same on the test network, refused unless the policy allows it
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.dids.did_url import Did, parse_did
from gateway.dids.errors import DidError, DidFault
from gateway.dids.ion_node import SidetreeNode
from gateway.dids.parsing import document_of
from gateway.dids.resolution import Resolution, Source
from gateway.dids.sidetree import is_multihash, read_initial_state

logger = logging.getLogger(__name__)

_TEST_NETWORK: Final = "test"


class IonState(StrEnum):
    """Whether a long form is checked against the node: an anchored DID may have other keys by now.

    - `OFFLINE`: never; the state is the one that the DID carries.
    - `PREFER_NODE`: the node is asked; while it cannot be, the DID's own state counts, and the resolution
      says so.
    - `REQUIRE_NODE`: the node is asked, and without its answer nothing is resolved.
    """

    OFFLINE = "offline"
    PREFER_NODE = "prefer_node"
    REQUIRE_NODE = "require_node"


@dataclass(frozen=True, slots=True)
class IonPolicy:
    """How did:ion is resolved.

    - `state`: for long forms; short forms always need a node.
    - `unsafe_non_canonical_ion`: accept long forms whose JSON has its members in another order than RFC 8785.
      Off. No Sidetree node resolves them; the vectors of the JWT VC Presentation Profile are such.
    - `test_network`: accept DIDs of ION's test network. Off.
    """

    state: IonState = IonState.OFFLINE
    unsafe_non_canonical_ion: bool = False
    test_network: bool = False


@dataclass(frozen=True, slots=True)
class _Parts:
    short_form: Did
    suffix: str
    state: str | None


class IonResolver:
    """Resolves ``did:ion``. *node* is needed for short forms and for every policy but `OFFLINE`."""

    def __init__(self, policy: IonPolicy | None = None, node: SidetreeNode | None = None) -> None:
        self._policy = policy or IonPolicy()
        self._node = node
        if node is None and self._policy.state is not IonState.OFFLINE:
            raise ValueError("the policy asks a node, and none is configured")

    async def resolve(self, did: Did) -> Resolution:
        """As `MethodResolver`. A long form is verified before anybody is asked about it."""
        parts = self._split(did)
        if parts.state is None:
            return await self._by_node(parts.short_form)
        own = self._by_itself(did, parts, parts.state)
        if self._policy.state is IonState.OFFLINE or self._node is None:
            return own
        return await self._checked(own, parts, self._node)

    def _by_itself(self, did: Did, parts: _Parts, encoded: str) -> Resolution:
        state = read_initial_state(
            encoded, parts.suffix, unsafe_non_canonical=self._policy.unsafe_non_canonical_ion
        )
        document = document_of(state.document.members(did.text), did)
        equivalent = (parts.short_form.text,)
        return Resolution(document, Source.SELF, size=len(did.text), equivalent_ids=equivalent)

    async def _by_node(self, short_form: Did) -> Resolution:
        if self._node is None:
            message = "a short form needs a Sidetree node, and none is configured"
            raise DidError(DidFault.ION_NODE_REQUIRED, message)
        current = await self._node.current(short_form)
        if current is None:
            raise DidError(DidFault.NOT_FOUND, "the node knows no such DID")
        document, lifetime = current
        return Resolution(document, Source.NODE, lifetime=lifetime, size=len(short_form.text))

    async def _checked(self, own: Resolution, parts: _Parts, node: SidetreeNode) -> Resolution:
        try:
            current = await node.current(parts.short_form)
        except DidError as error:
            if not error.transient or self._policy.state is IonState.REQUIRE_NODE:
                raise
            logger.warning("The Sidetree node could not be asked about a long form: %s", error)
            return _kept(own, Source.SELF_UNCHECKED, node.default_lifetime)
        if current is None:
            return _kept(own, Source.SELF_UNPUBLISHED, node.default_lifetime)
        document, lifetime = current
        renamed = document.renamed(own.document.id)
        return Resolution(renamed, Source.NODE, lifetime, own.size, own.equivalent_ids)

    def _split(self, did: Did) -> _Parts:
        parts = did.identifier.split(":")
        prefix = "did:ion"
        if parts[0] == _TEST_NETWORK:
            if not self._policy.test_network:
                raise DidError(DidFault.METHOD_NOT_SUPPORTED, "ION's test network is not accepted")
            prefix = f"{prefix}:{parts.pop(0)}"
        if not 1 <= len(parts) <= 2 or not is_multihash(parts[0]):  # noqa: PLR2004 - suffix and state.
            raise DidError(DidFault.INVALID_DID, "not a suffix with at most a state")
        state = parts[1] if len(parts) > 1 else None
        return _Parts(parse_did(f"{prefix}:{parts[0]}"), parts[0], state)


def _kept(own: Resolution, source: Source, lifetime: float) -> Resolution:
    return Resolution(own.document, source, lifetime, own.size, own.equivalent_ids)
