"""did:jwk: the DID is a JWK in base64url (github.com/quartzjer/did-jwk, spec.md)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.dids.did_url import Did
from gateway.dids.document import DidDocument, Relationship, VerificationMethod
from gateway.dids.errors import DidError, DidFault
from gateway.dids.method_keys import MethodKey, read_jwk
from gateway.dids.resolution import Resolution, Source
from gateway.jose import JoseError, JoseFault, base64url
from gateway.jose.strict_json import parse_object
from signers import PublicKey
from signers.jose_form import public_jwk

_ALL: Final = frozenset(Relationship)
_BY_USE: Final[Mapping[object, frozenset[Relationship]]] = {
    None: _ALL,
    "sig": _ALL - {Relationship.KEY_AGREEMENT},
    "enc": frozenset({Relationship.KEY_AGREEMENT}),
}


class JwkResolver:
    """Resolves ``did:jwk`` without asking anybody."""

    async def resolve(self, did: Did) -> Resolution:
        """As `MethodResolver`: `INVALID_KEY`, also for a private or a symmetric key.

        A key of a type that signs nothing here (X25519) resolves to a method that is unusable.
        """
        jwk = _members(did)
        try:
            relationships = _BY_USE[jwk.get("use")]
        except (KeyError, TypeError) as error:
            raise DidError(DidFault.INVALID_KEY, "use is neither sig nor enc", member="use") from error
        key = _key(jwk)
        method = VerificationMethod(
            id=f"{did}#0",
            type="JsonWebKey2020",
            controller=did.text,
            relationships=relationships,
            public_key=key.public_key,
            algorithm=key.algorithm,
            unusable=key.unusable,
        )
        return Resolution(DidDocument(did, (method,)), Source.SELF, size=len(did.text))


def did_jwk(public_key: PublicKey) -> str:
    """The did:jwk of *public_key*: its required members alone, in lexicographic order."""
    text = json.dumps(public_jwk(public_key), separators=(",", ":"), sort_keys=True)
    return f"did:jwk:{base64url.encode(text.encode())}"


def _members(did: Did) -> Mapping[str, Any]:
    try:
        return parse_object(base64url.decode(did.identifier))
    except JoseError as error:
        raise DidError(DidFault.INVALID_KEY, f"the identifier is not a JWK: {error.code}") from error


def _key(jwk: Mapping[str, Any]) -> MethodKey:
    try:
        return read_jwk(jwk)
    except JoseError as error:
        if error.code is JoseFault.KEY_TYPE_UNSUPPORTED:
            return MethodKey(unusable="the key type is not supported")
        raise DidError(DidFault.INVALID_KEY, f"the JWK is refused: {error.code}") from error
