"""Decentralized Identifiers (DID Core 1.0): from a DID to the key that a signature needs.

Start at `resolver.DidResolver`: one table of methods (`did_key`, `did_jwk`, `did_web`, `did_ion`), each a
`resolution.MethodResolver`. What comes out is a frozen `document.DidDocument`; every refusal is a `DidError`
with a stable `DidFault`, a coarse `DidOutcome` and the clause that was broken.
"""

from gateway.dids.did_ion import IonPolicy, IonResolver, IonState
from gateway.dids.did_jwk import did_jwk
from gateway.dids.did_jws import parse_did_jws, verify_did_jws
from gateway.dids.did_key import did_key
from gateway.dids.did_url import Did, DidUrl, parse_did, parse_did_url
from gateway.dids.did_web import WebResolver, did_web_of, did_web_url
from gateway.dids.document import (
    DID_ALGORITHMS,
    DidDocument,
    Relationship,
    Service,
    ServiceEndpoint,
    SigningKey,
    VerificationMethod,
)
from gateway.dids.errors import DidError, DidFault, DidOutcome
from gateway.dids.ion_node import SidetreeNode
from gateway.dids.parsing import parse_document
from gateway.dids.resolution import MethodResolver, Resolution, Source
from gateway.dids.resolver import DidResolver, ResolverLimits, default_methods

__all__ = [
    "DID_ALGORITHMS",
    "Did",
    "DidDocument",
    "DidError",
    "DidFault",
    "DidOutcome",
    "DidResolver",
    "DidUrl",
    "IonPolicy",
    "IonResolver",
    "IonState",
    "MethodResolver",
    "Relationship",
    "Resolution",
    "ResolverLimits",
    "Service",
    "ServiceEndpoint",
    "SidetreeNode",
    "SigningKey",
    "Source",
    "VerificationMethod",
    "WebResolver",
    "default_methods",
    "did_jwk",
    "did_key",
    "did_web_of",
    "did_web_url",
    "parse_did",
    "parse_did_jws",
    "parse_did_url",
    "parse_document",
    "verify_did_jws",
]
