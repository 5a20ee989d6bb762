"""Reading a presentation submission (Presentation Exchange, Presentation Submission). It comes from a wallet.

Members that are not known are ignored, as wallets send some. A path must be a singular query (RFC 9535
§2.3.5.1): it says where one value is, and is no program of the wallet's to run.
"""

from dataclasses import dataclass
from typing import Any, Final

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.json_path import MAX_PATH, Query, parse_query
from gateway.presentations.exchange.members import Members
from gateway.presentations.exchange.work import require_bounded

MAX_ENTRIES: Final = 64
MAX_NESTING: Final = 4  # levels of one entry


@dataclass(frozen=True, slots=True)
class Step:
    """One level of an entry: where the value is in the object so far, and in which format it is."""

    format: str
    path: Query


@dataclass(frozen=True, slots=True)
class SubmissionEntry:
    """One entry of the descriptor map: from the embed target (first step) to the credential (last one)."""

    descriptor_id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class PresentationSubmission:
    """What a wallet says it sent. `entries` may name unknown descriptors or one twice: evaluation says so."""

    id: str
    definition_id: str
    entries: tuple[SubmissionEntry, ...]


def parse_submission(document: Any) -> PresentationSubmission:
    """The submission that *document*, a JSON object, is. Raises `ExchangeError`."""
    require_bounded(document)
    members = Members(document, "$")
    items = members.items("descriptor_map", max_items=MAX_ENTRIES)
    return PresentationSubmission(
        id=members.text("id"),
        definition_id=members.text("definition_id"),
        entries=tuple(_parse_entry(item, path) for item, path in items),
    )


def _parse_entry(value: Any, path: str) -> SubmissionEntry:
    members = Members(value, path)
    descriptor_id = members.text("id")
    steps = [Step(members.text("format"), _parse_path(members))]
    while "path_nested" in members:
        members = Members(members.value("path_nested"), members.at("path_nested"))
        if len(steps) == MAX_NESTING:
            message = f"path_nested goes at most {MAX_NESTING} levels deep"
            raise ExchangeError(ExchangeFault.NESTING_TOO_DEEP, message, path=path)
        if members.text("id") != descriptor_id:
            message = "the id is another one than that of the level above"
            raise ExchangeError(ExchangeFault.NESTED_ID_MISMATCH, message, path=members.at("id"))
        steps.append(Step(members.text("format"), _parse_path(members)))
    return SubmissionEntry(descriptor_id, tuple(steps))


def _parse_path(members: Members) -> Query:
    query = parse_query(members.text("path", max_length=MAX_PATH), path=members.at("path"))
    if not query.singular:
        message = "the path is not made of names and indices alone"
        raise ExchangeError(ExchangeFault.PATH_NOT_SINGULAR, message, path=members.at("path"))
    return query
