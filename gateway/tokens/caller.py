"""A caller that presents an access token of this gateway, instead of or beside a certificate."""

from gateway.callers import CallerDirectory
from gateway.errors import AuthenticationError, Reason
from gateway.principal import Principal, Role
from gateway.proofs.client_certificate import ClientCertificate
from gateway.tokens.ports import ClientRepository, RevocationRepository
from gateway.tokens.verification import AccessTokenVerifier, TokenInvalidError


class CallerTokenAuthenticator:
    """Turns an access token whose audience is the gateway itself into a principal."""

    def __init__(
        self,
        *,
        issuer: str,
        verifier: AccessTokenVerifier,
        clients: ClientRepository,
        revocations: RevocationRepository,
        directory: CallerDirectory,
    ) -> None:
        """*directory*: what configuration gives to a client id."""
        self._issuer = issuer
        self._verifier = verifier
        self._clients = clients
        self._revocations = revocations
        self._directory = directory

    async def authenticate(self, token: str, scheme: str, certificate: ClientCertificate | None) -> Principal:
        """The principal of *token*, presented under HTTP authentication *scheme* (RFC 6750 §2.1).

        A certificate-bound token needs the same certificate on this very request (RFC 8705 §3).
        Raises `AuthenticationError` INVALID_TOKEN, `AvailabilityError`.
        """
        if scheme.lower() != "bearer":
            raise _refused("scheme_not_supported")
        try:
            accepted = await self._verifier.verify(token)
        except TokenInvalidError as error:
            raise _refused(error.cause) from error
        if self._issuer not in accepted.audience:
            raise _refused("audience_is_not_the_gateway")
        if accepted.x5t_s256 is not None and (
            certificate is None or certificate.x5t_s256 != accepted.x5t_s256
        ):
            raise _refused("certificate_binding_mismatch")
        if await self._revocations.is_revoked(accepted.token_id):
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
        )


def _refused(cause: str) -> AuthenticationError:
    return AuthenticationError(Reason.INVALID_TOKEN, "The access token is not accepted.", cause=cause)
