"""The request object: what a wallet is asked, as the claims of a JWT that the verifier's DID key signs.

SIOPv2, Self-Issued OpenID Provider Authorization Request; OpenID4VP, Request; the profile's §Self-Issued OP
Request Object, which wants ``registration`` by value and the definition under ``claims.vp_token``.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from gateway.presentations.request import RequestWish, ResponseMode
from gateway.presentations.verifier import Verifier

_AUDIENCE: Final = "https://self-issued.me/v2"  # SIOPv2: static discovery
_TYPES: Final = {
    # The profile's own vectors; a wallet of the profile may know no other.
    ResponseMode.POST: "JWT",
    # RFC 9101 §10.8 and OpenID4VP since its second implementer's draft.
    ResponseMode.DIRECT_POST: "oauth-authz-req+jwt",
}


@dataclass(frozen=True, slots=True)
class RequestParameters:
    """What makes one request: times in seconds since the epoch, *definition* as parsed JSON."""

    request_id: str
    nonce: str
    state: str
    definition: dict[str, Any]
    response_uri: str
    response_mode: ResponseMode
    issued_at: int
    expires_at: int


def request_type(mode: ResponseMode) -> str:
    """The ``typ`` of a request object."""
    return _TYPES[mode]


def request_claims(verifier: Verifier, wish: RequestWish, parameters: RequestParameters) -> bytes:
    """The claims of the request object, as JSON."""
    claims: dict[str, Any] = {
        "iss": verifier.client_id,
        "aud": _AUDIENCE,
        "response_type": "id_token",
        "response_mode": parameters.response_mode.value,
        "client_id": verifier.client_id,
        "redirect_uri": parameters.response_uri,
        "scope": "openid",
        "nonce": parameters.nonce,
        "state": parameters.state,
        "claims": {"vp_token": {"presentation_definition": parameters.definition}},
        "registration": _registration(verifier, wish),
        "iat": parameters.issued_at,
        "nbf": parameters.issued_at,
        "exp": parameters.expires_at,
        "jti": parameters.request_id,
    }
    return json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()


def _registration(verifier: Verifier, wish: RequestWish) -> dict[str, Any]:
    """The verifier's metadata by value (the profile's §Verifier/RP Registration Metadata)."""
    display, policy = verifier.display, verifier.policy
    algorithms = sorted(algorithm.value for algorithm in policy.algorithms)
    members: dict[str, Any] = {
        "subject_syntax_types_supported": [f"did:{name}" for name in sorted(policy.did_methods)],
        "vp_formats": {"jwt_vp": {"alg": algorithms}, "jwt_vc": {"alg": algorithms}},
        "client_name": wish.client_name or display.client_name,
    }
    optional = {
        "client_purpose": wish.purpose or display.client_purpose,
        "logo_uri": display.logo_uri,
        "tos_uri": display.tos_uri,
    }
    return members | {name: value for name, value in optional.items() if value is not None}
