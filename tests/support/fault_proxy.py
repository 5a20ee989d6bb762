"""A proxy on loopback in front of a real service, whose requests for signatures can be made to go wrong."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from tests.support.scripted_server import Received, ScriptedServer, _receive, reply

Forward: TypeAlias = Callable[[], Awaitable[bytes]]
Fault: TypeAlias = Callable[[Forward], Awaitable[bytes | None]]
"""Answers a request: with bytes, or by a closed connection for None. It may forward the request itself."""

_NO_ROOTS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The services speak HTTP; reading all roots for each request would take longer than the request."""


@dataclass
class FaultProxy(ScriptedServer):
    """Forwards everything to `upstream`, except that requests for signatures meet `faults`, one each, and
    then `always` where that is set. `signing` counts requests for signatures.
    """

    upstream: str = ""
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    signing: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _receive(reader)
        self.requests.append(request)
        fault = None
        if is_signing(request):
            self.signing += 1
            fault = self.faults.pop(0) if self.faults else self.always

        async def forward() -> bytes:
            return await self._forward(request)

        answer = await forward() if fault is None else await fault(forward)
        if answer is not None:
            # One connection carries one request: said, so that no client uses it for a second.
            writer.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            await writer.drain()

    async def _forward(self, request: Received) -> bytes:
        # The Host that was signed stays (AWS Signature Version 4).
        headers = {name: value for name, value in request.headers.items() if name != "connection"}
        async with httpx.AsyncClient(trust_env=False, verify=_NO_ROOTS) as client:
            response = await client.request(
                request.method, self.upstream + request.target, headers=headers, content=request.body
            )
        kept = {name: value for name, value in response.headers.items() if name.startswith("x-amzn")}
        return reply(response.status_code, response.content, headers=kept)


def is_signing(request: Received) -> bool:
    """Whether *request* asks AWS, Google or Azure for a signature."""
    return (
        request.headers.get("x-amz-target", "").endswith(".Sign")
        or request.target.endswith(":asymmetricSign")
        or request.target.partition("?")[0].endswith("/sign")
    )


def answering(status: int, body: object, headers: dict[str, str] | None = None) -> Fault:
    """The service is not asked; this is the answer."""

    async def fault(_: Forward) -> bytes:
        return reply(status, json.dumps(body).encode(), headers=headers)

    return fault


def altering(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The service's answer, its JSON changed on the way."""

    async def fault(forward: Forward) -> bytes:
        head, _, body = (await forward()).partition(b"\r\n\r\n")
        members = json.loads(body)
        change(members)
        return reply(int(head.split()[1]), json.dumps(members).encode())

    return fault


def holding(release: asyncio.Event) -> Fault:
    """The service's answer, but not before *release*."""

    async def fault(forward: Forward) -> bytes:
        await release.wait()
        return await forward()

    return fault


async def cut_before(_: Forward) -> None:
    """The connection ends before the service sees the request."""


async def cut_after(forward: Forward) -> None:
    """The service answers, and its answer is lost."""
    await forward()


async def garbled(_: Forward) -> bytes:
    """An answer that is no JSON, as from a broken load balancer."""
    return reply(200, b"<html>")
