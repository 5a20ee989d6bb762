"""did:key: the DID is the key (w3c-ccg did:key; base58btc alone).

Left out, as the method allows: the key agreement key that could be derived from an Ed25519 key
(``enableEncryptionKeyDerivation``), and key types that sign nothing here (X25519, BLS, P-521, RSA).
"""

from typing import Final

from gateway.dids.did_url import Did
from gateway.dids.document import DidDocument, Relationship, VerificationMethod
from gateway.dids.errors import DidError, DidFault
from gateway.dids.method_keys import usable
from gateway.dids.multibase import decode_multibase, decode_multikey, encode_multikey
from gateway.dids.resolution import Resolution, Source
from signers import PublicKey

_RELATIONSHIPS: Final = frozenset(Relationship) - {Relationship.KEY_AGREEMENT}


class KeyResolver:
    """Resolves ``did:key`` without asking anybody."""

    async def resolve(self, did: Did) -> Resolution:
        """As `MethodResolver`: `INVALID_MULTIBASE`, `KEY_TYPE_UNSUPPORTED` or `INVALID_KEY`."""
        if not did.identifier.startswith("z"):
            raise DidError(DidFault.INVALID_MULTIBASE, "the base is not base58btc")
        key = usable(decode_multikey(decode_multibase(did.identifier)))
        method = VerificationMethod(
            id=f"{did}#{did.identifier}",
            type="Multikey",
            controller=did.text,
            relationships=_RELATIONSHIPS,
            public_key=key.public_key,
            algorithm=key.algorithm,
        )
        return Resolution(DidDocument(did, (method,)), Source.SELF, size=len(did.text))


def did_key(public_key: PublicKey) -> str:
    """The did:key of an Ed25519, secp256k1, P-256 or P-384 key. Raises `DidError` for any other."""
    return f"did:key:{encode_multikey(public_key)}"
