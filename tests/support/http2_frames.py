"""HTTP/2 frames (RFC 9113 §4.1) and header blocks (RFC 7541) as octets, also such as no library sends."""

from collections.abc import Iterable
from enum import IntEnum, IntFlag
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Kind(IntEnum):
    """Frame types (RFC 9113 §6)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9


class Flag(IntFlag):
    """Flags; ACK is END_STREAM's bit on SETTINGS and PING."""

    NONE = 0x0
    END_STREAM = 0x1
    ACK = 0x1
    END_HEADERS = 0x4


INITIAL_WINDOW_SIZE: Final = 0x4
"""The setting (RFC 9113 §6.5.2)."""
CANCEL: Final = (0x8).to_bytes(4, "big")
"""The error code of a RST_STREAM that a client sends."""


def frame(kind: Kind, payload: bytes = b"", *, stream: int = 0, flags: Flag = Flag.NONE) -> bytes:
    """One frame: 9 octets of header, then *payload*."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame with the initial window, if ``window`` is given."""
    payload = b""
    if "window" in values:
        payload = INITIAL_WINDOW_SIZE.to_bytes(2, "big") + values["window"].to_bytes(4, "big")
    return frame(Kind.SETTINGS, payload)


def header_block(fields: Iterable[tuple[str, str]], *, indexed: bool = False) -> bytes:
    """*fields* as literals without Huffman coding (RFC 7541 §6.2); *indexed* keeps them in the table."""
    return b"".join(_literal(name.encode(), value.encode(), indexed=indexed) for name, value in fields)


def grpc_request(path: str) -> bytes:
    """The header block that every gRPC request begins with; more fields may be appended."""
    return header_block(
        (
            (":method", "POST"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        )
    )


def grpc_message(message: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A length-prefixed message; *length* is what the prefix says where that is not the truth."""
    said = len(message) if length is None else length
    return bytes((compressed,)) + said.to_bytes(4, "big") + message


def call(path: str, stream: int, message: bytes = b"") -> bytes:
    """A whole unary call with *message*."""
    return frame(Kind.HEADERS, grpc_request(path), stream=stream, flags=Flag.END_HEADERS) + frame(
        Kind.DATA, grpc_message(message), stream=stream, flags=Flag.END_STREAM
    )


def _literal(name: bytes, value: bytes, *, indexed: bool) -> bytes:
    return bytes((0x40 if indexed else 0x00,)) + _string(name) + _string(value)


def _string(octets: bytes) -> bytes:
    return _integer(len(octets)) + octets


def _integer(value: int) -> bytes:
    """With a prefix of 7 bits (RFC 7541 §5.1)."""
    if value < 0x7F:
        return bytes((value,))
    value -= 0x7F
    encoded = bytearray((0x7F,))
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
