"""What may happen once happens once: two worker processes, on SQLite and on PostgreSQL, over HTTPS."""

import asyncio
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from countersign import GatewayClient, TlsConfig

from gateway.jose.jwk import JwkSet
from gateway.tokens.client import ClientAuthenticationMethod, GrantType
from tests.support.assertions import claims, jwks_of, signed
from tests.support.authorizations import PKCE, REDIRECT, SECRET, code_for, is_active, tokens_for, web_client
from tests.support.dpop import Prover
from tests.support.edge import TOKEN, free_ports
from tests.support.gateway import ADMIN, API, ISSUER, OpenedApplication, Prepared, opened_application, prepare
from tests.support.pki import new_key
from tests.support.stores import DATABASES, empty_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

RACERS = 20
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = new_key()


@dataclass(frozen=True)
class Workers:
    """Two processes that serve one port, and an application over their database, to prepare and to look."""

    app: OpenedApplication
    url: str
    tls: ssl.SSLContext
    mtls_target: str

    async def post(self, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
        """One token request on a connection of its own, so that the system chooses the worker anew."""
        async with httpx.AsyncClient(verify=self.tls, trust_env=False, timeout=30) as client:
            return await client.post(self.url + TOKEN, data=form, headers=headers)

    def caller(self, san_uri: str) -> GatewayClient:
        """A client over gRPC with a connection of its own, as *san_uri* of the configuration."""
        root = self.app.prepared.root
        identity = root.leaf("caller", uris=(san_uri,))
        tls = TlsConfig(ca=root.pem, certificate=identity.chain_pem, private_key=identity.key_pem)
        return GatewayClient(self.mtls_target, tls=tls)

    async def race(self, headers: dict[str, str] | None = None, **form: str) -> list[httpx.Response]:
        """The same request many times at once."""
        return list(await asyncio.gather(*(self.post(headers, **form) for _ in range(RACERS))))

    async def ready(self) -> None:
        """Return when both serve: they take turns at random."""
        answered = 0
        async with asyncio.timeout(60):
            while answered < RACERS:
                try:
                    answered += (await self.post(grant_type="x")).status_code == 400
                except httpx.TransportError:
                    answered = 0
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def serving(prepared: Prepared) -> AsyncIterator[None]:
    """The gateway as it is run, with its workers."""
    command = (sys.executable, "-m", "gateway.cli", "serve", "--config")
    process = await asyncio.create_subprocess_exec(*command, str(prepared.folder / "countersign.toml"))
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="module", params=DATABASES)
def url(request, tmp_path_factory) -> Iterator[str]:
    """A database of each kind."""
    with empty_database(request.param, tmp_path_factory.mktemp("database")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(url, tmp_path_factory) -> AsyncIterator[Workers]:
    """Two workers over one database."""
    folder = tmp_path_factory.mktemp("workers")
    tls, mtls, https, https_mtls = free_ports(4)
    server = {
        "tls_address": f"127.0.0.1:{tls}",
        "mtls_address": f"127.0.0.1:{mtls}",
        "https_address": f"127.0.0.1:{https}",
        "https_mtls_address": f"127.0.0.1:{https_mtls}",
        "workers": 2,
    }
    prepared = await prepare(folder, database_url=url, server=server)
    async with opened_application(folder, prepared=prepared) as app, serving(prepared):
        running = Workers(
            app,
            f"https://localhost:{https}",
            ssl.create_default_context(cafile=folder / "client-ca.pem"),
            f"127.0.0.1:{mtls}",
        )
        await web_client(app)
        await web_client(
            app,
            "machine",
            grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}),
        )
        await web_client(
            app,
            "keyed",
            authentication_method=ClientAuthenticationMethod.PRIVATE_KEY_JWT,
            secret_hash=None,
            jwks=JwkSet.parse(jwks_of(KEY)),
            grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}),
        )
        await running.ready()
        yield running


