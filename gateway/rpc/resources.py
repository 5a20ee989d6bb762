"""Resource names, etags, page tokens and request ids: the small grammar that all resource RPCs share."""

import hashlib
import re
from typing import Final
from uuid import UUID

from google.protobuf.message import Message

from gateway.errors import Reason, RequestError
from gateway.idempotency import IdempotencyKey
from gateway.jose import base64url
from gateway.jose.errors import JoseError

_DEFAULT_PAGE: Final = 50
_LARGEST_PAGE: Final = 1_000
_REVISION: Final = re.compile(r"[1-9][0-9]{0,17}")
_MAX_ID: Final = 128


def resource_id(name: str, collection: str, *, field: str = "name") -> str:
    """The last part of *name*, ``collection/id``. Raises `RequestError`: MISSING_FIELD, INVALID_FIELD."""
    if not name:
        raise RequestError(Reason.MISSING_FIELD, "Name the resource.", field=field)
    prefix, _, identifier = name.partition("/")
    if prefix != collection or not 1 <= len(identifier) <= _MAX_ID or "/" in identifier:
        raise RequestError(Reason.INVALID_FIELD, f"Write it as {collection}/ and its id.", field=field)
    return identifier


def revision_of(etag: str, *, field: str = "etag") -> int | None:
    """The revision that *etag* stands for; None for an empty one. Raises `RequestError` INVALID_FIELD."""
    if not etag:
        return None
    if not _REVISION.fullmatch(etag):
        raise RequestError(Reason.INVALID_FIELD, "Send an etag as it was received.", field=field)
    return int(etag)


def page_size_of(asked: int) -> int:
    """How many to return (AIP-158). Raises `RequestError` INVALID_FIELD for a negative size."""
    if asked < 0:
        raise RequestError(Reason.INVALID_FIELD, "A page size is not negative.", field="page_size")
    return min(asked or _DEFAULT_PAGE, _LARGEST_PAGE)


def page_token_of(after: str | None) -> str:
    """An opaque token for the page after *after*; empty where there is none. It grants no access."""
    return "" if after is None else base64url.encode(after.encode())


def after_of(page_token: str) -> str | None:
    """What `page_token_of` wrapped. Raises `RequestError` INVALID_PAGE_TOKEN."""
    if not page_token:
        return None
    try:
        return base64url.decode(page_token).decode()
    except (JoseError, UnicodeDecodeError) as error:
        raise RequestError(
            Reason.INVALID_PAGE_TOKEN, "Send a page token as it was received.", field="page_token"
        ) from error


def idempotency_key(caller: str, method: str, request_id: str, request: Message) -> IdempotencyKey | None:
    """The key of this attempt; None where the request brings no id.

    Raises `RequestError` INVALID_FIELD for an id that is not a UUID in its canonical form.
    """
    if not request_id:
        return None
    try:
        canonical = str(UUID(request_id)) == request_id
    except ValueError:
        canonical = False
    if not canonical:
        raise RequestError(
            Reason.INVALID_FIELD, "A request id is a UUID in lower case (RFC 9562).", field="request_id"
        )
    digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    return IdempotencyKey(caller, method, request_id, digest)
