"""Presentations: what a verifier asks wallets for, and the report on what they answer, check by check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class PresentationRequestState(StrEnum):
    """Where a request is in its life."""

    CREATED = "created"
    FETCHED = "fetched"
    SUBMITTED = "submitted"
    VERIFIED = "verified"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNRECOGNIZED = "unrecognized"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows: the answer holds, it does not, or nobody answered in time."""
        return self in {self.VERIFIED, self.REFUSED, self.EXPIRED}


class PresentationCheckOutcome(StrEnum):
    """How a check went. `SKIPPED` did not apply; `UNKNOWN` could not be answered, which counts as no."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    UNRECOGNIZED = "unrecognized"


class CredentialState(StrEnum):
    """What its issuer says has become of a credential."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    UNRECOGNIZED = "unrecognized"


class PresentationResponseMode(StrEnum):
    """How a wallet's answer travels: the same way, under the profile's name or under OpenID4VP's."""

    POST = "post"
    DIRECT_POST = "direct_post"


@dataclass(frozen=True, slots=True)
class VerifiedEmployeeQuery:
    """Asks for a credential of the type VerifiedEmployee (JWT VC Presentation Profile).

    - `required_claims`: of ``displayName``, which always must be there, ``givenName``, ``surname``,
      ``jobTitle``, ``preferredLanguage``, ``photo`` and ``mail``.
    - `purpose`: why, for the user, at most 2048 characters; empty for a sentence that says what is asked for.
    """

    required_claims: tuple[str, ...] = ()
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class PresentationCheck:
    """One rule, applied once. The value of no claim is in it.

    - `code`: which rule; stable.
    - `clause`: where the rule is written.
    - `path`: where in the answer it was applied, a JSONPath (``$.vp_token.vp.verifiableCredential[0]``).
    - `detail`: one sentence for a human.
    - `advisory`: whether the outcome decides nothing.
    - `reason`: why it did not pass, a stable word; empty where the code says it all.
    """

    code: str
    outcome: PresentationCheckOutcome
    clause: str
    path: str
    detail: str
    advisory: bool = False
    reason: str = ""

    @property
    def objects(self) -> bool:
        """Whether this check stands against the answer."""
        harmless = {PresentationCheckOutcome.PASSED, PresentationCheckOutcome.SKIPPED}
        return not self.advisory and self.outcome not in harmless


@dataclass(frozen=True, slots=True)
class PresentedCredential:
    """A credential that was presented and accepted.

    - `descriptor_id`: the input descriptor that it was presented for.
    - `issuer`, `subject`: DIDs. `types`: of the credential.
    - `credential`: in the Verifiable Credentials Data Model, the claims of its JWT mapped in (VCDM 1.1
      §6.3.1); personal data, and no part of the repr.
    - `state`: None where it could not be established, which the verifier's policy tolerates.
    - `linked_origin`: the origin that its issuer is linked to, ``https://…``; empty where that was not
      checked.
    """

    descriptor_id: str
    issuer: str
    subject: str
    types: tuple[str, ...]
    credential: Mapping[str, Any] = field(repr=False)
    state: CredentialState | None
    linked_origin: str


@dataclass(frozen=True, slots=True)
class PresentationVerification:
    """What came of verifying an answer.

    - `accepted`: the verdict; nothing else decides.
    - `checks`: every check, in the order made.
    - `holder`: the DID that signed the presentation; empty where its signature did not verify.
    - `credentials`: what was presented; empty unless `accepted`.
    - `evaluation_time`: that validity was judged at, in UTC; `at_time`: whether the caller gave it.
    """

    accepted: bool
    checks: tuple[PresentationCheck, ...]
    holder: str
    credentials: tuple[PresentedCredential, ...]
    evaluation_time: datetime
    at_time: bool

    @property
    def objections(self) -> tuple[PresentationCheck, ...]:
        """The checks that stand against the answer, in the order made."""
        return tuple(check for check in self.checks if check.objects)


@dataclass(frozen=True, slots=True)
class PresentationRequest:
    """A request for presentations, as it is at one moment. Times are in UTC.

    - `name`: ``presentationRequests/{request}``.
    - `verifier`: who asks, by its configured name.
    - `authorization_request_uri`: what a wallet opens; show it as a QR code or as a link.
    - `request_uri`: where wallets fetch the request object.
    - `fetch_time`, `submit_time`: when a wallet first fetched it, and when one answered; None before.
    - `verification`: what came of the answer; None until there is one, and where the wallet sent an error.
    - `wallet_error`: the error that the wallet answered with (``user_cancelled``); empty where it sent none.
    - `response_code`: what the browser of the wallet's device brings to `return_uri`; empty where none was
      asked for. A secret, and no part of the repr: give a session to nobody without it.
    """

    name: str
    verifier: str
    state: PresentationRequestState
    authorization_request_uri: str
    request_uri: str
    create_time: datetime
    expire_time: datetime
    fetch_time: datetime | None
    submit_time: datetime | None
    verification: PresentationVerification | None
    wallet_error: str
    nonce: str
    response_code: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CreatedPresentationRequest:
    """A new request; `qr_svg` and `qr_png` are its QR code, empty where it was not asked for."""

    request: PresentationRequest
    qr_svg: bytes = field(default=b"", repr=False)
    qr_png: bytes = field(default=b"", repr=False)
