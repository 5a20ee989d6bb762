"""Clients as the FAPI 2.0 conformance plans have them, at the HTTPS edge of a gateway.

SOURCE of the variants and of the names of the modules: OpenID Foundation conformance suite, plans
``fapi2-security-profile-final-client-credentials-grant-test-plan`` and
``fapi2-security-profile-final-test-plan``.
"""

import base64
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from countersign import CertificateName, GrantType, Pkce, PrivateKeyJwtAuth, TlsClientAuth

from tests.support.assertions import claims, jwks_of, signed
from tests.support.dpop import Prover
from tests.support.edge import Edge, free_ports
from tests.support.gateway import ADMIN, API, RESOURCE, RunningGateway, running_gateway
from tests.support.pki import Issued, PrivateKey, new_key

LOGIN = "spiffe://example.org/login"
REDIRECT = "https://app.example.org/callback"
CALLERS = (
    {"san_uri": ADMIN, "roles": ["admin"]},
    {"san_uri": API, "roles": ["resource-server"], "resources": [RESOURCE]},
    {"san_uri": LOGIN, "roles": ["login"]},
)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = "token_endpoint"
PAR = "pushed_authorization_request_endpoint"
RESOURCE_ENDPOINT = "introspection_endpoint"
"""The protected resource of these tests: it takes access tokens whose audience is the gateway itself."""

CREDENTIALS = {"grant_type": "client_credentials"}


@dataclass(frozen=True)
class Variant:
    """How a client authenticates, ``private_key_jwt`` or ``mtls``, and what binds its tokens, ``dpop`` or
    ``mtls``.
    """

    authentication: str
    constraint: str

    def __str__(self) -> str:
        return f"{self.authentication}-{self.constraint}"

    @property
    def by_assertion(self) -> bool:
        """Whether the client authenticates with an assertion."""
        return self.authentication == "private_key_jwt"

    @property
    def proves(self) -> bool:
        """Whether the client's tokens are bound with DPoP."""
        return self.constraint == "dpop"


VARIANTS = tuple(itertools.starmap(Variant, itertools.product(("private_key_jwt", "mtls"), ("dpop", "mtls"))))
BY_ASSERTION = tuple(each for each in VARIANTS if each.by_assertion)
BY_PROOF = tuple(each for each in VARIANTS if each.proves)


class OffsetClock:
    """The real time, and as many seconds more as a test let pass."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.offset += seconds


@dataclass
class FapiClient:
    """One registered client. What `token`, `push` and `resource` send is good but for what a test changes."""

    site: "FapiSite"
    client_id: str
    variant: Variant
    key: PrivateKey
    certificate: Issued
    prover: Prover

    @property
    def identity(self) -> Issued | None:
        """The certificate that the client connects with, None where it needs none."""
        needed = not (self.variant.by_assertion and self.variant.proves)
        return self.certificate if needed else None

    @property
    def scheme(self) -> str:
        """The type of its access tokens."""
        return "DPoP" if self.variant.proves else "Bearer"

    def url(self, endpoint: str) -> str:
        """Where it calls: the alias for mutual TLS where it has a certificate (RFC 8705 §5)."""
        aliases = self.site.metadata["mtls_endpoint_aliases"]
        return str((self.site.metadata if self.identity is None else aliases)[endpoint])

    def assertion(self, algorithm: str = "ES256", *, key: PrivateKey | None = None, **changes: Any) -> str:
        """A client assertion; a change to None leaves a claim out."""
        values = {"aud": self.site.issuer} | changes
        return signed(key or self.key, claims(self.site.clock(), self.client_id, **values), algorithm)

    def proof(
        self, endpoint: str, access_token: str = "", prover: Prover | None = None, **changes: Any
    ) -> str:
        """A DPoP proof; *changes* as `Prover.proof` takes them."""
        values: dict[str, Any] = {"htu": self.url(endpoint), "iat": int(self.site.clock())}
        if access_token:
            values["ath"] = token_hash(access_token)
        return (prover or self.prover).proof(**(values | changes))

    async def call(
        self,
        endpoint: str,
        form: dict[str, Any],
        *,
        assertion: str | None = None,
        proofs: Sequence[str] | None = None,
        method: str = "POST",
        headers: Sequence[tuple[str, str]] = (),
    ) -> httpx.Response:
        """One authenticated request; a parameter of *form* that is None is left out.

        *assertion*: empty sends none. *proofs*: None sends one good proof where the variant has proofs.
        """
        values: dict[str, Any] = {"client_id": self.client_id}
        if self.variant.by_assertion and assertion != "":
            values |= {
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion or self.assertion(),
            }
        if proofs is None:
            proofs = [self.proof(endpoint)] if self.variant.proves else []
        data = {name: value for name, value in (values | form).items() if value is not None}
        all_headers = [*headers, *(("DPoP", each) for each in proofs)]
        return await self.site.request(
            method, self.url(endpoint), self.identity, headers=all_headers, data=data
        )

    async def token(self, form: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """A token request: client credentials for the protected resource, unless *form* says otherwise."""
        return await self.call(TOKEN, form or {**CREDENTIALS, "resource": self.site.issuer}, **options)

    async def push(self, pkce: Pkce, changes: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """A pushed authorization request."""
        form = {
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "read",
            "state": "a state",
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
        return await self.call(PAR, form | (changes or {}), **options)

    async def code(self, pkce: Pkce, changes: dict[str, Any] | None = None, **options: Any) -> str:
        """A code for what was pushed, once the user has agreed."""
        pushed = await self.push(pkce, changes, **options)
        assert pushed.status_code == 201, pushed.text
        return (await self.site.agree(self.client_id, pushed.json()["request_uri"]))["code"]

    async def redeem(
        self, code: str, pkce: Pkce, changes: dict[str, Any] | None = None, **options: Any
    ) -> httpx.Response:
        """The token request for *code*."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": pkce.verifier,
        }
        return await self.token(form | (changes or {}), **options)

    async def refresh(self, refresh_token: str, **options: Any) -> httpx.Response:
        """The token request for a refresh token."""
        return await self.token({"grant_type": "refresh_token", "refresh_token": refresh_token}, **options)

    async def resource(
        self, access_token: str, *, scheme: str | None = None, proofs: Sequence[str] | None = None
    ) -> httpx.Response:
        """A request for the protected resource with *access_token*."""
        if proofs is None:
            proofs = [self.proof(RESOURCE_ENDPOINT, access_token)] if self.variant.proves else []
        headers = [
            ("Authorization", f"{scheme or self.scheme} {access_token}"),
            *(("DPoP", each) for each in proofs),
        ]
        url = self.url(RESOURCE_ENDPOINT)
        return await self.site.request(
            "POST", url, self.identity, headers=headers, data={"token": access_token}
        )


