"""PresentationService over real gRPC: a verifier's backend that carries requests and answers itself."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from countersign.v1 import presentation_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.errors import Reason
from signers import Algorithm
from softhsm.provision import Provisioned
from tests.support.presenting import NAME, Stage, objections, presenting, provision_verifier
from tests.support.rpc_server import reason_of
from tests.support.wallet_identities import ALGORITHMS, METHODS

DEFINITION = json.dumps(
    {"id": "d", "input_descriptors": [{"id": "e", "schema": [{"uri": "VerifiedEmployee"}]}]}
)
QUERY = {"verified_employee": pb.VerifiedEmployeeQuery(required_claims=["jobTitle"])}
NOBODY = "presentationRequests/" + "A" * 43
MEGABYTE = 1024 * 1024


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> Algorithm:
    """Of the keys of everybody."""
    return request.param


@pytest.fixture
def hsm(tmp_path_factory: pytest.TempPathFactory, algorithm: Algorithm) -> Provisioned:
    """A token with the verifier's keys."""
    return provision_verifier(tmp_path_factory.mktemp("hsm"), algorithm)


@pytest.fixture
async def stage(tmp_path) -> AsyncIterator[Stage]:
    """A running gateway with a verifier, keys in files."""
    async with presenting(tmp_path) as stage:
        yield stage


async def answered(stage: Stage, stub: Any, method: str, algorithm: Algorithm, **options: Any) -> Any:
    """Let a wallet answer a new request; all of it travels over gRPC. Returns request and form."""
    issuer = stage.issuer(method, algorithm)
    holder = stage.identity("holder", method, algorithm)
    credential = issuer.issue(holder.did, status=True)
    stage.publish(issuer)
    made = await stub.CreatePresentationRequest(
        pb.CreatePresentationRequestRequest(verifier=NAME, **(options or QUERY))
    )
    fetched = await stub.GetRequestObject(pb.GetRequestObjectRequest(name=made.request.name))
    async with httpx.AsyncClient() as nobody:
        wallet = stage.wallet(holder, [credential], nobody, check_linkage=False)
        asked = await wallet.verify(fetched.request_object)
        return made.request, asked, wallet.answer(asked)


def submission(form: dict[str, str], **changes: str) -> pb.SubmitPresentationRequest:
    """The message for a wallet's form."""
    fields = {"id_token": form["id_token"], "vp_token": form["vp_token"], "state_parameter": form["state"]}
    return pb.SubmitPresentationRequest(**(fields | changes))


