"""Every path of the edge."""

from typing import Final
from urllib.parse import urlsplit

from gateway.edge.authorization import PushedRequestEndpoint
from gateway.edge.exchange import Endpoint, Route, get, post
from gateway.edge.introspection import IntrospectionEndpoint
from gateway.edge.token import RevocationEndpoint, TokenEndpoint
from gateway.edge.well_known import HealthEndpoint, JwksEndpoint, MetadataEndpoint
from gateway.tokens.metadata import INTROSPECTION_PATH, JWKS_PATH, PAR_PATH, REVOCATION_PATH, TOKEN_PATH

MAX_OAUTH_BODY: Final = 64 * 1024
_SERVICE: Final = "/countersign.v1"
_CHECK: Final = "/grpc.health.v1.Health/Check"


def oauth_routes(
    *,
    token: TokenEndpoint,
    introspection: IntrospectionEndpoint,
    revocation: RevocationEndpoint,
    pushed_request: PushedRequestEndpoint,
    jwks: JwksEndpoint,
) -> list[Route]:
    """What clients and resource servers call."""
    return [
        post(TOKEN_PATH, token, f"{_SERVICE}.TokenService/MintToken", max_body=MAX_OAUTH_BODY),
        post(REVOCATION_PATH, revocation, f"{_SERVICE}.TokenService/RevokeToken", max_body=MAX_OAUTH_BODY),
        post(
            INTROSPECTION_PATH,
            introspection,
            f"{_SERVICE}.IntrospectionService/IntrospectToken",
            max_body=MAX_OAUTH_BODY,
        ),
        post(
            PAR_PATH,
            pushed_request,
            f"{_SERVICE}.AuthorizationService/PushAuthorizationRequest",
            max_body=MAX_OAUTH_BODY,
        ),
        get(JWKS_PATH, jwks, f"{_SERVICE}.TokenService/GetJwks"),
    ]


def metadata_routes(issuer: str, metadata: MetadataEndpoint) -> list[Route]:
    """Where clients look for the metadata of *issuer*.

    RFC 8414 §3.1 puts the well-known name before the path of an issuer, OpenID Connect
    Discovery §4 behind it.
    """
    path = urlsplit(issuer).path
    policy = f"{_SERVICE}.TokenService/GetServerMetadata"
    return [
        get(f"/.well-known/oauth-authorization-server{path}", metadata, policy),
        get(f"{path}/.well-known/openid-configuration", metadata, policy),
    ]


def health_routes(live: HealthEndpoint, ready: HealthEndpoint) -> list[Route]:
    """What orchestrators ask. They are answered under overload and while draining."""
    endpoints: tuple[tuple[str, Endpoint], ...] = (("/healthz", live), ("/readyz", ready))
    return [get(path, endpoint, _CHECK, always_admitted=True) for path, endpoint in endpoints]
