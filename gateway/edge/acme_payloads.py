"""What signed payloads ask for, read strictly into typed values; members that are not known are ignored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.edge.acme_requests import flattened_members
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.signed_requests import FlattenedJws
from gateway.errors import Reason, RequestError
from gateway.jose import base64url
from gateway.jose.errors import JoseError
from gateway.jose.strict_json import parse_object

MAX_CSR: Final = 48 * 1024
"""Characters of base64url."""
_STATUSES: Final = frozenset({"valid", "deactivated"})
_MICROSECONDS: Final = 6  # digits
_TIME: Final = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?P<zone>[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A request to an account's URL (RFC 8555 §7.3.2, §7.3.6). *contact* is None where it stays."""

    contact: tuple[str, ...] | None = None
    deactivate: bool = False


def parse_account_change(payload: bytes) -> AccountChange:
    """The change; an empty payload asks for none. Raises `RequestError` INVALID_FIELD."""
    if not payload:
        return AccountChange()
    members = _members(payload)
    contact = members.get("contact")
    if contact is not None and not (isinstance(contact, list) and all(isinstance(c, str) for c in contact)):
        raise _malformed("contact")
    return AccountChange(None if contact is None else tuple(contact), _deactivates(members))


def parse_order_wish(payload: bytes) -> OrderWish:
    """A newOrder payload (RFC 8555 §7.4, RFC 9773 §5). Raises `RequestError` INVALID_FIELD."""
    members = _members(payload)
    listed = members.get("identifiers")
    if not isinstance(listed, list):
        raise _malformed("identifiers")
    replaces = members.get("replaces")
    if replaces is not None and not isinstance(replaces, str):
        raise _malformed("replaces")
    return OrderWish(
        identifiers=[_identifier(each) for each in listed],
        not_before=_time(members, "notBefore"),
        not_after=_time(members, "notAfter"),
        replaces=replaces,
    )


def parse_deactivation(payload: bytes) -> bool:
    """Whether a request to an authorization's URL gives it up (§7.5.2); an empty payload reads it.

    Raises `RequestError` INVALID_FIELD.
    """
    if not payload:
        return False
    if not _deactivates(_members(payload)):
        raise _malformed("status")
    return True


def parse_csr(payload: bytes) -> bytes:
    """The DER of a finalize payload's request (§7.4). Raises `RequestError`: INVALID_FIELD, BAD_CSR."""
    text = _members(payload).get("csr")
    if not isinstance(text, str):
        raise _malformed("csr")
    try:
        if len(text) > MAX_CSR:
            raise RequestError(Reason.BAD_CSR, f"A request has at most {MAX_CSR} characters.", field="csr")
        return base64url.decode(text)
    except JoseError as error:
        raise RequestError(
            Reason.BAD_CSR,
            "The request is not base64url without padding.",
            field="csr",
            cause=error.code.value,
        ) from error


def parse_inner_jws(payload: bytes) -> FlattenedJws:
    """The JWS within a keyChange request (§7.3.5). Raises `RequestError`."""
    return flattened_members(dict(_members(payload)))


def _members(payload: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(payload)
    except JoseError as error:
        raise RequestError(
            Reason.INVALID_FIELD, "The payload is not a JSON object that is accepted.", field="payload"
        ) from error


def _deactivates(members: Mapping[str, Any]) -> bool:
    status = members.get("status")
    if status is not None and not (isinstance(status, str) and status in _STATUSES):
        raise _malformed("status")
    return status == "deactivated"


def _identifier(value: object) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise _malformed("identifiers")
    kind, text = value.get("type"), value.get("value")
    if not isinstance(kind, str) or not isinstance(text, str):
        raise _malformed("identifiers")
    return kind, text


def _time(members: Mapping[str, Any], name: str) -> datetime | None:
    """An RFC 3339 time in UTC; what is finer than a microsecond is cut off, never rounded up."""
    text = members.get(name)
    if text is None:
        return None
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _malformed(name)
    fraction = (match["fraction"] or "0")[:_MICROSECONDS].ljust(_MICROSECONDS, "0")
    try:
        read = datetime.fromisoformat(f"{match['time']}.{fraction}{match['zone']}".upper())
        return read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _malformed(name) from error


def _malformed(name: str) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, f"The member {name} is missing or malformed.", field=name)
