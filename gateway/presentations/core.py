"""The use cases of presentations, in one place for every door."""

from dataclasses import dataclass

from gateway.presentations.own_did import OwnDid
from gateway.presentations.own_linkage import OwnDidConfiguration
from gateway.presentations.requests import PresentationRequests
from gateway.presentations.submissions import PresentationSubmissions
from gateway.presentations.verification import PresentationVerifier
from gateway.presentations.verifier import Verifiers


@dataclass(frozen=True, slots=True)
class Presentations:
    """Everything that a door needs. *own_linkage*: None where the gateway's DID declares no linked domain."""

    verifiers: Verifiers
    requests: PresentationRequests
    submissions: PresentationSubmissions
    verifier: PresentationVerifier
    own_did: OwnDid
    own_linkage: OwnDidConfiguration | None
