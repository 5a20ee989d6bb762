"""DID documents from the outside, parsed once (DID Core §5 and §6): bounded, and strict where it matters.

Refused: anything `strict_json` refuses, an ``id`` other than the DID's, members of the wrong type, too many
entries, and two verification methods or services of one id. Members nobody knows are passed over (DID Core
§6.2.2). References to methods of other DIDs are passed over as well: such a key does not stand here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.dids.did_url import Did, resolve_reference
from gateway.dids.document import (
    DidDocument,
    Relationship,
    Service,
    ServiceEndpoint,
    VerificationMethod,
)
from gateway.dids.errors import DidError, DidFault
from gateway.dids.method_keys import read_key
from gateway.jose import JoseError, JoseFault
from gateway.jose.strict_json import JsonObject, parse_object

MAX_DOCUMENT: Final = 64 * 1024  # octets of JSON
MAX_ENTRIES: Final = 64  # of one list in the document
MAX_METHODS: Final = 32  # each costs the check of its key, up to 0.4 ms
MAX_TEXT: Final = 8192  # characters of one id, type, controller or URI; a long-form DID is one


def parse_document(data: bytes, did: Did) -> DidDocument:
    """The document of *did* from UTF-8 JSON of at most `MAX_DOCUMENT` octets. Raises `DidError`."""
    return document_of(parse_json(data), did)


def parse_json(data: bytes) -> JsonObject:
    """An object of strict JSON, at most `MAX_DOCUMENT` octets.

    Raises `DidError` with `DOCUMENT_TOO_LARGE` or `INVALID_DOCUMENT`.
    """
    try:
        return parse_object(data, max_size=MAX_DOCUMENT)
    except JoseError as error:
        if error.code is JoseFault.JSON_TOO_LARGE:
            message = f"the document exceeds {MAX_DOCUMENT} octets"
            raise DidError(DidFault.DOCUMENT_TOO_LARGE, message) from error
        raise DidError(DidFault.INVALID_DOCUMENT, f"not strict JSON: {error.code}") from error


def document_of(members: Mapping[str, Any], did: Did) -> DidDocument:
    """The document of *did* from the members of its JSON. Raises `DidError`."""
    if _text(members, "id") != did.text:
        raise DidError(DidFault.ID_MISMATCH, "the document is about another DID", member="id")
    services = tuple(_service(entry, did) for entry in _entries(members, "service"))
    if len({service.id for service in services}) != len(services):
        raise DidError(DidFault.DUPLICATE_ID, "two services have one id", member="service")
    return DidDocument(
        id=did,
        methods=_methods(members, did),
        services=services,
        also_known_as=_texts(members, "alsoKnownAs"),
        controllers=_texts(members, "controller"),
        # No member of a document, but of its metadata; a document that says it of itself is believed.
        deactivated=members.get("deactivated") is True,
    )


def _methods(members: Mapping[str, Any], did: Did) -> tuple[VerificationMethod, ...]:
    found: dict[str, Mapping[str, Any]] = {}
    for entry in _entries(members, "verificationMethod"):
        _add_method(found, entry, did)
    uses: dict[str, set[Relationship]] = {}
    for relationship in Relationship:
        for entry in _entries(members, relationship.value):
            if isinstance(entry, str):
                method_id = _method_id(entry, did, relationship.value)
            else:
                method_id = _add_method(found, entry, did)
            uses.setdefault(method_id, set()).add(relationship)
    return tuple(
        _method(method_id, entry, frozenset(uses.get(method_id, ()))) for method_id, entry in found.items()
    )


def _add_method(found: dict[str, Mapping[str, Any]], entry: object, did: Did) -> str:
    members = _object(entry, "verificationMethod")
    method_id = _method_id(_text(members, "id"), did, "id")
    if method_id in found:
        raise DidError(DidFault.DUPLICATE_ID, "two verification methods have one id", member="id")
    found[method_id] = members
    if len(found) > MAX_METHODS:
        message = f"more than {MAX_METHODS} verification methods"
        raise DidError(DidFault.INVALID_DOCUMENT, message, member="verificationMethod")
    return method_id


def _method_id(text: str, did: Did, member: str) -> str:
    try:
        return str(resolve_reference(text, did))
    except DidError as error:
        raise DidError(DidFault.INVALID_DOCUMENT, "an id is not a DID URL", member=member) from error


def _method(
    method_id: str, members: Mapping[str, Any], relationships: frozenset[Relationship]
) -> VerificationMethod:
    method_type = _text(members, "type")
    key = read_key(method_type, members)
    return VerificationMethod(
        id=method_id,
        type=method_type,
        controller=_bounded(members.get("controller", ""), "controller"),
        relationships=relationships,
        public_key=key.public_key,
        algorithm=key.algorithm,
        unusable=key.unusable,
    )


def _service(entry: object, did: Did) -> Service:
    members = _object(entry, "service")
    service_id = _text(members, "id")
    if service_id.startswith(("#", "?", "/")):
        service_id = _method_id(service_id, did, "id")
    types = _texts(members, "type")
    if not types or "serviceEndpoint" not in members:
        raise DidError(DidFault.INVALID_DOCUMENT, "a service lacks a type or an endpoint", member="service")
    value = members["serviceEndpoint"]
    endpoints = value if isinstance(value, list) else [value]
    _check_count(endpoints, "serviceEndpoint")
    return Service(service_id, types, tuple(_endpoint(endpoint) for endpoint in endpoints))


def _endpoint(value: object) -> ServiceEndpoint:
    if isinstance(value, str):
        return ServiceEndpoint(uri=_bounded(value, "serviceEndpoint"))
    members = _object(value, "serviceEndpoint")
    kept = []
    for name, member in members.items():
        texts = [member] if isinstance(member, str) else member
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            _check_count(texts, "serviceEndpoint")
            kept.append((name, tuple(_bounded(text, "serviceEndpoint") for text in texts)))
    return ServiceEndpoint(members=tuple(kept))


def _entries(members: Mapping[str, Any], name: str) -> list[Any]:
    value = members.get(name, [])
    if not isinstance(value, list):
        raise DidError(DidFault.INVALID_DOCUMENT, f"{name} is not an array", member=name)
    _check_count(value, name)
    return value


def _check_count(entries: Sequence[Any], name: str) -> None:
    if len(entries) > MAX_ENTRIES:
        raise DidError(DidFault.INVALID_DOCUMENT, f"{name} has more than {MAX_ENTRIES} entries", member=name)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DidError(DidFault.INVALID_DOCUMENT, f"an entry of {name} is not an object", member=name)
    return value


def _text(members: Mapping[str, Any], name: str) -> str:
    value = _bounded(members.get(name), name)
    if not value:
        raise DidError(DidFault.INVALID_DOCUMENT, f"{name} is empty", member=name)
    return value


def _texts(members: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A text or a list of texts, as a tuple; empty where the member is absent."""
    value = members.get(name, [])
    entries = [value] if isinstance(value, str) else _entries(members, name)
    return tuple(_bounded(entry, name) for entry in entries)


def _bounded(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        message = f"{name} is not a string of at most {MAX_TEXT} characters"
        raise DidError(DidFault.INVALID_DOCUMENT, message, member=name)
    return value
