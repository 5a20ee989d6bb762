"""Status lists that a DID URL names: asked of the Identity Hub of the DID.

SOURCE of the rules: Identity Hub 0.0.1-predraft (decentralized-identity/decentralized-web-node,
spec/0.0.1-predraft/spec.md): DID-Relative URLs, Request Objects, Response Objects. The DID URL is
``<did>?service=IdentityHub&queries=<base64url of a JSON array of queries>``; the older ``relativeRef``
form of the profile's text is recognized and refused. What a hub says of an object (its ``cid``, an
attestation) is not looked at: the signature of the list itself counts.
"""

import base64
import binascii
import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from gateway.dids import DidDocument, DidError, DidResolver, DidUrl, parse_did_url
from gateway.fetching import FetchError, FetchPolicy, FetchRequest, GuardedClient
from gateway.jose import JoseError, base64url
from gateway.jose.strict_json import parse_object

logger = logging.getLogger(__name__)

SERVICE: Final = "IdentityHub"
MAX_INSTANCES: Final = 4  # of one DID that are asked, in their order
MAX_ANSWER: Final = 16 * 1024 * 1024  # octets; a list in base64, in JSON

# The latter is a slip of the specification's text.
_SERVICE_NAMES: Final = frozenset({SERVICE, "Identity Hub"})
_MAX_QUERY: Final = 2048  # octets
_QUERY_MEMBERS: Final = frozenset({"method", "schema", "objectId", "dataFormat", "dateSort"})
_NOT_FOUND: Final = 404
_SUCCESS: Final = 200


class HubError(Exception):
    """No object could be had; *reason* is a stable word for the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IdentityHub:
    """Fetches what a DID URL names. Belongs to one event loop."""

    def __init__(self, client: GuardedClient, resolver: DidResolver, *, policy: FetchPolicy) -> None:
        self._client = client
        self._resolver = resolver
        self._policy = policy

    async def fetch(self, uri: str) -> bytes:
        """The data of the one object that *uri*, a DID URL, names. Raises `HubError`."""
        try:
            url = parse_did_url(uri)
            query = _query_of(url)
            document = (await self._resolver.resolve(url.did.text)).document
        except DidError as error:
            raise HubError(error.outcome) from error
        failure = HubError("hub_missing")
        for instance in (await self._instances(document))[:MAX_INSTANCES]:
            try:
                return await self._ask(instance, url.did.text, query)
            except HubError as error:
                failure = error
        raise failure

    async def _instances(self, document: DidDocument) -> list[str]:
        """The hubs' URLs; one that is a DID is resolved once and no deeper."""
        urls: list[str] = []
        for instance in _endpoints(document)[:MAX_INSTANCES]:
            if not instance.startswith("did:"):
                urls.append(instance)
                continue
            try:
                nested = (await self._resolver.resolve(instance)).document
            except DidError as error:
                logger.info("The DID of an Identity Hub was not resolved: %s", error)
                continue
            urls.extend(each for each in _endpoints(nested) if not each.startswith("did:"))
        return urls

    async def _ask(self, instance: str, target: str, query: Mapping[str, Any]) -> bytes:
        identifier = str(UUID(bytes=secrets.token_bytes(16), version=4))
        body = {"requestId": identifier, "target": target, "messages": [{"descriptor": dict(query)}]}
        request = FetchRequest(
            instance,
            method="POST",
            body=json.dumps(body, separators=(",", ":")).encode(),
            content_type="application/json",
        )
        try:
            fetched = await self._client.fetch(request, self._policy)
        except FetchError as error:
            raise HubError(error.fault) from error
        if fetched.status != _SUCCESS:
            raise HubError("hub_refused")
        try:
            return _data_of(parse_object(fetched.body, max_size=MAX_ANSWER, max_depth=32), identifier)
        except JoseError as error:
            raise HubError("hub_answer_malformed") from error


def _endpoints(document: DidDocument) -> list[str]:
    """What the hub services name: ``instances`` of a map, or URIs, as the profile's example has it."""
    found: dict[str, None] = {}
    for service in document.services_of(SERVICE):
        for endpoint in service.endpoints:
            texts = (endpoint.uri,) if endpoint.uri is not None else endpoint.texts("instances")
            found.update(dict.fromkeys(texts))
    return list(found)


def _query_of(url: DidUrl) -> Mapping[str, Any]:
    """The one query of *url*. Raises `HubError`, `DidError`."""
    if url.parameter("relativeRef") is not None:
        raise HubError("unsupported_legacy_hub_url")
    if url.parameter("service") not in _SERVICE_NAMES:
        raise HubError("not_a_hub_url")
    encoded = url.parameter("queries")
    if not encoded or len(encoded) > _MAX_QUERY:
        raise HubError("hub_query_malformed")
    try:
        # An array is no object; wrapping it lets the one strict parser read it.
        wrapped = b'{"queries":' + base64url.decode(encoded.rstrip("=")) + b"}"
        queries = parse_object(wrapped)["queries"]
    except JoseError as error:
        raise HubError("hub_query_malformed") from error
    if not isinstance(queries, list) or len(queries) != 1 or not isinstance(queries[0], dict):
        raise HubError("hub_query_malformed")
    query: dict[str, Any] = queries[0]
    if query.get("method") != "CollectionsQuery" or not query.keys() <= _QUERY_MEMBERS:
        raise HubError("hub_query_unsupported")
    if not all(isinstance(value, str) for value in query.values()):
        raise HubError("hub_query_malformed")
    return query


def _data_of(answer: Mapping[str, Any], identifier: str) -> bytes:
    """The data of the only entry of the only reply. Raises `HubError`."""
    status = answer.get("status")
    if isinstance(status, dict) and status.get("code") != _SUCCESS:
        raise HubError("hub_not_found" if status.get("code") == _NOT_FOUND else "hub_refused")
    # The specification's own examples call it either.
    if answer.get("requestId", answer.get("id")) not in (None, identifier):
        raise HubError("hub_answer_malformed")
    replies = answer.get("replies")
    if not isinstance(replies, list) or len(replies) != 1 or not isinstance(replies[0], dict):
        raise HubError("hub_answer_malformed")
    entries = replies[0].get("entries")
    if entries == []:
        raise HubError("hub_not_found")
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        raise HubError("hub_answer_ambiguous")
    data = entries[0].get("data")
    if not isinstance(data, str):
        raise HubError("hub_answer_malformed")
    padded = data.replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4)
    try:
        return base64.b64decode(padded, validate=True)
    except binascii.Error as error:
        raise HubError("hub_answer_malformed") from error
