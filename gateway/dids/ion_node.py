"""A configured Sidetree node: the current state of a did:ion that it has seen anchored.

``GET <node>/identifiers/<short form>`` (Sidetree REST API, Resolution). The node is trusted for what it says:
nothing in its answer proves it. There is no default node.
"""

from typing import Any, Final

from gateway.dids.asking import ask, require_success
from gateway.dids.did_url import Did
from gateway.dids.document import DidDocument
from gateway.dids.errors import DidError, DidFault
from gateway.dids.parsing import MAX_DOCUMENT, document_of, parse_json
from gateway.fetching import FetchPolicy, FetchRequest, GuardedClient, freshness_lifetime
from gateway.fetching.urls import parse_url

_MEDIA_TYPES: Final = (
    "application/json",
    "application/did+json",
    "application/did+ld+json",
    "application/ld+json",
)
_GONE: Final = 410
_NOT_FOUND: Final = 404


class SidetreeNode:
    """A node's resolution endpoint.

    - *url*: the node's base, HTTPS, without the ``/identifiers`` part. Its host may be one of the client's
      inner hosts.
    - *deadline*: seconds for one question.
    - *default_lifetime*, *max_lifetime*: seconds for which an answer counts, if the node says nothing of it,
      and at most.
    """

    def __init__(
        self,
        client: GuardedClient,
        url: str,
        *,
        deadline: float = 3.0,
        default_lifetime: float = 60.0,
        max_lifetime: float = 600.0,
    ) -> None:
        target = parse_url(url, named_hosts=client.dialer.named_hosts)
        if target.scheme != "https" or "?" in target.resource:
            raise ValueError("the node's URL is one of HTTPS without a query")
        self._client = client
        self._base = target.url.rstrip("/")
        self._policy = FetchPolicy(
            deadline=deadline, max_body=MAX_DOCUMENT, max_redirects=0, ports=frozenset({target.port})
        )
        self.default_lifetime = default_lifetime
        self._max_lifetime = max_lifetime

    async def current(self, short_form: Did) -> tuple[DidDocument, float] | None:
        """The document of *short_form* as the node has it now and its lifetime in seconds.

        None where the node answers that it knows no such DID. Raises `DidError`: `DEACTIVATED`,
        `UNREACHABLE`, or what an answer that is no resolution result deserves.
        """
        request = FetchRequest(f"{self._base}/identifiers/{short_form}", accept=_MEDIA_TYPES)
        fetched = await ask(self._client, request, self._policy)
        if fetched.status == _NOT_FOUND:
            return None
        if fetched.status == _GONE:
            raise DidError(DidFault.DEACTIVATED, "the node says that the DID is gone")
        require_success(fetched)
        result = parse_json(fetched.body)
        metadata = _object(result, "didDocumentMetadata")
        if metadata.get("deactivated") is True:
            raise DidError(DidFault.DEACTIVATED, "the node says that the DID is deactivated")
        document = document_of(_object(result, "didDocument"), short_form)
        lifetime: float | None = freshness_lifetime(fetched)
        lifetime = self.default_lifetime if lifetime is None else lifetime
        return document, min(lifetime, self._max_lifetime)


def _object(result: dict[str, Any], name: str) -> dict[str, Any]:
    value = result.get(name)
    if not isinstance(value, dict):
        raise DidError(DidFault.ANSWER_REFUSED, f"the node's answer has no {name}", member=name)
    return value
