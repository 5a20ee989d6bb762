"""A definition, a submission and a credential that satisfy each other, for tests to break one at a time."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.presentations.checks import Outcome
from gateway.presentations.exchange import (
    CredentialState,
    ExchangeReport,
    Presented,
    PresentedCredential,
    PresentedPresentation,
    evaluate,
    parse_definition,
    parse_format_table,
    parse_submission,
)
from gateway.presentations.exchange.work import MAX_STEPS

ISSUER, HOLDER = "did:web:issuer.example", "did:web:holder.example"
VECTORS = Path(__file__).parents[2] / "vectors"


def payload(**subject: Any) -> dict[str, Any]:
    """The claims set of a JWT credential about the holder."""
    return {
        "iss": ISSUER,
        "sub": HOLDER,
        "nbf": 1_700_000_000,
        "exp": 1_900_000_000,
        "jti": "urn:uuid:1",
        "vc": {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential", "Employee"],
            "credentialSubject": subject or {"given_name": "Pat", "age": 30},
        },
    }


class Exchange:
    """One exchange: change a part, then `report` it."""

    def __init__(self) -> None:
        self.definition: dict[str, Any] = {
            "id": "definition",
            "input_descriptors": [{"id": "a", "constraints": {"fields": [{"path": ["$.vc.type"]}]}}],
        }
        self.submission: dict[str, Any] = {
            "id": "submission",
            "definition_id": "definition",
            "descriptor_map": [self.entry("a", 0)],
        }
        self.payloads = [payload()]
        self.format = "jwt_vc"
        self.algorithm: str | None = "ES256K"
        self.issuer, self.subject, self.holder = ISSUER, HOLDER, HOLDER
        self.state: CredentialState | None = CredentialState.ACTIVE
        self.vp_formats: dict[str, Any] | None = None
        self.max_steps = MAX_STEPS

    @staticmethod
    def entry(descriptor: str, index: int, root: str = "$.vp.verifiableCredential") -> dict[str, Any]:
        nested = {"id": descriptor, "format": "jwt_vc", "path": f"{root}[{index}]"}
        return {"id": descriptor, "format": "jwt_vp", "path": "$", "path_nested": nested}

    @property
    def descriptor(self) -> dict[str, Any]:
        return self.definition["input_descriptors"][0]

    @property
    def constraints(self) -> dict[str, Any]:
        return self.descriptor["constraints"]

    def ask(self, *fields: dict[str, Any]) -> "Exchange":
        """Ask for these fields."""
        self.constraints["fields"] = list(fields)
        return self

    def add(self, descriptor: str, **members: Any) -> None:
        """One more descriptor, with a credential and an entry of its own."""
        index = len(self.payloads)
        self.payloads.append(payload())
        members.setdefault("constraints", {"fields": [{"path": ["$.vc.type"]}]})
        self.definition["input_descriptors"].append({"id": descriptor, **members})
        self.submission["descriptor_map"].append(self.entry(descriptor, index))

    def presented(self) -> Presented:
        encodings = [f"header.credential-{index}.signature" for index in range(len(self.payloads))]
        vp = {"iss": HOLDER, "vp": {"type": ["VerifiablePresentation"], "verifiableCredential": encodings}}
        token = "header.presentation.signature"
        credentials = tuple(
            PresentedCredential(
                encoded,
                self.format,
                body,
                self.issuer,
                self.subject,
                self.holder,
                self.algorithm,
                self.state,
            )
            for encoded, body in zip(encodings, self.payloads, strict=True)
        )
        return Presented(token, (PresentedPresentation(token, "jwt_vp", vp, "ES256K"),), credentials)

    def report(self) -> ExchangeReport:
        return evaluate(
            parse_definition(copy.deepcopy(self.definition)),
            parse_submission(self.submission),
            self.presented(),
            vp_formats=parse_format_table(self.vp_formats) if self.vp_formats is not None else None,
            max_steps=self.max_steps,
        )


def objections(report: ExchangeReport) -> list[str]:
    """The codes of the checks that decided against, in order."""
    accepted = (Outcome.PASSED, Outcome.SKIPPED)
    return [str(each.code) for each in report.checks if not each.advisory and each.outcome not in accepted]


@pytest.fixture
def exchange() -> Exchange:
    """An exchange in which every check passes."""
    return Exchange()


@pytest.fixture
def refused():
    """Asserts that a report is refused by exactly these codes."""

    def check(report: ExchangeReport, *codes: str) -> None:
        assert objections(report) == list(codes)
        assert not report.accepted

    return check


@pytest.fixture
def profile() -> dict[str, Any]:
    """The published request, submission, presentation and credential of the profile."""
    return json.loads((VECTORS / "jwt_vc_profile_exchange.json").read_text())
