"""How an error is told over OAuth: the one table from `Reason` to HTTP status and OAuth error code."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gateway.edge.response import Response
from gateway.errors import DpopNonceError, GatewayError, Reason
from gateway.failures import retry_after

NO_STORE: Final[Mapping[str, str]] = {"cache-control": "no-store", "pragma": "no-cache"}
"""RFC 6749 §5.1: of every response that may hold something worth stealing."""
DPOP_NONCE: Final = "dpop-nonce"
"""The header with a fresh nonce (RFC 9449 §8)."""
MAX_DESCRIPTION: Final = 256
_NOT_DESCRIBABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class OAuthRow(NamedTuple):
    """The HTTP status and the ``error`` of a reason (RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2)."""

    status: int
    error: str


_REQUEST: Final = OAuthRow(400, "invalid_request")
_UNAVAILABLE: Final = OAuthRow(503, "temporarily_unavailable")

OAUTH: Final[Mapping[Reason, OAuthRow]] = {
    Reason.INVALID_FIELD: _REQUEST,
    Reason.MISSING_FIELD: _REQUEST,
    Reason.INVALID_REQUEST: _REQUEST,
    Reason.MESSAGE_TOO_LARGE: OAuthRow(413, "invalid_request"),
    Reason.UNSUPPORTED_GRANT_TYPE: OAuthRow(400, "unsupported_grant_type"),
    Reason.INVALID_SCOPE: OAuthRow(400, "invalid_scope"),
    Reason.INVALID_TARGET: OAuthRow(400, "invalid_target"),
    Reason.INVALID_GRANT: OAuthRow(400, "invalid_grant"),
    Reason.INVALID_DPOP_PROOF: OAuthRow(400, "invalid_dpop_proof"),
    Reason.USE_DPOP_NONCE: OAuthRow(400, "use_dpop_nonce"),
    Reason.CLIENT_CERTIFICATE_MALFORMED: _REQUEST,
    Reason.TERMINATOR_HEADER_REFUSED: _REQUEST,
    # No credentials at all: RFC 9701 §5 asks for 400, and there is no scheme to challenge with.
    Reason.CALLER_UNAUTHENTICATED: _REQUEST,
    Reason.CLIENT_CERTIFICATE_REQUIRED: _REQUEST,
    Reason.INVALID_CLIENT: OAuthRow(401, "invalid_client"),
    Reason.INVALID_TOKEN: OAuthRow(401, "invalid_token"),
    Reason.INVALID_PRESENTATION_RESPONSE: _REQUEST,
    Reason.INVALID_PRESENTATION_DEFINITION: _REQUEST,
    Reason.VERIFIER_NOT_FOUND: OAuthRow(404, "invalid_request"),
    Reason.PRESENTATION_REQUEST_NOT_FOUND: OAuthRow(404, "invalid_request"),
    Reason.PRESENTATION_REQUEST_CLOSED: OAuthRow(410, "invalid_request"),
    Reason.PERMISSION_DENIED: OAuthRow(403, "access_denied"),
    Reason.UNAUTHORIZED_CLIENT: OAuthRow(400, "unauthorized_client"),
    Reason.SIGNER_UNAVAILABLE: _UNAVAILABLE,
    Reason.SIGNER_BUSY: _UNAVAILABLE,
    Reason.NO_ACTIVE_KEY: _UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: _UNAVAILABLE,
    Reason.AUDIT_UNAVAILABLE: _UNAVAILABLE,
    Reason.IDENTITY_PROVIDER_UNAVAILABLE: _UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: OAuthRow(504, "temporarily_unavailable"),
    Reason.OVERLOADED: _UNAVAILABLE,
    Reason.RATE_LIMITED: OAuthRow(429, "temporarily_unavailable"),  # RFC 6585 §4.
    Reason.SHUTTING_DOWN: _UNAVAILABLE,
    Reason.INTERNAL: OAuthRow(500, "server_error"),
}
"""A reason that no use case behind an OAuth endpoint raises has no row; it is told as INTERNAL."""


class HttpError(GatewayError):
    """A request that only this door can get: with the status and headers that HTTP has for it, or with an
    *error* that OAuth registers and no reason stands for.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error: str = "invalid_request",
        headers: Mapping[str, str] | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(Reason.INVALID_REQUEST, message, cause=cause)
        self.status = status
        self.error = error
        self.headers: Mapping[str, str] = headers or {}


def oauth_row(told: GatewayError, scheme: str | None = None) -> OAuthRow:
    """The row of *told*, by its own status where it is an `HttpError`.

    A nonce is demanded with 400 of a client that asks for a token (RFC 9449 §8), and with 401 where the proof
    came with an access token, under *scheme* (§9).
    """
    if isinstance(told, HttpError):
        return OAuthRow(told.status, told.error)
    if told.reason is Reason.USE_DPOP_NONCE and scheme == "dpop":
        return OAuthRow(401, "use_dpop_nonce")
    return OAUTH.get(told.reason, OAUTH[Reason.INTERNAL])


def oauth_error(told: GatewayError, *, scheme: str | None, dpop_algorithms: Sequence[str] = ()) -> Response:
    """The error response of RFC 6749 §5.2.

    *scheme* is the HTTP authentication scheme that the request used, in lower case. Only then does a 401
    carry a challenge, of that same scheme (RFC 6749 §5.2): clients that find one stop reading there.
    *dpop_algorithms*: what proofs may be signed with, for a challenge of the scheme DPoP (RFC 9449 §7.1).
    """
    row = oauth_row(told, scheme)
    document = {"error": row.error, "error_description": _description(told.message)}
    response = Response(json.dumps(document), row.status, NO_STORE, "application/json")
    if isinstance(told, HttpError):
        response.headers.update(told.headers)
    if isinstance(told, DpopNonceError):
        response.headers[DPOP_NONCE] = told.nonce
    response.headers.update(retry_headers(told))
    if row.status == 401 and scheme is not None:  # noqa: PLR2004 - the status that asks for a challenge
        response.headers["www-authenticate"] = _challenge(scheme, row, dpop_algorithms)
    return response


def retry_headers(told: GatewayError) -> Mapping[str, str]:
    """``Retry-After`` (RFC 9110 §10.2.3): whole seconds, at least one; nothing where waiting cannot help."""
    pause = retry_after(told)
    return {} if pause is None else {"retry-after": str(max(1, math.ceil(pause.total_seconds())))}


def _challenge(scheme: str, row: OAuthRow, dpop_algorithms: Sequence[str]) -> str:
    if scheme == "basic":
        return 'Basic realm="countersign", charset="UTF-8"'
    if scheme == "dpop":
        return f'DPoP realm="countersign", error="{row.error}", algs="{" ".join(dpop_algorithms)}"'
    return f'Bearer realm="countersign", error="{row.error}"'


def _description(message: str) -> str:
    """*message* in the characters that RFC 6749 §5.2 allows."""
    return _NOT_DESCRIBABLE.sub("'", message)[:MAX_DESCRIPTION]
