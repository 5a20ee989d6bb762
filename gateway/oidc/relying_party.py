"""A login at an upstream provider, from the redirect there to a verified ID token."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.oidc.authorization import (
    LoginWishes,
    PendingLogin,
    begin_login,
    read_authorization_response,
)
from gateway.oidc.id_token import Expected, IdToken
from gateway.oidc.provider import Provider
from gateway.oidc.token_endpoint import (
    ClientAuthentication,
    TokenResponse,
    code_exchange_request,
    read_token_response,
)
from gateway.oidc.verifier import IdTokenVerifier


@dataclass(frozen=True, slots=True)
class Login:
    """A finished login: the verified ID token, and the tokens that came with it."""

    id_token: IdToken
    tokens: TokenResponse = field(repr=False)


class RelyingParty:
    """Us, as a client of one provider: authorization code flow with PKCE, state and nonce.

    It keeps nothing between the two calls: the caller stores the `PendingLogin`, tied to the user's browser,
    takes it back exactly once, and so decides about replays.
    """

    def __init__(self, provider: Provider, *, authentication: ClientAuthentication, clock: Clock) -> None:
        self._provider = provider
        self._authentication = authentication
        self._clock = clock
        self._verifier = IdTokenVerifier(provider, clock=clock)

    async def begin(self, redirect_uri: str, wishes: LoginWishes | None = None) -> tuple[str, PendingLogin]:
        """Where to send the browser, and what to keep until it comes back. Raises `ProviderError`."""
        return begin_login(
            await self._provider.metadata(),
            client_id=self._provider.config.client_id,
            redirect_uri=redirect_uri,
            wishes=wishes or LoginWishes(),
            now=self._clock(),
        )

    async def finish(self, parameters: Sequence[tuple[str, str]], pending: PendingLogin) -> Login:
        """Exchange the code that came back in *parameters* (the redirect's decoded query, as pairs).

        Raises `AuthorizationResponseError`, `IdTokenError`, `ProviderError`, and `signers.SignerError` where
        the client's own key cannot be used.
        """
        config = self._provider.config
        metadata = await self._provider.metadata()
        code = read_authorization_response(parameters, pending, metadata, now=self._clock())
        proof = await self._authentication.prove(
            client_id=config.client_id, issuer=config.issuer, now=self._clock()
        )
        fetched = await self._provider.fetch(code_exchange_request(metadata, pending, code, proof))
        tokens = read_token_response(fetched, retry_after=config.metadata_refresh.retry_interval)
        expected = Expected(
            nonce=pending.nonce,
            max_age=pending.max_age,
            acr_values=frozenset(pending.acr_values),
            access_token=tokens.access_token,
            code=code,
        )
        return Login(await self._verifier.verify(tokens.id_token, expected), tokens)
