"""Compact JWS (RFC 7515 §7.1): strict parsing, verification under one key and one algorithm, and assembly.

A header says which algorithm and key its sender claims to have used. It never chooses them: `verify` takes
both from the caller, and refuses a header that names another algorithm. ``jku``, ``x5u``, ``x5c`` and ``x5t``
are never read; an embedded ``jwk`` only by a caller who asks for it (DPoP, ACME).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from gateway.jose import base64url
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.header_values import MAX_TEXT, bounded_text, parse_algorithm
from gateway.jose.jwk import Jwk, parse_jwk
from gateway.jose.strict_json import parse_object
from signers import Algorithm, KeyUnusableError, PublicKey, SignatureInvalidError
from signers.verification import verify as verify_signature

MAX_TOKEN_SIZE = 16 * 1024  # characters
MAX_HEADER_SIZE = 8 * 1024  # characters of base64url; room for an RSA jwk and for an x5c nobody reads
MAX_TYP = 64  # characters
HEADER_CACHE_ENTRIES = 256

_REFUSED_PARAMETERS = {
    # RFC 7515 §4.1.11: no extension is understood here, so one marked critical refuses the token.
    "crit": JoseFault.CRIT_UNSUPPORTED,
    "b64": JoseFault.B64_UNSUPPORTED,
    "zip": JoseFault.ZIP_UNSUPPORTED,
}


@dataclass(frozen=True)  # Not slotted: the embedded key is parsed once, on first use.
class JwsHeader:
    """The protected header parameters that are acted upon. *typ* is as sent: compare with `require_typ`."""

    algorithm: Algorithm
    typ: str | None = None
    kid: str | None = None
    _members: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def embedded_jwk(self) -> Jwk:
        """The key of parameter ``jwk``: the sender's claim, trusted only as far as the protocol says.

        Raises `JoseError`: `EMBEDDED_KEY_MISSING`, or whatever `parse_jwk` refuses.
        """
        if "jwk" not in self._members:
            raise JoseError(JoseFault.EMBEDDED_KEY_MISSING, "the header carries no jwk", member="jwk")
        return parse_jwk(self._members["jwk"])

    @property
    def names(self) -> frozenset[str]:
        """The names of all parameters present, read or not."""
        return frozenset(self._members)

    def parameter(self, name: str) -> object:
        """Another parameter as sent (ACME's ``nonce`` and ``url``), None where absent; not validated."""
        return self._members.get(name)


@dataclass(frozen=True, slots=True)
class CompactJws:
    """A well-formed compact JWS whose signature has not been verified yet.

    *payload* and *signature* are octets; *signing_input* is the ASCII text that was signed.
    """

    header: JwsHeader
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse_compact(token: str, *, max_size: int = MAX_TOKEN_SIZE, max_kid: int = MAX_TEXT) -> CompactJws:
    """Parse a compact JWS of at most *max_size* characters without verifying it.

    *max_kid* bounds ``kid``, in characters: a DID URL is longer than another key id. Raises `JoseError`.
    """
    if len(token) > max_size:
        raise JoseError(JoseFault.TOKEN_TOO_LARGE, f"the token exceeds {max_size} characters")
    if token.count(".") != 2:  # noqa: PLR2004 - header.payload.signature
        raise JoseError(JoseFault.MALFORMED_COMPACT, "the token is not three parts")
    signing_text, _, encoded_signature = token.rpartition(".")
    encoded_header, _, encoded_payload = signing_text.partition(".")
    header = _parse_header(encoded_header, max_kid)
    if not encoded_signature:
        raise JoseError(JoseFault.SIGNATURE_MISSING, "the signature is empty")
    payload = base64url.decode(encoded_payload)
    signature = base64url.decode(encoded_signature)
    return CompactJws(header, payload, signing_text.encode("ascii"), signature)


def verify(jws: CompactJws, public_key: PublicKey, algorithm: Algorithm) -> None:
    """Verify *jws* with *public_key*, which is bound to *algorithm*.

    The header must name that same algorithm, and the key must be of its type (RFC 8725 §3.1). Raises
    `JoseError` with `ALG_MISMATCH` or `SIGNATURE_INVALID`.
    """
    if jws.header.algorithm is not algorithm:
        raise JoseError(JoseFault.ALG_MISMATCH, f"the key is bound to {algorithm}", member="alg")
    try:
        verify_signature(public_key, algorithm, jws.signing_input, jws.signature)
    except KeyUnusableError as error:
        raise JoseError(JoseFault.ALG_MISMATCH, f"the key cannot serve {algorithm}", member="alg") from error
    except SignatureInvalidError as error:
        raise JoseError(JoseFault.SIGNATURE_INVALID, "the signature does not verify") from error


def encode_header(algorithm: Algorithm, kid: str | None, typ: str | None) -> str:
    """The encoded protected header of every token that a key signs with one *typ*: made once, then reused."""
    members = {"alg": algorithm.value}
    if kid is not None:
        members["kid"] = kid
    if typ is not None:
        members["typ"] = typ
    return base64url.encode(json.dumps(members, separators=(",", ":")).encode("ascii"))


def signing_input(encoded_header: str, payload: bytes) -> bytes:
    """The octets to sign (RFC 7515 §5.1 step 8)."""
    return f"{encoded_header}.{base64url.encode(payload)}".encode("ascii")


def assemble(signing_input: bytes, signature: bytes) -> str:
    """The compact JWS of *signing_input* and its *signature* in JOSE form."""
    return f"{signing_input.decode('ascii')}.{base64url.encode(signature)}"


def _parse_header(encoded: str, max_kid: int) -> JwsHeader:
    # Checked before the cache, so that an entry's size, and with it the cache, is bounded.
    if len(encoded) > MAX_HEADER_SIZE:
        raise JoseError(JoseFault.HEADER_TOO_LARGE, f"the header exceeds {MAX_HEADER_SIZE} characters")
    return _cached_header(encoded, max_kid)


@lru_cache(maxsize=HEADER_CACHE_ENTRIES)
def _cached_header(encoded: str, max_kid: int) -> JwsHeader:
    """A key's tokens share one header, so most headers have been seen before. Only successes are kept."""
    members = parse_object(base64url.decode(encoded))
    for name, code in _REFUSED_PARAMETERS.items():
        if name in members:
            raise JoseError(code, f"{name} is not supported", member=name)
    return JwsHeader(
        algorithm=parse_algorithm(members.get("alg")),
        typ=bounded_text(members, "typ", JoseFault.INVALID_HEADER, MAX_TYP),
        kid=bounded_text(members, "kid", JoseFault.INVALID_KID, max_kid),
        _members=MappingProxyType(members),
    )
