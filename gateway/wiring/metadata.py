"""What the gateway says about itself (RFC 8414), from the configuration."""

from gateway.config import Settings
from gateway.keys.model import KeyPurpose
from gateway.tokens.metadata import AUTHORIZATION_PATH, PublicUrls, ServerMetadata, describe


def server_metadata(settings: Settings) -> ServerMetadata:
    """The metadata of the authorization server."""
    tokens = settings.tokens
    return describe(
        tokens.issuer,
        tokens.assertion_algorithms,
        tokens.dpop_algorithms,
        _public_urls(settings),
        [key.algorithm for key in settings.keys if key.purpose is KeyPurpose.INTROSPECTION],
    )


def _public_urls(settings: Settings) -> PublicUrls:
    """How clients reach the HTTPS edge."""
    server = settings.server
    return PublicUrls(
        plain=settings.public_url if server.https_address else None,
        mtls=settings.edge.mtls_public_url if server.https_mtls_address else None,
        authorization=(
            settings.edge.authorization_url
            if settings.upstream.issuer is None
            else settings.public_url + AUTHORIZATION_PATH
        ),
    )
