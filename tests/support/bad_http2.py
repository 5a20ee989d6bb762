"""Attacks with HTTP/2 frames, on the gRPC listeners."""

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from tests.support.bad_clients import Attack, Door, DoorKind, Struck, ended, hold
from tests.support.http2_frames import (
    CANCEL,
    PREFACE,
    Flag,
    Kind,
    call,
    frame,
    grpc_message,
    grpc_request,
    header_block,
    settings,
)

JWKS: Final = "/countersign.v1.TokenService/GetJwks"
WATCH: Final = "/countersign.v1.IntrospectionService/WatchRevocations"
_STREAMS: Final = 200
"""Fewer than a connection may have."""
_BURST: Final = 100
_MIB: Final = 2**20


@asynccontextmanager
async def connected(
    door: Door, *, reads: bool = True, window: int = 65_535
) -> AsyncIterator[tuple[asyncio.StreamWriter, "asyncio.Task[None]"]]:
    """A connection after the preface, and the task that reads what comes, until the other side ends.

    Pings and settings are not acknowledged. Without *reads* nothing is read at all.
    """
    reader, writer = await door.secure()
    async with ended(writer):
        writer.write(PREFACE + settings(window=window))
        reading = asyncio.create_task(hold(reader) if reads else _forever())
        try:
            yield writer, reading
        finally:
            reading.cancel()


async def _forever() -> None:
    await asyncio.Event().wait()


async def _send_all(
    writer: asyncio.StreamWriter, reading: "asyncio.Task[None]", parts: Iterator[bytes], struck: Struck
) -> None:
    """Send *parts* as fast as they are taken, until the other side ends."""
    for part in parts:
        if reading.done():
            return
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(struck.pause)


def _streams() -> Iterator[int]:
    """Stream ids of a client (RFC 9113 §5.1.1)."""
    return iter(range(1, 2**31, 2))


async def slow_reader(door: Door, struck: Struck) -> None:
    """Ask for many replies with a window of nothing, and never open it."""
    async with connected(door, window=0) as (writer, reading):
        for stream in itertools.islice(_streams(), _STREAMS):
            writer.write(call(JWKS, stream))
            struck()
        await writer.drain()
        await reading


async def slow_watcher(door: Door, struck: Struck) -> None:
    """Watch revocations on many streams and read none."""
    async with connected(door, window=0) as (writer, reading):
        for stream in itertools.islice(_streams(), 20):
            writer.write(call(WATCH, stream))
            struck()
        await writer.drain()
        await reading


async def half_open(door: Door, struck: Struck) -> None:
    """Call, and be gone without a word, as behind a network that drops everything."""
    async with connected(door, reads=False) as (writer, reading):
        for stream in itertools.islice(_streams(), _STREAMS):
            writer.write(call(JWKS, stream))
            struck()
        await writer.drain()
        await reading


async def rapid_reset(door: Door, struck: Struck) -> None:
    """Cancel each call right behind its beginning (CVE-2023-44487)."""

    def bursts() -> Iterator[bytes]:
        streams = _streams()
        while True:
            struck(_BURST)
            yield b"".join(
                call(JWKS, stream) + frame(Kind.RST_STREAM, CANCEL, stream=stream)
                for stream in itertools.islice(streams, _BURST)
            )

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, bursts(), struck)


async def begun_calls(door: Door, struck: Struck) -> None:
    """Begin thousands of calls and send no message."""
    async with connected(door) as (writer, reading):
        for stream in itertools.islice(_streams(), 2_000):
            if reading.done():
                return
            writer.write(frame(Kind.HEADERS, grpc_request(JWKS), stream=stream, flags=Flag.END_HEADERS))
            struck()
        await writer.drain()
        await reading


async def endless_head(door: Door, struck: Struck) -> None:
    """A header block that goes on in CONTINUATION frames for ever (CVE-2024-27316)."""

    def parts() -> Iterator[bytes]:
        yield frame(Kind.HEADERS, grpc_request(JWKS), stream=1)
        block = header_block([("x-more", "a" * 8_000)] * 2)
        while True:
            struck()
            yield frame(Kind.CONTINUATION, block, stream=1)

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def empty_continuations(door: Door, struck: Struck) -> None:
    """The same with frames that carry nothing."""

    def parts() -> Iterator[bytes]:
        yield frame(Kind.HEADERS, grpc_request(JWKS), stream=1)
        while True:
            struck(_BURST)
            yield frame(Kind.CONTINUATION, stream=1) * _BURST

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def many_fields(door: Door, struck: Struck) -> None:
    """Calls with a thousand header fields each, below the limit of octets where names are counted alone."""
    block = grpc_request(JWKS) + header_block((f"x{number}", "") for number in range(2_000))

    def parts() -> Iterator[bytes]:
        for stream in _streams():
            struck()
            yield frame(Kind.HEADERS, block[:16_384], stream=stream) + frame(
                Kind.CONTINUATION, block[16_384:], stream=stream, flags=Flag.END_HEADERS
            )

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def table_bomb(door: Door, struck: Struck) -> None:
    """One large field in the table, then two thousand references of one octet (RFC 7541 §7.3)."""
    large = header_block((("x-large", "a" * 3_900),), indexed=True)
    reference = b"\xbe"  # The newest entry, 62.

    def parts() -> Iterator[bytes]:
        for stream in _streams():
            struck()
            block = grpc_request(JWKS) + large + reference * 2_000
            yield frame(Kind.HEADERS, block, stream=stream, flags=Flag.END_HEADERS | Flag.END_STREAM)

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def control_flood(door: Door, struck: Struck, burst: bytes) -> None:
    """The same frames for ever."""

    def parts() -> Iterator[bytes]:
        while True:
            struck(_BURST)
            yield burst

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def pings(door: Door, struck: Struck) -> None:
    """PING frames, each of which wants an answer (CVE-2019-9512)."""
    await control_flood(door, struck, frame(Kind.PING, bytes(8)) * _BURST)