@dataclass
class FapiSite:
    """A gateway with two clients of each variant, and a login application whose users agree to all."""

    gateway: RunningGateway
    clock: OffsetClock
    metadata: dict[str, Any]
    clients: dict[tuple[Variant, int], FapiClient]

    @property
    def issuer(self) -> str:
        """The issuer, which is the origin of the edge."""
        return str(self.metadata["issuer"])

    def first(self, variant: Variant) -> FapiClient:
        """The client under test."""
        return self.clients[variant, 1]

    def second(self, variant: Variant) -> FapiClient:
        """Another client of the same kind."""
        return self.clients[variant, 2]

    async def request(self, method: str, url: str, identity: Issued | None, **options: Any) -> httpx.Response:
        """One request on a connection of its own."""
        context = Edge(self.gateway).context(identity)
        async with httpx.AsyncClient(verify=context, timeout=10, trust_env=False) as client:
            return await client.request(method, url, **options)

    async def agree(self, client_id: str, request_uri: str, subject: str = "alice") -> dict[str, str]:
        """What the browser brings back to the client once its user has agreed. Raises `CountersignError`."""
        async with self.gateway.client(self.gateway.root.leaf("login", uris=(LOGIN,))) as login:
            made = await login.create_authorization_code(client_id, request_uri, subject=subject)
        return dict(httpx.URL(made.location).params)

    async def is_active(self, access_token: str) -> bool:
        """Whether a resource server is told that the token is good."""
        url = self.metadata["mtls_endpoint_aliases"]["introspection_endpoint"]
        answer = await self.request("POST", url, self.gateway.api, data={"token": access_token})
        return bool(answer.json()["active"])


@asynccontextmanager
async def fapi_site(folder: Path) -> AsyncIterator[FapiSite]:
    """Serve until the end of the block."""
    plain, mtls = free_ports(2)
    clock = OffsetClock()
    async with running_gateway(
        folder,
        clock=clock,
        callers=CALLERS,
        server={"https_address": f"127.0.0.1:{plain}", "https_mtls_address": f"127.0.0.1:{mtls}"},
        edge={
            "mtls_public_url": f"https://localhost:{mtls}",
            "authorization_url": "https://login.example.org/authorize",
        },
        tokens={"issuer": f"https://localhost:{plain}"},
    ) as gateway:
        document = await Edge(gateway).get("/.well-known/oauth-authorization-server")
        site = FapiSite(gateway, clock, document.json(), {})
        for variant, number in itertools.product(VARIANTS, (1, 2)):
            site.clients[variant, number] = await _registered(site, variant, f"{variant}-{number}")
        yield site


async def _registered(site: FapiSite, variant: Variant, name: str) -> FapiClient:
    key = new_key()
    certificate = site.gateway.root.leaf(dns=(f"{name}.example.org",))
    client = FapiClient(site, name, variant, key, certificate, Prover.es256())
    await register_fapi(client)
    return client


async def register_fapi(client: FapiClient) -> None:
    """Register *client* with its key or its certificate's name, and what its tokens are bound with."""
    if client.variant.by_assertion:
        authentication: Any = PrivateKeyJwtAuth(jwks_of(client.key).decode())
    else:
        authentication = TlsClientAuth(CertificateName.SAN_DNS, f"{client.client_id}.example.org")
    gateway = client.site.gateway
    async with gateway.client(gateway.admin) as admin:
        await admin.create_client(
            client.client_id,
            authentication=authentication,
            grant_types=[
                GrantType.CLIENT_CREDENTIALS,
                GrantType.AUTHORIZATION_CODE,
                GrantType.REFRESH_TOKEN,
            ],
            redirect_uris=[REDIRECT],
            scopes=["read", "write"],
            audiences=[RESOURCE, client.site.issuer],
            default_audience=RESOURCE,
            require_pushed_authorization_requests=True,
            dpop_bound_access_tokens=client.variant.proves,
            certificate_bound_access_tokens=not client.variant.proves,
        )


def token_hash(access_token: str) -> str:
    """The value of ``ath`` (RFC 9449 §4.2)."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def refusal(response: httpx.Response) -> tuple[int, str]:
    """The status and the ``error`` of a refusal."""
    return response.status_code, response.json()["error"]
