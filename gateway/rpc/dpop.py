"""DPoP proofs in gRPC metadata: a call is ``POST origin/package.Service/Method`` (RFC 9449 §4.2)."""

from dataclasses import replace
from typing import Final, TypeAlias

import grpc

from gateway.principal import Call, call_under_way
from gateway.rpc.current import current_metadata
from gateway.rpc.status import DPOP_NONCE_KEY
from gateway.tokens.dpop import DpopDoor

_Context: TypeAlias = grpc.aio.ServicerContext
_DPOP: Final = "dpop"


class ProvenCalls:
    """Gives a method the call under way, with the DPoP proof that its metadata carries.

    The proof is used up by whoever authenticates the client (`ClientAuthenticator`).
    """

    def __init__(self, door: DpopDoor, method: str) -> None:
        """*method*: the full name of the one gRPC method whose proofs these are."""
        self._door = door
        self._targets = door.targets(method)

    def current(self, context: _Context) -> Call:
        """The call; where it carries a proof, that is checked, and a fresh nonce goes back.

        Raises `RequestError` INVALID_DPOP_PROOF, `DpopNonceError`.
        """
        call = call_under_way.get()
        metadata = current_metadata.get()
        for key, _ in metadata:
            if key == _DPOP:
                break
        else:
            return call
        proofs = [value for key, value in metadata if key == _DPOP]
        proof = call.principal.proof
        if proof is None:
            proof = self._door.check(proofs, targets=self._targets)
        nonce = self._door.nonce()
        if nonce is not None:
            context.set_trailing_metadata((*(context.trailing_metadata() or ()), (DPOP_NONCE_KEY, nonce)))
        return replace(call, proof=proof)
