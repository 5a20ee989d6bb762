"""Authorization server metadata (RFC 8414 §2) as a typed value; every door renders this one."""

import json
from dataclasses import dataclass
from typing import Any

from gateway.tokens.client import ClientAuthenticationMethod, GrantType
from signers import Algorithm


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a client needs to know of this server. Endpoints that no door serves are absent (None)."""

    issuer: str
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    tls_client_certificate_bound_access_tokens: bool
    dpop_signing_alg_values_supported: tuple[str, ...]

    def to_json(self) -> bytes:
        """The metadata document as RFC 8414 §3.2 gives it."""
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "grant_types_supported": self.grant_types_supported,
            "token_endpoint_auth_methods_supported": self.token_endpoint_auth_methods_supported,
            "token_endpoint_auth_signing_alg_values_supported": (
                self.token_endpoint_auth_signing_alg_values_supported
            ),
            "tls_client_certificate_bound_access_tokens": (self.tls_client_certificate_bound_access_tokens),
            "dpop_signing_alg_values_supported": self.dpop_signing_alg_values_supported,
            "response_types_supported": [],
        }
        return json.dumps(document, separators=(",", ":")).encode()


def describe(
    issuer: str, assertion_algorithms: tuple[Algorithm, ...], dpop_algorithms: tuple[Algorithm, ...]
) -> ServerMetadata:
    """The metadata of a gateway with this configuration."""
    return ServerMetadata(
        issuer=issuer,
        grant_types_supported=tuple(sorted(GrantType)),
        token_endpoint_auth_methods_supported=tuple(sorted(ClientAuthenticationMethod)),
        token_endpoint_auth_signing_alg_values_supported=tuple(sorted(assertion_algorithms)),
        tls_client_certificate_bound_access_tokens=True,
        dpop_signing_alg_values_supported=tuple(sorted(dpop_algorithms)),
    )
