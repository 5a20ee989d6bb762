"""The edge's paths of presentations: what wallets and the world read, and what is refused unread."""

import grpc
import httpx
import jwt
import pytest
import pytest_asyncio
from countersign.v1 import presentation_service_pb2 as pb

from gateway.dids import parse_did, parse_document
from gateway.edge.presentation_requests import MAX_RESPONSE_BODY
from gateway.edge.presentation_routes import document_path
from gateway.keys.keyring import Keyring
from gateway.presentations.own_did import OwnDid
from signers import Algorithm
from tests.support.edge import FORM
from tests.support.presenting import APP, objections, presenting

RESPONSE = "/presentations/response"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    """One verifier with keys in files, for all tests of this module."""
    async with presenting(tmp_path_factory.mktemp("routes"), Algorithm.ES256) as running:
        yield running


@pytest.fixture
async def http(stage):
    """A client of the edge."""
    async with stage.http() as client:
        client.base_url = httpx.URL(stage.url)
        yield client


pytestmark = pytest.mark.asyncio(loop_scope="module")


def path_of(asked) -> str:
    return httpx.URL(asked.request_uri).path


async def prepared_answer(stage, http, **changes):
    """A request, and the form of a wallet that answers it."""
    holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer("jwk", Algorithm.ES256)
    wallet = stage.wallet(holder, [issuer.issue(holder.did)], http)
    asked = await stage.ask()
    return asked, wallet.answer(await wallet.read(asked.authorization_request_uri), **changes)


async def test_the_request_object_is_a_jwt(stage, http):
    """It is served as application/jwt, never stored, and says what the profile asks a request to say."""
    asked = await stage.ask()
    answer = await http.get(path_of(asked))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(answer.text, options={"verify_signature": False})
    fixed = {name: claims[name] for name in ("scope", "response_type", "response_mode", "nonce")}
    assert fixed == {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "post",
        "nonce": asked.nonce,
    }
    assert claims["redirect_uri"] == stage.url + RESPONSE
    header = jwt.get_unverified_header(answer.text)
    assert header["kid"].startswith(f"{claims['client_id']}#")
    assert header["typ"] == "JWT"


async def test_fetching_is_seen_by_the_verifier(stage, http):
    """The state moves from created to fetched with the first GET, and a second one changes nothing."""
    asked = await stage.ask()
    assert asked.state == pb.PRESENTATION_REQUEST_STATE_CREATED
    first = await http.get(path_of(asked))
    fetched = await stage.get(asked.name)
    assert fetched.state == pb.PRESENTATION_REQUEST_STATE_FETCHED
    assert (await http.get(path_of(asked))).text == first.text
    assert (await stage.get(asked.name)).fetch_time == fetched.fetch_time


