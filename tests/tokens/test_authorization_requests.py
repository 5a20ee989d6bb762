"""Pushed authorization requests, codes for a login application, and redirect URIs."""

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import GatewayError, Reason
from gateway.tokens.authorization import Authentication
from gateway.tokens.client import ClientAuthenticationMethod, GrantType
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.redirect_uri import is_registrable, require_registered
from tests.support.authorizations import (
    CHALLENGE,
    REDIRECT,
    SECRET,
    USER,
    code_for,
    draft,
    proven_call,
    redeem,
    web_client,
)
from tests.support.dpop import Prover
from tests.support.gateway import RESOURCE, call_of

PROOF = ClientSecret(SECRET)


@pytest.fixture
async def web(app):
    """A confidential client and another one."""
    await web_client(app)
    await web_client(app, "other")
    return app


async def refused(attempt):
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.reason, caught.value.field


def issue(app, request, client_id="web", subject=USER, authentication=Authentication()):  # noqa: B008 - frozen
    return app.authorizations.issue_code(client_id, request, subject=subject, authentication=authentication)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"redirect_uri": "https://evil.example"}, Reason.INVALID_REQUEST, "redirect_uri"),
        ({"redirect_uri": REDIRECT + "?x"}, Reason.INVALID_REQUEST, "redirect_uri"),
        ({"redirect_uri": ""}, Reason.INVALID_REQUEST, "redirect_uri"),
        ({"code_challenge": ""}, Reason.INVALID_REQUEST, "code_challenge"),
        ({"code_challenge": "plain-text-verifier"}, Reason.INVALID_REQUEST, "code_challenge"),
        ({"code_challenge": CHALLENGE + "="}, Reason.INVALID_REQUEST, "code_challenge"),
        ({"scope": ("admin",)}, Reason.INVALID_SCOPE, "scope"),
        ({"resource": ("https://x.example",)}, Reason.INVALID_TARGET, "resource"),
        ({"dpop_jkt": "x"}, Reason.INVALID_REQUEST, "dpop_jkt"),
        ({"state": "x" * 2049}, Reason.INVALID_REQUEST, "state"),
    ],
)
async def test_a_request_is_checked_however_it_comes(web, changes, reason, field):
    """Pushed, from a browser, or beside a code: the same rules."""
    bad = draft(**changes)
    assert await refused(web.authorizations.push(call_of(), "web", PROOF, bad)) == (reason, field)
    assert await refused(web.authorizations.check("web", bad)) == (reason, field)
    assert await refused(issue(web, bad)) == (reason, field)


async def test_a_client_without_the_grant_asks_nobody(app):
    """It is not registered for codes."""
    await web_client(app, grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}))
    assert (await refused(app.authorizations.check("web", draft())))[0] is Reason.UNAUTHORIZED_CLIENT


async def test_pushing_takes_client_authentication(web):
    """A wrong secret pushes nothing (RFC 9126 §2)."""
    attempt = web.authorizations.push(call_of(), "web", ClientSecret("x"), draft())
    assert (await refused(attempt))[0] is Reason.INVALID_CLIENT


async def test_a_pushed_request_makes_one_code(web):
    """The request URI is used up; what was pushed is what the code is for."""
    pushed = await web.authorizations.push(call_of(), "web", PROOF, draft(scope=("read",), state="s"))
    assert pushed.request_uri.startswith("urn:ietf:params:oauth:request_uri:")
    assert pushed.expires_in < 600
    read = await web.authorizations.pushed("web", pushed.request_uri)
    assert (read.scope, read.state, read.audience) == (("read",), "s", (RESOURCE,))
    results = await asyncio.gather(
        *(issue(web, pushed.request_uri) for _ in range(10)), return_exceptions=True
    )
    issued = [result for result in results if not isinstance(result, Exception)]
    assert len(issued) == 1
    assert {each.reason for each in results if isinstance(each, Exception)} == {Reason.INVALID_REQUEST}
    assert issued[0].request.state == "s"
    assert (await redeem(web, issued[0].code)).token.scope == ("read",)