async def refused(call: Any) -> str:
    """The reason with which *call* fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def test_every_method_and_algorithm_over_grpc(tmp_path, hsm, algorithm):
    """Requests signed in SoftHSM, answers by holders and issuers of each DID method: all accepted."""
    async with presenting(tmp_path, algorithm, hsm=hsm) as stage, stage.stub() as stub:
        for method in METHODS:
            request, _, form = await answered(stage, stub, method, algorithm)
            done = await stub.SubmitPresentation(submission(form))
            assert objections(done.request.verification) == [], method
            assert done.request.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED
            assert done.request.name == request.name
            (credential,) = done.request.verification.credentials
            assert credential.credential["credentialSubject"]["jobTitle"] == "Engineer"


async def test_a_request_is_answered_once(stage):
    """The second answer is told that the request is closed, and changes nothing; so is a second fetch."""
    async with stage.stub() as stub:
        request, _, form = await answered(stage, stub, "jwk", Algorithm.ES256)
        first = await stub.SubmitPresentation(submission(form))
        assert await refused(stub.SubmitPresentation(submission(form))) == Reason.PRESENTATION_REQUEST_CLOSED
        fetch = stub.GetRequestObject(pb.GetRequestObjectRequest(name=request.name))
        assert await refused(fetch) == Reason.PRESENTATION_REQUEST_CLOSED
        read = await stub.GetPresentationRequest(pb.GetPresentationRequestRequest(name=request.name))
        assert read.request == first.request


async def test_an_answer_to_another_request_is_refused_and_reaches_the_verifier(stage):
    """Tokens for one nonce do not serve another request; the report is there for whoever asks or watches."""
    async with stage.stub() as stub:
        _, _, form = await answered(stage, stub, "jwk", Algorithm.ES256)
        other, asked, _ = await answered(stage, stub, "jwk", Algorithm.ES256)
        done = await stub.SubmitPresentation(submission(form, state_parameter=asked.state))
        assert done.request.state == pb.PRESENTATION_REQUEST_STATE_REFUSED
        assert set(objections(done.request.verification)) >= {"id_token_nonce", "presentation_nonce"}
        assert not done.request.verification.credentials
        read = await stub.GetPresentationRequest(pb.GetPresentationRequestRequest(name=other.name))
        assert read.request == done.request
        watched = stub.WatchPresentationRequest(pb.WatchPresentationRequestRequest(name=other.name))
        assert [each.request async for each in watched] == [done.request]


async def test_a_wallet_that_declines_is_heard(stage):
    """The error is kept, the request is over, and there is no report."""
    async with stage.stub() as stub:
        request, asked, _ = await answered(stage, stub, "jwk", Algorithm.ES256)
        declined = pb.SubmitPresentationRequest(state_parameter=asked.state, error="user_cancelled")
        done = await stub.SubmitPresentation(declined)
        assert done.request.state == pb.PRESENTATION_REQUEST_STATE_REFUSED
        assert done.request.wallet_error == "user_cancelled"
        assert not done.request.HasField("verification")
        assert done.request.name == request.name


async def test_the_states_are_streamed(stage):
    """Made, fetched, answered: whoever watches sees them in order, and then the end."""
    async with stage.stub() as stub:
        made = await stub.CreatePresentationRequest(
            pb.CreatePresentationRequestRequest(verifier=NAME, **QUERY)
        )
        watched = stub.WatchPresentationRequest(pb.WatchPresentationRequestRequest(name=made.request.name))
        seen = [(await watched.read()).request.state]
        fetched = await stub.GetRequestObject(pb.GetRequestObjectRequest(name=made.request.name))
        assert fetched.request_object.count(".") == 2
        seen.append((await watched.read()).request.state)
        states = pb.PresentationRequestState
        assert seen == [
            states.Value("PRESENTATION_REQUEST_STATE_CREATED"),
            states.Value("PRESENTATION_REQUEST_STATE_FETCHED"),
        ]
        watched.cancel()


async def test_what_a_caller_chooses_is_in_the_request(stage):
    """Nonce, state, purpose, name, mode and lifetime are the caller's; the QR code comes on demand."""
    async with stage.stub() as stub:
        wish = {
            "presentation_definition": DEFINITION,
            "nonce": "n" * 22,
            "state_parameter": "s" * 128,
            "purpose": "To let you in.",
            "client_name": "Front door",
            "response_mode": pb.PRESENTATION_RESPONSE_MODE_DIRECT_POST,
            "lifetime": Duration(seconds=30),
            "qr_code": True,
        }
        made = await stub.CreatePresentationRequest(
            pb.CreatePresentationRequestRequest(verifier=NAME, **wish)
        )
        request = made.request
        assert made.qr_svg.startswith(b"<svg")
        assert made.qr_png.startswith(b"\x89PNG")
        assert request.nonce == "n" * 22
        assert request.expire_time.seconds - request.create_time.seconds == 30
        assert request.authorization_request_uri == f"openid-vc://?request_uri={request.request_uri}"
        fetched = await stub.GetRequestObject(pb.GetRequestObjectRequest(name=request.name))
        again = pb.CreatePresentationRequestRequest(
            verifier=NAME, presentation_definition=DEFINITION, nonce="n" * 22
        )
        reason = await refused(stub.CreatePresentationRequest(again))
    holder = stage.identity("holder", "jwk", Algorithm.ES256)
    async with httpx.AsyncClient() as nobody:
        asked = await stage.wallet(holder, [], nobody, check_linkage=False).verify(fetched.request_object)
    assert (asked.nonce, asked.state) == ("n" * 22, "s" * 128)
    assert asked.registration["client_purpose"] == "To let you in."
    assert asked.registration["client_name"] == "Front door"
    assert asked.definition == json.loads(DEFINITION)
    assert reason == Reason.PRESENTATION_REQUEST_ALREADY_EXISTS


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"verifier": ""}, Reason.MISSING_FIELD),
        ({"verifier": "other"}, Reason.VERIFIER_NOT_FOUND),
        ({"presentation_definition": ""}, Reason.MISSING_FIELD),
        ({"presentation_definition": "{"}, Reason.INVALID_PRESENTATION_DEFINITION),
        ({"presentation_definition": "[" * 100_000}, Reason.INVALID_PRESENTATION_DEFINITION),
        ({"verified_employee": pb.VerifiedEmployeeQuery(required_claims=["age"])}, Reason.INVALID_FIELD),
        ({"nonce": "short"}, Reason.INVALID_FIELD),
        ({"state_parameter": "s" * 129}, Reason.INVALID_FIELD),
        ({"purpose": "p" * 513}, Reason.INVALID_FIELD),
        ({"client_name": "p" * 129}, Reason.INVALID_FIELD),
        ({"response_mode": 9}, Reason.INVALID_FIELD),
        ({"response_uri": "https://elsewhere.example/answers"}, Reason.INVALID_FIELD),
        ({"lifetime": Duration(seconds=301)}, Reason.INVALID_FIELD),
        ({"lifetime": Duration(seconds=0)}, Reason.INVALID_FIELD),
        ({"lifetime": Duration(seconds=1, nanos=1)}, Reason.INVALID_FIELD),
    ],
)
async def test_a_wish_that_cannot_be(stage, fields, reason):
    """Each field is held to its bound, and a definition to its grammar."""
    query = {} if {"presentation_definition", "verified_employee"} & fields.keys() else QUERY
    wish = pb.CreatePresentationRequestRequest(**({"verifier": NAME} | query | fields))
    async with stage.stub() as stub:
        assert await refused(stub.CreatePresentationRequest(wish)) == reason


