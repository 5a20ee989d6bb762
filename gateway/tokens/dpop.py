"""Taking DPoP proofs at a door (RFC 9449): the authorization server's, or that of the gateway's own API.

The two have nonces of their own (RFC 9449 §8 and §9), and share one table of used proofs over all replicas.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import DpopNonceError, Reason, RequestError
from gateway.proofs.dpop import DpopVerifier
from gateway.proofs.dpop_errors import DpopError
from gateway.proofs.dpop_proof import DpopProof, single_proof
from gateway.proofs.nonces import ServerNonces
from gateway.proofs.target_uri import Origins, TargetUri

USE_NONCE: Final = "use_dpop_nonce"


@dataclass(frozen=True, slots=True)
class DpopDoor:
    """One space of nonces and the origins at which requests arrive. *nonces*: None gives out none."""

    verifier: DpopVerifier
    nonces: ServerNonces | None
    origins: Origins

    def targets(self, path: str) -> frozenset[TargetUri]:
        """What a request for *path*, or a gRPC call of that full method, may have been addressed to."""
        return self.origins.targets(path)

    def nonce(self) -> str | None:
        """A fresh nonce to send along; None where none are in use."""
        return None if self.nonces is None else self.nonces.issue()

    def check(
        self, proofs: Sequence[str | bytes], *, targets: Collection[TargetUri], method: str = "POST"
    ) -> DpopProof:
        """Check the one proof among *proofs*, for a request without an access token. It is not used up yet.

        `use` makes it count, once it is known who sent it: a stranger must not make us write.

        *targets*: see `targets`; *method*: of HTTP, always POST for gRPC.
        Raises `RequestError` INVALID_DPOP_PROOF, `DpopNonceError`.
        """
        try:
            return self.verifier.check(single_proof(proofs), method=method, targets=targets)
        except DpopError as error:
            raise self.refused(error) from error

    async def use(self, proof: DpopProof) -> None:
        """Use *proof* of `check` up: of all calls over all replicas, one returns.

        Raises `RequestError` INVALID_DPOP_PROOF, `AvailabilityError`.
        """
        try:
            await self.verifier.use(proof)
        except DpopError as error:
            raise self.refused(error) from error

    def check_with_token(
        self,
        proofs: Sequence[str | bytes],
        *,
        targets: Collection[TargetUri],
        access_token: str,
        jkt: str,
        method: str = "POST",
    ) -> DpopProof:
        """As `check`, for a request that presents *access_token*, bound to *jkt* (RFC 9449 §7.1)."""
        try:
            return self.verifier.check_with_access_token(
                single_proof(proofs), method=method, targets=targets, access_token=access_token, jkt=jkt
            )
        except DpopError as error:
            raise self.refused(error) from error

    def refused(self, error: DpopError) -> RequestError | DpopNonceError:
        """What a caller is told of *error*, to be raised from it."""
        nonce = self.nonce()
        if error.oauth_error == USE_NONCE and nonce is not None:
            return DpopNonceError(nonce, cause=error.fault)
        return RequestError(
            Reason.INVALID_DPOP_PROOF,
            "The DPoP proof is not accepted.",
            metadata={"fault": error.fault},
            cause=error.fault,
        )
