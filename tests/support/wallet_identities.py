"""DIDs of each method with their private keys, for wallets, issuers and verifiers in tests.

    holder = identity("ion", Algorithm.ES256K)
    issuer = identity("web", Algorithm.EDDSA, host="issuer.example.test:8443")  # with .document

Tokens are signed by PyJWT and not by the gateway's own code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from gateway.dids import did_jwk, did_key
from signers import Algorithm, PublicKey
from signers.jose_form import public_jwk
from signers.key_files import PrivateKey, generate_private_key
from tests.support import sidetree

METHODS: Final = ("ion", "web", "jwk", "key")
ALGORITHMS: Final = (Algorithm.ES256K, Algorithm.EDDSA, Algorithm.ES256, Algorithm.ES384)
_FRAGMENT: Final = "key-1"


@dataclass(frozen=True)
class Identity:
    """A DID, the fragment of its key in the document, and the private key.

    *document*: the ``did.json`` that a did:web needs hosted; None for the others.
    """

    did: str
    fragment: str
    algorithm: Algorithm
    key: PrivateKey
    document: bytes | None = None

    @property
    def kid(self) -> str:
        """The absolute DID URL of the key."""
        return f"{self.did}#{self.fragment}"

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A compact JWT. *header* changes parameters; None takes one away."""
        wanted: dict[str, Any] = {"kid": self.kid, "typ": "JWT"} | header
        # PyJWT adds a typ of its own unless it is given one, and leaves out an empty one.
        kept = {name: value for name, value in wanted.items() if value is not None or name == "typ"}
        return jwt.encode(dict(claims), self.key, self.algorithm.value, headers=kept)


def identity(
    method: str, algorithm: Algorithm, *, host: str = "", services: Sequence[Mapping[str, Any]] = ()
) -> Identity:
    """An identity with a new key. *services*: of did:web and did:ion.

    *host*: of a did:web, with its port and path (``host.example:8443/a``).
    """
    key = generate_private_key(algorithm)
    did, fragment = did_of(method, key.public_key(), host=host, services=services)
    document = web_document(did, key.public_key(), services) if method == "web" else None
    return Identity(did, fragment, algorithm, key, document)


def did_of(
    method: str, public_key: PublicKey, *, host: str = "", services: Sequence[Mapping[str, Any]] = ()
) -> tuple[str, str]:
    """The DID of *public_key*, and the fragment of its key; the arguments as of `identity`."""
    match method:
        case "jwk":
            return did_jwk(public_key), "0"
        case "key":
            did = did_key(public_key)
            return did, did.removeprefix("did:key:")
        case "web":
            return f"did:web:{host.replace(':', '%3A').replace('/', ':')}", _FRAGMENT
    entry = sidetree.key_entry(_FRAGMENT, public_jwk(public_key), "authentication", "assertionMethod")
    return sidetree.long_form([sidetree.replace([entry], list(services))]), _FRAGMENT


def web_document(did: str, public_key: PublicKey, services: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """The ``did.json`` of *did* with one key, for authentication and assertions."""
    kid = f"{did}#{_FRAGMENT}"
    method = {"id": kid, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": public_jwk(public_key)}
    members = {
        "@context": "https://www.w3.org/ns/did/v1",
        "id": did,
        "verificationMethod": [method],
        "authentication": [kid],
        "assertionMethod": [kid],
        "service": list(services),
    }
    return json.dumps(members).encode()
