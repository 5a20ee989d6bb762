"""Asking others about a DID: one guarded request, and its failures in the words of this package."""

from typing import Final

from gateway.dids.errors import DidError, DidFault
from gateway.fetching import Fetched, FetchError, FetchFault, FetchPolicy, FetchRequest, GuardedClient

_NOT_FOUND: Final = frozenset({404, 410})
_SUCCESS: Final = 200
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500

_FAULTS: Final = {
    FetchFault.URL_MALFORMED: DidFault.TARGET_REFUSED,
    FetchFault.SCHEME_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.USERINFO_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.HOST_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.IP_LITERAL_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.PORT_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.ADDRESS_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.REDIRECT_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.CERTIFICATE_REFUSED: DidFault.TARGET_REFUSED,
    FetchFault.NAME_NOT_FOUND: DidFault.NOT_FOUND,
    FetchFault.BODY_TOO_LARGE: DidFault.DOCUMENT_TOO_LARGE,
    FetchFault.CONTENT_TYPE_REFUSED: DidFault.MEDIA_TYPE_REFUSED,
    FetchFault.BUSY: DidFault.BUSY,
    FetchFault.CLOSED: DidFault.CLOSED,
}


async def ask(client: GuardedClient, request: FetchRequest, policy: FetchPolicy) -> Fetched:
    """The answer to *request*, whatever its status.

    Raises `DidError`: `UNREACHABLE`, `BUSY` or `CLOSED` where asking again may help, `TARGET_REFUSED`,
    `NOT_FOUND`, `DOCUMENT_TOO_LARGE`, `MEDIA_TYPE_REFUSED` or `ANSWER_REFUSED` where it cannot.
    """
    try:
        return await client.fetch(request, policy)
    except FetchError as error:
        default = DidFault.UNREACHABLE if error.transient else DidFault.ANSWER_REFUSED
        fault = _FAULTS.get(error.fault, default)
        raise DidError(fault, f"the fetch failed: {error.fault}") from error


def require_success(fetched: Fetched) -> None:
    """Refuse any status but 200: `NOT_FOUND`, `UNREACHABLE` (429 and 5xx) or `ANSWER_REFUSED`."""
    if fetched.status == _SUCCESS:
        return
    if fetched.status in _NOT_FOUND:
        raise DidError(DidFault.NOT_FOUND, f"the answer is {fetched.status}")
    if fetched.status == _TOO_MANY_REQUESTS or fetched.status >= _SERVER_ERROR:
        raise DidError(DidFault.UNREACHABLE, f"the answer is {fetched.status}")
    raise DidError(DidFault.ANSWER_REFUSED, f"the answer is {fetched.status}")
