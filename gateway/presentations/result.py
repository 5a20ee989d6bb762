"""What came of verifying an answer: the checks, the verdict over them, and what was presented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.presentations.checks import Check
from gateway.presentations.credential_state import CredentialState


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A credential that was accepted.

    - `descriptor_id`: what it was presented for. `issuer`, `subject`: DIDs.
    - `credential`: in the W3C data model, the claims of its JWT mapped in (VCDM 1.1 §6.3.1).
    - `state`: None where it could not be established and the policy tolerates that.
    - `linked_origin`: of its issuer; None where that was not checked.
    """

    descriptor_id: str
    issuer: str
    subject: str
    types: tuple[str, ...]
    credential: Mapping[str, Any] = field(repr=False)
    state: CredentialState | None
    linked_origin: str | None


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """A report.

    - `accepted`: the verdict, derived from `checks` alone.
    - `holder`: the DID that signed the presentations, where they verified; else None.
    - `credentials`: by input descriptor; empty unless accepted.
    - `evaluation_time`: seconds since the epoch; `at_time` says that the caller gave it.
    """

    accepted: bool
    checks: tuple[Check, ...]
    holder: str | None
    credentials: tuple[VerifiedCredential, ...]
    evaluation_time: int
    at_time: bool
