"""A DID document as frozen values (DID Core §5), and the choice of the key that a signature needs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.dids.did_url import Did, is_fragment, resolve_reference
from gateway.dids.errors import DidError, DidFault
from signers import Algorithm, PublicKey

DID_ALGORITHMS: Final = frozenset({Algorithm.ES256K, Algorithm.EDDSA, Algorithm.ES256, Algorithm.ES384})
"""The algorithms that a signature by a DID may use; every other one is refused, whatever the key is."""


class Relationship(StrEnum):
    """What a key is for (DID Core §5.3)."""

    AUTHENTICATION = "authentication"
    ASSERTION_METHOD = "assertionMethod"
    KEY_AGREEMENT = "keyAgreement"
    CAPABILITY_INVOCATION = "capabilityInvocation"
    CAPABILITY_DELEGATION = "capabilityDelegation"


@dataclass(frozen=True, slots=True)
class VerificationMethod:
    """One verification method (DID Core §5.2) and the relationships under which the document lists it.

    - `id`: an absolute DID URL.
    - `controller`: as sent, possibly empty (Sidetree nodes send ""); nothing is decided by it.
    - `public_key`, `algorithm`: the key and the one algorithm of `DID_ALGORITHMS` that it serves; None where
      `unusable` says why not. A document may hold keys that are of no use here (DID Core §5.2.1), so they
      refuse themselves and not the document.
    """

    id: str
    type: str
    controller: str
    relationships: frozenset[Relationship]
    public_key: PublicKey | None = None
    algorithm: Algorithm | None = None
    unusable: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """One endpoint of a service: a URI, or a map of which the texts and lists of texts are kept."""

    uri: str | None = None
    members: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of member *name* of a map (``origins``, ``instances``); none for a URI."""
        return next((texts for member, texts in self.members if member == name), ())


@dataclass(frozen=True, slots=True)
class Service:
    """One service (DID Core §5.4). `id` is an absolute DID URL, or a URI as sent."""

    id: str
    types: tuple[str, ...]
    endpoints: tuple[ServiceEndpoint, ...]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key under which a signature is to be verified; *method_id* is its absolute DID URL."""

    method_id: str
    public_key: PublicKey
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class DidDocument:
    """What a DID resolved to. A deactivated one never leaves `DidResolver`."""

    id: Did
    methods: tuple[VerificationMethod, ...] = ()
    services: tuple[Service, ...] = ()
    also_known_as: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()
    deactivated: bool = False

    def services_of(self, service_type: str) -> tuple[Service, ...]:
        """The services of *service_type*, in the document's order."""
        return tuple(service for service in self.services if service_type in service.types)

    def method(self, kid: str) -> VerificationMethod:
        """The method that *kid* names: an absolute DID URL of this DID, a relative one, or a bare fragment.

        Raises `DidError` with `INVALID_KID` or `KEY_NOT_FOUND`.
        """
        wanted = method_id_of(kid, self.id)
        for method in self.methods:
            if method.id == wanted:
                return method
        raise DidError(DidFault.KEY_NOT_FOUND, "the document has no such verification method", member="kid")

    def signing_key(
        self, kid: str | None, algorithm: Algorithm, *, any_of: frozenset[Relationship]
    ) -> SigningKey:
        """The key for a signature in *algorithm*, listed under one of *any_of*.

        Without *kid* the document must have exactly one key under *any_of*. Algorithm, curve and key agree by
        construction: a key serves one algorithm. Raises `DidError` with `ALGORITHM_REFUSED`, `INVALID_KID`,
        `KEY_NOT_FOUND`, `KEY_AMBIGUOUS`, `KEY_NOT_AUTHORIZED`, `KEY_UNUSABLE` or `ALGORITHM_MISMATCH`.
        """
        if algorithm not in DID_ALGORITHMS:
            raise DidError(DidFault.ALGORITHM_REFUSED, f"{algorithm} is not accepted", member="alg")
        method = self._only_method(any_of) if kid is None else self.method(kid)
        if not method.relationships & any_of:
            wanted = " or ".join(sorted(any_of))
            raise DidError(DidFault.KEY_NOT_AUTHORIZED, f"the key is not listed under {wanted}", member="kid")
        if method.public_key is None or method.algorithm is None:
            raise DidError(DidFault.KEY_UNUSABLE, method.unusable or "no usable key", member="kid")
        if method.algorithm is not algorithm:
            raise DidError(DidFault.ALGORITHM_MISMATCH, f"the key serves {method.algorithm}", member="alg")
        return SigningKey(method.id, method.public_key, method.algorithm)

    def renamed(self, did: Did) -> "DidDocument":
        """The same document under another spelling of its DID (a long form for a short one)."""

        def rename(text: str) -> str:
            own = text == self.id.text or text.startswith((f"{self.id}#", f"{self.id}?", f"{self.id}/"))
            return did.text + text[len(self.id.text) :] if own else text

        return replace(
            self,
            id=did,
            methods=tuple(
                replace(method, id=rename(method.id), controller=rename(method.controller))
                for method in self.methods
            ),
            services=tuple(replace(service, id=rename(service.id)) for service in self.services),
        )

    def _only_method(self, any_of: frozenset[Relationship]) -> VerificationMethod:
        listed = [method for method in self.methods if method.relationships & any_of]
        if len(listed) != 1:
            message = f"without a kid, {len(listed)} keys could be meant"
            raise DidError(DidFault.KEY_AMBIGUOUS, message, member="kid")
        return listed[0]


def method_id_of(kid: str, did: Did) -> str:
    """The absolute DID URL that *kid* is for a signature by *did*: absolute, relative, or a bare fragment.

    Raises `DidError` with `INVALID_KID`, also where it names a key of another DID.
    """
    own = f"{did}#"
    if kid.startswith(own) and is_fragment(kid[len(own) :]):
        return kid  # What nearly every kid is; a long-form DID takes a while to parse.
    reference = kid if kid.startswith(("did:", "#")) else f"#{kid}"
    try:
        url = resolve_reference(reference, did)
    except DidError as error:
        raise DidError(DidFault.INVALID_KID, "kid is no DID URL and no fragment", member="kid") from error
    if not url.fragment or url.path or url.query is not None:
        raise DidError(DidFault.INVALID_KID, "kid is not a DID with a fragment", member="kid")
    if url.did != did:
        raise DidError(DidFault.INVALID_KID, "kid names a key of another DID", member="kid")
    return str(url)


ALGORITHM_OF_TYPE: Final[Mapping[str, Algorithm | None]] = {
    "JsonWebKey2020": None,
    "JsonWebKey": None,
    "Multikey": None,
    "EcdsaSecp256k1VerificationKey2019": Algorithm.ES256K,
    "EcdsaSecp256r1VerificationKey2019": Algorithm.ES256,
    "Ed25519VerificationKey2018": Algorithm.EDDSA,
    "Ed25519VerificationKey2020": Algorithm.EDDSA,
}
"""The verification method types that are read, each with the algorithm it is bound to, or None for any."""
