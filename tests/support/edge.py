"""The HTTPS edge of a running gateway, as httpx and raw sockets see it."""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest_asyncio
from countersign import (
    CertificateName,
    ClientSecretBasicAuth,
    ClientSecretPostAuth,
    GrantType,
    PrivateKeyJwtAuth,
    SelfSignedTlsClientAuth,
    TlsClientAuth,
)

from tests.support.assertions import jwks_of
from tests.support.gateway import ISSUER, RESOURCE, RunningGateway
from tests.support.pki import Issued, PrivateKey

TOKEN = "/oauth2/token"
INTROSPECT = "/oauth2/introspect"
REVOKE = "/oauth2/revoke"
FORM = {"content-type": "application/x-www-form-urlencoded"}
GRANTED = {
    "grant_types": [GrantType.CLIENT_CREDENTIALS],
    "scopes": ["read", "write"],
    "audiences": [RESOURCE, ISSUER],
    "default_audience": RESOURCE,
}


@dataclass(frozen=True)
class Edge:
    """Clients of one gateway's edge."""

    gateway: RunningGateway

    @property
    def port(self) -> int:
        """The port without client certificates."""
        port = self.gateway.server.ports.https
        assert port is not None
        return port

    @property
    def mtls_port(self) -> int:
        """The port with client certificates."""
        port = self.gateway.server.ports.https_mtls
        assert port is not None
        return port

    def context(self, identity: Issued | None = None) -> ssl.SSLContext:
        """A client's TLS: as *identity*, or as nobody."""
        context = ssl.create_default_context(cadata=self.gateway.root.pem.decode())
        if identity is not None:
            with TemporaryDirectory() as folder:
                context.load_cert_chain(*identity.write(Path(folder), "client"))
        return context

    def client(self, identity: Issued | None = None) -> httpx.AsyncClient:
        """An HTTP client: of the mutual-TLS port as *identity*, or of the other as nobody."""
        port = self.port if identity is None else self.mtls_port
        return httpx.AsyncClient(
            base_url=f"https://localhost:{port}", verify=self.context(identity), timeout=10, trust_env=False
        )

    async def post(self, path: str, *, identity: Issued | None = None, **options) -> httpx.Response:
        """One POST on a connection of its own."""
        async with self.client(identity) as client:
            return await client.post(path, **options)

    async def get(self, path: str, *, identity: Issued | None = None, **options) -> httpx.Response:
        """One GET on a connection of its own."""
        async with self.client(identity) as client:
            return await client.get(path, **options)

    @asynccontextmanager
    async def connection(
        self, identity: Issued | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare TLS connection, to which anything can be written."""
        port = self.port if identity is None else self.mtls_port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=self.context(identity), server_hostname="localhost"
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def raw(self, *octets: bytes, identity: Issued | None = None) -> bytes:
        """What comes back, until the end of the connection, for *octets* written as they are."""
        async with self.connection(identity) as (reader, writer), asyncio.timeout(10):
            for part in octets:
                writer.write(part)
                await writer.drain()
            try:
                return await reader.read(-1)
            except ConnectionError:
                return b""

    def cause(self, response: httpx.Response) -> tuple[str, str]:
        """The reason and the cause that were logged for the request answered with *response*."""
        request_id = response.headers["x-request-id"]
        (record,) = [each for each in self.gateway.log.records if each.request_id == request_id]
        return record.reason, record.cause

    async def admitted(self, identity: Issued) -> None:
        """Wait until the mutual-TLS listener lets *identity* through."""
        async with asyncio.timeout(10):
            while True:
                try:
                    await self.get("/healthz", identity=identity)
                except (httpx.TransportError, ssl.SSLError):
                    continue
                return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(shared: RunningGateway) -> Edge:
    """The edge of the module's gateway."""
    return Edge(shared)


async def register(admin, name: str, authentication=None, **fields) -> str | None:
    """Register a client that may have tokens for `RESOURCE`; its secret, if it has one.

    Without *authentication* it authenticates with a certificate for the DNS name ``NAME.example.org``.
    """
    known = TlsClientAuth(CertificateName.SAN_DNS, f"{name}.example.org")
    created = await admin.create_client(name, authentication=authentication or known, **{**GRANTED, **fields})
    return created.client_secret


async def register_basic(admin, name: str, **fields) -> str:
    """A client by secret in the header; the secret."""
    return await register(admin, name, ClientSecretBasicAuth(), **fields) or ""


async def register_post(admin, name: str, **fields) -> str:
    """A client by secret in the body; the secret."""
    return await register(admin, name, ClientSecretPostAuth(), **fields) or ""


async def register_key(admin, name: str, key: PrivateKey, **fields) -> None:
    """A client by assertions signed with *key*."""
    await register(admin, name, PrivateKeyJwtAuth(jwks_of(key).decode()), **fields)


async def register_certificates(admin, name: str, certificates: Sequence[Issued], **fields) -> None:
    """A client by *certificates* of its own."""
    await register(admin, name, SelfSignedTlsClientAuth(tuple(each.der for each in certificates)), **fields)


def leaf(gateway: RunningGateway, name: str) -> Issued:
    """The certificate of a client of `register`."""
    return gateway.root.leaf(dns=(f"{name}.example.org",))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on.

    From below those that systems give to outgoing connections, one of which could take such a port before its
    server binds it.
    """
    ports: list[int] = []
    for port in random.sample(range(10_000, 32_000), 2_000):
        if len(ports) == count:
            break
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports
