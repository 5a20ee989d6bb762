"""DPoP proofs in HTTP headers (RFC 9449 §5)."""

from dataclasses import replace
from typing import Final

from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import DPOP_NONCE
from gateway.edge.response import Response
from gateway.principal import Call
from gateway.tokens.dpop import DpopDoor

_DPOP: Final = "dpop"


class ProvenRequests:
    """Gives an endpoint the call with the proof that its request carries.

    The proof is used up by whoever authenticates the client (`ClientAuthenticator`).
    """

    def __init__(self, door: DpopDoor, path: str) -> None:
        """*path*: the one path whose proofs these are."""
        self._door = door
        self._targets = door.targets(path)

    def call(self, request: EdgeRequest) -> Call:
        """The call; where its request carries a proof, that is checked.

        Raises `RequestError` INVALID_DPOP_PROOF, `DpopNonceError`.
        """
        call = request.call
        proofs = request.header_values(_DPOP)
        if not proofs:
            return call
        proof = call.principal.proof
        if proof is None:
            proof = self._door.check(proofs, targets=self._targets, method=request.method)
        return replace(call, proof=proof)

    def give_nonce(self, call: Call, response: Response) -> None:
        """Send a fresh nonce to whoever brought a proof (RFC 9449 §8.2)."""
        nonce = None if call.proof is None else self._door.nonce()
        if nonce is not None:
            response.headers[DPOP_NONCE] = nonce
