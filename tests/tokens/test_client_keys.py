"""Keys that clients publish themselves (RFC 7591 §2 `jwks_uri`), from a real HTTPS server."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from gateway import application
from gateway.errors import AuthenticationError, Reason, RequestError
from gateway.fetching import Address, DangerousLoopbackDoor, FetchError, FetchFault, GuardedClient
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import JwkSet
from gateway.tokens.client import Client, ClientAuthenticationMethod
from gateway.tokens.client_authentication import PrivateKeyJwt
from gateway.tokens.client_keys import MAX_PUBLISHED_KEYS, ClientKeys
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from signers import Algorithm
from signers.jose_form import public_jwk
from tests.support import stores
from tests.support.assertions import claims, jwks_of, signed
from tests.support.gateway import SteppedClock, call_of, opened_application
from tests.support.pki import Authority, new_key, self_signed
from tests.support.scripted_server import ScriptedServer, redirect, reply, server_context

HOST = "keys.example.test"
NAMES = frozenset({HOST, "other.example.test"})
KEY_METHODS = [
    ClientAuthenticationMethod.PRIVATE_KEY_JWT,
    ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
]


class NoResolver:
    """These tests need no DNS."""

    async def addresses(self, host: str) -> tuple[Address, ...]:
        raise FetchError(FetchFault.DNS_FAILED, "no DNS here", host=host)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.root("Publishing Root")


@pytest.fixture
async def server(authority) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(tls=server_context(authority.server(HOST))) as running:
        yield running


@pytest.fixture
def door(authority) -> DangerousLoopbackDoor:
    return DangerousLoopbackDoor(names=NAMES, ca_pem=authority.pem.decode())


@pytest.fixture
def keys(door, clock) -> ClientKeys:
    """What is tested, with a clock that the test sets."""
    return ClientKeys(GuardedClient(NoResolver(), door=door), clock=clock)


@pytest.fixture
def published(server) -> Client:
    """A client whose keys are at ``/keys`` of the server: ``first``."""
    server.routes["/keys"] = reply(body=jwks_of(new_key(), kids=("first",)))
    return publishing(server)


def publishing(server: ScriptedServer, path: str = "/keys", **changes) -> Client:
    """A client whose keys are at *path*."""
    values = {
        "authentication_method": ClientAuthenticationMethod.PRIVATE_KEY_JWT,
        "identity": None,
        "jwks": None,
        "jwks_uri": f"https://{HOST}:{server.port}{path}",
        "certificate_bound_access_tokens": False,
    }
    return stores.client("backend", **(values | changes))


def select(kid: str | None = "first"):
    return lambda found: found.select(kid, Algorithm.ES256)


async def refused(keys: ClientKeys, client: Client, kid: str = "first") -> str | None:
    """The cause of the refusal."""
    with pytest.raises(AuthenticationError) as caught:
        await keys.find(client, select(kid))
    assert caught.value.reason is Reason.INVALID_CLIENT
    assert str(caught.value) == "Client authentication failed."
    return caught.value.cause


async def missing(keys: ClientKeys, client: Client, kid: str) -> None:
    """The published set has no such key."""
    with pytest.raises(JoseError) as caught:
        await keys.find(client, select(kid))
    assert caught.value.code is JoseFault.KEY_NOT_FOUND


async def test_registered_keys_need_no_request(keys, server):
    """A client that registered its keys has those."""
    client = publishing(server, jwks=JwkSet.parse(jwks_of(new_key(), kids=("first",))), jwks_uri=None)
    assert (await keys.find(client, select())).kid == "first"
    assert await refused(keys, replace(client, jwks=None)) == "jwks_missing"
    assert server.requests == []


@pytest.mark.parametrize(
    ("headers", "fresh"),
    [
        ({}, 600),
        ({"Cache-Control": "max-age=300"}, 300),
        ({"Cache-Control": "max-age=1"}, 60),
        ({"Cache-Control": "no-store"}, 60),
        ({"Cache-Control": "max-age=999999"}, 3_600),
    ],
)
async def test_how_long_a_set_is_kept(keys, server, clock, headers, fresh):
    """As long as the publisher says, from a minute to an hour; ten minutes where it does not say."""
    server.routes["/keys"] = reply(body=jwks_of(new_key(), kids=("first",)), headers=headers)
    client = publishing(server)
    for wait, requests in ((0, 1), (fresh - 1, 1), (1, 2)):
        clock.advance(wait)
        await keys.find(client, select())
        assert len(server.requests) == requests


async def test_one_request_for_all(keys, server, published):
    """Calls that need the same set at the same time wait for one request."""
    asked, answer = asyncio.Event(), server.routes["/keys"]
    released = asyncio.Event()

    async def slow(request, writer):
        asked.set()
        await released.wait()
        writer.write(answer)

    server.routes["/keys"] = slow
    calls = [asyncio.create_task(keys.find(published, select())) for _ in range(20)]
    await asked.wait()
    released.set()
    assert {key.kid for key in await asyncio.gather(*calls)} == {"first"}
    assert len(server.requests) == 1


async def test_a_new_key(keys, server, published, clock):
    """A client that rotates is let in with its new key at once, and not any more with the old one."""
    await keys.find(published, select("first"))
    clock.advance(30)
    server.routes["/keys"] = reply(body=jwks_of(new_key(), kids=("second",)))
    assert (await keys.find(published, select("second"))).kid == "second"
    assert len(server.requests) == 2
    clock.advance(30)
    await missing(keys, published, "first")


async def test_keys_named_at_random(keys, server, published, clock):
    """They cost the publisher one request in ten seconds, and keys that are there are found all the while."""
    await keys.find(published, select())
    clock.advance(30)
    await missing(keys, published, "guess-0")
    clock.advance(1)
    for number in range(20):
        assert await refused(keys, published, f"guess-{number}") == "jwks_uri_not_renewed"
    assert len(server.requests) == 2
    clock.advance(9)
    await missing(keys, published, "guess-0")
    assert len(server.requests) == 3
    assert await keys.find(published, select())


async def test_a_caller_who_hangs_up(keys, server, published, clock):
    """The renewal that it began goes on for the others."""
    await keys.find(published, select())
    clock.advance(30)
    asked, released = asyncio.Event(), asyncio.Event()
    answer = reply(body=jwks_of(new_key(), kids=("second",)))

    async def slow(request, writer):
        asked.set()
        await released.wait()
        writer.write(answer)

    server.routes["/keys"] = slow
    leaving = asyncio.create_task(keys.find(published, select("guess")))
    await asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    staying = asyncio.create_task(keys.find(published, select("second")))
    released.set()
    assert (await staying).kid == "second"
    assert len(server.requests) == 2


async def test_renewals_end_with_their_owner(door, server, published, clock):
    """None is left when the gateway stops, and none begins."""
    asked = asyncio.Event()

    async def silent(request, writer):
        asked.set()
        await asyncio.Event().wait()

    async with ClientKeys(GuardedClient(NoResolver(), door=door), clock=clock) as keys:
        await keys.find(published, select())
        clock.advance(30)
        server.routes["/keys"] = silent
        leaving = asyncio.create_task(keys.find(published, select("guess")))
        await asked.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        (renewal,) = keys._renewals
    assert renewal.cancelled()
    clock.advance(700)
    assert await keys.find(published, select())  # The last good set, without a request.
    assert len(server.requests) == 2


OUTAGES = [
    (reply(500), "jwks_uri_status"),
    (reply(404), "jwks_uri_status"),
    (redirect("/elsewhere"), "jwks_uri_unreachable"),
    (reply(body=b"{"), "jwks_uri_keys_invalid"),
    (reply(body=b'{"keys":[{"kty":"oct","k":"AA"}]}'), "jwks_uri_keys_invalid"),
    (reply(body=jwks_of(*[new_key()] * (MAX_PUBLISHED_KEYS + 1))), "jwks_uri_keys_invalid"),
    (reply(body=b" " * 65_537), "jwks_uri_unreachable"),
    (reply(body=jwks_of(new_key(), kids=("first",)), content_type="text/html"), "jwks_uri_unreachable"),
    (b"", "jwks_uri_unreachable"),
]


@pytest.mark.parametrize(("answer", "cause"), OUTAGES)
async def test_an_outage(keys, server, published, clock, answer, cause):
    """The last good keys are used for four hours and no second longer; a key that they lack is refused."""
    await keys.find(published, select())
    server.routes["/keys"] = answer
    clock.advance(600)
    assert await keys.find(published, select())
    assert await refused(keys, published, "second") == cause
    clock.advance(14_400 - 600 - 1)
    assert await keys.find(published, select())
    clock.advance(1)
    assert await refused(keys, published) == cause


async def test_nothing_was_ever_fetched(keys, server, published, clock):
    """Nobody is let in, the publisher is asked once in ten seconds, and is used again when it is back."""
    answer, server.routes["/keys"] = server.routes["/keys"], reply(503)
    for _ in range(10):
        assert await refused(keys, published) == "jwks_uri_status"
    assert len(server.requests) == 1
    server.routes["/keys"] = answer
    clock.advance(10)
    assert await keys.find(published, select())


async def test_a_host_that_is_not_public(clock):
    """A name that leads inside is not asked."""

    class Inside:
        async def addresses(self, host):
            raise FetchError(FetchFault.ADDRESS_REFUSED, "not public", host=host)

    client = stores.client("backend", jwks=None, jwks_uri="https://keys.example.org/keys")
    assert await refused(ClientKeys(GuardedClient(Inside()), clock=clock), client) == "jwks_uri_unreachable"


async def test_another_certificate(keys, server):
    """The publisher's certificate must carry the name of the host."""
    client = publishing(server, jwks_uri=f"https://other.example.test:{server.port}/keys")
    assert await refused(keys, client) == "jwks_uri_unreachable"
    assert server.requests == []


