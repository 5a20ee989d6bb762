"""How an error is told over ACME: the one table from `Reason` to status and error type (RFC 8555 §6.7)."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from gateway.edge.oauth_errors import HttpError, retry_headers
from gateway.enrollment.model import Problem
from gateway.enrollment.signed_requests import ALGORITHMS
from gateway.errors import GatewayError, Reason
from gateway.jose.errors import JoseError, JoseFault

URN: Final = "urn:ietf:params:acme:error:"
MEDIA_TYPE: Final = "application/problem+json"


class AcmeRow(NamedTuple):
    """The HTTP status and the error type, without its URN, of a reason."""

    status: int
    type: str


_MALFORMED: Final = AcmeRow(400, "malformed")
_UNAVAILABLE: Final = AcmeRow(503, "serverInternal")
_INTERNAL: Final = AcmeRow(500, "serverInternal")

ACME: Final[Mapping[Reason, AcmeRow]] = {
    Reason.INVALID_FIELD: _MALFORMED,
    Reason.MISSING_FIELD: _MALFORMED,
    Reason.INVALID_REQUEST: _MALFORMED,
    Reason.INVALID_PAGE_TOKEN: _MALFORMED,
    Reason.MESSAGE_TOO_LARGE: AcmeRow(413, "malformed"),
    Reason.CLIENT_CERTIFICATE_MALFORMED: _MALFORMED,
    Reason.TERMINATOR_HEADER_REFUSED: _MALFORMED,
    Reason.INVALID_CLIENT: AcmeRow(401, "unauthorized"),
    Reason.INVALID_TOKEN: AcmeRow(401, "unauthorized"),
    Reason.INVALID_DPOP_PROOF: _MALFORMED,
    Reason.USE_DPOP_NONCE: _MALFORMED,
    Reason.SIGNED_REQUEST_REFUSED: _MALFORMED,
    Reason.BAD_NONCE: AcmeRow(400, "badNonce"),
    Reason.BAD_PUBLIC_KEY: AcmeRow(400, "badPublicKey"),
    Reason.UNSUPPORTED_IDENTIFIER: AcmeRow(400, "unsupportedIdentifier"),
    Reason.REJECTED_IDENTIFIER: AcmeRow(400, "rejectedIdentifier"),
    Reason.BAD_CSR: AcmeRow(400, "badCSR"),
    Reason.BAD_REVOCATION_REASON: AcmeRow(400, "badRevocationReason"),
    Reason.EXTERNAL_ACCOUNT_REQUIRED: AcmeRow(403, "externalAccountRequired"),
    Reason.ACCOUNT_UNUSABLE: AcmeRow(403, "unauthorized"),
    Reason.ACCOUNT_NOT_FOUND: AcmeRow(400, "accountDoesNotExist"),
    Reason.ENROLLMENT_NOT_FOUND: AcmeRow(404, "malformed"),
    Reason.ACCOUNT_KEY_IN_USE: AcmeRow(409, "malformed"),
    Reason.ORDER_NOT_READY: AcmeRow(403, "orderNotReady"),
    Reason.ALREADY_REVOKED: AcmeRow(400, "alreadyRevoked"),
    Reason.ALREADY_REPLACED: AcmeRow(409, "alreadyReplaced"),  # RFC 9773 §7.4.
    Reason.SIGNER_UNAVAILABLE: _UNAVAILABLE,
    Reason.SIGNER_BUSY: _UNAVAILABLE,
    Reason.NO_ACTIVE_KEY: _UNAVAILABLE,
    Reason.ISSUER_UNAVAILABLE: _UNAVAILABLE,
    Reason.IDENTITY_PROVIDER_UNAVAILABLE: _UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: _UNAVAILABLE,
    Reason.AUDIT_UNAVAILABLE: _UNAVAILABLE,
    Reason.OVERLOADED: _UNAVAILABLE,
    Reason.RATE_LIMITED: AcmeRow(429, "rateLimited"),  # RFC 8555 §6.6, RFC 6585 §4.
    Reason.SHUTTING_DOWN: _UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: AcmeRow(504, "serverInternal"),
    Reason.INTERNAL: _INTERNAL,
}
"""A reason that no use case behind ACME raises has no row; it is told as INTERNAL."""

_UNAUTHORIZED: Final = AcmeRow(401, "unauthorized")
_BY_CAUSE: Final[Mapping[str, AcmeRow]] = {
    "url_mismatch": _UNAUTHORIZED,  # RFC 8555 §6.4.
    "bad_signature_algorithm": AcmeRow(400, "badSignatureAlgorithm"),
    "terms_not_agreed": AcmeRow(403, "userActionRequired"),
}
"""Rows of what ACME tells apart within one reason."""

_ALGORITHM_FAULTS: Final = frozenset(
    {JoseFault.ALG_NONE, JoseFault.ALG_SYMMETRIC, JoseFault.ALG_UNSUPPORTED, JoseFault.ALG_MISSING}
)


def acme_row(told: GatewayError) -> AcmeRow:
    """The row of *told*, by its own status where it is an `HttpError`."""
    if isinstance(told, HttpError):
        return AcmeRow(told.status, "malformed")
    if told.cause is not None and told.cause in _BY_CAUSE:
        return _BY_CAUSE[told.cause]
    inner = told.__cause__
    if told.reason is Reason.SIGNED_REQUEST_REFUSED and isinstance(inner, JoseError):
        return _BY_CAUSE["bad_signature_algorithm"] if inner.code in _ALGORITHM_FAULTS else _MALFORMED
    if told.reason is Reason.INVALID_FIELD and told.field == "contact":
        return AcmeRow(400, "invalidContact")
    if told.reason is Reason.ACCOUNT_UNUSABLE and "status" in told.metadata:
        return _UNAUTHORIZED  # RFC 8555 §7.3.6: the account is deactivated.
    return ACME.get(told.reason, _INTERNAL)


def problem_response(told: GatewayError) -> Response:
    """The problem document of *told* (RFC 7807), whose one subproblem names the reason (RFC 8555 §6.7.1).

    ``reason``, ``field`` and ``metadata`` of the subproblem are those that a gRPC caller is told.
    """
    row = acme_row(told)
    kind = URN + row.type
    reason: dict[str, Any] = {"type": kind, "detail": told.message, "reason": told.reason.value}
    if told.field is not None:
        reason["field"] = told.field
    if told.metadata:
        reason["metadata"] = dict(told.metadata)
    document: dict[str, Any] = {
        "type": kind,
        "detail": told.message,
        "status": row.status,
        "subproblems": [reason],
    }
    if row.type == "badSignatureAlgorithm":
        document["algorithms"] = sorted(each.value for each in ALGORITHMS)  # RFC 8555 §6.2.
    terms = told.metadata.get("terms_url")
    if terms is not None:
        document["instance"] = terms  # RFC 8555 §7.3.3.
    response = Response(json.dumps(document), row.status, {"cache-control": "no-store"}, MEDIA_TYPE)
    if isinstance(told, HttpError):
        response.headers.update(told.headers)
    if terms is not None:
        response.headers.append("link", f'<{terms}>;rel="terms-of-service"')
    response.headers.update(retry_headers(told))
    return response


def problem_document(problem: Problem) -> Mapping[str, Any]:
    """Why a challenge or an order is invalid, as a member of it."""
    return {"type": URN + problem.type, "detail": problem.detail}
