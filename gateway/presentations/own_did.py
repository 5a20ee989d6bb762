"""The gateway's own DID: its did:web document, and the proof that it controls its origins.

Every signature is made by a `signers.Signer`; this module sees no private key. What it makes is checked by
the readers of the same formats before it is given out.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.clock import Clock, system_clock
from gateway.dids import DID_ALGORITHMS, Did, DidDocument, Relationship, parse_did_url, parse_document
from gateway.jose import assemble, encode_header, public_jwk, signing_input
from gateway.jose.key_material import implied_algorithm
from gateway.presentations.did_configuration import did_configuration
from gateway.presentations.domain_linkage_credential import (
    CONFIGURATION_CONTEXT,
    CREDENTIAL_CONTEXT,
    CREDENTIAL_TYPES,
    verify_domain_linkage_credential,
)
from gateway.presentations.linked_domains import SERVICE_TYPE
from gateway.presentations.origins import Origin
from signers import PublicKey, Signer, SignerError

logger = logging.getLogger(__name__)

DID_CONTEXTS: Final = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1")
DEFAULT_RELATIONSHIPS: Final = frozenset({Relationship.AUTHENTICATION, Relationship.ASSERTION_METHOD})

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of the document: *fragment* becomes its id; *relationships* are what it is for."""

    fragment: str
    public_key: PublicKey
    relationships: frozenset[Relationship] = DEFAULT_RELATIONSHIPS


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


async def issue_domain_linkage_credential(
    signer: Signer, method_id: str, origin: Origin, *, now: int, lifetime: int
) -> str:
    """A Domain Linkage Credential for *origin*, valid for *lifetime* seconds from *now*, as a compact JWT.

    *method_id* is the absolute DID URL of *signer*'s key in the DID document. Raises `SignerError`, and
    `ValueError` or `DidError` for arguments out of range.
    """
    url = parse_did_url(method_id)
    if not url.fragment or lifetime <= 0 or signer.algorithm not in DID_ALGORITHMS:
        raise ValueError("method_id has a fragment, lifetime is above 0, and the algorithm is one of DIDs")
    payload = json.dumps(_claims(url.did.text, origin, now, now + lifetime), separators=(",", ":")).encode()
    message = signing_input(encode_header(signer.algorithm, method_id, None), payload)
    return assemble(message, await signer.sign(message))


class OwnDidConfiguration:
    """``did-configuration.json`` for *origins*, signed when it is asked for and again at half its lifetime.

    - *signer*: its key must stand in *document*, the gateway's own, under assertionMethod as *method_id*.
    - *lifetime*: seconds for which a credential is valid.
    - *retry_interval*: seconds after a failed signature in which none is tried, as long as there is a valid
      credential.

    Callers who find none wait for the one who has it signed. While a new one is being signed and while the
    signer is unavailable, one that is still valid is given out. Belongs to one event loop.
    """

    def __init__(
        self,
        signer: Signer,
        document: DidDocument,
        method_id: str,
        origins: Sequence[Origin],
        *,
        lifetime: int = 90 * _DAY,
        retry_interval: float = 30.0,
        clock: Clock = system_clock,
    ) -> None:
        if not origins:
            raise ValueError("there is at least one origin")
        self._signer = signer
        self._document = document
        self._method_id = method_id
        self._origins = tuple(origins)
        self._lifetime = lifetime
        self._retry_interval = retry_interval
        self._clock = clock
        self._lock = asyncio.Lock()
        self._resource = b""
        self._signed = self._expires = self._failed = float("-inf")

    async def resource(self) -> bytes:
        """The resource as UTF-8 JSON.

        Raises `SignerError` where there is none yet or it has expired, and `LinkageError` where the document
        does not hold the signer's key as it should.
        """
        if self._is_fresh() or (self._lock.locked() and self._is_valid()):
            return self._resource
        async with self._lock:
            if not self._is_fresh():
                await self._renew()
            return self._resource

    async def _renew(self) -> None:
        now = int(self._clock())
        credentials = []
        try:
            for origin in self._origins:
                credential = await issue_domain_linkage_credential(
                    self._signer, self._method_id, origin, now=now, lifetime=self._lifetime
                )
                verify_domain_linkage_credential(credential, self._document, origin, now=now)
                credentials.append(credential)
        except SignerError as error:
            if not self._is_valid():
                raise
            self._failed = now
            logger.warning("The DID configuration could not be signed anew: %s", error)
            return
        self._resource = did_configuration(credentials)
        self._signed, self._expires = now, now + self._lifetime

    def _is_valid(self) -> bool:
        # A clock that was set back must not give out a credential that is not valid yet.
        return self._signed <= self._clock() < self._expires

    def _is_fresh(self) -> bool:
        now = self._clock()
        pausing = self._failed <= now < self._failed + self._retry_interval
        return self._is_valid() and (pausing or now < self._signed + self._lifetime / 2)


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


def _claims(did: str, origin: Origin, issued: int, expires: int) -> dict[str, Any]:
    return {
        "exp": expires,
        "iss": did,
        "nbf": issued,
        "sub": did,
        "vc": {
            "@context": [CREDENTIAL_CONTEXT, CONFIGURATION_CONTEXT],
            "type": list(CREDENTIAL_TYPES),
            "issuer": did,
            "issuanceDate": _date(issued),
            "expirationDate": _date(expires),
            "credentialSubject": {"id": did, "origin": str(origin)},
        },
    }


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