@pytest.mark.parametrize(
    ("kind", "media_type", "start"),
    [("svg", "image/svg+xml", b"<svg"), ("png", "image/png", b"\x89PNG\r\n\x1a\n")],
)
async def test_the_qr_code_is_an_image(stage, http, kind, media_type, start):
    """Both forms are served, and looking at them does not count as fetching the request."""
    asked = await stage.ask()
    answer = await http.get(f"{path_of(asked)}/qr.{kind}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.content.startswith(start)
    assert (await stage.get(asked.name)).state == pb.PRESENTATION_REQUEST_STATE_CREATED


@pytest.mark.parametrize("suffix", ["", "/qr.svg", "/qr.png"])
@pytest.mark.parametrize("request_id", ["unknown", "A" * 43, "%2e%2e", "A" * 2000])
async def test_an_unknown_request_is_not_found(http, request_id, suffix):
    """Whatever id is asked for, there is nothing there."""
    answer = await http.get(f"/presentations/requests/{request_id}{suffix}")
    assert answer.status_code == 404


async def test_a_head_request_fetches_nothing(stage, http):
    """HEAD is refused, so that a link preview does not look like a wallet."""
    asked = await stage.ask()
    answer = await http.head(path_of(asked))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_an_answer_is_acknowledged(stage, http):
    """A wallet whose presentation holds gets 200 and an empty JSON object."""
    _, form = await prepared_answer(stage, http)
    answer = await http.post(RESPONSE, data=form)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["cache-control"] == "no-store"


async def test_the_browser_of_the_wallet_comes_back_with_a_code(stage, http):
    """Where asked for, the wallet is told where to send its user, with a code that was in no request."""
    holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer("jwk", Algorithm.ES256)
    wallet = stage.wallet(holder, [issuer.issue(holder.did)], http)
    asked = await stage.ask(return_uri=f"{APP}/done?session=1")
    token = (await http.get(path_of(asked))).text
    answered = await wallet.present(asked.authorization_request_uri)
    assert len(asked.response_code) == 43
    assert answered.response.json() == {
        "redirect_uri": f"{APP}/done?session=1#response_code={asked.response_code}"
    }
    assert asked.response_code not in jwt.decode(token, options={"verify_signature": False}).values()
    assert (await stage.get(asked.name)).response_code == asked.response_code
    assert (await stage.ask()).response_code == ""


async def test_a_user_who_declined_comes_back_too(stage, http):
    """The wallet that posted an error is told where to go as well; one that was refused is not."""
    wallet = stage.wallet(stage.identity("holder", "jwk", Algorithm.ES256), [], http)
    asked = await stage.ask(return_uri=f"{APP}/")
    declined = await wallet.decline(asked.authorization_request_uri)
    assert declined.response.json()["redirect_uri"].startswith(f"{APP}/#response_code=")


@pytest.mark.parametrize(
    "uri",
    [
        "https://elsewhere.example/",
        "https://app.example.org",
        "http://app.example.org/",
        "https://app.example.org/#x",
        "https://app.example.org@elsewhere.example/",
        "https://app.example.org:8443/",
        f"https://app.example.org/{'x' * 2048}",
    ],
)
async def test_nobody_is_sent_to_where_the_verifier_is_not(stage, uri):
    """A return URI is on an origin of the verifier, so that the gateway is no open redirector."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stage.ask(return_uri=uri)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_request_is_answered_once(stage, http):
    """The second answer is 410, also to the fetch of the request object, whatever the first one said."""
    asked, form = await prepared_answer(stage, http)
    await http.post(RESPONSE, data=form)
    assert (await http.post(RESPONSE, data=form)).status_code == 410
    assert (await http.get(path_of(asked))).status_code == 410


async def test_a_wallet_learns_that_it_was_refused_and_not_why(stage, http):
    """A presentation that does not hold is 400 for the wallet, and the verifier has every check."""
    asked, form = await prepared_answer(stage, http, vp_claims={"nonce": "another"})
    answer = await http.post(RESPONSE, data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")
    assert "nonce" not in answer.text
    report = await stage.get(asked.name)
    assert report.state == pb.PRESENTATION_REQUEST_STATE_REFUSED
    assert objections(report.verification) == ["presentation_nonce"]


async def test_a_user_who_declines_is_heard(stage, http):
    """The wallet's error is acknowledged, and it is what the verifier sees."""
    holder = stage.identity("holder", "key", Algorithm.EDDSA)
    asked = await stage.ask()
    declined = await stage.wallet(holder, [], http).decline(asked.authorization_request_uri)
    assert declined.response.status_code == 200
    report = await stage.get(asked.name)
    assert (report.state, report.wallet_error) == (
        pb.PRESENTATION_REQUEST_STATE_REFUSED,
        "user_cancelled",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"state=a", 400),
        (b"state=a&id_token=x", 400),
        (b"state=a&state=a&id_token=x&vp_token=y", 400),
        (b"state=%ff&id_token=x&vp_token=y", 400),
        (b"state=unknown&id_token=x&vp_token=y", 404),
        (b"state=a&vp_token=y&id_token=" + b"x" * (64 * 1024 + 1), 400),
        (b"state=a&id_token=x&vp_token=" + b"y" * (1024 * 1024 + 1), 400),
        (b"x" * (MAX_RESPONSE_BODY + 1), 413),
        (b"state=a&id_token=x&vp_token=" + b"y" * 10_000_000, 413),
    ],
    ids=[
        "empty",
        "state",
        "no-vp",
        "twice",
        "utf8",
        "unknown",
        "id-token",
        "vp-token",
        "body",
        "ten-megabytes",
    ],
)
async def test_what_is_no_answer_is_refused(http, body, status):
    """A form that is incomplete, ambiguous, too large or for nobody is refused before any check."""
    answer = await http.post(RESPONSE, content=body, headers=FORM)
    assert answer.status_code == status


async def test_an_answer_is_a_form(stage, http):
    """JSON is 415, a query string is 400, and neither uses the request up."""
    _, form = await prepared_answer(stage, http)
    assert (await http.post(RESPONSE, json=form)).status_code == 415
    assert (await http.post(RESPONSE, params={"state": form["state"]}, data=form)).status_code == 400
    assert (await http.post(RESPONSE, data=form)).status_code == 200


async def test_our_did_document_is_public(stage, http):
    """did.json is where did:web looks for it, readable by scripts of any origin, and kept for a while."""
    answer = await http.get("/.well-known/did.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/did+json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"].startswith("public, max-age=")
    did = parse_did(f"did:web:localhost%3A{httpx.URL(stage.url).port}")
    document = parse_document(answer.content, did)
    assert document.services_of("LinkedDomains")[0].endpoints[0].uri == stage.url
    assert len(document.methods) == 2


async def test_our_did_configuration_is_public(stage, http):
    """The resource is JSON with one credential for the edge's origin."""
    answer = await http.get("/.well-known/did-configuration.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    (credential,) = answer.json()["linked_dids"]
    assert "typ" not in jwt.get_unverified_header(credential)
    claims = jwt.decode(credential, options={"verify_signature": False})
    assert claims["vc"]["credentialSubject"]["origin"] == stage.url


async def test_the_page_is_not_there_by_default(http):
    """Without the switch of development there is no page."""
    assert (await http.get("/demo/verifier")).status_code == 404


@pytest.mark.parametrize(
    ("did", "path"),
    [
        ("did:web:a.example", "/.well-known/did.json"),
        ("did:web:A.example", "/.well-known/did.json"),
        ("did:web:a.example:verifiers:b", "/verifiers/b/did.json"),
        ("did:web:a.example%3A8443", None),
        ("did:web:b.example", None),
    ],
)
async def test_a_document_is_served_where_its_did_says(did, path):
    """The edge serves the document of a did:web of its own origin, at its path, and no other."""
    own = OwnDid(parse_did(did), Keyring(), algorithm=Algorithm.ES256)
    assert document_path(own, "https://a.example") == path


async def test_state_and_id_are_unguessable(stage):
    """Both are random texts of at least 128 bits, and each request has its own."""
    first, second = await stage.ask(), await stage.ask()
    assert len(first.name.partition("/")[2]) >= 22
    assert first.name != second.name
    assert first.nonce != second.nonce
