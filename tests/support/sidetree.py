"""Long-form Sidetree DIDs with any fault asked for, made without the code under test.

did = long_form([replace(keys=[key_entry("k", jwk)])])
did = long_form(patches, delta_hash=other)      # suffix right, delta hash wrong
"""

import base64
import hashlib
import json
from typing import Any


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def canonical(value: Any) -> bytes:
    """JCS for values whose names and texts are ASCII and whose numbers are integers."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def multihash(data: bytes) -> str:
    """SHA2-256 as a multihash."""
    return b64(b"\x12\x20" + hashlib.sha256(data).digest())


COMMITMENT = multihash(b"a commitment")


def key_entry(key_id: str, jwk: dict[str, Any], *purposes: str, **other: Any) -> dict[str, Any]:
    """An entry of publicKeys."""
    entry = {"id": key_id, "type": "JsonWebKey2020", "publicKeyJwk": jwk, "purposes": list(purposes)}
    return entry | other


def service_entry(service_id: str, endpoint: Any, kind: str = "LinkedDomains") -> dict[str, Any]:
    """An entry of services."""
    return {"id": service_id, "type": kind, "serviceEndpoint": endpoint}


def replace(keys: Any = (), services: Any = ()) -> dict[str, Any]:
    """The patch that replaces the document."""
    return {"action": "replace", "document": {"publicKeys": list(keys), "services": list(services)}}


def long_form_of(state: bytes, suffix: str, prefix: str = "did:ion") -> str:
    """A long form of any octets as its state."""
    return f"{prefix}:{suffix}:{b64(state)}"


def long_form(
    patches: Any,
    *,
    prefix: str = "did:ion",
    delta: dict[str, Any] | None = None,
    suffix_data: dict[str, Any] | None = None,
    delta_hash: str | None = None,
    suffix: str | None = None,
) -> str:
    """A long form whose hashes are right, but for those given.

    *delta* and *suffix_data* add members, or take away those that they map to None.
    """
    whole_delta = _merged({"patches": patches, "updateCommitment": COMMITMENT}, delta)
    own_hash = delta_hash or multihash(canonical(whole_delta))
    whole_suffix = _merged({"deltaHash": own_hash, "recoveryCommitment": COMMITMENT}, suffix_data)
    state = canonical({"delta": whole_delta, "suffixData": whole_suffix})
    return long_form_of(state, suffix or multihash(canonical(whole_suffix)), prefix)


def _merged(members: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    merged = members | (changes or {})
    return {name: value for name, value in merged.items() if value is not None}