async def test_answers_can_go_to_a_configured_origin(tmp_path):
    """A caller that carries answers itself names its own endpoint, on an origin of the verifier's."""
    options = {"response_origins": ["https://app.example.org"]}
    async with presenting(tmp_path, verifier=options) as stage, stage.stub() as stub:
        for uri, accepted in (
            ("https://app.example.org/answers?x=1", True),
            ("https://app.example.org", False),
            ("https://app.example.org.evil.example/", False),
            ("https://app.example.org@evil.example/", False),
            ("http://app.example.org/answers", False),
        ):
            wish = pb.CreatePresentationRequestRequest(verifier=NAME, response_uri=uri, **QUERY)
            if accepted:
                await stub.CreatePresentationRequest(wish)
            else:
                assert await refused(stub.CreatePresentationRequest(wish)) == Reason.INVALID_FIELD


async def test_what_is_not_there_is_not_found(stage):
    """An unknown request, a malformed name, an unknown state."""
    async with stage.stub() as stub:
        for name, reason in (
            (NOBODY, Reason.PRESENTATION_REQUEST_NOT_FOUND),
            ("presentationRequests/x", Reason.PRESENTATION_REQUEST_NOT_FOUND),
            ("requests/x", Reason.INVALID_FIELD),
            ("", Reason.MISSING_FIELD),
        ):
            assert (
                await refused(stub.GetPresentationRequest(pb.GetPresentationRequestRequest(name=name)))
                == reason
            )
            assert await refused(stub.GetRequestObject(pb.GetRequestObjectRequest(name=name))) == reason
            watched = stub.WatchPresentationRequest(pb.WatchPresentationRequestRequest(name=name))
            assert await refused(watched.read()) == reason
        unknown = pb.SubmitPresentationRequest(state_parameter="s" * 43, id_token="a", vp_token="b")
        assert await refused(stub.SubmitPresentation(unknown)) == Reason.PRESENTATION_REQUEST_NOT_FOUND