async def test_few_sets_are_kept(door, server, clock):
    """Room is made by the set that was not used for longest."""
    keys = ClientKeys(GuardedClient(NoResolver(), door=door), clock=clock, capacity=2)
    for name in "abc":
        server.routes[f"/{name}"] = reply(body=jwks_of(new_key(), kids=("first",)))
    for name in "abacab":
        await keys.find(publishing(server, f"/{name}"), select())
    assert [each.target for each in server.requests] == ["/a", "/b", "/c", "/b"]


async def test_unknown_kinds_of_keys(keys, server):
    """They are passed over (RFC 7517 §5), and so is a key that is not for signatures."""
    right = public_jwk(new_key().public_key()) | {"kid": "first"}
    others = [{"kty": "AKP", "alg": "ML-DSA-44"}, right | {"use": "enc"}]
    server.routes["/keys"] = reply(body=json.dumps({"keys": [*others, right]}).encode())
    assert (await keys.find(publishing(server), select())).use is None


@pytest.mark.parametrize("method", KEY_METHODS)
@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example.org/keys",
        "https://192.0.2.1/keys",
        "https://[2001:db8::1]/keys",
        "https://localhost/keys",
        "https://keys/",
        "https://user@keys.example.org/",
        "https://keys.example.org/#fragment",
        "https://keys.example.org:0/",
        "https://keys.example.org/" + "x" * 2_048,
        "file:///etc/passwd",
        "keys.example.org",
        "https://k\u00e9ys.example.org/",
    ],
)
async def test_a_uri_that_is_never_asked(app, server, uri, method):
    """It is refused when it is registered."""
    draft = publishing(server, jwks_uri=uri, authentication_method=method)
    with pytest.raises(RequestError) as caught:
        await app.registrar.create(draft, None)
    assert (caught.value.reason, caught.value.field) == (
        Reason.INVALID_CLIENT_METADATA,
        f"client.{method}.jwks_uri",
    )


