"""A resource server's side of things, and an issuer that signs whatever a test wants."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from countersign import (
    CertificateName,
    CountersignError,
    DpopKey,
    GrantType,
    JsonWebKey,
    JsonWebKeySet,
    TlsClientAuth,
)
from countersign.resource_server import AccessTokenVerifier, DpopPolicy, PresentedRequest
from countersign.resource_server._public_keys import key_of_members
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.dpop import OMIT, Prover
from tests.support.gateway import ISSUER, RESOURCE, running_gateway

BACKEND = "spiffe://example.org/backend"
ORIGIN = "https://orders.example.org"
METHOD = "/orders.v1.Orders/List"


class Issuer:
    """A gateway's key, and the `GetJwks` of a gateway that may be down."""

    def __init__(self, prover: Prover, kid: str = "key-1") -> None:
        self.prover = prover
        self.kid = kid
        self.fetches = 0
        self.max_age = timedelta(minutes=5)
        self.failure: CountersignError | None = None
        self.published = [self.key(prover, kid)]

    @staticmethod
    def key(prover: Prover, kid: str, **changes: Any) -> JsonWebKey:
        values = {
            "kid": kid,
            "alg": prover.alg,
            "use": "sig",
            "public_key": key_of_members(dict(prover.jwk)),
        }
        return JsonWebKey(**(values | changes))

    async def get_jwks(self) -> JsonWebKeySet:
        self.fetches += 1
        if self.failure is not None:
            raise self.failure
        return JsonWebKeySet(tuple(self.published), b"", self.max_age)

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token; *header* and *claims* replace the good values, or leave them out with `OMIT`."""
        now = int(time.time())
        good = {
            "iss": ISSUER,
            "sub": "orders",
            "aud": RESOURCE,
            "client_id": "orders",
            "iat": now,
            "exp": now + 300,
            "jti": "token-1",
            "scope": "read write",
        }
        members = {"typ": "at+jwt", "alg": self.prover.alg, "kid": self.kid} | dict(header or {})
        return self.prover.signed(encoded(members), encoded(good | claims))


def encoded(members: Mapping[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not OMIT}).encode()


@pytest.fixture(scope="session")
def issuing_key() -> Prover:
    return Prover.es256()


@pytest.fixture
def issuer(issuing_key) -> Issuer:
    return Issuer(issuing_key)


@pytest.fixture(scope="session")
def prover() -> Prover:
    """A client's DPoP key."""
    return Prover.es256()


def policy(**changes: Any) -> DpopPolicy:
    return DpopPolicy(**{"origins": (ORIGIN,), **changes})


def verifier(keys: Any, **changes: Any) -> AccessTokenVerifier:
    return AccessTokenVerifier(
        keys, **{"issuer": ISSUER, "audience": {RESOURCE}, "dpop": policy(), **changes}
    )


def request(token: str, *proofs: str, scheme: str = "Bearer", **changes: Any) -> PresentedRequest:
    values = {"method": "POST", "path": METHOD, "authorization": (f"{scheme} {token}",), "dpop": proofs}
    return PresentedRequest(**(values | changes))


@dataclass(frozen=True)
class Served:
    """A running gateway, and a client with a certificate and with a DPoP key that it knows."""

    gateway: Any
    identity: Any
    dpop: DpopKey = field(
        default_factory=lambda: DpopKey(ec.generate_private_key(ec.SECP256R1()), "ES256", ISSUER)
    )

    async def certificate_bound(self, **options: Any) -> str:
        async with self.gateway.client(self.identity) as client:
            return (await client.mint_token("backend", **options)).value

    async def dpop_bound(self) -> str:
        async with self.gateway.client(self.identity, dpop=self.dpop) as client:
            return (await client.mint_token("backend")).value

    def proof(self, token: str, **claims: Any) -> str:
        """A proof by the client's key for `METHOD` here, unless *claims* say otherwise."""
        from countersign.resource_server.dpop import _hash  # noqa: PLC0415 - what ath is, see test_dpop.

        good = {"htu": ORIGIN + METHOD, "iat": int(time.time()), "ath": _hash(token)}
        return Prover(self.dpop.private_key, "ES256").proof(**(good | claims))


@pytest.fixture
async def served(tmp_path):
    """The gateway with its client registered."""
    async with running_gateway(tmp_path) as gateway:
        async with gateway.client(gateway.admin) as admin:
            await admin.create_client(
                "backend",
                authentication=TlsClientAuth(CertificateName.SAN_URI, BACKEND),
                grant_types=[GrantType.CLIENT_CREDENTIALS],
                scopes=["read"],
                audiences=[RESOURCE, "https://other.example.org"],
                default_audience=RESOURCE,
            )
        yield Served(gateway, gateway.root.leaf("backend", uris=(BACKEND,)))
