"""Real servers on loopback whose answers a test writes: HTTP by routes or by a script, and DNS by records.

async with ScriptedServer(tls=server_context(authority.server("idp.example.test"))) as server:
    server.routes["/keys"] = reply(body=b"{}")
    ... f"https://idp.example.test:{server.port}/keys" ...
    server.requests[0].target, server.server_names
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypeAlias

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.support.pki import Issued


@dataclass(frozen=True)
class Received:
    """One request as it arrived; field names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


Script: TypeAlias = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]
Answer: TypeAlias = bytes | Callable[[Received], bytes] | Script


def reply(
    status: int = 200,
    body: bytes = b"{}",
    *,
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole HTTP/1.1 response with its Content-Length."""
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """A redirect to *location*."""
    return reply(status, b"", headers={"Location": location})


def server_context(issued: Issued) -> ssl.SSLContext:
    """A server's TLS context with the certificate of *issued*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        certificate, key = issued.write(Path(folder), "server")
        context.load_cert_chain(certificate, key)
    return context


@dataclass
class ScriptedServer:
    """Serves `routes`, by path; anything else is 404. Every connection carries one request."""

    tls: ssl.SSLContext | None = None
    routes: dict[str, Answer] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        if self.tls is not None:
            self.tls.sni_callback = lambda _, name, __: self.server_names.append(name)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _receive(reader)
        self.requests.append(request)
        answer = self.routes.get(request.target.partition("?")[0], reply(404))
        outcome: Any = answer(request, writer) if asyncio.iscoroutinefunction(answer) else answer
        if asyncio.iscoroutine(outcome):
            await outcome
        else:
            writer.write(outcome if isinstance(outcome, bytes) else outcome(request))
        await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)


@dataclass
class ScriptedDns(asyncio.DatagramProtocol):
    """A nameserver on loopback, UDP: `records` maps (name without the last dot, type) to record texts.

    A name that is listed under no type does not exist. `failing` names are answered with SERVFAIL, `silent`
    ones not at all. `asked` lists the questions.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    failing: set[tuple[str, str]] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: tuple[str, int] = ("", 0)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.address = self._transport.get_extra_info("sockname")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype))
        self.asked.append(key)
        if key[0] in self.silent:
            return
        response = dns.message.make_response(query)
        if key in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif key in self.records:
            response.answer.append(
                dns.rrset.from_text_list(question.name, 1, "IN", key[1], self.records[key])
            )
        elif not any(name == key[0] for name, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(max_size=65_535), addr)
