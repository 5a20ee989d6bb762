"""The use cases of presentations, in one place for every door."""

from dataclasses import dataclass

from gateway.presentations.own_did import OwnDid
from gateway.presentations.requests import PresentationRequests
from gateway.presentations.submissions import PresentationSubmissions
from gateway.presentations.verification import PresentationVerifier
from gateway.presentations.verifier import Verifiers


@dataclass(frozen=True, slots=True)
class Presentations:
    """Everything that a door needs."""

    verifiers: Verifiers
    requests: PresentationRequests
    submissions: PresentationSubmissions
    verifier: PresentationVerifier
    own_did: OwnDid
