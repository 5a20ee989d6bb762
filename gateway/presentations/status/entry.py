"""The status entries of a credential: which list, which place in it, and what a set bit would mean.

RevocationList2021Status, SuspensionList2021Status    Status List 2021 0.0.1 (the purpose is the type)
StatusList2021Entry                                   Status List 2021 (``statusPurpose``)
BitstringStatusListEntry                              Bitstring Status List 1.0 (``statusSize``, messages)
``status.status_list``                                Token Status List §6.2
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gateway.presentations.status.bits import SIZES
from gateway.presentations.status.rules import StatusCheck, StatusError

MAX_ENTRIES: Final = 8  # of one credential
MAX_URI: Final = 4096  # characters; room for a long-form DID URL
MAX_MESSAGE: Final = 256  # characters
MAX_INDEX: Final = 2**31

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,2}")
_URI: Final = re.compile(r"(?:https://|did:)[\x21-\x7e]+")


class Dialect(StrEnum):
    """Which specification an entry and its list follow."""

    REVOCATION_LIST_2021 = "revocation_list_2021"
    STATUS_LIST_2021 = "status_list_2021"
    BITSTRING = "bitstring"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One entry.

    - `purpose`: ``revocation``, ``suspension``, ``message``, ``refresh`` or what an issuer made up; None for
      a token, whose values say it themselves.
    - `index`: from 0. `uri`: the list, an ``https`` URL or a DID URL.
    - `size`: bits of the value; None for a token, whose list says it.
    - `messages`: by value; empty unless the entry has some. Texts of the issuer.
    - `path`: where in the credential the entry stood.
    """

    dialect: Dialect
    purpose: str | None
    index: int
    uri: str
    path: str
    size: int | None = 1
    messages: Mapping[int, str] = field(default_factory=dict)


_TYPES: Final[Mapping[str, tuple[Dialect, str | None]]] = {
    "RevocationList2021Status": (Dialect.REVOCATION_LIST_2021, "revocation"),
    "SuspensionList2021Status": (Dialect.REVOCATION_LIST_2021, "suspension"),
    "StatusList2021Entry": (Dialect.STATUS_LIST_2021, None),
    "BitstringStatusListEntry": (Dialect.BITSTRING, None),
}


def has_status(payload: Mapping[str, Any]) -> bool:
    """Whether the credential *payload* has any status, of whatever kind."""
    inner = payload.get("vc")
    within = isinstance(inner, Mapping) and "credentialStatus" in inner
    return within or "credentialStatus" in payload or "status" in payload


def parse_entries(payload: Mapping[str, Any]) -> tuple[StatusEntry, ...]:
    """The status entries of a credential's *payload*: a JWT's claims set, or the credential itself.

    None where it has no status. Raises `StatusError`: `ENTRY_TYPE` for a kind that is not supported, which
    must not be taken for none, or `ENTRY_WELL_FORMED`.
    """
    entries: list[StatusEntry] = []
    inner = payload.get("vc")
    # Beside ``vc`` nobody should write a status; one that stands there is held to all the same.
    for credential, root in ((inner, "$.vc"), (payload, "$")):
        if isinstance(credential, Mapping) and "credentialStatus" in credential:
            entries += _parse_w3c_entries(credential["credentialStatus"], f"{root}.credentialStatus")
    if "status" in payload:
        entries.append(_parse_token(payload["status"], "$.status"))
    if len(entries) > MAX_ENTRIES:
        raise _malformed(f"more than {MAX_ENTRIES} status entries", "$")
    return tuple(entries)


def _parse_w3c_entries(value: Any, path: str) -> list[StatusEntry]:
    if not isinstance(value, list):
        return [_parse_w3c(value, path)]
    if not 1 <= len(value) <= MAX_ENTRIES:
        raise _malformed(f"there are not 1 to {MAX_ENTRIES} status entries", path)
    return [_parse_w3c(item, f"{path}[{index}]") for index, item in enumerate(value)]


