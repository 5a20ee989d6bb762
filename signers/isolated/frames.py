"""What the gateway and its signer process say to each other, over a socket that both inherit.

A frame is a header, ``<IBI``: length of the payload in bytes, kind, id of the request (0 for news that answer
none), and the payload. Signing is binary; everything else, which is rare, is a JSON object.

    SIGN     ``<IH`` number of the key, n = number of messages; ``<I`` n times their lengths; the messages
    SIGNED   ``<I`` CRC-32 of the SIGN payload and of what follows; ``<ff`` n times the seconds that a
             signature took to make and to verify; the n signatures, all of one length
    FAILED   {"error": class of `signers.errors`, "message": ..., "key": redacted name or null, "state": ...}

The CRC ties an answer to its question: no mix-up of replies, and no damaged memory, releases a signature over
something else.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from signers import errors
from signers.errors import SignerError, SignerUnavailableError
from signers.pkcs11.signing_key import TimedSignature

MAX_FRAME = 32 * 1024 * 1024
"""Bytes of a payload. Messages are signing inputs of some kilobytes; a large CRL has some megabytes."""

MAX_MESSAGES = 0xFFFF

_HEADER = struct.Struct("<IBI")
_SIGN = struct.Struct("<IH")
_CRC = struct.Struct("<I")
_TIMES = struct.Struct("<ff")


class Kind(IntEnum):
    """Kinds of frames: requests below 16, answers and news from 16 on."""

    OPEN = 1
    FIND = 2
    ADOPT = 3
    CREATE = 4
    HEALTH = 5
    SIGN = 6
    DONE = 16
    FAILED = 17
    SIGNED = 18
    STATE = 19
    LOG = 20


_KINDS = {int(kind): kind for kind in Kind}


class FrameError(Exception):
    """The other side does not keep to the protocol; nothing that it says can be trusted any more."""


@dataclass(frozen=True, slots=True)
class SignRequest:
    """The payload of SIGN."""

    key: int
    messages: Sequence[bytes]


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, int, bytes]]:
        """The complete frames, each as kind, id and payload, once *data* has come. Raises `FrameError`."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _HEADER.size:
                length, number, request = _HEADER.unpack_from(buffer, start)
                kind = _KINDS.get(number)
                if kind is None or length > MAX_FRAME:
                    raise FrameError(f"A frame of kind {number} and {length} bytes came.")
                end = start + _HEADER.size + length
                if end > len(buffer):
                    break
                payload = bytes(buffer[start + _HEADER.size : end])
                start = end
                yield kind, request, payload
        finally:
            del buffer[:start]


def frame(kind: Kind, request: int, payload: bytes) -> bytes:
    """One frame. Raises `SignerUnavailableError` for a payload beyond `MAX_FRAME`."""
    if len(payload) > MAX_FRAME:
        raise SignerUnavailableError(f"More than {MAX_FRAME} bytes cannot be sent to the signer process.")
    return _HEADER.pack(len(payload), kind, request) + payload


def sign_payload(key: int, messages: Sequence[bytes]) -> bytes:
    """The payload of SIGN."""
    count = len(messages)
    lengths = struct.pack(f"<{count}I", *map(len, messages))
    return b"".join((_SIGN.pack(key, count), lengths, *messages))


def parse_sign(payload: bytes) -> SignRequest:
    """Read the payload of SIGN. Raises `FrameError`."""
    try:
        key, count = _SIGN.unpack_from(payload)
        lengths = struct.unpack_from(f"<{count}I", payload, _SIGN.size)
    except struct.error as error:
        raise FrameError("A SIGN frame is cut short.") from error
    start = _SIGN.size + 4 * count
    if not count or start + sum(lengths) != len(payload):
        raise FrameError("A SIGN frame has another length than it says.")
    messages = []
    for length in lengths:
        messages.append(payload[start : start + length])
        start += length
    return SignRequest(key, messages)


def signed_payload(request: bytes, signed: Sequence[TimedSignature]) -> bytes:
    """The payload of SIGNED that answers the SIGN payload *request*."""
    if len(signed) == 1:
        ((signature, signing, verifying),) = signed
        rest = _TIMES.pack(signing, verifying) + signature
    else:
        times = b"".join([_TIMES.pack(each.signing, each.verifying) for each in signed])
        rest = times + b"".join([each.signature for each in signed])
    return _CRC.pack(zlib.crc32(rest, zlib.crc32(request))) + rest


def parse_signed(payload: bytes, request_crc: int, count: int, size: int) -> list[TimedSignature]:
    """The *count* signatures of *size* bytes each that answer the request whose CRC-32 is given.

    Raises `FrameError`.
    """
    if len(payload) != _CRC.size + count * (_TIMES.size + size):
        raise FrameError("A SIGNED frame has another length than its request asks for.")
    rest = payload[_CRC.size :]
    if _CRC.unpack_from(payload)[0] != zlib.crc32(rest, request_crc):
        raise FrameError("A SIGNED frame does not belong to its request, or is damaged.")
    start = count * _TIMES.size
    return [
        TimedSignature(rest[start + number * size : start + (number + 1) * size], *times)
        for number, times in enumerate(_TIMES.iter_unpack(rest[:start]))
    ]


def json_payload(members: Mapping[str, Any]) -> bytes:
    """A JSON payload."""
    return json.dumps(members, separators=(",", ":")).encode()


def parse_json(payload: bytes) -> dict[str, Any]:
    """Read a JSON payload. Raises `FrameError`."""
    try:
        members = json.loads(payload)
    except ValueError as error:
        raise FrameError("A payload is no JSON.") from error
    if not isinstance(members, dict):
        raise FrameError("A payload is no JSON object.")
    return members


def failed_payload(error: SignerError, **more: Any) -> bytes:
    """The payload of FAILED."""
    return json_payload(
        {"error": type(error).__name__, "message": str(error), "key": error.key, **more},
    )


def parse_failed(members: Mapping[str, Any]) -> SignerError:
    """The error that FAILED carries, of its own class. Raises `FrameError`."""
    name, message, key = members.get("error"), members.get("message"), members.get("key")
    error = getattr(errors, name, None) if isinstance(name, str) else None
    if not (isinstance(error, type) and issubclass(error, SignerError)) or not isinstance(message, str):
        raise FrameError("A FAILED frame names no error of signers.")
    if key is not None and not isinstance(key, str):
        raise FrameError("A FAILED frame names its key otherwise than by a string.")
    return error(message, key=key)