async def test_a_request_uri_is_its_clients_and_expires(web, clock):
    """Another client, an invented one and a late one are refused alike."""
    pushed = await web.authorizations.push(call_of(), "web", PROOF, draft())
    unknown = (Reason.INVALID_REQUEST, "request_uri")
    assert await refused(issue(web, pushed.request_uri, "other")) == unknown
    assert await refused(issue(web, "urn:ietf:params:oauth:request_uri:" + "A" * 43)) == unknown
    assert await refused(issue(web, "https://evil.example/request")) == unknown
    clock.advance(90)
    assert await refused(issue(web, pushed.request_uri)) == unknown


async def test_a_client_that_must_push(app):
    """What a browser brings is not taken from it (RFC 9126 §6)."""
    await web_client(app, require_pushed_authorization_requests=True)
    assert await refused(issue(app, draft())) == (Reason.INVALID_REQUEST, "request_uri")
    pushed = await app.authorizations.push(call_of(), "web", PROOF, draft())
    assert await issue(app, pushed.request_uri)


async def test_a_proof_pushed_binds_the_code(web):
    """The proof alone acts as `dpop_jkt`; beside another one it is refused (RFC 9449 §10.1)."""
    prover = Prover.es256()

    def push(asked):
        return web.authorizations.push(proven_call(prover), "web", PROOF, asked)

    pushed = await push(draft())
    assert (await web.authorizations.pushed("web", pushed.request_uri)).dpop_jkt == prover.jkt
    assert await push(draft(dpop_jkt=prover.jkt))
    attempt = push(draft(dpop_jkt=Prover.es256().jkt))
    assert await refused(attempt) == (Reason.INVALID_REQUEST, "dpop_jkt")


@pytest.mark.parametrize(
    ("subject", "authentication", "field"),
    [
        ("", Authentication(), "subject"),
        ("x" * 256, Authentication(), "subject"),
        ("a\nb", Authentication(), "subject"),
        ("other", Authentication(), "subject"),
        (USER, Authentication(time=4_000_000_000), "auth_time"),
        (USER, Authentication(acr="a\x00"), "amr"),
        (USER, Authentication(amr=("",)), "amr"),
        (USER, Authentication(amr=("pwd",) * 17), "amr"),
    ],
)
async def test_a_user_is_checked(web, subject, authentication, field):
    """No control characters, nothing without bound, and no user that is called like a client."""
    attempt = issue(web, draft(), subject=subject, authentication=authentication)
    assert await refused(attempt) == (Reason.INVALID_FIELD, field)


@pytest.mark.parametrize("client_id", ["nobody", "", "a b", "web\n"])
async def test_an_unknown_client(web, client_id):
    """Its user must not be sent anywhere."""
    assert await refused(issue(web, draft(), client_id)) == (Reason.INVALID_REQUEST, "client_id")


async def test_a_disabled_client(web):
    """Nor that of a client that is barred."""
    await web_client(web, "barred", disabled=True)
    assert await refused(issue(web, draft(), "barred")) == (Reason.INVALID_REQUEST, "client_id")


async def test_the_answer_names_the_issuer(web):
    """`iss` goes beside the code (RFC 9207)."""
    issued = await issue(web, draft(state="xyz"))
    assert (issued.issuer, issued.request.redirect_uri) == ("https://id.example.org", REDIRECT)
    assert issued.code not in repr(issued)


async def test_a_code_is_made_for_one_client(web):
    """Another cannot use it."""
    with pytest.raises(GatewayError):
        await redeem(web, await code_for(web), "other")


