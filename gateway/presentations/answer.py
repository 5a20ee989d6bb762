"""A wallet's answer, taken apart: the ID token, the presentations, and the credentials in them, as read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.jose import JoseError
from gateway.jose.strict_json import parse_object
from gateway.presentations.credential_token import CREDENTIAL_CHECKS, credential_kind
from gateway.presentations.envelope import PRESENTATION, PRESENTATION_CHECKS, credentials_of
from gateway.presentations.id_token import ID_TOKEN, ID_TOKEN_CHECKS
from gateway.presentations.report import Report
from gateway.presentations.request import MAX_ID_TOKEN, MAX_VP_TOKEN
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken, TokenKind, read_token
from gateway.presentations.verifier import Policy

MAX_PRESENTATIONS: Final = 4
MAX_PRESENTATION: Final = 512 * 1024  # characters
MAX_CREDENTIAL: Final = 128 * 1024  # characters


@dataclass(frozen=True, slots=True)
class ReadToken:
    """One token, and the report about it; *token* is None where it could not be read.

    *path* says where in the answer it stood.
    """

    path: str
    kind: TokenKind
    report: Report
    token: SignedToken | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A presentation and the credentials that it holds."""

    presentation: ReadToken
    credentials: tuple[ReadToken, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything of one answer. *target* is the ``vp_token`` as sent: a text, or a list of texts."""

    id_token: ReadToken
    target: Any
    envelopes: tuple[Envelope, ...]

    def tokens(self) -> Iterator[ReadToken]:
        """All tokens, in the order of the report."""
        yield self.id_token
        for envelope in self.envelopes:
            yield envelope.presentation
            yield from envelope.credentials


def read_answer(report: Report, id_token: str, vp_token: str, policy: Policy) -> Answer:
    """Take the answer apart: what is wrong with its shape goes into *report*, the rest to the tokens."""
    target: Any = _target(report, vp_token)
    named = {"$.vp_token": target}
    if isinstance(target, list):
        named = {f"$.vp_token[{index}]": text for index, text in enumerate(target)}
    return Answer(
        id_token=_read("$.id_token", id_token, ID_TOKEN, ID_TOKEN_CHECKS, max_size=MAX_ID_TOKEN),
        target=target,
        envelopes=tuple(_envelope(path, text, policy) for path, text in named.items()),
    )


def _target(report: Report, vp_token: str) -> str | list[str]:
    check, path = PresentationCheck.RESPONSE_SHAPE, "$.vp_token"
    if not vp_token.startswith("["):
        report.passed(check, path, "There are an ID token and one presentation.")
        return vp_token
    try:
        # An array is no object; wrapping it lets the one strict parser read it.
        wrapped = f'{{"vp_token":{vp_token}}}'.encode()
        members = parse_object(wrapped, max_size=MAX_VP_TOKEN + 64)
    except JoseError as error:
        report.failed(check, path, error.code, "vp_token is neither a JWT nor a JSON array.")
        return []
    texts = members["vp_token"] if len(members) == 1 else None
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_PRESENTATIONS:
        message = f"vp_token does not hold 1 to {MAX_PRESENTATIONS} presentations."
        report.failed(check, path, "too_many_presentations", message)
        return []
    if not all(isinstance(text, str) for text in texts):
        report.failed(check, path, "not_a_jwt", "A presentation is not a JWT.")
        return []
    report.passed(check, path, f"There are an ID token and {len(texts)} presentations.")
    return texts


def _envelope(path: str, text: str, policy: Policy) -> Envelope:
    presentation = _read(path, text, PRESENTATION, PRESENTATION_CHECKS, max_size=MAX_PRESENTATION)
    held = () if presentation.token is None else credentials_of(presentation.token)
    kind = credential_kind(policy)
    credentials = tuple(
        _read(
            f"{path}.vp.verifiableCredential[{index}]",
            value,
            kind,
            CREDENTIAL_CHECKS,
            max_size=MAX_CREDENTIAL,
        )
        for index, value in enumerate(held)
    )
    return Envelope(presentation, credentials)


def _read(
    path: str, text: object, kind: TokenKind, checks: tuple[PresentationCheck, ...], *, max_size: int
) -> ReadToken:
    report = Report()
    token = read_token(report, path, text, kind, max_size=max_size)
    if token is None:
        report.unreached(checks, path)
    return ReadToken(path, kind, report, token)
