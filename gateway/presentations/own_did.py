"""The gateway's own DID: its document, and the keys in it that sign.

A did:web document is made of the keyring as it is now, so that a key is published before it signs and until
what it signed has expired. Any other DID (a long-form did:ion, did:jwk) brings its document, and a key signs
only where that document has it. Every signature is made by a `signers.Signer`; this module sees no private
key.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.dids import DID_ALGORITHMS, Did, DidDocument, Relationship, parse_document
from gateway.errors import AvailabilityError, Reason
from gateway.jose import assemble, encode_header, public_jwk, signing_input
from gateway.jose.key_material import implied_algorithm
from gateway.keys.keyring import Keyring, KeyringView, SigningKey
from gateway.keys.model import KeyPurpose
from gateway.presentations.linked_domains import SERVICE_TYPE
from gateway.presentations.origins import Origin
from signers import Algorithm, PublicKey

DID_CONTEXTS: Final = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1")
RELATIONSHIPS: Final[Mapping[KeyPurpose, Relationship]] = {
    KeyPurpose.PRESENTATION_REQUESTS: Relationship.AUTHENTICATION,
    KeyPurpose.LINKED_DOMAINS: Relationship.ASSERTION_METHOD,
}
"""What the keys of each purpose are listed for, and nothing else."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of the document: *fragment* becomes its id; *relationships* are what it is for."""

    fragment: str
    public_key: PublicKey
    relationships: frozenset[Relationship]


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The key that signs now, and its place in the document: *method_id* is an absolute DID URL."""

    method_id: str
    key: SigningKey

    async def sign(self, payload: bytes, typ: str | None) -> str:
        """A compact JWS whose ``kid`` is *method_id*; None leaves ``typ`` out. Raises `SignerError`."""
        message = signing_input(encode_header(self.key.algorithm, self.method_id, typ), payload)
        return assemble(message, await self.key.signer.sign(message))


@dataclass(frozen=True, slots=True)
class _Published:
    """The document as of one view of the keyring."""

    view: KeyringView
    data: bytes
    document: DidDocument


class OwnDid:
    """The DID that the gateway acts as.

    - *algorithm*: of the keys that sign; one of `DID_ALGORITHMS`.
    - *origins*: what a did:web document declares as linked domains.
    - *document*: of a DID that says itself what it holds; None for did:web.

    Raises `ValueError` for another algorithm, and for a did:web with a document or another DID without one.
    """

    def __init__(
        self,
        did: Did,
        keyring: Keyring,
        *,
        algorithm: Algorithm,
        origins: Sequence[Origin] = (),
        document: DidDocument | None = None,
    ) -> None:
        if algorithm not in DID_ALGORITHMS:
            raise ValueError("the algorithm is one that DIDs may use")
        if (document is None) != (did.method == "web") or (document is not None and document.id != did):
            raise ValueError("a DID other than did:web comes with its own document")
        self.did = did
        self._keyring = keyring
        self._algorithm = algorithm
        self._origins = tuple(origins)
        self._fixed = document
        self._published: _Published | None = None

    def document(self) -> DidDocument:
        """The document as it is now."""
        return self._current().document if self._fixed is None else self._fixed

    def document_json(self) -> bytes:
        """``did.json`` as it is now. Raises `ValueError` for a DID that is not did:web: nobody serves it."""
        if self._fixed is not None:
            raise ValueError("the document of this DID is not published by its host")
        return self._current().data

    def signing_key(self, purpose: KeyPurpose) -> OwnKey:
        """The key of *purpose*, one of `RELATIONSHIPS`, that signs now.

        Raises `AvailabilityError` with `NO_ACTIVE_KEY`, also where the document does not hold the active one.
        """
        key = self._keyring.signing_key(purpose, self._algorithm)
        relationship = RELATIONSHIPS[purpose]
        for method in self.document().methods:
            if relationship in method.relationships and method.public_key == key.signer.public_key:
                return OwnKey(method.id, key)
        raise AvailabilityError(
            Reason.NO_ACTIVE_KEY,
            "The active key does not stand in the document of the gateway's DID.",
            metadata={"purpose": purpose.value, "algorithm": self._algorithm.value},
        )

    def _current(self) -> _Published:
        view = self._keyring.view
        if self._published is None or self._published.view is not view:
            # A key of another algorithm can be created by whoever may; it signs nothing here.
            keys = [
                PublishedKey(key.key_id, key.public_key, frozenset({RELATIONSHIPS[purpose]}))
                for (purpose, _), key in view.verification_keys.items()
                if purpose in RELATIONSHIPS and key.algorithm in DID_ALGORITHMS
            ]
            data = own_document(self.did, keys, origins=self._origins)
            self._published = _Published(view, data, parse_document(data, self.did))
        return self._published


def own_document(did: Did, keys: Sequence[PublishedKey], *, origins: Sequence[Origin] = ()) -> bytes:
    """``did.json`` of *did* with *keys* as JsonWebKey2020, and one LinkedDomains service for *origins*.

    Raises `ValueError` for a key that serves no algorithm of `DID_ALGORITHMS`, and `DidError` for fragments
    that collide or are none.
    """
    members: dict[str, Any] = {
        "@context": list(DID_CONTEXTS),
        "id": did.text,
        "verificationMethod": [_method(did, key) for key in keys],
    }
    for relationship in Relationship:
        listed = [f"{did}#{key.fragment}" for key in keys if relationship in key.relationships]
        if listed:
            members[relationship.value] = listed
    if origins:
        texts = [str(origin) for origin in origins]
        endpoint: Any = texts[0] if len(texts) == 1 else {"origins": texts}
        members["service"] = [
            {"id": f"{did}#linked-domains", "type": SERVICE_TYPE, "serviceEndpoint": endpoint}
        ]
    data = json.dumps(members, separators=(",", ":")).encode()
    parse_document(data, did)
    return data


def _method(did: Did, key: PublishedKey) -> dict[str, Any]:
    algorithm = implied_algorithm(key.public_key)
    if algorithm not in DID_ALGORITHMS:
        raise ValueError("the key serves no algorithm that a DID may use")
    return {
        "id": f"{did}#{key.fragment}",
        "type": "JsonWebKey2020",
        "controller": did.text,
        "publicKeyJwk": public_jwk(key.public_key, key.fragment, algorithm),
    }