def _parse_w3c(value: Any, path: str) -> StatusEntry:
    if not isinstance(value, dict):
        raise _malformed("a status entry is an object", path)
    kind = value.get("type")
    # VCDM 1.1 §4.9 wants one type; a list of one says the same.
    kind = kind[0] if isinstance(kind, list) and len(kind) == 1 else kind
    if not isinstance(kind, str) or kind not in _TYPES:
        raise StatusError(StatusCheck.ENTRY_TYPE, "the type of the status entry is not supported", path=path)
    dialect, purpose = _TYPES[kind]
    uri = _uri(value.get("statusListCredential"), f"{path}.statusListCredential")
    if value.get("id") == uri:
        raise _malformed("the id of an entry is not the URL of its list", f"{path}.id")
    index = value.get("statusListIndex")
    if not isinstance(index, str) or not _INDEX.fullmatch(index) or int(index) >= MAX_INDEX:
        raise _malformed("the index is not a decimal string", f"{path}.statusListIndex")
    if purpose is None:
        purpose = _purpose(value.get("statusPurpose"), f"{path}.statusPurpose")
    size, messages = 1, dict[int, str]()
    if dialect is Dialect.BITSTRING:
        size, messages = _size_and_messages(value, purpose, path)
    return StatusEntry(dialect, purpose, int(index), uri, path, size, messages)


def _parse_token(value: Any, path: str) -> StatusEntry:
    if not isinstance(value, dict):
        raise _malformed("status is an object", path)
    reference = value.get("status_list")
    if not isinstance(reference, dict):
        raise StatusError(StatusCheck.ENTRY_TYPE, "the status mechanism is not supported", path=path)
    path = f"{path}.status_list"
    index = reference.get("idx")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_INDEX:
        raise _malformed("idx is not an index", f"{path}.idx")
    uri = _uri(reference.get("uri"), f"{path}.uri")
    return StatusEntry(Dialect.TOKEN, None, index, uri, path, None)


def _size_and_messages(value: dict[str, Any], purpose: str, path: str) -> tuple[int, dict[int, str]]:
    """``statusSize`` and ``statusMessage`` (Bitstring Status List §2.1): one message for each value."""
    size = value.get("statusSize", 1)
    # Larger ones are legal and used by nobody; these do not straddle octets.
    if isinstance(size, bool) or not isinstance(size, int) or size not in SIZES:
        raise _malformed("statusSize is not 1, 2, 4 or 8", f"{path}.statusSize")
    if "statusMessage" not in value:
        if purpose == "message" or size > 1:
            raise _malformed("the messages of the values are missing", f"{path}.statusMessage")
        return size, {}
    messages: dict[int, str] = {}
    items = value["statusMessage"]
    if not isinstance(items, list) or len(items) != 1 << size:
        raise _malformed("there is not one message for each value", f"{path}.statusMessage")
    for index, item in enumerate(items):
        at = f"{path}.statusMessage[{index}]"
        status, message = (
            (item.get("status"), item.get("message")) if isinstance(item, dict) else (None, None)
        )
        if not isinstance(status, str) or not _HEXADECIMAL.fullmatch(status):
            raise _malformed("status is not a hexadecimal value", at)
        if not isinstance(message, str) or len(message) > MAX_MESSAGE:
            raise _malformed("message is not a short text", at)
        messages[int(status, 16)] = message
    if messages.keys() != set(range(1 << size)):
        raise _malformed("there is not one message for each value", f"{path}.statusMessage")
    return size, messages


def _uri(value: Any, path: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_URI or not _URI.fullmatch(value):
        raise _malformed("the list is named by neither an https URL nor a DID URL", path)
    return value


def _purpose(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_MESSAGE:
        raise _malformed("statusPurpose is not a short text", path)
    return value


def _malformed(message: str, path: str) -> StatusError:
    return StatusError(StatusCheck.ENTRY_WELL_FORMED, message, path=path)
