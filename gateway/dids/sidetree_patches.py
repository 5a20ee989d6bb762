"""The patches of a Sidetree delta, applied in order to an empty document (Sidetree, Standard Patch Actions).

Every member that the specification does not name is refused, as the reference implementation does: a node and
this gateway must agree on which DIDs exist.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dids.document import Relationship
from gateway.dids.errors import DidError, DidFault

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,50}")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_MAX_SERVICE_TYPE: Final = 30  # characters
_PURPOSES: Final = frozenset(relationship.value for relationship in Relationship)


@dataclass(slots=True)
class SidetreeDocument:
    """Public keys and services by id, in the order added; their members are checked JSON."""

    public_keys: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    services: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def members(self, did: str) -> dict[str, Any]:
        """The members of the DID document of *did*, as a node composes them (Sidetree, Resolution)."""
        members: dict[str, Any] = {
            "id": did,
            "verificationMethod": [
                {
                    "id": f"#{key_id}",
                    "type": key["type"],
                    "controller": did,
                    "publicKeyJwk": key["publicKeyJwk"],
                }
                for key_id, key in self.public_keys.items()
            ],
            "service": [
                {"id": f"#{service_id}", "type": each["type"], "serviceEndpoint": each["serviceEndpoint"]}
                for service_id, each in self.services.items()
            ],
        }
        for key_id, key in self.public_keys.items():
            for purpose in key.get("purposes", ()):
                members.setdefault(purpose, []).append(f"#{key_id}")
        return members


def apply_patches(patches: object) -> SidetreeDocument:
    """The document that *patches*, an array, makes of an empty one. Raises `DidError`."""
    if not isinstance(patches, list):
        raise DidError(DidFault.ION_INVALID_DELTA, "patches is not an array", member="patches")
    document = SidetreeDocument()
    for patch in patches:
        action = patch.get("action") if isinstance(patch, dict) else None
        row = _ACTIONS.get(action) if isinstance(action, str) else None
        if row is None:
            raise DidError(DidFault.ION_INVALID_PATCH, "the patch action is not supported", member="action")
        name, apply = row
        if patch.keys() != {"action", name}:
            raise DidError(DidFault.ION_INVALID_PATCH, f"the patch is not exactly action and {name}")
        apply(document, patch[name])
    return document


def _replace(document: SidetreeDocument, value: object) -> None:
    if not isinstance(value, dict) or not value.keys() <= {"publicKeys", "services"}:
        message = "document is not publicKeys and services"
        raise DidError(DidFault.ION_INVALID_PATCH, message, member="document")
    public_keys = _checked_keys(value.get("publicKeys", []))
    services = _checked_services(value.get("services", []))
    document.public_keys, document.services = public_keys, services


def _add_keys(document: SidetreeDocument, value: object) -> None:
    document.public_keys |= _checked_keys(value)


def _remove_keys(document: SidetreeDocument, value: object) -> None:
    for key_id in _checked_ids(value):
        document.public_keys.pop(key_id, None)


def _add_services(document: SidetreeDocument, value: object) -> None:
    document.services |= _checked_services(value)


def _remove_services(document: SidetreeDocument, value: object) -> None:
    for service_id in _checked_ids(value):
        document.services.pop(service_id, None)


_ACTIONS: Final[Mapping[str, tuple[str, Callable[[SidetreeDocument, object], None]]]] = {
    "replace": ("document", _replace),
    "add-public-keys": ("publicKeys", _add_keys),
    "remove-public-keys": ("ids", _remove_keys),
    "add-services": ("services", _add_services),
    "remove-services": ("ids", _remove_services),
}


def _checked_keys(value: object) -> dict[str, Mapping[str, Any]]:
    fault = DidFault.ION_INVALID_KEY
    keys: dict[str, Mapping[str, Any]] = {}
    for key in _entries(value, "publicKeys", fault):
        required = {"id", "type", "publicKeyJwk"}
        if not required <= key.keys() <= required | {"purposes"}:
            raise DidError(fault, "a key is not id, type, publicKeyJwk and purposes", member="publicKeys")
        if not isinstance(key["type"], str) or not isinstance(key["publicKeyJwk"], dict):
            raise DidError(fault, "type or publicKeyJwk has the wrong type", member="publicKeys")
        purposes = key.get("purposes", [])
        if not isinstance(purposes, list) or not all(
            isinstance(purpose, str) and purpose in _PURPOSES for purpose in purposes
        ):
            raise DidError(fault, "a purpose is not a verification relationship", member="purposes")
        if len(set(purposes)) != len(purposes):
            raise DidError(fault, "a purpose is repeated", member="purposes")
        _put(keys, key, fault)
    return keys


def _checked_services(value: object) -> dict[str, Mapping[str, Any]]:
    fault = DidFault.ION_INVALID_SERVICE
    services: dict[str, Mapping[str, Any]] = {}
    for service in _entries(value, "services", fault):
        if service.keys() != {"id", "type", "serviceEndpoint"}:
            raise DidError(fault, "a service is not id, type and serviceEndpoint", member="services")
        kind, endpoint = service["type"], service["serviceEndpoint"]
        if not isinstance(kind, str) or len(kind) > _MAX_SERVICE_TYPE:
            message = f"type is not a string of at most {_MAX_SERVICE_TYPE} characters"
            raise DidError(fault, message, member="type")
        is_uri = isinstance(endpoint, str) and _SCHEME.fullmatch(endpoint) is not None
        if not is_uri and not isinstance(endpoint, dict):
            message = "serviceEndpoint is neither a URI nor an object"
            raise DidError(fault, message, member="serviceEndpoint")
        _put(services, service, fault)
    return services


def _entries(value: object, name: str, fault: DidFault) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise DidError(fault, f"{name} is not an array of objects", member=name)
    return value


def _put(entries: dict[str, Mapping[str, Any]], entry: dict[str, Any], fault: DidFault) -> None:
    entry_id = entry["id"]
    if not isinstance(entry_id, str) or not _ID.fullmatch(entry_id):
        raise DidError(fault, "an id is not 1 to 50 characters of base64url", member="id")
    if entry_id in entries:
        raise DidError(fault, "an id is repeated", member="id")
    entries[entry_id] = entry


def _checked_ids(value: object) -> list[str]:
    if not isinstance(value, list) or not all(
        isinstance(entry, str) and _ID.fullmatch(entry) for entry in value
    ):
        message = "ids is not an array of ids"
        raise DidError(DidFault.ION_INVALID_PATCH, message, member="ids")
    return value
