"""Keys, documents, JWTs and a loopback host for tests of DIDs and linked domains."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.dids import DidError, DidFault
from gateway.fetching import Address, DangerousLoopbackDoor, FetchError, FetchFault, GuardedClient
from gateway.jose import base64url
from signers import Algorithm
from signers.jose_form import der_to_raw, public_jwk
from tests.support.pki import Authority
from tests.support.scripted_server import ScriptedServer, server_context

HOST = "issuer.example.test"
VECTORS = Path(__file__).parent.parent / "vectors"
ION = json.loads((VECTORS / "did_ion.json").read_text())
KEYS = json.loads((VECTORS / "did_key.json").read_text())

CURVES = {
    Algorithm.ES256: ec.SECP256R1(),
    Algorithm.ES384: ec.SECP384R1(),
    Algorithm.ES512: ec.SECP521R1(),
    Algorithm.ES256K: ec.SECP256K1(),
}


@dataclass
class TestSigner:
    """A `signers.Signer` on a key in memory, which can be made to fail, or to wait for *gate*."""

    __test__ = False

    algorithm: Algorithm
    key: Any = None
    error: Exception | None = None
    signed: int = 0
    gate: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    key_id: str = "test"

    def __post_init__(self) -> None:
        if self.key is None and self.algorithm is Algorithm.EDDSA:
            self.key = ed25519.Ed25519PrivateKey.generate()
        elif self.key is None:
            self.key = ec.generate_private_key(CURVES[self.algorithm])

    @property
    def public_key(self) -> Any:
        """The public half."""
        return self.key.public_key()

    @property
    def jwk(self) -> dict[str, str]:
        """The required members of the public JWK."""
        return public_jwk(self.public_key)

    def raw(self, message: bytes) -> bytes:
        """The signature in JOSE form, without failing."""
        spec = self.algorithm.spec
        if spec.hash_algorithm is None or spec.signature_size is None:
            signature: bytes = self.key.sign(message)
            return signature
        return der_to_raw(self.key.sign(message, ec.ECDSA(spec.hash_algorithm)), spec.signature_size)

    async def sign(self, message: bytes) -> bytes:
        """Sign, or raise what the test asked for."""
        self.signed += 1
        if self.gate is not None:
            self.asked.set()
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.raw(message)

    async def sign_many(self, messages: Any) -> Any:
        """Sign each."""
        return [await self.sign(message) for message in messages]

    async def check(self) -> None:
        """Nothing to check."""


def jwt(signer: TestSigner, header: Mapping[str, Any], payload: Any) -> str:
    """A compact JWS of any header and payload; a payload of octets is taken as it is."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signing_input = f"{base64url.encode(json.dumps(header).encode())}.{base64url.encode(body)}"
    return f"{signing_input}.{base64url.encode(signer.raw(signing_input.encode()))}"


def method_entry(did: str, fragment: str, jwk: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    """A verification method as JSON members."""
    entry = {"id": f"{did}#{fragment}", "type": "JsonWebKey2020", "controller": did}
    return entry | {"publicKeyJwk": dict(jwk)} | other


def document(did: str, *methods: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    """A document whose methods are all listed under authentication and assertionMethod."""
    ids = [method["id"] for method in methods]
    base = {"id": did, "verificationMethod": list(methods), "authentication": ids, "assertionMethod": ids}
    return base | other


@dataclass
class SettableClock:
    """A clock that a test sets."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class NoDns:
    """Fails every question; *addresses_of* answers the names in it."""

    addresses_of: dict[str, tuple[Address, ...]] = field(default_factory=dict)

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """The addresses that the test gave, or a failure."""
        if host in self.addresses_of:
            return self.addresses_of[host]
        raise FetchError(FetchFault.DNS_FAILED, "this test needs no DNS", host=host)


@dataclass
class WebHost:
    """An HTTPS server on loopback under `HOST`, and the client that may reach it."""

    server: ScriptedServer
    client: GuardedClient
    dns: NoDns

    @property
    def origin(self) -> str:
        """The origin as a URL."""
        return f"https://{HOST}:{self.server.port}"

    @property
    def did(self) -> str:
        """The did:web of the origin."""
        return f"did:web:{HOST}%3A{self.server.port}"


@asynccontextmanager
async def web_host() -> AsyncIterator[WebHost]:
    """Run a `WebHost`."""
    authority = Authority.root("DID Root")
    async with ScriptedServer(tls=server_context(authority.server(HOST))) as server:
        door = DangerousLoopbackDoor(names=frozenset({HOST}), ca_pem=authority.pem.decode())
        dns = NoDns()
        yield WebHost(server, GuardedClient(dns, door=door), dns)


class refuses:  # noqa: N801 - reads as a phrase: with refuses(DidFault.X).
    """Expects a `DidError` with exactly this fault."""

    def __init__(self, fault: DidFault) -> None:
        self.fault = fault
        self.error: DidError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, DidError):
            if error is not None:
                return False
            raise AssertionError(f"nothing was refused; expected {self.fault}")
        assert error.fault is self.fault, error
        self.error = error
        return True
