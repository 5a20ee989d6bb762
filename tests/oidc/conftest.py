"""A scripted provider whose every answer a test can break, and a clock that a test can set."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.fetching import Address, DangerousLoopbackDoor, FetchError, FetchFault, GuardedClient
from gateway.jose.jws import assemble, encode_header, signing_input
from gateway.oidc import Provider, ProviderConfig
from signers import Algorithm
from signers.jose_form import public_jwk, thumbprint
from tests.support.pki import Authority
from tests.support.scripted_server import ScriptedServer, reply, server_context

HOST = "idp.example.test"
CLIENT_ID = "wireapp"
NOW = 1_800_000_000


class NoResolver:
    async def addresses(self, host: str) -> tuple[Address, ...]:
        raise FetchError(FetchFault.DNS_FAILED, "these tests need no DNS", host=host)


@dataclass
class SettableClock:
    """Seconds since the epoch, as a test sets them."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


class SigningKey:
    """A P-256 key of the provider."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.kid = thumbprint(self.private.public_key())
        self.jwk = {**public_jwk(self.private.public_key()), "kid": self.kid, "use": "sig", "alg": "ES256"}

    async def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    async def token(self, claims: dict[str, Any], *, typ: str | None = "JWT", kid: str | None = "own") -> str:
        """A compact JWS of *claims* by this key."""
        header = encode_header(Algorithm.ES256, self.kid if kid == "own" else kid, typ)
        octets = signing_input(header, json.dumps(claims).encode())
        return assemble(octets, await self.sign(octets))


@dataclass
class ScriptedProvider:
    """A provider made of a scripted server: its metadata and keys are what a test says."""

    server: ScriptedServer
    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey()])

    def __post_init__(self) -> None:
        self.publish()

    @property
    def issuer(self) -> str:
        return f"https://{HOST}:{self.server.port}"

    def metadata(self, **changes: Any) -> dict[str, Any]:
        members = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_endpoint": f"{self.issuer}/authorize?realm=a",
            "token_endpoint": f"{self.issuer}/token",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return {name: value for name, value in (members | changes).items() if value is not None}

    def publish(self, cache_control: str = "max-age=600", **changes: Any) -> None:
        """Serve the metadata, changed by *changes* (None leaves a member out), and the keys."""
        headers = {"Cache-Control": cache_control}
        body = json.dumps(self.metadata(**changes)).encode()
        self.server.routes["/.well-known/openid-configuration"] = reply(body=body, headers=headers)
        keys = json.dumps({"keys": [key.jwk for key in self.keys]}).encode()
        self.server.routes["/jwks"] = reply(body=keys, headers=headers)

    def break_down(self) -> None:
        """Answer everything with 503."""
        for path in self.server.routes:
            self.server.routes[path] = reply(503)

    def fetches(self, path: str) -> int:
        return sum(each.target == path for each in self.server.requests)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a good ID token; None leaves one out."""
        claims = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": CLIENT_ID,
            "iat": NOW - 10,
            "exp": NOW + 300,
            "nonce": "n-0S6_WzA2Mj",
            "name": "Alice Smith",
            "preferred_username": "alice_wire@wire.example",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    async def token(self, **changes: Any) -> str:
        return await self.keys[0].token(self.claims(**changes))


def half_hash(text: str) -> str:
    """``at_hash`` and ``c_hash`` for a SHA-256 algorithm (Core §3.1.3.6)."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.root("OpenID Root")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
async def scripted(authority: Authority) -> AsyncIterator[ScriptedProvider]:
    async with ScriptedServer(tls=server_context(authority.server(HOST))) as server:
        yield ScriptedProvider(server)


@pytest.fixture
def http(authority: Authority) -> GuardedClient:
    door = DangerousLoopbackDoor(frozenset({HOST, "localhost"}), authority.pem.decode())
    return GuardedClient(NoResolver(), door=door)


@pytest.fixture
def provider(scripted: ScriptedProvider, http: GuardedClient, clock: SettableClock) -> Provider:
    return Provider(ProviderConfig(scripted.issuer, CLIENT_ID), client=http, clock=clock)
