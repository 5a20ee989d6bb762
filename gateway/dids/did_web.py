"""did:web: the DID names a host and a path (w3c-ccg did:web, Read (Resolve)).

What is fetched counts as the document only if it says that it is about this very DID. The host is reached
through the guarded client alone, so a DID that leads to an inner address, another port than the policy's or
an IP literal is refused there.
"""

import re
from typing import Final

from gateway.dids.asking import ask, require_success
from gateway.dids.did_url import Did, parse_did, percent_decode
from gateway.dids.errors import DidError, DidFault
from gateway.dids.parsing import MAX_DOCUMENT, parse_document
from gateway.dids.resolution import Resolution, Source
from gateway.fetching import FetchPolicy, FetchRequest, GuardedClient, freshness_lifetime
from gateway.fetching.urls import DEFAULT_PORTS, parse_url

MEDIA_TYPES: Final = (
    "application/did+json",
    "application/did+ld+json",
    "application/did",
    "application/json",
    "application/ld+json",
)
DID_WEB_POLICY: Final = FetchPolicy(deadline=5.0, max_body=MAX_DOCUMENT, max_redirects=2)
"""Redirects stay within the origin, as the guarded client has it."""

_HOST: Final = re.compile(r"(?P<host>[A-Za-z0-9.\-]+)(?:%3[Aa](?P<port>[0-9]{1,5}))?")
_UNSAFE: Final = re.compile(r"[/\\?#\x00-\x1f\x7f]")


class WebResolver:
    """Resolves ``did:web`` by HTTPS.

    - *default_lifetime*: seconds for which a document is kept whose host says nothing of it.
    - *max_lifetime*, *min_lifetime*: seconds into which a host's own word is lowered or raised.
    """

    def __init__(
        self,
        client: GuardedClient,
        *,
        policy: FetchPolicy = DID_WEB_POLICY,
        default_lifetime: float = 300.0,
        min_lifetime: float = 30.0,
        max_lifetime: float = 3600.0,
    ) -> None:
        if not 0 <= min_lifetime <= default_lifetime <= max_lifetime:
            raise ValueError("min_lifetime <= default_lifetime <= max_lifetime, none below 0")
        self._client = client
        self._policy = policy
        self._default_lifetime = default_lifetime
        self._min_lifetime = min_lifetime
        self._max_lifetime = max_lifetime

    async def resolve(self, did: Did) -> Resolution:
        """As `MethodResolver`. A document that is gone (404, 410) is how did:web deactivates: `NOT_FOUND`."""
        request = FetchRequest(did_web_url(did), accept=MEDIA_TYPES)
        fetched = await ask(self._client, request, self._policy)
        require_success(fetched)
        document = parse_document(fetched.body, did)
        lifetime: float | None = freshness_lifetime(fetched)
        lifetime = self._default_lifetime if lifetime is None else lifetime
        lifetime = min(max(lifetime, self._min_lifetime), self._max_lifetime)
        return Resolution(document, Source.WEB, lifetime=lifetime, size=len(fetched.body))


def did_web_url(did: Did) -> str:
    """The HTTPS URL of the document of *did*.

    ``did:web:host`` leads to ``/.well-known/did.json``, ``did:web:host%3A8443:a:b`` to ``/a/b/did.json`` on
    port 8443. A segment stays as escaped as it is; one that stands for a dot segment, a separator or a
    control character is refused. Raises `DidError` with `INVALID_DID`.
    """
    first, *segments = did.identifier.split(":")
    authority = _HOST.fullmatch(first)
    if authority is None:
        raise DidError(DidFault.INVALID_DID, "the first part is not a host name with a port", member="host")
    for segment in segments:
        decoded = _decoded(segment)
        if decoded in {"", ".", ".."} or _UNSAFE.search(decoded):
            raise DidError(DidFault.INVALID_DID, "a part is not a path segment", member="path")
    port = f":{authority['port']}" if authority["port"] else ""
    path = "/".join(segments) if segments else ".well-known"
    return f"https://{authority['host']}{port}/{path}/did.json"


def did_web_of(url: str) -> Did:
    """The did:web whose document is at ``<url>/did.json``, or ``/.well-known/did.json`` for a bare origin.

    ``localhost`` has one as well, for development; the guarded client refuses it elsewhere.
    Raises `FetchError` for a URL that is not one of HTTPS, and `DidError` for one with a query or a path that
    no did:web can name.
    """
    target = parse_url(url, named_hosts=frozenset({"localhost"}))
    path = target.resource.strip("/")
    if target.scheme != "https" or "?" in target.resource:
        raise DidError(DidFault.INVALID_DID, "the URL is not one of HTTPS without a query")
    host = target.host if target.port == DEFAULT_PORTS["https"] else f"{target.host}%3A{target.port}"
    did = parse_did(":".join(["did:web", host, *(path.split("/") if path else [])]))
    did_web_url(did)
    return did


def _decoded(segment: str) -> str:
    try:
        return percent_decode(segment)
    except DidError as error:
        raise DidError(DidFault.INVALID_DID, "an escape is not UTF-8", member="path") from error