def told(responses: list[httpx.Response]) -> Counter[str]:
    """How often each error was told; ``ok`` for none."""
    return Counter("ok" if each.is_success else each.json()["error"] for each in responses)


async def test_a_refresh_token_makes_one_family(workers: Workers):
    """Of many refreshes at once all get the one successor, which works, and nothing is revoked."""
    first = await tokens_for(workers.app)
    assert first.refresh_token is not None
    form = {"grant_type": "refresh_token", "refresh_token": first.refresh_token.value}
    responses = await workers.race(headers=basic("web"), **form)
    assert told(responses) == {"ok": RACERS}
    (successor,) = {each.json()["refresh_token"] for each in responses}
    assert successor != first.refresh_token.value
    following = await workers.post(headers=basic("web"), grant_type="refresh_token", refresh_token=successor)
    assert following.status_code == 200
    assert await is_active(workers.app, responses[0].json()["access_token"])


async def test_a_code_is_used_once(workers: Workers):
    """One of many gets tokens; the others are a replay, which ends what the first one got."""
    code = await code_for(workers.app)
    responses = await workers.race(
        headers=basic("web"),
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT,
        code_verifier=PKCE.verifier,
    )
    assert told(responses) == {"ok": 1, "invalid_grant": RACERS - 1}
    (granted,) = [each.json() for each in responses if each.is_success]
    assert not await is_active(workers.app, granted["access_token"])


async def test_a_proof_is_accepted_once(workers: Workers):
    """One of many requests with one DPoP proof gets a token."""
    proof = Prover.es256().proof(htu=ISSUER + TOKEN, iat=int(time.time()))
    responses = await workers.race(
        headers={**basic("machine"), "dpop": proof}, grant_type="client_credentials"
    )
    assert told(responses) == {"ok": 1, "invalid_dpop_proof": RACERS - 1}


async def test_an_assertion_is_accepted_once(workers: Workers):
    """One of many requests with one client assertion gets a token."""
    assertion = signed(KEY, claims(time.time(), "keyed"))
    responses = await workers.race(
        grant_type="client_credentials", client_assertion_type=ASSERTION_TYPE, client_assertion=assertion
    )
    assert told(responses) == {"ok": 1, "invalid_client": RACERS - 1}


async def seen_by(watcher: GatewayClient, wanted: int, watching: asyncio.Event) -> list[str]:
    """The ids of the first revocations of tokens that *watcher* is told of; *watching*: it is connected."""
    found: list[str] = []
    async with aclosing(watcher.watch_revocations()) as batches:
        async for batch in batches:
            watching.set()
            found += [each.token_id for each in batch.revocations if each.token_id.startswith("race-")]
            if len(found) >= wanted:
                return found
    raise AssertionError("the stream ended")


async def test_every_watcher_sees_every_revocation_in_one_order(workers: Workers):
    """Whichever worker revokes, and whichever a watcher is connected to: nothing is missed or swapped."""
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        watchers = [await stack.enter_async_context(workers.caller(API)) for _ in range(4)]
        admins = [await stack.enter_async_context(workers.caller(ADMIN)) for _ in range(4)]
        events = [asyncio.Event() for _ in watchers]
        watching = [
            asyncio.create_task(seen_by(watcher, 2 * RACERS, event))
            for watcher, event in zip(watchers, events, strict=True)
        ]
        await asyncio.gather(*(event.wait() for event in events))
        await asyncio.gather(
            *(admins[number % 4].revoke_token_id(f"race-{number}") for number in range(2 * RACERS))
        )
        orders = await asyncio.gather(*watching)
    assert set(orders[0]) == {f"race-{number}" for number in range(2 * RACERS)}
    assert all(order == orders[0] for order in orders)


def basic(client_id: str) -> dict[str, str]:
    """The header of a client with the secret."""
    return {"authorization": httpx.BasicAuth(client_id, SECRET)._auth_header}
