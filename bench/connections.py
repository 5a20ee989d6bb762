"""How the load generator calls: over gRPC, with DPoP proofs, over HTTPS, and until a stream tells of it."""

import asyncio
import contextlib
import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import grpc
from countersign.v1 import introspection_service_pb2, token_service_pb2

from bench.proofs import Proofs

CALL_TIMEOUT = 20.0
"""Seconds that one call may take; one that takes longer is a failure."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

_WATCH = "/countersign.v1.IntrospectionService/WatchRevocations"


class Kind(StrEnum):
    """How a case calls.

    - `GRPC`: the request alone. - `DPOP`: with a fresh proof beside it.
    - `HTTPS`: HTTP/1.1, keep-alive, without a client certificate.
    - `REVOCATIONS`: a token id is revoked, and the call ends when a watcher of revocations has seen it.
    """

    GRPC = "grpc"
    DPOP = "dpop"
    HTTPS = "https"
    REVOCATIONS = "revocations"


class CallError(Exception):
    """A call failed; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to call and as whom. *method*: full gRPC name, or the path of HTTPS; the rest are PEM files."""

    address: str
    method: str
    authority: Path
    private_key: Path
    certificate: Path


class Connection(Protocol):
    """One connection, or as many as its calls need. It is opened before each window and closed after it."""

    async def open(self, calls: int, seconds: float) -> None:
        """Get ready for *seconds* with *calls* under way."""
        ...

    async def call(self, request: bytes) -> bytes:
        """Call once; the reply. Raises `CallError`."""
        ...

    async def close(self) -> None:
        """Let go of what `open` took."""
        ...


def channel(address: Address) -> grpc.aio.Channel:
    """A connection of its own with mutual TLS."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=address.authority.read_bytes(),
        private_key=address.private_key.read_bytes(),
        certificate_chain=address.certificate.read_bytes(),
    )
    options = (
        # Without it all channels to one address share one connection.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    )
    return grpc.aio.secure_channel(address.address, credentials, options)


class GrpcConnection:
    """Unary calls, octets in and octets out. The channel stays open between windows."""

    def __init__(self, address: Address) -> None:
        self.channel = channel(address)
        self._call: Any = self.channel.unary_unary(address.method)

    async def open(self, calls: int, seconds: float) -> None:
        """Nothing is needed: a channel connects with its first call."""

    async def call(self, request: bytes) -> bytes:
        """Call once. Raises `CallError`."""
        return await self.send(request, None)

    async def send(self, request: bytes, metadata: tuple[tuple[str, str], ...] | None) -> bytes:
        """Call once with *metadata*. Raises `CallError`."""
        try:
            reply: bytes = await self._call(request, timeout=CALL_TIMEOUT, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise CallError(f"{error.code().name}: {error.details()}") from error
        return reply

    async def close(self) -> None:
        """Nothing is let go."""


class DpopConnection(GrpcConnection):
    """Unary calls, each with a proof of one key for *target*, made before the window begins."""

    def __init__(self, address: Address, target: str) -> None:
        super().__init__(address)
        self._proofs = Proofs(target)

    async def open(self, calls: int, seconds: float) -> None:
        """Make the proofs."""
        del calls
        self._proofs.prepare(seconds)

    async def call(self, request: bytes) -> bytes:
        """Call once. Raises `CallError`."""
        return await self.send(request, (("dpop", self._proofs.take()),))


class RevocationConnection(GrpcConnection):
    """Revokes a new token id with each call, and waits until its own watcher has read of it.

    The loop is closed: each revocation follows a batch of the stream, just after the gateway looked for news.
    So what is measured is close to the longest that a revocation takes, and not the average.
    """

    def __init__(self, address: Address, watcher: Address) -> None:
        """*watcher*: the same place, as a resource server."""
        super().__init__(address)
        self._watching = channel(watcher)
        self._cursor = ""
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._stream: Any = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, calls: int, seconds: float) -> None:
        """Begin to watch where the last window ended."""
        del calls, seconds
        request = introspection_service_pb2.WatchRevocationsRequest(cursor=self._cursor)
        self._stream = self._watching.unary_stream(_WATCH)(request.SerializeToString())
        self._take(await self._stream.read())
        self._task = asyncio.create_task(self._watch())

    async def call(self, request: bytes) -> bytes:
        """Revoke, and wait. The reply is the id. Raises `CallError`."""
        del request
        token_id = uuid.uuid4().hex
        seen = self._waiting[token_id] = asyncio.get_running_loop().create_future()
        revoke = token_service_pb2.RevokeTokenRequest(token_id=token_id)
        await self.send(revoke.SerializeToString(), None)
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await seen
        except TimeoutError as error:
            raise CallError("A revocation did not arrive in the stream.") from error
        return token_id.encode()

    async def close(self) -> None:
        """Stop watching."""
        self._stream.cancel()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        reason = "The stream ended."
        try:
            while (batch := await self._stream.read()) is not grpc.aio.EOF:
                self._take(batch)
        except grpc.aio.AioRpcError as error:
            reason = f"The stream ended: {error.code().name}: {error.details()}"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(CallError(reason))
        self._waiting.clear()

    def _take(self, batch: bytes) -> None:
        response = introspection_service_pb2.WatchRevocationsResponse.FromString(batch)
        self._cursor = response.cursor
        for revocation in response.revocations:
            future = self._waiting.pop(revocation.token_id, None)
            if future is not None and not future.done():
                future.set_result(None)