@pytest.mark.parametrize(
    "changes",
    [
        {"state_parameter": ""},
        {"id_token": ""},
        {"vp_token": ""},
        {"id_token": "x" * (64 * 1024 + 1)},
        {"vp_token": "x" * (MEGABYTE + 1)},
        {"vp_token": "\u00fc"},
        {"error": "x" * 129},
    ],
)
async def test_what_is_no_answer_uses_nothing_up(stage, changes):
    """A part that is missing or too large is refused before the request is looked up: it stays open."""
    async with stage.stub() as stub:
        request, _, form = await answered(stage, stub, "jwk", Algorithm.ES256)
        reason = await refused(stub.SubmitPresentation(submission(form, **changes)))
        assert reason == Reason.INVALID_PRESENTATION_RESPONSE
        read = await stub.GetPresentationRequest(pb.GetPresentationRequestRequest(name=request.name))
        assert read.request.state == pb.PRESENTATION_REQUEST_STATE_FETCHED


async def test_ten_megabytes_are_refused_by_the_door(stage):
    """More than a message may have does not reach the rules."""
    async with stage.stub() as stub:
        huge = pb.SubmitPresentationRequest(state_parameter="s", id_token="x" * 10 * MEGABYTE)
        assert await refused(stub.SubmitPresentation(huge)) in (Reason.MESSAGE_TOO_LARGE, "")


async def test_another_role_may_not(stage):
    """Only callers with the role verifier get in."""
    other = stage.gateway.root.leaf("backend", uris=("spiffe://example.org/admin",))
    async with stage.gateway.channel(other) as channel:
        call = channel.unary_unary(
            "/countersign.v1.PresentationService/VerifyPresentation",
            request_serializer=pb.VerifyPresentationRequest.SerializeToString,
            response_deserializer=pb.VerifyPresentationResponse.FromString,
        )
        assert await refused(call(pb.VerifyPresentationRequest())) in (
            Reason.PERMISSION_DENIED,
            Reason.CALLER_UNAUTHENTICATED,
        )


async def test_an_answer_is_verified_as_of_another_time(stage):
    """Within its life it holds, and the result says which time was asked about; years later it does not."""
    async with stage.stub() as stub:
        _, asked, form = await answered(stage, stub, "jwk", Algorithm.ES256)
        message = pb.VerifyPresentationRequest(
            verifier=NAME,
            presentation_definition=json.dumps(asked.definition),
            nonce=asked.nonce,
            id_token=form["id_token"],
            vp_token=form["vp_token"],
        )
        now = await stub.VerifyPresentation(message)
        then = int(time.time()) + 10 * 365 * 86_400
        message.at_time.CopyFrom(Timestamp(seconds=then))
        later = await stub.VerifyPresentation(message)
        message.at_time.CopyFrom(Timestamp(seconds=-1))
        assert await refused(stub.VerifyPresentation(message)) == Reason.INVALID_FIELD
    assert now.verification.accepted
    assert not now.verification.at_time
    assert not later.verification.accepted
    assert later.verification.at_time
    assert later.verification.evaluation_time.seconds == then
    assert {"id_token_validity", "credential_validity"} <= set(objections(later.verification))


@pytest.mark.parametrize("field", ["verifier", "presentation_definition", "nonce", "id_token", "vp_token"])
async def test_a_verification_needs_all_of_it(stage, field):
    """Each field is required."""
    fields = {
        "verifier": NAME,
        "presentation_definition": DEFINITION,
        "nonce": "n",
        "id_token": "a.b.c",
        "vp_token": "a.b.c",
    }
    message = pb.VerifyPresentationRequest(**(fields | {field: ""}))
    async with stage.stub() as stub:
        assert await refused(stub.VerifyPresentation(message)) == Reason.MISSING_FIELD
