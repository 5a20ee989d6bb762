"""A compact JWS signed by a DID: its header names the key by a DID URL, and the document has the key."""

from typing import Final

from gateway.dids.did_url import MAX_DID_URL
from gateway.dids.document import DidDocument, Relationship, SigningKey
from gateway.dids.errors import DidError, DidFault
from gateway.jose import CompactJws, JoseError, parse_compact, verify

MAX_TOKEN_SIZE: Final = 32 * 1024  # characters: a credential repeats a long-form DID four or five times


def parse_did_jws(token: str, *, max_size: int = MAX_TOKEN_SIZE) -> CompactJws:
    """Parse a compact JWS whose ``kid`` may be a DID URL of `MAX_DID_URL` characters, without verifying it.

    Raises `JoseError`.
    """
    return parse_compact(token, max_size=max_size, max_kid=MAX_DID_URL)


def verify_did_jws(jws: CompactJws, document: DidDocument, *, any_of: frozenset[Relationship]) -> SigningKey:
    """Verify *jws* with the key of *document* that its ``kid`` names and that is listed under *any_of*.

    The caller has compared *document*'s DID with the claim that says who signed. Returns the key. Raises
    `DidError`: those of `DidDocument.signing_key`, or `SIGNATURE_INVALID`.
    """
    key = document.signing_key(jws.header.kid, jws.header.algorithm, any_of=any_of)
    require_signature(jws, key)
    return key


def require_signature(jws: CompactJws, key: SigningKey) -> None:
    """*jws* verifies with *key*, which was chosen for it. Raises `DidError` with `SIGNATURE_INVALID`."""
    try:
        verify(jws, key.public_key, key.algorithm)
    except JoseError as error:
        raise DidError(DidFault.SIGNATURE_INVALID, "the signature does not verify") from error
