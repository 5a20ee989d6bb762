"""A running gateway's ACME door, and a client of it that can break any part of a request.

async with acme_gateway(tmp_path) as served, served.client("tls") as client:
    await client.register()
    order = await client.post(f"{client.base}/new-order", {"identifiers": [...]})
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway import application
from gateway.clock import Clock, system_clock
from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from gateway.jose import base64url
from signers import Algorithm, PublicKey
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from softhsm.provision import provision
from tests.support.dpop import OMIT, Prover
from tests.support.edge import Edge, free_ports
from tests.support.gateway import CALLERS, RunningGateway, make_key, running_gateway
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, Issued, pem
from tests.support.wire import TARGET, prover

BACKEND = "spiffe://example.org/backend"
TERMS = "https://ca.example.org/terms"
JOSE = {"content-type": "application/jose+json"}
_IDP = "https://idp.example.org"
_PURPOSES = {
    "tokens": "tokens",
    "ca": "certificates",
    "minter": "client-access-tokens",
    "ocsp": "ocsp-responses",
}


@dataclass
class AcmeClient:
    """A client of one provisioner with one key. Every nonce that it is given is used next, as clients do."""

    http: httpx.AsyncClient
    base: str
    prover: Prover
    kid: str | None = None
    nonce: str | None = None

    async def fresh(self) -> str:
        """A nonce of new-nonce."""
        response = await self.http.head(f"{self.base}/new-nonce")
        nonce: str = response.headers["replay-nonce"]
        return nonce

    def jws(
        self, url: str, payload: Mapping[str, Any] | bytes | None, header: Mapping[str, Any]
    ) -> dict[str, str]:
        """A flattened JWS; *header* replaces the right values, or leaves them out with `OMIT`."""
        named = {"jwk": dict(self.prover.jwk)} if self.kid is None else {"kid": self.kid}
        members = {"alg": self.prover.alg, "typ": "JWT", "url": url, **named, **header}
        octets = payload if isinstance(payload, bytes) else b""
        if isinstance(payload, Mapping):
            octets = json.dumps(payload).encode()
        kept = {name: value for name, value in members.items() if value is not OMIT}
        compact = self.prover.signed(json.dumps(kept).encode(), octets)
        return dict(zip(("protected", "payload", "signature"), compact.split("."), strict=True))

    async def post(
        self, url: str, payload: Mapping[str, Any] | bytes | None = None, /, **header: Any
    ) -> httpx.Response:
        """POST *payload*, or POST-as-GET without one; *header* as in `jws`."""
        nonce, self.nonce = self.nonce or await self.fresh(), None
        return await self.send(url, self.jws(url, payload, {"nonce": nonce} | header))

    async def send(
        self, url: str, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """POST *body* as it is."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await self.http.post(url, content=octets, headers=dict(headers or JOSE))
        self.nonce = response.headers.get("replay-nonce")
        return response

    async def register(self, **payload: Any) -> httpx.Response:
        """Make the account; its URL is taken from its orders, as Wire's clients do."""
        response = await self.post(f"{self.base}/new-account", {"termsOfServiceAgreed": True} | payload)
        if response.is_success:
            self.kid = response.json()["orders"].removesuffix("/orders")
        return response

    async def order(self, *identifiers: tuple[str, str], **more: Any) -> httpx.Response:
        """Make an order."""
        listed = [{"type": kind, "value": value} for kind, value in identifiers]
        return await self.post(f"{self.base}/new-order", {"identifiers": listed} | more)


@dataclass(frozen=True)
class AcmeGateway:
    """A gateway with the provisioners ``wire``, ``tls`` and ``bound``, the last for known accounts only."""

    gateway: RunningGateway
    root: x509.Certificate
    backend: Issued
    port: int

    @property
    def edge(self) -> Edge:
        """Its edge."""
        return Edge(self.gateway)

    def base(self, provisioner: str) -> str:
        """What the provisioner's URLs begin with."""
        return f"https://localhost:{self.port}/acme/{provisioner}"

    @asynccontextmanager
    async def client(self, provisioner: str = "tls", key: Prover | None = None) -> AsyncIterator[AcmeClient]:
        """A client with a key of its own, without an account yet."""
        async with self.edge.client() as http:
            yield AcmeClient(http, self.base(provisioner), key or prover("ES256"))


