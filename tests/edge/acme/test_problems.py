"""The one table of ACME problems, and the way back from each to its reason."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.edge.acme_problems import ACME, URN, acme_row, problem_document, problem_response
from gateway.edge.oauth_errors import HttpError
from gateway.enrollment.model import Problem
from gateway.errors import AvailabilityError, GatewayError, Reason, RequestError

REGISTERED = {
    "accountDoesNotExist",
    "alreadyReplaced",
    "alreadyRevoked",
    "badCSR",
    "badNonce",
    "badPublicKey",
    "badRevocationReason",
    "badSignatureAlgorithm",
    "caa",
    "compound",
    "connection",
    "dns",
    "externalAccountRequired",
    "incorrectResponse",
    "invalidContact",
    "malformed",
    "orderNotReady",
    "rateLimited",
    "rejectedIdentifier",
    "serverInternal",
    "tls",
    "unauthorized",
    "unsupportedContact",
    "unsupportedIdentifier",
    "userActionRequired",
}
"""SOURCE: RFC 8555 §6.7, RFC 9773 §7.4."""
ENROLLMENT = [
    Reason.SIGNED_REQUEST_REFUSED,
    Reason.BAD_NONCE,
    Reason.BAD_PUBLIC_KEY,
    Reason.UNSUPPORTED_IDENTIFIER,
    Reason.REJECTED_IDENTIFIER,
    Reason.BAD_CSR,
    Reason.BAD_REVOCATION_REASON,
    Reason.EXTERNAL_ACCOUNT_REQUIRED,
    Reason.ACCOUNT_UNUSABLE,
    Reason.ACCOUNT_NOT_FOUND,
    Reason.ENROLLMENT_NOT_FOUND,
    Reason.ACCOUNT_KEY_IN_USE,
    Reason.ORDER_NOT_READY,
    Reason.ALREADY_REVOKED,
    Reason.ALREADY_REPLACED,
    Reason.ISSUER_UNAVAILABLE,
    Reason.IDENTITY_PROVIDER_UNAVAILABLE,
]


@pytest.mark.parametrize("reason", ENROLLMENT)
def test_every_reason_of_enrollment_has_a_row(reason):
    """None of them is told as an internal error."""
    assert reason in ACME


@pytest.mark.parametrize("reason", ACME)
def test_types_are_registered(reason):
    """Clients know each type, and the document repeats status and reason."""
    response = problem_response(GatewayError(reason, "It went wrong."))
    document = json.loads(response.body)
    assert document["type"].removeprefix(URN) in REGISTERED
    assert document["status"] == response.status_code
    assert document["subproblems"] == [
        {"type": document["type"], "detail": "It went wrong.", "reason": reason.value}
    ]


def test_the_documentation_lists_every_row():
    """With status and type, as they are told."""
    text = (Path(__file__).parents[3] / "docs" / "acme.md").read_text(encoding="utf-8")
    for reason, row in ACME.items():
        assert f"| {reason.value} | {row.status} | {row.type} |" in text


def test_a_reason_without_a_row_is_internal():
    """It tells nothing of what it was."""
    assert acme_row(GatewayError(Reason.KEY_NOT_FOUND, "x")) == (500, "serverInternal")


def test_what_can_be_tried_again_says_when():
    """In whole seconds, at least one."""
    told = AvailabilityError(Reason.STORE_UNAVAILABLE, "x", retry_after=timedelta(seconds=1.2))
    response = problem_response(told)
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert "retry-after" not in problem_response(RequestError(Reason.BAD_CSR, "x")).headers


def test_an_error_of_http_keeps_its_status_and_headers():
    """Such as 405 with what is allowed."""
    response = problem_response(HttpError(405, "Use POST.", headers={"allow": "POST"}))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_field_and_metadata_are_those_of_every_door():
    """The subproblem carries what a gRPC caller is told."""
    told = RequestError(Reason.BAD_CSR, "x", field="csr_der", metadata={"fault": "weak_key"}, cause="secret")
    response = problem_response(told)
    (reason,) = json.loads(response.body)["subproblems"]
    assert (reason["field"], reason["metadata"]) == ("csr_der", {"fault": "weak_key"})
    assert b"secret" not in response.body


def test_a_problem_within_a_document():
    """Of a challenge or an order."""
    assert problem_document(Problem("tls", "No.")) == {"type": f"{URN}tls", "detail": "No."}
