"""A presentation request as it is asked for, made, stored and answered: frozen values, no rule but its life.

created -> fetched -> submitted -> verified | refused
created, fetched, submitted -> expired

A wallet may answer what was never fetched here: a caller may carry request objects itself.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.errors import Reason, RequestError
from gateway.presentations.result import VerificationResult

SUBMISSION_LEASE: Final = 60.0
"""Seconds that verifying an answer may take; a process that died in it leaves the request expired."""
MAX_ID_TOKEN: Final = 64 * 1024  # characters
MAX_VP_TOKEN: Final = 1024 * 1024  # characters
MAX_STATE: Final = 128  # characters
MAX_ERROR: Final = 128  # characters


class RequestStatus(StrEnum):
    """Where a request is in its life. Only `CREATED`, `FETCHED` and `SUBMITTED` have a successor."""

    CREATED = "created"
    FETCHED = "fetched"
    SUBMITTED = "submitted"
    VERIFIED = "verified"
    REFUSED = "refused"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Whether the state stays."""
        return self in (RequestStatus.VERIFIED, RequestStatus.REFUSED, RequestStatus.EXPIRED)


class ResponseMode(StrEnum):
    """How a wallet's answer travels; ``direct_post`` is the later name of the same."""

    POST = "post"
    DIRECT_POST = "direct_post"


@dataclass(frozen=True, slots=True)
class RequestWish:
    """What a caller asks for. None stands for the configured value, or a random one of nonce and state.

    - `verifier`: its configured name. `definition`: a presentation definition, JSON text.
    - `return_uri`: where the wallet sends its user afterwards, on the same device; None for nowhere.
    - `lifetime`: seconds.
    """

    verifier: str
    definition: str
    nonce: str | None = None
    state: str | None = None
    purpose: str | None = None
    client_name: str | None = None
    response_uri: str | None = None
    response_mode: ResponseMode | None = None
    return_uri: str | None = None
    lifetime: int | None = None


@dataclass(frozen=True, slots=True)
class PresentationRequest:
    """A request as it was made; it never changes.

    - `request_id`: 43 random characters; it stands in the QR code. `state` is known to whoever fetched the
      request object, and to the caller.
    - `owner`: the caller that made it. `client_id`: the verifier's DID.
    - `request_object`: the signed JWT. Times are seconds since the epoch.
    - `response_code`: 43 random characters that the wallet which answered brings to `return_uri`; empty
      without one.
    """

    request_id: str
    owner: str
    verifier: str
    client_id: str
    nonce: str
    state: str = field(repr=False)
    definition: str = field(repr=False)
    response_mode: ResponseMode
    create_time: float
    expire_time: float
    request_uri: str
    request_object: str = field(repr=False)
    return_uri: str | None = None
    response_code: str = field(default="", repr=False)

    @property
    def return_url(self) -> str | None:
        """Where the wallet sends its user once it has answered (OpenID4VP, Response Mode direct_post).

        Whoever only saw the request does not know the code: a session that asks for it is the browser's whose
        wallet answered (OpenID4VP, Session Fixation).
        """
        return None if self.return_uri is None else f"{self.return_uri}#response_code={self.response_code}"

    @property
    def authorization_request_uri(self) -> str:
        """What a wallet opens (JWT VC Presentation Profile, Authorization Request URI)."""
        return f"openid-vc://?request_uri={self.request_uri}"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request and what became of it. `stored` is as written: `status` says what it means at a time.

    `result` is set where an answer was verified; `wallet_error` where the wallet declined. `revision` counts
    changes from 1.
    """

    request: PresentationRequest
    stored: RequestStatus
    revision: int
    fetch_time: float | None = None
    submit_time: float | None = None
    result: VerificationResult | None = None
    wallet_error: str | None = None

    def status(self, now: float) -> RequestStatus:
        """The state at *now*, seconds since the epoch: what was not answered or judged in time is over."""
        if self.stored in (RequestStatus.CREATED, RequestStatus.FETCHED):
            return RequestStatus.EXPIRED if now >= self.request.expire_time else self.stored
        if self.stored is RequestStatus.SUBMITTED and now >= (self.submit_time or 0.0) + SUBMISSION_LEASE:
            return RequestStatus.EXPIRED
        return self.stored


@dataclass(frozen=True, slots=True)
class PresentationResponse:
    """A wallet's answer: the members of its form (SIOPv2, Authorization Response). Made by `of`.

    Either both tokens or `error` are set. `vp_token` is one compact JWT, or a JSON array of such, as sent.
    """

    state: str = field(repr=False)
    id_token: str = field(default="", repr=False)
    vp_token: str = field(default="", repr=False)
    error: str = ""

    @classmethod
    def of(
        cls, *, state: str, id_token: str = "", vp_token: str = "", error: str = ""
    ) -> "PresentationResponse":
        """The answer with these members. Raises `RequestError` INVALID_PRESENTATION_RESPONSE."""
        _require("state", state, MAX_STATE)
        if error:
            _require("error", error, MAX_ERROR)
            return cls(state, error=error)
        _require("id_token", id_token, MAX_ID_TOKEN)
        _require("vp_token", vp_token, MAX_VP_TOKEN)
        return cls(state, id_token, vp_token)


def _require(name: str, value: str, limit: int) -> None:
    if not 1 <= len(value) <= limit or not value.isascii():
        message = f"{name} is required: 1 to {limit} characters of ASCII."
        raise RequestError(Reason.INVALID_PRESENTATION_RESPONSE, message, field=name)
