"""Verifying a provider's ID tokens."""

from gateway.clock import Clock
from gateway.jose.errors import JoseError
from gateway.jose.jws import parse_compact, verify
from gateway.oidc.id_token import (
    MAX_ID_TOKEN_SIZE,
    Expected,
    IdToken,
    TokenRules,
    check_header,
    read_id_token,
    refusal,
)
from gateway.oidc.provider import Provider


class IdTokenVerifier:
    """Turns compact ID tokens of one provider into `IdToken` values."""

    def __init__(self, provider: Provider, *, clock: Clock) -> None:
        config = provider.config
        self._provider = provider
        self._clock = clock
        self._algorithms = config.algorithms
        self._rules = TokenRules(
            issuer=config.issuer,
            client_id=config.client_id,
            trusted_audiences=config.trusted_audiences,
            clock_skew=config.clock_skew,
            max_token_age=config.max_token_age,
        )

    async def verify(self, token: str, expected: Expected | None = None) -> IdToken:
        """Verify *token* as OpenID Connect Core §3.1.3.7 asks, and as *expected* does beside.

        The signature is verified before any claim is looked at, with the one key of the provider that the
        header names and an algorithm of our choice. Raises `IdTokenError` where the token is at fault, and
        `ProviderError` where it could not be judged: an outage is no verdict about a user.
        """
        try:
            jws = parse_compact(token, max_size=MAX_ID_TOKEN_SIZE)
            check_header(jws, self._algorithms)
            key = await self._provider.key(jws.header.kid, jws.header.algorithm)
            verify(jws, key.public_key, jws.header.algorithm)
        except JoseError as error:
            raise refusal(error) from error
        return read_id_token(jws, rules=self._rules, expected=expected or Expected(), now=self._clock())
