"""For a resource server: verifies the gateway's access tokens, and that their sender may use them.

`AccessTokenVerifier` does it for any kind of server; `AccessTokenInterceptor` is for grpc.aio,
`AccessTokenMiddleware` for ASGI.
"""

from countersign.resource_server.asgi import AccessTokenMiddleware, token_of_scope
from countersign.resource_server.certificate_header import CertificateForm, CertificateHeader
from countersign.resource_server.dpop import DpopPolicy
from countersign.resource_server.errors import (
    AccessRefusedError,
    Fault,
    InsufficientScopeError,
    InvalidProofError,
    InvalidTokenError,
    MalformedRequestError,
    NonceRequiredError,
    ResourceServerError,
    TokenMissingError,
    VerificationUnavailableError,
)
from countersign.resource_server.grpc_interceptor import AccessTokenInterceptor, current_token
from countersign.resource_server.nonces import DpopNonces
from countersign.resource_server.revocations import RevocationFollower
from countersign.resource_server.token import VerifiedToken
from countersign.resource_server.verifier import AccessTokenVerifier, PresentedRequest

__all__ = [
    "AccessRefusedError",
    "AccessTokenInterceptor",
    "AccessTokenMiddleware",
    "AccessTokenVerifier",
    "CertificateForm",
    "CertificateHeader",
    "DpopNonces",
    "DpopPolicy",
    "Fault",
    "InsufficientScopeError",
    "InvalidProofError",
    "InvalidTokenError",
    "MalformedRequestError",
    "NonceRequiredError",
    "PresentedRequest",
    "ResourceServerError",
    "RevocationFollower",
    "TokenMissingError",
    "VerificationUnavailableError",
    "VerifiedToken",
    "current_token",
    "token_of_scope",
]
