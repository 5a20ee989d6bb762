"""Strict JOSE: compact JWS (RFC 7515), public JWK (RFC 7517, RFC 8037), JWT claims (RFC 7519).

Pure and synchronous: no I/O, no clock, no network. Outside data is parsed once into a frozen value, and a
value that exists is a value that was checked. Every refusal is a `JoseError` with a stable `JoseFault`.
Symmetric algorithms, ``none``, JWE, detached and JSON-serialized JWS are not supported, on purpose
(RFC 8725 §3).
"""

from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import Jwk, JwkSet, parse_jwk, public_jwk
from gateway.jose.jws import (
    CompactJws,
    JwsHeader,
    assemble,
    encode_header,
    parse_compact,
    signing_input,
    verify,
)
from gateway.jose.jwt import Claims, media_type_matches, require_typ

__all__ = [
    "Claims",
    "CompactJws",
    "JoseError",
    "JoseFault",
    "Jwk",
    "JwkSet",
    "JwsHeader",
    "assemble",
    "encode_header",
    "media_type_matches",
    "parse_compact",
    "parse_jwk",
    "public_jwk",
    "require_typ",
    "signing_input",
    "verify",
]
