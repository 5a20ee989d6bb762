"""The initial state that a long-form Sidetree DID carries, checked by every rule that binds it to the DID.

SOURCE of the rules: Sidetree v1.0.0 (identity.foundation/sidetree/spec), Long-Form DID URIs, Create, Hashing
Process and Default Parameters; where the text is silent, its reference implementation, release 1.0.6.

A long-form DID is ``<short form>:<base64url(JCS({"delta":…,"suffixData":…}))>``. The suffix is the hash of
the suffix data, the suffix data holds the hash of the delta, and the delta holds the document.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from gateway.dids.errors import DidError, DidFault
from gateway.dids.jcs import CanonicalizationError, canonicalize
from gateway.dids.sidetree_patches import SidetreeDocument, apply_patches
from gateway.jose import JoseError, base64url
from gateway.jose.strict_json import parse_object

MAX_DELTA_SIZE: Final = 1000  # octets
MAX_STATE: Final = 4096  # octets of decoded JSON

_SHA2_256: Final = b"\x12\x20"  # Multihash: the algorithm and the length of the digest.
_MULTIHASH_SIZE: Final = 34
_TYPE: Final = re.compile(r"[A-Za-z0-9_-]{1,4}")


@dataclass(frozen=True, slots=True)
class InitialState:
    """What a long-form DID says about itself, verified against its own suffix."""

    document: SidetreeDocument
    update_commitment: str
    recovery_commitment: str


def read_initial_state(encoded: str, suffix: str, *, unsafe_non_canonical: bool = False) -> InitialState:
    """The state that *encoded*, the last part of a long-form DID, holds for the DID of *suffix*.

    With *unsafe_non_canonical*, a state whose members are not in the order of RFC 8785 is read as well, if it
    is minimal JSON otherwise; the delta is then hashed as it is spelled. Whoever turns that on accepts DIDs
    that no Sidetree node resolves. Raises `DidError` with one of the `ION_` faults.
    """
    members = _decode(encoded)
    if unsafe_non_canonical:
        _require_minimal(encoded, members)
    else:
        _require_canonical(encoded, members)
    if members.keys() != {"suffixData", "delta"}:
        raise DidError(DidFault.ION_STATE_MALFORMED, "the state is not exactly suffixData and delta")
    suffix_data, delta = _object(members, "suffixData"), _object(members, "delta")
    if hash_of(canonicalize(suffix_data)) != suffix:
        raise DidError(DidFault.ION_SUFFIX_MISMATCH, "the suffix is not the hash of the suffix data")
    _check_suffix_data(suffix_data)
    octets = _minimal(delta) if unsafe_non_canonical else canonicalize(delta)
    if len(octets) > MAX_DELTA_SIZE:
        raise DidError(DidFault.ION_DELTA_TOO_LARGE, f"the delta exceeds {MAX_DELTA_SIZE} octets")
    if hash_of(octets) != suffix_data["deltaHash"]:
        raise DidError(DidFault.ION_DELTA_HASH_MISMATCH, "deltaHash is not the hash of the delta")
    if delta.keys() != {"patches", "updateCommitment"}:
        raise DidError(DidFault.ION_INVALID_DELTA, "the delta is not exactly patches and updateCommitment")
    _check_multihash(delta, "updateCommitment")
    document = apply_patches(delta["patches"])
    return InitialState(document, delta["updateCommitment"], suffix_data["recoveryCommitment"])


def hash_of(octets: bytes) -> str:
    """The SHA2-256 multihash of *octets* in base64url (Sidetree, Hashing Process)."""
    return base64url.encode(_SHA2_256 + hashlib.sha256(octets).digest())


def is_multihash(text: object) -> bool:
    """Whether *text* is a SHA2-256 multihash in base64url, the one algorithm that ION allows."""
    if not isinstance(text, str):
        return False
    try:
        octets = base64url.decode(text)
    except JoseError:
        return False
    return len(octets) == _MULTIHASH_SIZE and octets.startswith(_SHA2_256)


def _decode(encoded: str) -> dict[str, Any]:
    try:
        return parse_object(base64url.decode(encoded), max_size=MAX_STATE)
    except JoseError as error:
        raise DidError(DidFault.ION_STATE_MALFORMED, f"the state cannot be read: {error.code}") from error


def _require_canonical(encoded: str, members: dict[str, Any]) -> None:
    try:
        canonical = canonicalize(members)
    except CanonicalizationError as error:
        raise DidError(DidFault.ION_NOT_CANONICAL, "the state has no canonical form") from error
    if base64url.encode(canonical) != encoded:
        raise DidError(DidFault.ION_NOT_CANONICAL, "the state is not in its canonical form (JCS)")


def _require_minimal(encoded: str, members: dict[str, Any]) -> None:
    """Only the order of members is forgiven: whitespace, escapes and numbers have one spelling still."""
    try:
        canonicalize(members)
    except CanonicalizationError as error:
        raise DidError(DidFault.ION_NOT_CANONICAL, "the state has no canonical form") from error
    if base64url.encode(_minimal(members)) != encoded:
        raise DidError(DidFault.ION_NOT_CANONICAL, "the state is not minimal JSON")


def _minimal(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _object(members: dict[str, Any], name: str) -> dict[str, Any]:
    value = members[name]
    if not isinstance(value, dict):
        raise DidError(DidFault.ION_STATE_MALFORMED, f"{name} is not an object", member=name)
    return value


def _check_suffix_data(suffix_data: dict[str, Any]) -> None:
    required = {"deltaHash", "recoveryCommitment"}
    if not required <= suffix_data.keys() <= required | {"type"}:
        message = "the suffix data is not deltaHash, recoveryCommitment and at most type"
        raise DidError(DidFault.ION_INVALID_SUFFIX_DATA, message, member="suffixData")
    _check_multihash(suffix_data, "deltaHash")
    _check_multihash(suffix_data, "recoveryCommitment")
    kind = suffix_data.get("type", "0")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        message = "type is not 1 to 4 characters of base64url"
        raise DidError(DidFault.ION_INVALID_SUFFIX_DATA, message, member="type")


def _check_multihash(members: dict[str, Any], name: str) -> None:
    if not is_multihash(members[name]):
        raise DidError(DidFault.ION_INVALID_MULTIHASH, f"{name} is not a SHA2-256 multihash", member=name)
