"""The issuers whose assertions stand for users, from the configuration."""

from gateway.config import ConfigurationError, Settings
from gateway.jose.errors import JoseError
from gateway.jose.jwk import JwkSet
from gateway.tokens.jwt_bearer import TrustedIssuer


def trusted_issuers(settings: Settings) -> tuple[TrustedIssuer, ...]:
    """Each with its keys. Raises `ConfigurationError` where a key file cannot be used."""
    trusted = []
    for entry in settings.trusted_issuers:
        path = settings.path(entry.jwks)
        try:
            jwks = JwkSet.parse(path.read_bytes(), ignore_unsupported=True)
        except (OSError, JoseError) as error:
            raise ConfigurationError(
                f"trusted_issuers.jwks: {path}: {error}; name a JWK Set of public keys."
            ) from error
        trusted.append(
            TrustedIssuer(
                issuer=entry.issuer,
                jwks=jwks,
                algorithms=frozenset(entry.algorithms),
                subject_prefix=entry.subject_prefix,
                clients=frozenset(entry.clients),
                max_lifetime=entry.max_lifetime,
            )
        )
    return tuple(trusted)
