"""Users who log in at a real OpenID provider, with the gateway between it and the client."""

import asyncio
import base64
import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio
from countersign import ClientSecretBasicAuth, GrantType

from tests.support.dpop import Prover
from tests.support.edge import INTROSPECT
from tests.support.gateway import ISSUER, RunningGateway, SteppedClock, running_gateway
from tests.support.pki import Authority
from tests.support.upstream import (
    ASKING,
    AUTHORIZE,
    CALLBACK,
    COOKIE,
    PAR,
    REDIRECT,
    Browser,
    browsing,
    prepared_for,
    provider,
    reaching_loopback,
    sent_back,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGIN = {"acr": "urn:example:gold", "amr": ["pwd", "otp"]}
SECURITY = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream(tmp_path_factory):
    """The provider, the authority of its certificate, and a door to it."""
    authority = Authority.root("OpenID Root")
    folder = tmp_path_factory.mktemp("provider")
    async with (
        provider(folder, authority, login=LOGIN, claims={"openid": ["sub", "acr", "amr"]}) as running,
        reaching_loopback(authority),
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_home(upstream, tmp_path_factory):
    """The module's gateway and client."""
    prepared = await prepared_for(tmp_path_factory.mktemp("gateway"), upstream.issuer)
    async with browsing(prepared, upstream) as browser:
        async with browser.gateway.client(browser.gateway.admin) as admin:
            credentials = {**ASKING, "grant_types": [GrantType.CLIENT_CREDENTIALS]}
            await admin.create_client("machine", authentication=ClientSecretBasicAuth(), **credentials)
            await admin.create_client(
                "pushing",
                authentication=ClientSecretBasicAuth(),
                require_pushed_authorization_requests=True,
                **ASKING,
            )
        yield browser


@pytest.fixture
def browser(at_home) -> Browser:
    """A browser of the test's own."""
    return Browser(at_home.gateway, at_home.provider, at_home.secret, at_home.pkce)


def claims_of(token: str) -> dict[str, Any]:
    """What *token* says; it was verified by nobody here."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def is_page(response, word: str) -> bool:
    """Whether *response* is a page with *word*, and leads nowhere."""
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not {"location", "set-cookie"} & set(response.headers)
    return word in response.text


async def test_the_whole_flow(browser):
    """Redirect, login, code, token: the user is the provider's, under a prefix, as the provider knew them."""
    departure = await browser.authorize()
    back = await browser.come_back(await browser.log_in(departure))
    answer = sent_back(back)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("the state", ISSUER)
    minted = (await browser.redeem(answer["code"])).json()
    claims = claims_of(minted["access_token"])
    assert (claims["sub"], claims["scope"], claims["client_id"]) == ("user:alice", "read", "app")
    assert claims["auth_time"] > 1_700_000_000
    assert {name: claims[name] for name in LOGIN} == LOGIN
    seen = await browser.edge.post(
        INTROSPECT, identity=browser.gateway.api, data={"token": minted["access_token"]}
    )
    assert seen.json()["sub"] == "user:alice"


async def test_every_answer_is_guarded(browser):
    """Redirects and pages are not stored, framed, referred or read by scripts of others."""
    origin = {"origin": "https://app.example.org"}
    departure = await browser.authorize()
    responses = [
        departure,
        await browser.come_back(await browser.log_in(departure)),
        await browser.authorize(scope="admin"),
        await browser.edge.get(AUTHORIZE, headers=origin),
        await browser.edge.get(CALLBACK, headers=origin),
        await browser.edge.post(CALLBACK),
    ]
    assert [response.status_code for response in responses] == [303, 303, 303, 400, 400, 405]
    for response in responses:
        assert {name: response.headers[name] for name in SECURITY} == SECURITY
        assert response.headers["content-security-policy"].startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_the_cookie(browser):
    """Bound to the host, out of reach of scripts and of requests from other sites, and short-lived."""
    departure = await browser.authorize()
    value, *attributes = departure.headers["set-cookie"].split("; ")
    name, _, secret = value.partition("=")
    assert (name, len(secret)) == (COOKIE, 43)
    assert set(attributes) == {"Path=/", "Max-Age=600", "Secure", "HttpOnly", "SameSite=Lax"}


async def test_two_tabs(browser):
    """Logins in several tabs of one browser all come home, in any order."""
    first = await browser.log_in(await browser.authorize(state="1"))
    second = await browser.log_in(await browser.authorize(state="2"))
    answers = [sent_back(await browser.come_back(answer)) for answer in (second, first)]
    assert [answer["state"] for answer in answers] == ["2", "1"]


@pytest.mark.parametrize("cookie", ["", "short", "a" * 44, "ü" * 43])
async def test_a_strange_cookie_is_replaced(browser, cookie):
    """Only what we made is taken up again."""
    response = await browser.edge.get(
        AUTHORIZE, params=browser.asked(), headers={"cookie": f"{COOKIE}={cookie}".encode()}
    )
    assert cookie not in response.headers["set-cookie"] or not cookie
    assert len(response.headers["set-cookie"].partition(";")[0]) == len(COOKIE) + 44


async def test_by_post(browser):
    """RFC 6749 §3.1: the same by POST, which a 303 turns into a GET."""
    departure = await browser.authorize("POST")
    assert "code" in sent_back(await browser.come_back(await browser.log_in(departure)))


async def test_a_redirect_uri_with_a_query(browser):
    """What the client put into its redirect URI stays."""
    departure = await browser.authorize(redirect_uri=f"{REDIRECT}?tenant=1", state=None)
    answer = sent_back(await browser.come_back(await browser.log_in(departure)))
    assert (answer["tenant"], set(answer)) == ("1", {"tenant", "code", "iss"})


async def test_a_pushed_request(browser):
    """Its reference is enough; what stands beside it counts for nothing; it makes one code."""
    uri = await browser.push(scope="write", state="pushed")
    only = dict.fromkeys(browser.asked())
    asked = {**only, "client_id": "app", "request_uri": uri, "scope": "read", "prompt": "none"}
    first = await browser.log_in(await browser.authorize(**asked))
    second = await browser.log_in(await browser.authorize(**asked))
    answer = sent_back(await browser.come_back(first))
    assert answer["state"] == "pushed"
    assert (await browser.redeem(answer["code"])).json()["scope"] == "write"
    late = sent_back(await browser.come_back(second))
    assert (late["error"], "code" in late) == ("invalid_request", False)
    assert is_page(await browser.authorize(**asked), "request URI")


async def test_wishes_are_pushed(browser):
    """`prompt` and `max_age` of a pushed request reach the provider, and are checked when pushed."""
    asked = {**dict.fromkeys(browser.asked()), "client_id": "app"}
    fresh = await browser.authorize(**asked, request_uri=await browser.push(prompt="login", max_age="60"))
    assert "&max_age=60&prompt=login" in fresh.headers["location"]
    data = browser.asked(client_id=None, prompt="none login")
    refused = await browser.edge.post(PAR, auth=("app", browser.secret), data=data)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


async def test_a_request_uri_is_its_clients(browser):
    """Another client cannot use it."""
    uri = await browser.push()
    assert is_page(await browser.authorize(client_id="pushing", request_uri=uri), "request URI")


async def test_a_key_named_when_asking(browser):
    """The code is worth nothing without the key of `dpop_jkt` (RFC 9449 §10)."""
    prover = Prover.es256()
    code = await browser.code(dpop_jkt=prover.jkt)
    refused = await browser.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    minted = await browser.redeem(code, prover.proof(iat=int(time.time())))
    assert (minted.status_code, minted.json()["token_type"]) == (200, "DPoP")


PAGES = {
    "no client": ({"client_id": None}, "client_id"),
    "an unknown client": ({"client_id": "nobody"}, "no such client"),
    "no redirect URI": ({"redirect_uri": None}, "redirect_uri"),
    "another redirect URI": ({"redirect_uri": "https://evil.example.org"}, "redirect URI"),
    "a longer redirect URI": ({"redirect_uri": f"{REDIRECT}/"}, "redirect URI"),
    "a script": ({"redirect_uri": "javascript:alert(1)"}, "redirect URI"),
    "an unknown reference": ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request URI"),
    "a reference elsewhere": ({"request_uri": "https://evil.example.org/request"}, "request URI"),
    "a reference and a request": ({"request_uri": "urn:x", "request": "a.b.c"}, "not both"),
    "too much": ({"unknown": "x" * 15_000, "more": "x" * 1_400}, ""),
}


@pytest.mark.parametrize("fault", PAGES)
async def test_nobody_is_redirected(browser, fault):
    """Before the redirect URI is known to be the client's, only the user hears of an error."""
    changes, word = PAGES[fault]
    if fault == "too much":
        response = await browser.authorize("POST", **changes)
        assert (response.status_code, "location" in response.headers) == (413, False)
    else:
        assert is_page(await browser.authorize(**changes), word)


async def test_a_parameter_sent_twice(browser):
    """RFC 6749 §3.1: it is refused, and which of the two was meant is nobody's guess."""
    asked = [*browser.asked().items(), ("redirect_uri", "https://evil.example.org")]
    assert is_page(await browser.edge.get(AUTHORIZE, params=asked), "more than once")


SENT_BACK = {
    "implicit": ({"response_type": "token"}, "unsupported_response_type"),
    "no response type": ({"response_type": None}, "invalid_request"),
    "a fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "a request object": ({"request": "a.b.c"}, "request_not_supported"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no method, which means plain": ({"code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "an unknown scope": ({"scope": "admin"}, "invalid_scope"),
    "another resource": ({"resource": "https://other.example.org"}, "invalid_target"),
    "no thumbprint": ({"dpop_jkt": "x"}, "invalid_request"),
    "an unknown prompt": ({"prompt": "whatever"}, "invalid_request"),
    "none beside another prompt": ({"prompt": "none login"}, "invalid_request"),
    "an age that is no number": ({"max_age": "-1"}, "invalid_request"),
    "a client without the grant": ({"client_id": "machine"}, "unauthorized_client"),
    "a client that must push": ({"client_id": "pushing"}, "invalid_request"),
}


@pytest.mark.parametrize("fault", SENT_BACK)
async def test_the_client_hears_of_it(browser, fault):
    """From then on each error goes to the client, before anybody logs in."""
    changes, error = SENT_BACK[fault]
    response = await browser.authorize(**changes)
    assert sent_back(response) == {"error": error, "state": "the state", "iss": ISSUER}
    assert "set-cookie" not in response.headers


async def test_nobody_there_to_log_in(browser):
    """`prompt=none` reaches the provider, and its answer the client."""
    answer = await browser.log_in(await browser.authorize(prompt="none"))
    assert sent_back(await browser.come_back(answer)) == {
        "error": "login_required",
        "state": "the state",
        "iss": ISSUER,
    }


async def test_a_fresh_login(browser):
    """`prompt` and `max_age` reach the provider, and the ID token is checked for the latter."""
    departure = await browser.authorize(prompt="login", max_age="0")
    assert "&max_age=0&prompt=login" in departure.headers["location"]
    assert "code" in sent_back(await browser.come_back(await browser.log_in(departure)))


def changed(answer, **changes):
    """*answer* with parameters replaced, or left out where None."""
    values = dict(answer) | changes
    return [(name, value) for name, value in values.items() if value is not None]


UPSTREAM_ERRORS = {
    "access_denied": "access_denied",
    "login_required": "login_required",
    "consent_required": "consent_required",
    "temporarily_unavailable": "temporarily_unavailable",
    "invalid_scope": "server_error",
    "something else": "server_error",
    "not\nprintable": "server_error",
}


@pytest.mark.parametrize("error", UPSTREAM_ERRORS)
async def test_errors_of_the_provider(browser, error):
    """What is as true of us is passed on; what is about us as its client is our failure."""
    answer = await browser.log_in(await browser.authorize())
    response = await browser.come_back(changed(answer, error=error, code=None))
    assert sent_back(response)["error"] == UPSTREAM_ERRORS[error]


ANSWERS = {
    "another issuer": {"iss": "https://evil.example.org"},
    "no issuer": {"iss": None},
    "another code": {"code": "x"},
    "no code": {"code": None},
}


@pytest.mark.parametrize("fault", ANSWERS)
async def test_an_answer_refused(browser, fault):
    """Each makes no code, and uses the login up."""
    answer = await browser.log_in(await browser.authorize())
    response = await browser.come_back(changed(answer, **ANSWERS[fault]))
    assert sent_back(response) == {"error": "server_error", "state": "the state", "iss": ISSUER}
    assert is_page(await browser.come_back(answer), "already finished")


async def test_another_browser(browser):
    """State without the cookie, or with another's, finishes nothing, and spoils nothing."""
    answer = await browser.log_in(await browser.authorize())
    mine = browser.cookie
    for cookie in ("", "A" * 43, f"{mine}; {COOKIE}={mine}"):
        browser.cookie = None
        assert is_page(await browser.come_back(answer, cookie=cookie), "another browser")
    assert "code" in sent_back(await browser.come_back(answer, cookie=mine))


@pytest.mark.parametrize("state", [None, "", "x", "ü", "A" * 43])
async def test_another_state(browser, state):
    """The browser alone finishes nothing either."""
    answer = await browser.log_in(await browser.authorize())
    assert is_page(await browser.come_back(changed(answer, state=state)), "")
    assert "code" in sent_back(await browser.come_back(answer))


def tamper(gateway: RunningGateway, **changes: Any) -> None:
    """Change what is remembered of the one login under way."""
    with closing(sqlite3.connect(gateway.database_file)) as database:
        rows = database.execute(
            "SELECT rowid_, document FROM (SELECT state_digest AS rowid_, document FROM pending_logins "
            "ORDER BY expire_time DESC LIMIT 1)"
        ).fetchall()
        ((key, document),) = rows
        members = json.loads(document) | changes
        database.execute(
            "UPDATE pending_logins SET document = ? WHERE state_digest = ?", (json.dumps(members), key)
        )
        database.commit()


REMEMBERED = {
    "another nonce": {"nonce": "x" * 43},
    "another verifier": {"code_verifier": "x" * 43},
    "another state": {"state": "x" * 43},
    "another callback": {"redirect_uri": "https://other.example.org"},
}


@pytest.mark.parametrize("fault", REMEMBERED)
async def test_what_binds_the_login(browser, fault):
    """Nonce, verifier, state and redirect URI each are what was sent."""
    answer = await browser.log_in(await browser.authorize())
    tamper(browser.gateway, **REMEMBERED[fault])
    assert sent_back(await browser.come_back(answer))["error"] == "server_error"


async def test_a_login_begun_at_another_provider(browser):
    """After a change of configuration no code goes to the new provider."""
    answer = await browser.log_in(await browser.authorize())
    tamper(browser.gateway, issuer="https://old.example.org")
    assert is_page(await browser.come_back(answer), "unknown")


async def test_a_client_deleted_meanwhile(browser):
    """The login ends with a page: nobody knows the redirect URI any more."""
    async with browser.gateway.client(browser.gateway.admin) as admin:
        await admin.create_client("gone", authentication=ClientSecretBasicAuth(), **ASKING)
        answer = await browser.log_in(await browser.authorize(client_id="gone"))
        await admin.delete_client("gone")
    assert is_page(await browser.come_back(answer), "no such client")


async def test_one_callback_on_two_replicas(browser):
    """Used many times at once over both, it makes one code."""
    async with running_gateway(browser.gateway.prepared.folder, prepared=browser.gateway.prepared) as other:
        answer = await browser.log_in(await browser.authorize())
        responses = await asyncio.gather(
            *(browser.come_back(answer, gateway=each) for each in (browser.gateway, other) * 5)
        )
        codes = [sent_back(each)["code"] for each in responses if each.status_code == 303]
        assert len(codes) == 1
        assert {each.status_code for each in responses} == {303, 400}
        assert (await browser.redeem(codes[0])).status_code == 200
        answer = await browser.log_in(await browser.authorize())
        assert "code" in sent_back(await browser.come_back(answer, gateway=other))


async def test_one_pushed_request_in_two_browsers(browser):
    """Both log in, both come back at once to different replicas: one gets the code."""
    uri = await browser.push()
    asked = {**dict.fromkeys(browser.asked()), "client_id": "app", "request_uri": uri}
    async with running_gateway(browser.gateway.prepared.folder, prepared=browser.gateway.prepared) as other:
        answers = [await browser.log_in(await browser.authorize(**asked)) for _ in range(2)]
        responses = await asyncio.gather(
            browser.come_back(answers[0]), browser.come_back(answers[1], gateway=other)
        )
    outcomes = [sent_back(each) for each in responses]
    assert sorted(outcome.get("error", "") for outcome in outcomes) == ["", "invalid_request"]


async def test_a_user_who_is_slow(upstream, tmp_path):
    """A pushed request outlives its ninety seconds at the provider; after ten minutes the login is over."""
    clock = SteppedClock()
    async with browsing(await prepared_for(tmp_path, upstream.issuer), upstream, clock) as browser:
        asked = {**dict.fromkeys(browser.asked()), "client_id": "app", "request_uri": await browser.push()}
        answers = [await browser.log_in(await browser.authorize(**asked)) for _ in range(2)]
        clock.advance(599)
        assert "code" in sent_back(await browser.come_back(answers[0]))
        clock.advance(1)
        assert is_page(await browser.come_back(answers[1]), "expired")


async def test_a_user_who_does_not_fit(tmp_path):
    """A name of the provider's that is too long for ours is not cut, and not the client's mistake."""
    authority = Authority.root("OpenID Root")
    login = {"accountId": "a" * 255}
    async with (
        provider(tmp_path, authority, login=login) as upstream,
        reaching_loopback(authority),
        browsing(await prepared_for(tmp_path, upstream.issuer), upstream) as browser,
    ):
        answer = await browser.log_in(await browser.authorize())
        assert sent_back(await browser.come_back(answer))["error"] == "server_error"


async def test_too_many_logins(upstream, tmp_path):
    """Beyond the bound a client is told to come again; the log says whose logins are too many."""
    prepared = await prepared_for(tmp_path, upstream.issuer, upstream={"max_logins_per_client": 2})
    async with browsing(prepared, upstream) as browser:
        for _ in range(2):
            departure = await browser.authorize()
            assert departure.headers["location"].startswith(upstream.issuer)
        answer = sent_back(await browser.authorize())
        assert (answer["error"], answer["iss"]) == ("temporarily_unavailable", ISSUER)


async def test_metadata(browser):
    """The endpoint is the gateway's own."""
    document = (await browser.edge.get("/.well-known/oauth-authorization-server")).json()
    assert document["authorization_endpoint"] == ISSUER + AUTHORIZE
    assert document["authorization_response_iss_parameter_supported"] is True


async def test_without_a_provider(edge):
    """Neither path exists."""
    for path in (AUTHORIZE, CALLBACK):
        assert (await edge.get(path)).status_code == 404


async def test_an_outage(tmp_path):
    """Before and after the login the client hears that it is temporary, and the next login is another."""
    authority = Authority.root("OpenID Root")
    async with provider(tmp_path, authority) as upstream, reaching_loopback(authority):
        async with browsing(await prepared_for(tmp_path, upstream.issuer), upstream) as browser:
            answer = await browser.log_in(await browser.authorize())
            await upstream.stop()
            assert sent_back(await browser.come_back(answer))["error"] == "temporarily_unavailable"
        async with running_gateway(tmp_path, prepared=browser.gateway.prepared) as cold:
            response = await Browser(cold, upstream, browser.secret, browser.pkce).authorize()
            assert sent_back(response) == {
                "error": "temporarily_unavailable",
                "state": "the state",
                "iss": ISSUER,
            }
