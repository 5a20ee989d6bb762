"""A caller that presents an access token of this gateway, instead of or beside a certificate."""

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import AuthenticationError, Reason, RequestError
from gateway.principal import Principal, Role
from gateway.proofs.client_certificate import ClientCertificate
from gateway.proofs.dpop_proof import DpopProof
from gateway.tokens.access_token import AccessToken
from gateway.tokens.binding import DpopBinding
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.ports import ClientRepository
from gateway.tokens.revocation_status import RevocationStatus
from gateway.tokens.verification import AccessTokenVerifier, TokenInvalidError


class Granted(Protocol):
    """What configuration gives a caller."""

    @property
    def roles(self) -> frozenset[Role]:
        """Its roles."""
        ...

    @property
    def resources(self) -> frozenset[str]:
        """The identifiers for which it may introspect."""
        ...


class ClientDirectory(Protocol):
    """The part of `gateway.callers.CallerDirectory` that knows client ids."""

    def of_client(self, client_id: str) -> Granted:
        """What a caller with a token of this client is given; nothing where it is not listed."""
        ...


class CallerTokenAuthenticator:
    """Turns an access token whose audience is the gateway itself into a principal."""

    def __init__(
        self,
        *,
        issuer: str,
        verifier: AccessTokenVerifier,
        clients: ClientRepository,
        status: RevocationStatus,
        directory: ClientDirectory,
        dpop: DpopDoor,
    ) -> None:
        """*directory*: what configuration gives to a client id; *dpop*: proofs at the API of the gateway."""
        self._issuer = issuer
        self._verifier = verifier
        self._clients = clients
        self._status = status
        self._directory = directory
        self._dpop = dpop

    async def authenticate(self, token: str, scheme: str, certificate: ClientCertificate | None) -> Principal:
        """The principal of *token*, presented under HTTP authentication *scheme* (RFC 6750 §2.1).

        A certificate-bound token needs the same certificate on this very request (RFC 8705 §3).
        Raises `AuthenticationError` INVALID_TOKEN, `AvailabilityError`.
        """
        if scheme.lower() != "bearer":
            raise _refused("scheme_not_supported")
        accepted = await self._accepted(token)
        if isinstance(accepted.binding, DpopBinding):
            # RFC 9449 §7.2: such a token is worth nothing without its proof.
            raise _refused("dpop_bound_token_as_bearer")
        if accepted.x5t_s256 is not None and (
            certificate is None or certificate.x5t_s256 != accepted.x5t_s256
        ):
            raise _refused("certificate_binding_mismatch")
        return await self._principal(accepted, None)

    async def authenticate_with_proof(
        self, token: str, proofs: Sequence[str | bytes], *, path: str, method: str
    ) -> Principal:
        """The principal of *token*, presented under the scheme ``DPoP`` with a proof (RFC 9449 §7.1).

        *proofs* are all ``dpop`` headers of a request of HTTP *method* for *path*, as for gRPC the full name
        of the method is one. A certificate binds nothing here: a token has one binding, and this is to a key.
        Raises `AuthenticationError` (INVALID_TOKEN, USE_DPOP_NONCE), `AvailabilityError`.
        """
        if not proofs:
            raise _refused("scheme_not_supported")
        accepted = await self._accepted(token)
        if not isinstance(accepted.binding, DpopBinding):
            raise _refused("token_not_bound_to_a_key")
        try:
            proof = self._dpop.check_with_token(
                proofs,
                targets=self._dpop.targets(path),
                method=method,
                access_token=token,
                jkt=accepted.binding.jkt,
            )
            principal = await self._principal(accepted, proof)
            # Last, so that nobody whose token is not good any more takes room among the used proofs.
            await self._dpop.use(proof)
        except RequestError as error:
            raise _refused(error.cause or "dpop_proof_refused") from error
        return principal

    async def _accepted(self, token: str) -> AccessToken:
        """What *token*, meant for the gateway, says; its binding and its revocation are not looked at."""
        try:
            accepted = await self._verifier.verify(token)
        except TokenInvalidError as error:
            raise _refused(error.cause) from error
        if self._issuer not in accepted.audience:
            raise _refused("audience_is_not_the_gateway")
        return accepted

    async def _principal(self, accepted: AccessToken, proof: DpopProof | None) -> Principal:
        if await self._status.is_revoked(accepted):
            raise _refused("revoked")
        client = await self._clients.get(accepted.client_id)
        if client is None or client.disabled:
            raise _refused("client_unknown_or_disabled")
        grant = self._directory.of_client(client.client_id)
        return Principal(
            name=f"client:{client.client_id}",
            roles=grant.roles | {Role.CLIENT},
            resources=grant.resources | client.resources,
            client_id=client.client_id,
            proof=proof,
        )


def _refused(cause: str) -> AuthenticationError:
    return AuthenticationError(Reason.INVALID_TOKEN, "The access token is not accepted.", cause=cause)
