"""The double on two listeners, and both clients behind one face."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from countersign import GatewayClient, RetryPolicy, SyncGatewayClient, TlsConfig

from tests.clients.gateway_double import GatewayDouble
from tests.support.pki import Authority, Issued

FAST = RetryPolicy(initial_backoff=0.001, max_backoff=0.002)


@dataclass(frozen=True)
class Pki:
    """The certificates of a gateway and of a client, and the authority that both trust."""

    root: Authority
    server: Issued
    client: Issued


@dataclass(frozen=True)
class Listeners:
    """Where the double listens."""

    tls: str
    mtls: str


class Both:
    """Either client; every method is awaited, and a list comes as a list."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            if isinstance(self.client, SyncGatewayClient):
                return await asyncio.to_thread(_drained, method, *arguments, **named)
            answer = method(*arguments, **named)
            return await answer if inspect.isawaitable(answer) else [each async for each in answer]

        return call


def _drained(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    answer = method(*arguments, **named)
    return list(answer) if inspect.isgenerator(answer) else answer


@pytest.fixture(scope="session")
def pki() -> Pki:
    root = Authority.root()
    return Pki(root, root.server(), root.leaf("billing"))


@pytest.fixture
def double() -> GatewayDouble:
    return GatewayDouble()


@pytest.fixture
async def listeners(double: GatewayDouble, pki: Pki) -> AsyncIterator[Listeners]:
    server = grpc.aio.server()
    double.add_to(server)
    pair = [(pki.server.key_pem, pki.server.chain_pem)]
    tls = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair))
    mutual = grpc.ssl_server_credentials(pair, pki.root.pem, require_client_auth=True)
    mtls = server.add_secure_port("127.0.0.1:0", mutual)
    await server.start()
    yield Listeners(f"127.0.0.1:{tls}", f"127.0.0.1:{mtls}")
    await server.stop(None)


@pytest.fixture
def tls(pki: Pki) -> TlsConfig:
    return TlsConfig(ca=pki.root.pem)


@pytest.fixture
def mutual_tls(pki: Pki) -> TlsConfig:
    return TlsConfig(ca=pki.root.pem, certificate=pki.client.chain_pem, private_key=pki.client.key_pem)


@pytest.fixture(params=["async", "sync"])
def connect(
    request, listeners: Listeners, tls: TlsConfig
) -> Callable[..., AbstractAsyncContextManager[Both]]:
    """A function that opens either client; it takes their constructor's arguments."""

    @asynccontextmanager
    async def opened(target: str = listeners.tls, **options: Any) -> AsyncIterator[Both]:
        options = {"tls": tls, "retry": FAST, **options}
        if request.param == "async":
            async with GatewayClient(target, **options) as client:
                yield Both(client)
        else:
            with SyncGatewayClient(target, **options) as client:
                yield Both(client)

    return opened


@pytest.fixture
async def client(connect) -> AsyncIterator[Both]:
    """Either client on the TLS listener."""
    async with connect() as opened:
        yield opened