async def settings_frames(door: Door, struck: Struck) -> None:
    """SETTINGS frames, each of which wants an answer (CVE-2019-9515)."""
    await control_flood(door, struck, settings(window=65_535) * _BURST)


async def unread_settings(door: Door, struck: Struck) -> None:
    """The same, and no answer is read, so that answers pile up."""

    def parts() -> Iterator[bytes]:
        while True:
            struck(_BURST)
            yield settings(window=65_535) * _BURST

    async with connected(door, reads=False) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def window_updates(door: Door, struck: Struck) -> None:
    """WINDOW_UPDATE frames, until the window cannot grow any further, and anew."""
    await control_flood(door, struck, frame(Kind.WINDOW_UPDATE, (1).to_bytes(4, "big")) * _BURST)


async def empty_data(door: Door, struck: Struck) -> None:
    """DATA frames without data, which no window bounds (CVE-2019-9518)."""

    def parts() -> Iterator[bytes]:
        yield frame(Kind.HEADERS, grpc_request(JWKS), stream=1, flags=Flag.END_HEADERS)
        while True:
            struck(_BURST)
            yield frame(Kind.DATA, stream=1) * _BURST

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, parts(), struck)


async def dribble(door: Door, struck: Struck) -> None:
    """Messages of 4 MiB, sent octet by octet."""
    async with connected(door) as (writer, reading):
        streams = list(itertools.islice(_streams(), 20))
        for stream in streams:
            writer.write(frame(Kind.HEADERS, grpc_request(JWKS), stream=stream, flags=Flag.END_HEADERS))
            writer.write(frame(Kind.DATA, grpc_message(b"", length=4 * _MIB), stream=stream))
        while not reading.done():
            for stream in streams:
                writer.write(frame(Kind.DATA, b"\0", stream=stream))
            struck(len(streams))
            await writer.drain()
            await asyncio.sleep(0.02)


async def oversize(door: Door, struck: Struck) -> None:
    """Messages whose prefix says that they have a gibibyte."""

    def parts() -> Iterator[bytes]:
        head = grpc_message(bytes(16_000), length=2**30)
        for stream in _streams():
            struck()
            yield frame(Kind.HEADERS, grpc_request(JWKS), stream=stream, flags=Flag.END_HEADERS) + frame(
                Kind.DATA, head, stream=stream
            )

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, itertools.islice(parts(), _STREAMS), struck)


async def zip_bomb(door: Door, struck: Struck) -> None:
    """Messages of 16 KiB that unpack to 16 MiB."""
    bomb = grpc_message(gzip.compress(bytes(15 * _MIB), 9)[:16_000], compressed=True)
    block = grpc_request(JWKS) + header_block((("grpc-encoding", "gzip"),))

    def parts() -> Iterator[bytes]:
        for stream in _streams():
            struck()
            yield frame(Kind.HEADERS, block, stream=stream, flags=Flag.END_HEADERS) + frame(
                Kind.DATA, bomb, stream=stream, flags=Flag.END_STREAM
            )

    async with connected(door) as (writer, reading):
        await _send_all(writer, reading, itertools.islice(parts(), _STREAMS), struck)


_GRPC: Final = (DoorKind.GRPC,)

ATTACKS: Final = (
    Attack("slow_reader", "replies that are not read: window 0", _GRPC, slow_reader, 3),
    Attack("slow_watcher", "revocations that are not read", (DoorKind.GRPC_MTLS,), slow_watcher, 10),
    Attack("half_open", "peers that are gone without a word", _GRPC, half_open, 3),
    Attack("rapid_reset", "calls that are reset at once", _GRPC, rapid_reset, 2),
    Attack("begun_calls", "calls that are begun by the thousand", _GRPC, begun_calls, 3),
    Attack("endless_head", "CONTINUATION without end", _GRPC, endless_head, 2),
    Attack("empty_continuations", "CONTINUATION without content", _GRPC, empty_continuations, 2),
    Attack("many_fields", "thousands of header fields", _GRPC, many_fields, 2),
    Attack("table_bomb", "an HPACK bomb", _GRPC, table_bomb, 2),
    Attack("pings", "a flood of PING", _GRPC, pings, 2),
    Attack("settings", "a flood of SETTINGS", _GRPC, settings_frames, 2),
    Attack("unread_settings", "the same, answers unread", _GRPC, unread_settings, 2),
    Attack("window_updates", "a flood of WINDOW_UPDATE", _GRPC, window_updates, 2),
    Attack("empty_data", "DATA without data", _GRPC, empty_data, 2),
    Attack("dribble", "messages octet by octet", _GRPC, dribble, 10),
    Attack("oversize", "messages of a gibibyte", _GRPC, oversize, 2),
    Attack("zip_bomb", "messages that unpack a thousandfold", _GRPC, zip_bomb, 2),
)