@asynccontextmanager
async def acme_gateway(
    folder: Path,
    *,
    oidc_issuer: str = _IDP,
    oidc_root: Authority | None = None,
    http_port: int | None = None,
    ca: str = "file",
    ca_algorithm: Algorithm = Algorithm.ES256,
    names: Sequence[str] = ("www.example.org",),
    clock: Clock = system_clock,
    database_url: str | None = None,
    rate_limits: Sequence[Mapping[str, Any]] = (),
) -> AsyncIterator[AcmeGateway]:
    """Serve until the end of the block, with the rules *rate_limits*.

    *ca* is ``file`` or ``softhsm``. Validations of *names* lead to 127.0.0.1, and port 80 there to
    *http_port*; the provider at ``localhost`` has its certificate from *oidc_root*.
    """
    uris = {name: make_key(folder, name) for name in _PURPOSES if name != "ca"}
    root, port = Authority.root(), free_ports(1)[0]
    door = DangerousLoopbackDoor(
        frozenset({"localhost", *names}),
        None if oidc_root is None else oidc_root.pem.decode(),
        {} if http_port is None else {80: http_port},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "GuardedClient", partial(GuardedClient, door=door))
        uris["ca"], public_key = await ca_key(folder, ca, ca_algorithm, patch)
        now = datetime.now(UTC).replace(microsecond=0)
        (folder / "chain.pem").write_bytes(pem(ca_certificate(public_key, root, now)))
        (folder / "nonce.secret").write_bytes(os.urandom(32))
        async with running_gateway(
            folder,
            clock=clock,
            database_url=database_url,
            server={"https_address": f"127.0.0.1:{port}"},
            callers=[*CALLERS, {"san_uri": BACKEND, "roles": ["enroller"]}],
            keys=[
                {
                    "purpose": purpose,
                    "algorithm": (ca_algorithm if name == "ca" else Algorithm.ES256).value,
                    "uri": uris[name],
                }
                for name, purpose in _PURPOSES.items()
            ],
            enrollment={"nonce_secrets": ["nonce.secret"], "client_token_target": TARGET},
            provisioners=_provisioners(f"https://localhost:{port}/acme", oidc_issuer),
            rate_limits=list(rate_limits),
        ) as gateway:
            backend = gateway.root.leaf("backend", uris=(BACKEND,))
            yield AcmeGateway(gateway, root.certificate, backend, port)


@asynccontextmanager
async def replica_of(served: AcmeGateway) -> AsyncIterator[AcmeGateway]:
    """Another gateway with the configuration and the database of *served*; clients know both by one URL."""
    prepared = served.gateway.prepared
    server = prepared.settings.server.model_copy(update={"https_address": "127.0.0.1:0"})
    settings = prepared.settings.model_copy(update={"server": server})
    async with running_gateway(prepared.folder, prepared=replace(prepared, settings=settings)) as gateway:
        yield replace(served, gateway=gateway)


def through(client: AcmeClient, served: AcmeGateway) -> AcmeClient:
    """*client*, whose requests a load balancer leads to *served*. Its HTTP client is to be closed."""

    async def lead(request: httpx.Request) -> None:
        request.url = request.url.copy_with(port=served.edge.port)

    http = httpx.AsyncClient(
        verify=served.edge.context(), timeout=10, trust_env=False, event_hooks={"request": [lead]}
    )
    return replace(client, http=http, nonce=None)


def _provisioners(base: str, oidc_issuer: str) -> list[Mapping[str, Any]]:
    domains = {
        "kind": "tls",
        "chain": "chain.pem",
        "challenges": ["http-01", "dns-01", "tls-alpn-01"],
        "domains": ["example.org"],
        "wildcards": True,
        "ip_networks": ["127.0.0.0/8", "192.0.2.0/24"],
        "default_lifetime": 86_400,
    }
    wire = {
        "name": "wire",
        "url": f"{base}/wire",
        "chain": "chain.pem",
        "challenges": ["wire-oidc-01", "wire-dpop-01"],
        "domains": ["wire.com"],
        "default_lifetime": 86_400,
        "oidc_issuer": oidc_issuer,
        "oidc_client_id": "wireapp",
        "dpop_target": TARGET,
    }
    bound = {"name": "bound", "url": f"{base}/bound", "external_account_required": True, "terms_url": TERMS}
    return [wire, {"name": "tls", "url": f"{base}/tls"} | domains, domains | bound]


async def ca_key(
    folder: Path, kind: str, algorithm: Algorithm, patch: pytest.MonkeyPatch
) -> tuple[str, PublicKey]:
    """The URI of the CA's key, and its public key."""
    if kind == "file":
        uri = make_key(folder, "ca", algorithm)
        private = load_pem_private_key((folder / "keys" / "ca.pem").read_bytes(), None)
        return uri, private.public_key()  # type: ignore[return-value]  # A key that signs.
    token = await asyncio.to_thread(provision, folder / "hsm", token="gateway", keys=[f"ca:{algorithm}"])
    for name, value in token.environment.items():
        patch.setenv(name, value)
    async with SignerRegistry(pkcs11=Pkcs11Options()) as registry:
        signer = await registry.open(token.uri("ca"), algorithm)
        return token.uri("ca"), signer.public_key


def dns_request(*names: str) -> bytes:
    """The DER of a certification request for DNS *names*, by a fresh key."""
    return named_request(ec.generate_private_key(ec.SECP256R1()), *names)


def named_request(key: Any, *names: str) -> bytes:
    """The same, by *key*."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def encoded(octets: bytes) -> str:
    """base64url, as payloads carry it."""
    return base64url.encode(octets)


class KeyAuthorizations:
    """A web server on loopback, whose paths are tokens (RFC 8555 §8.3). It holds what clients put there."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        token = head.split(" ")[1].removeprefix("/.well-known/acme-challenge/")
        body = self.answers.get(token)
        status = "404 Not Found" if body is None else "200 OK"
        text = (body or "").encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()
