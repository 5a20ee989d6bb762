"""A gateway whose users log in at a real OpenID provider, and the browser between client and gateway."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from countersign import ClientSecretBasicAuth, GrantType, Pkce

from gateway import application
from gateway.clock import Clock, system_clock
from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from tests.support.edge import TOKEN, Edge
from tests.support.gateway import ISSUER, RESOURCE, Prepared, RunningGateway, prepare, running_gateway
from tests.support.oidc_provider import OidcProvider, public_client
from tests.support.pki import Authority

AUTHORIZE = "/oauth2/authorize"
CALLBACK = "/oauth2/callback"
PAR = "/oauth2/par"
REDIRECT = "https://app.example.org/callback"
UPSTREAM_CLIENT = "gateway"
UPSTREAM_SECRET = "a secret: with % & + signs, and 32 characters"
COOKIE = "__Host-countersign-login"
ASKING: Mapping[str, Any] = {
    "grant_types": [GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
    "redirect_uris": [REDIRECT, f"{REDIRECT}?tenant=1"],
    "scopes": ["read", "write"],
    "audiences": [RESOURCE],
    "default_audience": RESOURCE,
}


@asynccontextmanager
async def provider(
    folder: Path, authority: Authority, callback: str = ISSUER + CALLBACK, **options: Any
) -> AsyncIterator[OidcProvider]:
    """A provider where the gateway is a client; *options* are those of `OidcProvider.start`."""
    client = public_client(
        UPSTREAM_CLIENT,
        callback,
        application_type="web",
        token_endpoint_auth_method="client_secret_basic",
        client_secret=UPSTREAM_SECRET,
        require_auth_time=True,
    )
    running = await OidcProvider.start(folder, authority, clients=[client], **options)
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def reaching_loopback(authority: Authority) -> AsyncIterator[None]:
    """Gateways started within may fetch from ``localhost``, with a certificate of *authority*."""
    door = DangerousLoopbackDoor(frozenset({"localhost"}), authority.pem.decode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "GuardedClient", partial(GuardedClient, door=door))
        yield


async def prepared_for(folder: Path, issuer: str, **options: Any) -> Prepared:
    """A gateway's folder, with *issuer* as its upstream provider."""
    (folder / "upstream-secret").write_text(UPSTREAM_SECRET + "\n")
    upstream = {
        "issuer": issuer,
        "client_id": UPSTREAM_CLIENT,
        "client_secret_file": "upstream-secret",
    } | options.pop("upstream", {})
    return await prepare(folder, upstream=upstream, **options)


@dataclass
class Browser:
    """A user's browser, and the client that sends it: the client ``app``, with its secret and verifier."""

    gateway: RunningGateway
    provider: OidcProvider
    secret: str
    pkce: Pkce
    cookie: str | None = None

    @property
    def edge(self) -> Edge:
        """The edge of the gateway."""
        return Edge(self.gateway)

    def asked(self, **changes: Any) -> dict[str, Any]:
        """A good request; a change to None leaves a parameter out."""
        values = {
            "client_id": "app",
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "read",
            "state": "the state",
            "code_challenge": self.pkce.challenge,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in values.items() if value is not None}

    async def authorize(self, method: str = "GET", **changes: Any) -> httpx.Response:
        """Go to the authorization endpoint with `asked`, and keep the cookie."""
        asked = self.asked(**changes)
        headers = {} if self.cookie is None else {"cookie": f"{COOKIE}={self.cookie}"}
        if method == "GET":
            response = await self.edge.get(AUTHORIZE, params=asked, headers=headers)
        else:
            response = await self.edge.post(AUTHORIZE, data=asked, headers=headers)
        if "set-cookie" in response.headers:
            self.cookie = response.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
        return response

    async def push(self, **changes: Any) -> str:
        """Push `asked` as the client; the request URI."""
        data = self.asked(client_id=None, **changes)
        response = await self.edge.post(PAR, auth=("app", self.secret), data=data)
        assert response.status_code == 201, response.text
        return str(response.json()["request_uri"])

    async def log_in(self, departure: httpx.Response) -> list[tuple[str, str]]:
        """Log in where *departure* leads; what the provider sends back."""
        assert departure.status_code == 303, departure.text
        location = departure.headers["location"]
        assert location.startswith(f"{self.provider.issuer}/"), location
        return await self.provider.log_in(location)

    async def come_back(
        self,
        answer: Sequence[tuple[str, str]],
        *,
        cookie: str | None = None,
        gateway: RunningGateway | None = None,
    ) -> httpx.Response:
        """Go to the callback with *answer*; to another *gateway* or with another *cookie* where given."""
        value = self.cookie if cookie is None else cookie
        headers = {"cookie": f"other=1; {COOKIE}={value}"} if value else {}
        return await Edge(gateway or self.gateway).get(CALLBACK, params=list(answer), headers=headers)

    async def code(self, **changes: Any) -> str:
        """The whole way, to a code."""
        response = await self.come_back(await self.log_in(await self.authorize(**changes)))
        return sent_back(response)["code"]

    async def redeem(self, code: str, proof: str | None = None, **changes: Any) -> httpx.Response:
        """Exchange *code* as the client, with a DPoP *proof* where there is one."""
        data = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": self.pkce.verifier,
        } | changes
        headers = {} if proof is None else {"dpop": proof}
        return await self.edge.post(TOKEN, auth=("app", self.secret), data=data, headers=headers)


def sent_back(response: httpx.Response) -> dict[str, str]:
    """What the client gets by the redirect *response*; every parameter once."""
    assert response.status_code == 303, response.text
    url = urlsplit(response.headers["location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == REDIRECT, response.headers["location"]
    assert all(len(values) == 1 for values in parse_qs(url.query).values())
    return dict(parse_qsl(url.query))


@asynccontextmanager
async def browsing(
    prepared: Prepared, provider: OidcProvider, clock: Clock = system_clock
) -> AsyncIterator[Browser]:
    """A browser at a new gateway in *prepared*; `ASKING` registers its client ``app``."""
    async with running_gateway(prepared.folder, prepared=prepared, clock=clock) as gateway:
        async with gateway.client(gateway.admin) as admin:
            created = await admin.create_client("app", authentication=ClientSecretBasicAuth(), **ASKING)
        yield Browser(gateway, provider, created.client_secret or "", Pkce())
