"""Authorization server metadata (RFC 8414 §2) as a typed value; every door renders this one."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.tokens.client import ClientAuthenticationMethod, GrantType
from gateway.tokens.pkce import METHOD
from signers import Algorithm

TOKEN_PATH: Final = "/oauth2/token"
INTROSPECTION_PATH: Final = "/oauth2/introspect"
REVOCATION_PATH: Final = "/oauth2/revoke"
PAR_PATH: Final = "/oauth2/par"
AUTHORIZATION_PATH: Final = "/oauth2/authorize"
CALLBACK_PATH: Final = "/oauth2/callback"
JWKS_PATH: Final = "/oauth2/jwks"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where clients call, under one public URL."""

    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    pushed_authorization_request_endpoint: str

    @classmethod
    def under(cls, base: str) -> "Endpoints":
        """The endpoints below *base*, an https URL without trailing slash."""
        return cls(
            token_endpoint=base + TOKEN_PATH,
            introspection_endpoint=base + INTROSPECTION_PATH,
            revocation_endpoint=base + REVOCATION_PATH,
            pushed_authorization_request_endpoint=base + PAR_PATH,
        )

    def members(self) -> Mapping[str, str]:
        """The members of the metadata document."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a client needs to know of this server. What no door serves is None.

    `authorization_endpoint` is ours where users log in at the upstream provider, or that of the login
    application, which logs users in and makes codes.
    """

    issuer: str
    endpoints: Endpoints | None
    jwks_uri: str | None
    mtls_endpoint_aliases: Endpoints | None
    authorization_endpoint: str | None
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    tls_client_certificate_bound_access_tokens: bool
    dpop_signing_alg_values_supported: tuple[str, ...]
    introspection_signing_alg_values_supported: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """The metadata document as RFC 8414 §3.2 gives it; what is None is left out."""
        methods = self.token_endpoint_auth_methods_supported
        algorithms = self.token_endpoint_auth_signing_alg_values_supported
        document: dict[str, Any] = {
            "issuer": self.issuer,
            **(self.endpoints.members() if self.endpoints is not None else {}),
            "grant_types_supported": self.grant_types_supported,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": [METHOD],
            "tls_client_certificate_bound_access_tokens": self.tls_client_certificate_bound_access_tokens,
            "dpop_signing_alg_values_supported": self.dpop_signing_alg_values_supported,
        }
        if self.introspection_signing_alg_values_supported:
            document["introspection_signing_alg_values_supported"] = (
                self.introspection_signing_alg_values_supported
            )
        if self.jwks_uri is not None:
            document["jwks_uri"] = self.jwks_uri
        if self.authorization_endpoint is not None:
            document["authorization_endpoint"] = self.authorization_endpoint
            document["authorization_response_iss_parameter_supported"] = True
        if self.mtls_endpoint_aliases is not None:
            document["mtls_endpoint_aliases"] = self.mtls_endpoint_aliases.members()
        for endpoint in ("token", "introspection", "revocation"):
            document[f"{endpoint}_endpoint_auth_methods_supported"] = methods
            document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
        return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class PublicUrls:
    """How clients reach the edge: what URLs begin with, None where that listener is off.

    *mtls* is the address that asks for client certificates (RFC 8705 §5); *authorization* where users
    authorize clients.
    """

    plain: str | None = None
    mtls: str | None = None
    authorization: str | None = None


def describe(
    issuer: str,
    assertion_algorithms: tuple[Algorithm, ...],
    dpop_algorithms: tuple[Algorithm, ...],
    urls: PublicUrls | None = None,
    introspection_algorithms: Iterable[Algorithm] = (),
) -> ServerMetadata:
    """The metadata of a gateway with this configuration; without *urls* it has no HTTPS edge."""
    urls = urls or PublicUrls()
    base = urls.plain or urls.mtls
    return ServerMetadata(
        issuer=issuer,
        endpoints=None if base is None else Endpoints.under(base),
        jwks_uri=None if base is None else base + JWKS_PATH,
        mtls_endpoint_aliases=None if urls.mtls is None else Endpoints.under(urls.mtls),
        authorization_endpoint=urls.authorization,
        grant_types_supported=tuple(sorted(GrantType)),
        token_endpoint_auth_methods_supported=tuple(sorted(ClientAuthenticationMethod)),
        token_endpoint_auth_signing_alg_values_supported=tuple(sorted(assertion_algorithms)),
        tls_client_certificate_bound_access_tokens=True,
        dpop_signing_alg_values_supported=tuple(sorted(dpop_algorithms)),
        introspection_signing_alg_values_supported=tuple(sorted(set(introspection_algorithms))),
    )
