"""The outer shape of an ACME request: a flattened JWS, and its media type (RFC 8555 §6.2)."""

from typing import Any, Final

from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import HttpError
from gateway.enrollment.signed_requests import FlattenedJws
from gateway.errors import Reason, RequestError
from gateway.jose.errors import JoseError
from gateway.jose.strict_json import parse_object

MEDIA_TYPE: Final = "application/jose+json"
MAX_BODY: Final = 128 * 1024  # octets
_MEMBERS: Final = ("protected", "payload", "signature")


def flattened_jws(request: EdgeRequest) -> FlattenedJws:
    """The JWS that the body of *request* is.

    Raises `HttpError` 415, `RequestError` INVALID_REQUEST.
    """
    _require_media_type(request)
    try:
        members = parse_object(request.body, max_size=MAX_BODY)
    except JoseError as error:
        raise RequestError(
            Reason.INVALID_REQUEST, "The body is not a JSON object that is accepted.", cause="body_not_json"
        ) from error
    return flattened_members(members)


def flattened_members(members: dict[str, Any]) -> FlattenedJws:
    """The JWS of *members*, exactly three texts: no unprotected header, no more than one signature.

    Raises `RequestError` INVALID_REQUEST.
    """
    if set(members) != set(_MEMBERS) or not all(isinstance(each, str) for each in members.values()):
        raise RequestError(
            Reason.INVALID_REQUEST,
            "A request has the members protected, payload and signature, and no others.",
            cause="jws_members",
        )
    return FlattenedJws(*(members[name] for name in _MEMBERS))


def _require_media_type(request: EdgeRequest) -> None:
    if any(each.strip().lower() != "identity" for each in request.header_values("content-encoding")):
        raise HttpError(415, "Send the body without a content encoding.", cause="content_encoding")
    values = request.header_values("content-type")
    if len(values) != 1 or values[0].partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise HttpError(
            415,
            f"Send one content-type header: {MEDIA_TYPE}.",
            headers={"accept": MEDIA_TYPE},
            cause="media_type",
        )