class TestRedirectUris:
    """RFC 9700 §2.1, RFC 8252 §7."""

    @pytest.mark.parametrize(
        "uri",
        [
            "https://app.example.org/cb",
            "https://app.example.org/cb?x=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:8080/cb",
            "http://[::1]:9/cb",
            "http://localhost:8080/playground2/oauth2client",
            "com.example.app:/cb",
        ],
    )
    def test_registrable(self, uri):
        """https, loopback, and schemes that are reversed domain names."""
        assert is_registrable(uri)

    @pytest.mark.parametrize(
        "uri",
        [
            "http://app.example.org/cb",
            "https://app.example.org/cb#x",
            "https://user@app.example.org/",
            "https:///cb",
            "https://app.example.org\\@evil.example/",
            "https://app.example.org:x/",
            "/cb",
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp:/cb",
            "https://äpp.example.org/",
            "https://app.example.org/a b",
            "https://app.example.org/" + "x" * 2048,
        ],
    )
    def test_not_registrable(self, uri):
        """Anything that could leak a code."""
        assert not is_registrable(uri)

    @pytest.mark.parametrize(
        ("asked", "registered"),
        [
            ("http://127.0.0.1:51004/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1:51004/cb", "http://127.0.0.1:8080/cb"),
            ("http://[::1]:51004/cb", "http://[::1]/cb"),
            (REDIRECT, REDIRECT),
        ],
    )
    def test_allowed(self, asked, registered):
        """The port of a loopback address is free."""
        assert require_registered(asked, frozenset({registered})) == asked

    @pytest.mark.parametrize(
        ("asked", "registered"),
        [
            ("http://127.0.0.1:51004/other", "http://127.0.0.1/cb"),
            ("http://127.0.0.2:51004/cb", "http://127.0.0.1/cb"),
            ("http://localhost:51004/cb", "http://localhost:8080/cb"),
            ("http://localhost/cb", "http://127.0.0.1/cb"),
            ("https://127.0.0.1:51004/cb", "https://127.0.0.1/cb"),
            ("https://app.example.org:444/callback", REDIRECT),
            ("HTTPS://app.example.org/callback", REDIRECT),
            ("http://127.0.0.1:1@evil.example/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1:8080/cb?x", "http://127.0.0.1/cb"),
        ],
    )
    def test_refused(self, asked, registered):
        """Everything else is compared character for character."""
        with pytest.raises(GatewayError) as caught:
            require_registered(asked, frozenset({registered}))
        assert caught.value.field == "redirect_uri"


class TestRegistration:
    """What a client may be."""

    @pytest.fixture
    async def web(self, app):
        """A good registration to change."""
        return await web_client(app)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"redirect_uris": frozenset()}, "client.redirect_uris"),
            ({"redirect_uris": frozenset({"http://app.example.org"})}, "client.redirect_uris"),
            (
                {"redirect_uris": frozenset(f"https://a.example/{number}" for number in range(101))},
                "client.redirect_uris",
            ),
            (
                {
                    "authentication_method": ClientAuthenticationMethod.NONE,
                    "grant_types": frozenset({GrantType.CLIENT_CREDENTIALS}),
                },
                "client.grant_types",
            ),
            (
                {
                    "authentication_method": ClientAuthenticationMethod.NONE,
                    "resources": frozenset({"https://rs.example"}),
                },
                "client.resources",
            ),
        ],
    )
    async def test_refused(self, app, web, changes, field):
        """Each rule by itself."""
        attempt = app.registrar.create(replace(web, client_id="new", **changes), None)
        assert await refused(attempt) == (Reason.INVALID_CLIENT_METADATA, field)


async def test_what_a_client_lost_meanwhile(web):
    """A request accepted before its user logged in makes no code for what the client may no longer have."""
    accepted = await web.authorizations.accept("web", draft(scope=("read",)))
    stored = await web.store.clients.get("web")
    losses = {
        "redirect_uri": replace(stored, redirect_uris=frozenset({"https://new.example.org/"})),
        "scope": replace(stored, scopes=frozenset({"write"})),
        "resource": replace(stored, audiences=frozenset({"https://x.example.org"}), default_audience=None),
        "client_id": replace(stored, disabled=True),
    }
    assert accepted.pushed is None
    for field, client in losses.items():
        current = await web.store.clients.get("web")
        await web.store.clients.replace(client, expected_revision=current.revision)
        attempt = web.authorizations.issue_accepted(accepted, subject=USER, authentication=Authentication())
        assert (await refused(attempt))[1] == field
