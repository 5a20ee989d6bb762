"""The codes of the checks of an answer, in the order applied, and where each rule is written.

Those of Presentation Exchange and of statuses have their own tables: `exchange.rules` and `status.rules`.
Sections of SIOPv2 and OpenID4VP are cited by title: the profile's own numbers are of three drafts.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from gateway.presentations.checks import Check, Outcome, all_hold
from gateway.presentations.exchange.rules import ExchangeCheck


class PresentationCheck(StrEnum):
    """A stable code: the rule that was applied."""

    # The answer
    RESPONSE_SHAPE = "response_shape"
    REQUEST_STATE = "request_state"
    # Each token: the ID token, each presentation, each credential
    TOKEN_WELL_FORMED = "token_well_formed"
    TOKEN_TYPE = "token_type"
    TOKEN_EMBEDDED_KEY = "token_embedded_key"
    TOKEN_ALGORITHM = "token_algorithm"
    TOKEN_SIGNER = "token_signer"
    TOKEN_KEY_ID = "token_key_id"
    DID_METHOD = "did_method"
    DID_RESOLVED = "did_resolved"
    TOKEN_KEY = "token_key"
    TOKEN_SIGNATURE = "token_signature"
    # The ID token
    ID_TOKEN_ISSUER = "id_token_issuer"
    ID_TOKEN_SUBJECT = "id_token_subject"
    ID_TOKEN_AUDIENCE = "id_token_audience"
    ID_TOKEN_NONCE = "id_token_nonce"
    ID_TOKEN_VALIDITY = "id_token_validity"
    ID_TOKEN_FRESHNESS = "id_token_freshness"
    SUBMISSION_WELL_FORMED = "submission_well_formed"
    # Each presentation
    PRESENTATION_WELL_FORMED = "presentation_well_formed"
    PRESENTATION_HOLDER = "presentation_holder"
    PRESENTATION_AUDIENCE = "presentation_audience"
    PRESENTATION_NONCE = "presentation_nonce"
    PRESENTATION_VALIDITY = "presentation_validity"
    PRESENTATION_FRESHNESS = "presentation_freshness"
    # Each credential
    CREDENTIAL_WELL_FORMED = "credential_well_formed"
    CREDENTIAL_CONSISTENT = "credential_consistent"
    CREDENTIAL_VALIDITY = "credential_validity"
    HOLDER_BINDING = "holder_binding"
    # After Presentation Exchange
    ISSUER_TRUSTED = "issuer_trusted"
    ISSUER_LINKED_DOMAIN = "issuer_linked_domain"


_PROFILE: Final = "JWT VC Presentation Profile"
_ID_TOKEN: Final = "SIOPv2, Self-Issued ID Token Validation"
_PROFILE_ID_TOKEN: Final = f"{_PROFILE}, ID Token Validation"
_PROFILE_VP: Final = f"{_PROFILE}, VP Token Validation"
_OID4VP: Final = "OpenID4VP, Validation"
_VCDM_JWT: Final = "VCDM 1.1 §6.3.1"

CLAUSES: Final[Mapping[PresentationCheck, str]] = {
    PresentationCheck.RESPONSE_SHAPE: f"{_PROFILE}, Structure of Authorization Response",
    PresentationCheck.REQUEST_STATE: "SIOPv2, Cross-Device Self-Issued ID Token Validation",
    PresentationCheck.TOKEN_WELL_FORMED: "RFC 7515 §5.2; RFC 8725 §2.4 and §3.2",
    PresentationCheck.TOKEN_TYPE: "RFC 8725 §3.11",
    PresentationCheck.TOKEN_EMBEDDED_KEY: "RFC 8725 §3.10",
    PresentationCheck.TOKEN_ALGORITHM: f"{_PROFILE}, Cryptographic Signature; RFC 8725 §3.1",
    PresentationCheck.TOKEN_SIGNER: "DID Core §3.1",
    PresentationCheck.TOKEN_KEY_ID: f"{_PROFILE_ID_TOKEN} 2; {_PROFILE_VP} 2 and 5",
    PresentationCheck.DID_METHOD: f"{_PROFILE}, Decentralized Identifiers; the verifier's policy",
    PresentationCheck.DID_RESOLVED: f"{_PROFILE_ID_TOKEN} 3 and 4; {_PROFILE_VP} 3 and 6",
    PresentationCheck.TOKEN_KEY: "DID Core §5.3; RFC 8725 §3.1",
    PresentationCheck.TOKEN_SIGNATURE: f"RFC 7515 §5.2; {_PROFILE_VP} 3 and 6",
    PresentationCheck.ID_TOKEN_ISSUER: f"{_PROFILE_ID_TOKEN} 1",
    PresentationCheck.ID_TOKEN_SUBJECT: f"{_ID_TOKEN} (sub, sub_jwk)",
    PresentationCheck.ID_TOKEN_AUDIENCE: f"{_ID_TOKEN} (aud)",
    PresentationCheck.ID_TOKEN_NONCE: f"{_ID_TOKEN} (nonce)",
    PresentationCheck.ID_TOKEN_VALIDITY: f"{_ID_TOKEN} (exp)",
    PresentationCheck.ID_TOKEN_FRESHNESS: f"{_ID_TOKEN} (iat)",
    PresentationCheck.SUBMISSION_WELL_FORMED: f"{_PROFILE_ID_TOKEN} 5; OpenID4VP, Response",
    PresentationCheck.PRESENTATION_WELL_FORMED: f"VCDM 1.1 §4.10; {_VCDM_JWT}",
    PresentationCheck.PRESENTATION_HOLDER: f"{_PROFILE}, Structure of Authorization Response",
    PresentationCheck.PRESENTATION_AUDIENCE: f"{_OID4VP} (aud)",
    PresentationCheck.PRESENTATION_NONCE: f"{_OID4VP} (nonce)",
    PresentationCheck.PRESENTATION_VALIDITY: "RFC 7519 §4.1.4 and §4.1.5",
    PresentationCheck.PRESENTATION_FRESHNESS: "RFC 7519 §4.1.6; the verifier's policy",
    PresentationCheck.CREDENTIAL_WELL_FORMED: f"VCDM 1.1 §4; {_VCDM_JWT}",
    PresentationCheck.CREDENTIAL_CONSISTENT: f"{_VCDM_JWT}; {_PROFILE}, Using JWT claims",
    PresentationCheck.CREDENTIAL_VALIDITY: "VCDM 1.1 §4.6; RFC 7519 §4.1.4 and §4.1.5",
    PresentationCheck.HOLDER_BINDING: f"{_PROFILE_VP} 7",
    PresentationCheck.ISSUER_TRUSTED: f"{_PROFILE_VP} 8; the verifier's policy",
    PresentationCheck.ISSUER_LINKED_DOMAIN: f"{_PROFILE_VP} 8; Well Known DID Configuration",
}

INDISPENSABLE: Final[frozenset[str]] = frozenset(
    {
        PresentationCheck.RESPONSE_SHAPE,
        PresentationCheck.TOKEN_SIGNATURE,
        PresentationCheck.ID_TOKEN_NONCE,
        PresentationCheck.ID_TOKEN_AUDIENCE,
        PresentationCheck.SUBMISSION_WELL_FORMED,
        PresentationCheck.PRESENTATION_NONCE,
        PresentationCheck.PRESENTATION_AUDIENCE,
        PresentationCheck.HOLDER_BINDING,
        ExchangeCheck.DEFINITION_ID,
        ExchangeCheck.DESCRIPTOR_LOCATED,
    }
)
"""What no accepted answer goes without: a report in which one of these did not pass is no verdict for it."""


def verdict(checks: Iterable[Check]) -> bool:
    """Whether an answer with these lines is accepted: each holds, and nothing indispensable is missing."""
    lines = tuple(checks)
    passed = {check.code for check in lines if check.outcome is Outcome.PASSED}
    return all_hold(lines) and passed >= INDISPENSABLE
