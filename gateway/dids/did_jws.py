"""A compact JWS signed by a DID: its header names the key by a DID URL, and the document has the key.

`gateway.jose` allows a ``kid`` of 256 characters, and a long-form did:ion has 1,700. So the kid alone is read
here, and every other rule of a header and of a compact JWS stays the one of `gateway.jose`.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from gateway.dids.did_url import MAX_DID_URL
from gateway.dids.document import DidDocument, Relationship, SigningKey
from gateway.dids.errors import DidError, DidFault
from gateway.jose import CompactJws, JoseError, JoseFault, base64url, parse_compact, verify
from gateway.jose.header_values import bounded_text
from gateway.jose.jws import MAX_HEADER_SIZE
from gateway.jose.strict_json import parse_object

MAX_TOKEN_SIZE: Final = 32 * 1024  # characters: a credential repeats a long-form DID four or five times
HEADER_CACHE_ENTRIES: Final = 256


@dataclass(frozen=True, slots=True)
class _Header:
    names: frozenset[str]
    kid: str | None
    without_kid: str


def parse_did_jws(token: str, *, max_size: int = MAX_TOKEN_SIZE) -> CompactJws:
    """Parse a compact JWS whose ``kid`` may be a DID URL of `MAX_DID_URL` characters, without verifying it.

    Raises `JoseError`.
    """
    if len(token) > max_size:
        raise JoseError(JoseFault.TOKEN_TOO_LARGE, f"the token exceeds {max_size} characters")
    encoded, dot, rest = token.partition(".")
    if len(encoded) > MAX_HEADER_SIZE:
        raise JoseError(JoseFault.HEADER_TOO_LARGE, f"the header exceeds {MAX_HEADER_SIZE} characters")
    header = _split_header(encoded)
    jws = parse_compact(f"{header.without_kid}{dot}{rest}", max_size=max_size)
    signing_input = token.rpartition(".")[0].encode("ascii")
    return replace(jws, header=replace(jws.header, kid=header.kid), signing_input=signing_input)


def header_names(token: str) -> frozenset[str]:
    """The names of all header parameters of a JWS that `parse_did_jws` read."""
    return _split_header(token.partition(".")[0]).names


def verify_did_jws(jws: CompactJws, document: DidDocument, *, any_of: frozenset[Relationship]) -> SigningKey:
    """Verify *jws* with the key of *document* that its ``kid`` names and that is listed under *any_of*.

    The caller has compared *document*'s DID with the claim that says who signed. Returns the key. Raises
    `DidError`: those of `DidDocument.signing_key`, or `SIGNATURE_INVALID`.
    """
    key = document.signing_key(jws.header.kid, jws.header.algorithm, any_of=any_of)
    try:
        verify(jws, key.public_key, key.algorithm)
    except JoseError as error:
        raise DidError(DidFault.SIGNATURE_INVALID, "the signature does not verify") from error
    return key


@lru_cache(maxsize=HEADER_CACHE_ENTRIES)
def _split_header(encoded: str) -> _Header:
    """An issuer's tokens share one header, so most have been seen before. Only successes are kept."""
    members = parse_object(base64url.decode(encoded))
    names = frozenset(members)
    kid = bounded_text(members, "kid", JoseFault.INVALID_KID, MAX_DID_URL)
    members.pop("kid", None)
    without_kid = json.dumps(members, ensure_ascii=False).encode("utf-8")
    return _Header(names, kid, base64url.encode(without_kid))
