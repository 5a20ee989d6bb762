"""Domain Linkage Credentials with any fault asked for, and the documents and resources around them."""

import json
from typing import Any

from gateway.dids import DidDocument, parse_did, parse_document
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from tests.support.dids import TestSigner, document, jwt, method_entry

NOW = 1_700_000_000
ISSUED, EXPIRES = NOW - 3600, NOW + 86_400
ISSUED_TEXT, EXPIRES_TEXT = "2023-11-14T21:13:20Z", "2023-11-15T22:13:20Z"
CONTEXTS = [
    "https://www.w3.org/2018/credentials/v1",
    "https://identity.foundation/.well-known/did-configuration/v1",
]


def claims(did: str, origin: str) -> dict[str, Any]:
    """The claims of a good credential."""
    return {
        "iss": did,
        "sub": did,
        "nbf": ISSUED,
        "exp": EXPIRES,
        "vc": {
            "@context": list(CONTEXTS),
            "type": ["VerifiableCredential", "DomainLinkageCredential"],
            "issuer": did,
            "issuanceDate": ISSUED_TEXT,
            "expirationDate": EXPIRES_TEXT,
            "credentialSubject": {"id": did, "origin": origin},
        },
    }


def changed(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """*value* with the member at *path*, names with slashes between them, set to *new*; None drops it."""
    copy = json.loads(json.dumps(value))
    *parents, name = path.split("/")
    target = copy
    for parent in parents:
        target = target[parent]
    if new is None:
        del target[name]
    else:
        target[name] = new
    return copy


def credential(signer: TestSigner, did: str, origin: str, **header: Any) -> str:
    """A good credential, but for the members of its header."""
    return signed(signer, did, claims(did, origin), **header)


def signed(signer: TestSigner, did: str, payload: Any, **header: Any) -> str:
    """A JWT of any claims by the key ``#k`` of *did*."""
    return jwt(signer, {"alg": signer.algorithm.value, "kid": f"{did}#k"} | header, payload)


def linked_document(signer: TestSigner, did: str, *origins: Any, **other: Any) -> DidDocument:
    """The document of *did*: *signer*'s key as ``#k``, and a LinkedDomains service for each of *origins*."""
    services = [
        {"id": f"#d{index}", "type": "LinkedDomains", "serviceEndpoint": origin}
        for index, origin in enumerate(origins)
    ]
    members = document(did, method_entry(did, "k", signer.jwk), service=services) | other
    return parse_document(json.dumps(members).encode(), parse_did(did))


def configuration(*entries: Any, **other: Any) -> bytes:
    """A DID Configuration Resource."""
    return json.dumps({"@context": CONTEXTS[1], "linked_dids": list(entries)} | other).encode()


class unlinked:  # noqa: N801 - reads as a phrase: with unlinked(LinkageFault.X).
    """Expects a `LinkageError` with exactly this fault."""

    def __init__(self, fault: LinkageFault) -> None:
        self.fault = fault

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, LinkageError):
            if error is not None:
                return False
            raise AssertionError(f"nothing was refused; expected {self.fault}")
        assert error.fault is self.fault, error
        assert error.clause
        return True