async def test_both(app, server):
    """Keys and their URI are not registered together (RFC 7591 §2)."""
    draft = publishing(server, jwks=JwkSet.parse(jwks_of(new_key())))
    with pytest.raises(RequestError) as caught:
        await app.registrar.create(draft, None)
    assert caught.value.field == "client.private_key_jwt"


async def test_a_method_without_keys(app, server):
    """A client by secret has no use for a URI of keys."""
    draft = publishing(server, authentication_method=ClientAuthenticationMethod.CLIENT_SECRET_POST)
    with pytest.raises(RequestError) as caught:
        await app.registrar.create(draft, None)
    assert caught.value.field == "client.jwks_uri"


@pytest.fixture
async def fetching_app(tmp_path, clock, door, monkeypatch):
    """The use cases, wired by the composition root, whose requests may go to the server of the test."""
    monkeypatch.setattr(application, "GuardedClient", partial(GuardedClient, door=door))
    async with opened_application(tmp_path, clock=clock) as opened:
        yield opened


async def mint(app, certificate=None, credential=None):
    return await app.minter.mint(
        call_of(certificate), "backend", credential, TokenRequest(ClientCredentialsGrant())
    )


async def test_a_client_by_assertion(fetching_app, server, clock: SteppedClock):
    """It is registered with its URI alone, authenticates with what it signs, and rotates by itself."""
    first, second = new_key(), new_key()
    server.routes["/keys"] = reply(body=jwks_of(first, kids=("first",)))
    await fetching_app.registrar.create(publishing(server), None)
    assert server.requests == []
    assert await mint(fetching_app, None, PrivateKeyJwt(signed(first, claims(clock()), kid="first")))
    clock.advance(11)
    server.routes["/keys"] = reply(body=jwks_of(second, kids=("second",)))
    assert await mint(fetching_app, None, PrivateKeyJwt(signed(second, claims(clock()), kid="second")))
    clock.advance(1)
    for kid, cause in (("second", "assertion_signature_invalid"), ("first", "jwks_uri_not_renewed")):
        with pytest.raises(AuthenticationError) as caught:
            await mint(fetching_app, None, PrivateKeyJwt(signed(first, claims(clock()), kid=kid)))
        assert caught.value.cause == cause


