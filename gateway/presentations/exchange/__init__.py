"""Presentation Exchange 1.0.0 and 2.x: what a verifier asks for, and whether a wallet's answer is that.

Pure: no I/O, no clock. `parse_definition` and `parse_submission` read documents strictly into frozen values;
`evaluate` applies every rule to credentials that the caller has decoded and verified, and reports each as a
`Check`. Start with `evaluation`.
"""

from gateway.presentations.credential_state import CredentialState
from gateway.presentations.exchange.constraints import allowed_states
from gateway.presentations.exchange.credential import (
    Presented,
    PresentedCredential,
    PresentedPresentation,
)
from gateway.presentations.exchange.definition import parse_definition, parse_format_table, read_json
from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.evaluation import ExchangeReport, evaluate
from gateway.presentations.exchange.model import (
    Formats,
    InputDescriptor,
    PresentationDefinition,
    Version,
)
from gateway.presentations.exchange.rules import ExchangeCheck
from gateway.presentations.exchange.submission import PresentationSubmission, parse_submission

__all__ = [
    "CredentialState",
    "ExchangeCheck",
    "ExchangeError",
    "ExchangeFault",
    "ExchangeReport",
    "Formats",
    "InputDescriptor",
    "PresentationDefinition",
    "PresentationSubmission",
    "Presented",
    "PresentedCredential",
    "PresentedPresentation",
    "Version",
    "allowed_states",
    "evaluate",
    "parse_definition",
    "parse_format_table",
    "parse_submission",
    "read_json",
]
