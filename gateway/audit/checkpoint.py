"""Checkpoints: a key of the gateway signs where the chain ended, so that what is before cannot be rewritten.

A checkpoint is a compact JWS (RFC 7515) of the type `TYP`. Its payload is a JSON object: ``iss``, the
gateway's issuer; ``iat``, seconds since the epoch; ``sequence_number`` and ``hash`` (hexadecimal) of the
chain's end; ``previous``, the sequence number of the checkpoint before it, 0 for the first.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.audit.chain import HASH_SIZE, Head
from gateway.audit.faults import AuditError, AuditFault
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import Jwk
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.strict_json import JsonObject, parse_object

TYP: Final = "countersign-audit-checkpoint+jws"
_MAX_SIZE: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed. *sign_time*: whole seconds since the epoch; *previous*: 0 for the first."""

    issuer: str
    sign_time: int
    head: Head
    previous: int

    def payload(self) -> bytes:
        """The octets of the JWS payload."""
        members = {
            "iss": self.issuer,
            "iat": self.sign_time,
            "sequence_number": self.head.sequence_number,
            "hash": self.head.hash.hex(),
            "previous": self.previous,
        }
        return json.dumps(members, separators=(",", ":")).encode("ascii")


class TrustedKeys:
    """Public keys whose checkpoints count, by ``kid``, which is the key's thumbprint (RFC 7638)."""

    def __init__(self, keys: Iterable[Jwk]) -> None:
        self._keys: Mapping[str, Jwk] = {key.thumbprint: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def verify(self, jws: str) -> Checkpoint:
        """What the checkpoint *jws* says.

        Raises `AuditError`: CHECKPOINT_MALFORMED, KEY_UNKNOWN, SIGNATURE_INVALID.
        """
        try:
            parsed = parse_compact(jws, max_size=_MAX_SIZE)
            checkpoint = _parse(parsed.payload)
        except (JoseError, _MemberError) as error:
            raise AuditError(
                AuditFault.CHECKPOINT_MALFORMED, "checkpoint", f"it is not a checkpoint: {error}"
            ) from error
        place = f"checkpoint of segment {checkpoint.head.sequence_number}"
        if parsed.header.typ != TYP:
            raise AuditError(AuditFault.CHECKPOINT_MALFORMED, place, f"its typ is not {TYP}")
        self._verify_signature(parsed, place)
        return checkpoint

    def _verify_signature(self, parsed: CompactJws, place: str) -> None:
        kid = parsed.header.kid
        key = None if kid is None else self._keys.get(kid)
        if key is None:
            raise AuditError(
                AuditFault.KEY_UNKNOWN, place, f"it is signed by the key {kid}, which is not trusted"
            )
        try:
            key.require_algorithm(parsed.header.algorithm)
            verify(parsed, key.public_key, parsed.header.algorithm)
        except JoseError as error:
            fault = (
                AuditFault.SIGNATURE_INVALID
                if error.code in {JoseFault.SIGNATURE_INVALID, JoseFault.ALG_MISMATCH}
                else AuditFault.KEY_UNKNOWN
            )
            raise AuditError(fault, place, f"its signature by {kid} does not hold: {error}") from error


def require_match(checkpoint: Checkpoint, head: Head) -> None:
    """The checkpoint is of *head*. Raises `AuditError` CHECKPOINT_MISMATCH."""
    named = checkpoint.head
    if named.sequence_number != head.sequence_number or not hmac.compare_digest(named.hash, head.hash):
        raise AuditError(
            AuditFault.CHECKPOINT_MISMATCH,
            f"checkpoint of segment {named.sequence_number}",
            "what was signed is not the hash of this chain: it was rewritten after the signature",
        )


def logged(head: Head, jws: str) -> dict[str, str | int]:
    """The fields of a log line about the checkpoint *jws*; in two parts, as no token passes the log."""
    content, _, signature = jws.rpartition(".")
    return {
        "sequence_number": head.sequence_number,
        "checkpoint": content.replace(".", " "),
        "signature": signature,
    }


def from_line(line: bytes) -> str | None:
    """The checkpoint, a compact JWS, in a line of an export or of the gateway's log; None without one."""
    try:
        members = parse_object(line)
    except JoseError:
        return None
    jws, content, signature = members.get("jws"), members.get("checkpoint"), members.get("signature")
    if isinstance(jws, str) and members.get("type") == "checkpoint":
        return jws
    if isinstance(content, str) and isinstance(signature, str):
        return f"{content.replace(' ', '.')}.{signature}"
    return None


class _MemberError(Exception):
    """A member of the payload is not what it should be."""


def _parse(payload: bytes) -> Checkpoint:
    members = parse_object(payload)
    issuer, text = members.get("iss"), members.get("hash")
    if not isinstance(issuer, str) or not isinstance(text, str):
        raise _MemberError("iss or hash is not text")
    try:
        end = bytes.fromhex(text)
    except ValueError as error:
        raise _MemberError("hash is not hexadecimal") from error
    if len(end) != HASH_SIZE:
        raise _MemberError("hash has another size")
    return Checkpoint(
        issuer,
        _number(members, "iat"),
        Head(_number(members, "sequence_number"), end),
        _number(members, "previous"),
    )


def _number(members: JsonObject, name: str) -> int:
    value = members.get(name)
    if type(value) is not int or not 0 <= value < 2**63:
        raise _MemberError(f"{name} is not a number")
    return value