async def test_a_changed_uri(fetching_app, server, clock):
    """The keys of the old one count no more from that moment on."""
    key = new_key()
    server.routes["/keys"] = reply(body=jwks_of(key))
    server.routes["/new"] = reply(body=jwks_of(new_key()))
    await fetching_app.registrar.create(publishing(server), None)
    assert await mint(fetching_app, None, PrivateKeyJwt(signed(key, claims(clock()))))
    new = publishing(server, "/new").jwks_uri
    await fetching_app.registrar.update(
        "backend", lambda present: replace(present, jwks_uri=new), expected_revision=None
    )
    with pytest.raises(AuthenticationError) as caught:
        await mint(fetching_app, None, PrivateKeyJwt(signed(key, claims(clock()))))
    assert caught.value.cause == "assertion_signature_invalid"


def certificates(*issued) -> bytes:
    """A JWK Set that publishes certificates."""
    members = [
        {**public_jwk(each.certificate.public_key()), "x5c": [b64encode(each.der).decode()]}
        for each in issued
    ]
    return json.dumps({"keys": members}).encode()


async def test_a_client_by_certificate(fetching_app, server, clock):
    """It authenticates with what it publishes, whoever issued that, and renews by itself (RFC 8705 §2.2)."""
    first, second = self_signed("backend"), fetching_app.root.leaf("backend")
    server.routes["/keys"] = reply(body=certificates(first))
    method = ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH
    await fetching_app.registrar.create(publishing(server, authentication_method=method), None)
    assert await mint(fetching_app, first)
    clock.advance(11)
    server.routes["/keys"] = reply(body=certificates(second))
    assert await mint(fetching_app, second)
    with pytest.raises(AuthenticationError) as caught:
        await mint(fetching_app, first)
    assert caught.value.cause == "certificate_not_registered"
    assert await fetching_app.store.clients.self_signed_certificates() == ()


async def test_an_expired_certificate_asks_nobody(fetching_app, server):
    """What cannot be right is refused before a request is made for it."""
    end = datetime.now(tz=UTC) - timedelta(hours=1)
    expired = self_signed("backend", not_before=end - timedelta(days=1), not_after=end)
    method = ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH
    await fetching_app.registrar.create(publishing(server, authentication_method=method), None)
    with pytest.raises(AuthenticationError) as caught:
        await mint(fetching_app, expired)
    assert caught.value.cause == "certificate_expired"
    assert server.requests == []
