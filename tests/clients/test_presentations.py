"""PresentationService through both clients: what is sent, what comes back, what is repeated."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from countersign import (
    ConflictError,
    CreatedPresentationRequest,
    CredentialState,
    DeadlineExceededError,
    GatewayClient,
    InvalidRequestError,
    NotFoundError,
    PresentationCheck,
    PresentationCheckOutcome,
    PresentationRequestState,
    PresentationResponseMode,
    SyncGatewayClient,
    UnavailableError,
    VerifiedEmployeeQuery,
)
from countersign.v1 import presentation_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from tests.clients.gateway_double import failure

CODE = grpc.StatusCode
NAME = "presentationRequests/r1"
SECRET = "s3cret-value"
CREDENTIAL = {"credentialSubject": {"displayName": "Alice Smith"}}
UNAVAILABLE = failure(CODE.UNAVAILABLE, "STORE_UNAVAILABLE")


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def verification(**changes):
    values = {
        "accepted": True,
        "checks": [
            pb.PresentationCheck(
                code="token_signature",
                outcome=pb.PRESENTATION_CHECK_OUTCOME_PASSED,
                clause="RFC 7515 §5.2",
                path="$.vp_token",
                detail="The signature verifies.",
            ),
        ],
        "holder": "did:example:holder",
        "credentials": [
            pb.PresentedCredential(
                descriptor_id="employee",
                issuer="did:example:issuer",
                subject="did:example:holder",
                types=["VerifiableCredential", "VerifiedEmployee"],
                credential=ParseDict(CREDENTIAL, Struct()),
                state=pb.CREDENTIAL_STATE_ACTIVE,
                linked_origin="https://hr.example.org",
            )
        ],
        "evaluation_time": Timestamp(seconds=1_010),
    }
    return pb.PresentationVerification(**{**values, **changes})


def request_message(state=pb.PRESENTATION_REQUEST_STATE_CREATED, **changes):
    values = {
        "name": NAME,
        "verifier": "employees",
        "state": state,
        "authorization_request_uri": "openid-vc://?request_uri=https%3A%2F%2Fg.example%2Fr1",
        "request_uri": "https://g.example/r1",
        "create_time": Timestamp(seconds=1_000),
        "expire_time": Timestamp(seconds=1_300),
        "nonce": "n" * 22,
    }
    return pb.PresentationRequest(**{**values, **changes})


def stream(*messages, then=None, ended=None):
    """An answer to WatchPresentationRequest: *messages*, and then an end, *then* as a failure, or silence."""

    async def answer(_request, context):
        for message in messages:
            await context.write(pb.WatchPresentationRequestResponse(request=message))
        if ended is not None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        if then is not None:
            await context.abort(then, "It broke off.")

    return answer


CREATED, FETCHED, VERIFIED = (
    request_message(state)
    for state in (
        pb.PRESENTATION_REQUEST_STATE_CREATED,
        pb.PRESENTATION_REQUEST_STATE_FETCHED,
        pb.PRESENTATION_REQUEST_STATE_VERIFIED,
    )
)


class TestCreate:
    """CreatePresentationRequest."""

    async def test_every_argument_is_sent(self, client, double):
        """Each argument stands in its field, a definition as JSON."""
        response = pb.CreatePresentationRequestResponse(
            request=request_message(), qr_svg=b"<svg/>", qr_png=b"PNG"
        )
        double.will("CreatePresentationRequest", response)
        made = await client.create_presentation_request(
            "employees",
            {"id": "d", "input_descriptors": []},
            nonce="n" * 22,
            state_parameter="s" * 22,
            purpose="To log in.",
            client_name="Example Corp",
            response_uri="https://app.example.org/answer",
            response_mode=PresentationResponseMode.DIRECT_POST,
            lifetime=timedelta(minutes=2),
            qr_code=True,
            return_uri="https://app.example.org/back",
        )
        assert double.requests("CreatePresentationRequest") == [
            pb.CreatePresentationRequestRequest(
                verifier="employees",
                presentation_definition=json.dumps({"id": "d", "input_descriptors": []}),
                nonce="n" * 22,
                state_parameter="s" * 22,
                purpose="To log in.",
                client_name="Example Corp",
                response_uri="https://app.example.org/answer",
                response_mode=pb.PRESENTATION_RESPONSE_MODE_DIRECT_POST,
                lifetime=Duration(seconds=120),
                qr_code=True,
                return_uri="https://app.example.org/back",
            )
        ]
        assert (made.qr_svg, made.qr_png) == (b"<svg/>", b"PNG")
        assert made.request.name == NAME
        assert made.request.state is PresentationRequestState.CREATED
        assert (made.request.create_time, made.request.expire_time) == (moment(1_000), moment(1_300))
        assert (made.request.fetch_time, made.request.submit_time) == (None, None)
        assert made.request.verification is None

    async def test_a_verified_employee_is_asked_for(self, client, double):
        """The query names the claims that are required; nothing else is set."""
        double.will("CreatePresentationRequest", pb.CreatePresentationRequestResponse(request=CREATED))
        query = VerifiedEmployeeQuery(("displayName", "mail"), purpose="To log in.")
        await client.create_presentation_request("employees", query)
        asked = pb.VerifiedEmployeeQuery(required_claims=["displayName", "mail"], purpose="To log in.")
        assert double.requests("CreatePresentationRequest") == [
            pb.CreatePresentationRequestRequest(verifier="employees", verified_employee=asked)
        ]

    async def test_it_is_not_repeated(self, client, double):
        """A second attempt would make a second request."""
        double.will("CreatePresentationRequest", UNAVAILABLE)
        with pytest.raises(UnavailableError):
            await client.create_presentation_request("employees", VerifiedEmployeeQuery())
        assert len(double.calls) == 1

    async def test_a_bad_definition_is_told(self, client, double):
        """The error is typed, and its metadata says what is wrong, and where."""
        refusal = failure(
            CODE.INVALID_ARGUMENT, "INVALID_PRESENTATION_DEFINITION", fault="missing", path="$.id"
        )
        double.will("CreatePresentationRequest", refusal)
        with pytest.raises(InvalidRequestError) as caught:
            await client.create_presentation_request("employees", "{}")
        assert caught.value.metadata == {"fault": "missing", "path": "$.id"}


class TestGet:
    """GetPresentationRequest and GetRequestObject."""

    async def test_the_report_is_read(self, client, double):
        """Verdict, checks, holder and credentials come as values; a repetition is safe."""
        message = request_message(
            pb.PRESENTATION_REQUEST_STATE_VERIFIED,
            verification=verification(),
            fetch_time=Timestamp(seconds=1_005),
            submit_time=Timestamp(seconds=1_010),
        )
        double.will("GetPresentationRequest", UNAVAILABLE, pb.GetPresentationRequestResponse(request=message))
        found = await client.get_presentation_request(NAME)
        assert double.requests("GetPresentationRequest") == [pb.GetPresentationRequestRequest(name=NAME)] * 2
        assert (found.fetch_time, found.submit_time) == (moment(1_005), moment(1_010))
        report = found.verification
        assert (report.accepted, report.holder) == (True, "did:example:holder")
        assert (report.evaluation_time, report.at_time) == (moment(1_010), False)
        assert report.checks == (
            PresentationCheck(
                "token_signature",
                PresentationCheckOutcome.PASSED,
                "RFC 7515 §5.2",
                "$.vp_token",
                "The signature verifies.",
            ),
        )
        (credential,) = report.credentials
        assert credential.types == ("VerifiableCredential", "VerifiedEmployee")
        assert credential.credential == CREDENTIAL
        assert credential.state is CredentialState.ACTIVE
        assert credential.linked_origin == "https://hr.example.org"

    async def test_objections(self, client, double):
        """Whatever decides and did not pass objects, an outcome that this client does not know included."""
        made = [
            ("a", pb.PRESENTATION_CHECK_OUTCOME_PASSED, False),
            ("b", pb.PRESENTATION_CHECK_OUTCOME_FAILED, False),
            ("c", pb.PRESENTATION_CHECK_OUTCOME_FAILED, True),
            ("d", pb.PRESENTATION_CHECK_OUTCOME_UNKNOWN, False),
            ("e", pb.PRESENTATION_CHECK_OUTCOME_SKIPPED, False),
            ("f", 77, False),
        ]
        checks = [pb.PresentationCheck(code=c, outcome=o, advisory=a) for c, o, a in made]
        message = request_message(
            pb.PRESENTATION_REQUEST_STATE_REFUSED,
            verification=verification(accepted=False, checks=checks, credentials=[]),
        )
        double.will("GetPresentationRequest", pb.GetPresentationRequestResponse(request=message))
        report = (await client.get_presentation_request(NAME)).verification
        assert [check.code for check in report.objections] == ["b", "d", "f"]

    async def test_a_state_that_could_not_be_established(self, client, double):
        """It is None, and none of the states."""
        unknown = pb.PresentedCredential(descriptor_id="employee")
        message = request_message(verification=verification(credentials=[unknown]))
        double.will("GetPresentationRequest", pb.GetPresentationRequestResponse(request=message))
        (credential,) = (await client.get_presentation_request(NAME)).verification.credentials
        assert credential.state is None

    async def test_a_request_that_is_not_there(self, client, double):
        """Its error is typed."""
        double.will("GetPresentationRequest", failure(CODE.NOT_FOUND, "PRESENTATION_REQUEST_NOT_FOUND"))
        with pytest.raises(NotFoundError):
            await client.get_presentation_request(NAME)

    async def test_the_request_object(self, client, double):
        """It comes as the compact JWS that it is."""
        double.will("GetRequestObject", UNAVAILABLE, pb.GetRequestObjectResponse(request_object="a.b.c"))
        assert await client.get_request_object(NAME) == "a.b.c"


class TestWatch:
    """WatchPresentationRequest."""

    async def states(self, client, **options):
        return [each.state.value for each in await client.watch_presentation_request(NAME, **options)]

    async def test_until_a_final_state(self, client, double):
        """Each state is yielded, and the final one ends the watch."""
        double.will("WatchPresentationRequest", stream(CREATED, FETCHED, VERIFIED))
        assert await self.states(client) == ["created", "fetched", "verified"]
        assert double.requests("WatchPresentationRequest") == [pb.WatchPresentationRequestRequest(name=NAME)]

    @pytest.mark.parametrize("then", [CODE.UNAVAILABLE, None], ids=["broken", "ended"])
    async def test_it_is_resumed(self, client, double, then):
        """Where the stream breaks off or ends early it is opened again; nothing is yielded twice."""
        double.will(
            "WatchPresentationRequest", stream(CREATED, then=then), stream(CREATED, FETCHED, VERIFIED)
        )
        assert await self.states(client) == ["created", "fetched", "verified"]
        assert len(double.calls) == 2

    @pytest.mark.parametrize("answer", [stream(then=CODE.UNAVAILABLE), stream()], ids=["broken", "ended"])
    async def test_without_an_answer_it_gives_up(self, client, double, answer):
        """Attempts without an answer in between are bounded by the policy."""
        double.will("WatchPresentationRequest", answer)
        with pytest.raises(UnavailableError):
            await self.states(client)
        assert len(double.calls) == 4

    async def test_a_final_failure_is_raised(self, client, double):
        """What a repetition cannot help is not repeated."""
        double.will("WatchPresentationRequest", stream(then=CODE.NOT_FOUND))
        with pytest.raises(NotFoundError):
            await self.states(client)
        assert len(double.calls) == 1

    async def test_the_deadline_is_for_all_of_it(self, client, double):
        """It travels to the gateway, and ends a watch in which nothing happens."""
        ended = asyncio.Event()
        double.will("WatchPresentationRequest", stream(CREATED, ended=ended))
        with pytest.raises(DeadlineExceededError):
            await self.states(client, timeout=0.3)
        assert double.calls[0].seconds_left <= 0.3
        await asyncio.wait_for(ended.wait(), 5)

    async def test_a_watch_without_a_deadline_has_one(self, client, double):
        """It is longer than a request can live."""
        double.will("WatchPresentationRequest", stream(VERIFIED))
        await self.states(client)
        assert 3600 < double.calls[0].seconds_left < 4001

    async def test_who_stops_looking_ends_the_call(self, double, listeners, tls):
        """The gateway sees the call end when the iterator is closed, with either client."""
        for kind in (GatewayClient, SyncGatewayClient):
            ended = asyncio.Event()
            double.will("WatchPresentationRequest", stream(CREATED, ended=ended))
            if kind is GatewayClient:
                async with GatewayClient(listeners.tls, tls=tls) as client:
                    watching = client.watch_presentation_request(NAME)
                    await anext(watching)
                    await watching.aclose()
                    await asyncio.wait_for(ended.wait(), 5)
                continue
            with SyncGatewayClient(listeners.tls, tls=tls) as client:
                watching = client.watch_presentation_request(NAME)
                await asyncio.to_thread(next, watching)
                watching.close()
                await asyncio.wait_for(ended.wait(), 5)


class TestSubmit:
    """SubmitPresentation."""

    async def test_an_answer(self, client, double):
        """The wallet's form is sent as it is, and the report comes back."""
        message = request_message(
            pb.PRESENTATION_REQUEST_STATE_VERIFIED, verification=verification(), response_code="c" * 22
        )
        double.will("SubmitPresentation", pb.SubmitPresentationResponse(request=message))
        found = await client.submit_presentation("s" * 22, id_token="a.b.c", vp_token="d.e.f")
        assert double.requests("SubmitPresentation") == [
            pb.SubmitPresentationRequest(state_parameter="s" * 22, id_token="a.b.c", vp_token="d.e.f")
        ]
        assert found.verification.accepted
        assert found.response_code == "c" * 22

    async def test_a_wallet_that_declines(self, client, double):
        """The wallet's error is sent, and told; there is nothing to report on."""
        message = request_message(pb.PRESENTATION_REQUEST_STATE_REFUSED, wallet_error="user_cancelled")
        double.will("SubmitPresentation", pb.SubmitPresentationResponse(request=message))
        found = await client.submit_presentation("s" * 22, error="user_cancelled")
        assert double.requests("SubmitPresentation")[0].error == "user_cancelled"
        assert (found.wallet_error, found.verification) == ("user_cancelled", None)

    async def test_it_is_not_repeated(self, client, double):
        """An answer counts once; a second attempt would find its request closed."""
        double.will("SubmitPresentation", UNAVAILABLE)
        with pytest.raises(UnavailableError):
            await client.submit_presentation("s" * 22, id_token="a.b.c", vp_token="d.e.f")
        assert len(double.calls) == 1

    async def test_a_closed_request(self, client, double):
        """Its error is typed."""
        double.will("SubmitPresentation", failure(CODE.FAILED_PRECONDITION, "PRESENTATION_REQUEST_CLOSED"))
        with pytest.raises(ConflictError):
            await client.submit_presentation("s" * 22, id_token="a.b.c", vp_token="d.e.f")


async def test_verify(client, double):
    """An answer to a request of the caller's own is judged as of the time given; repeating it is safe."""
    report = verification(at_time=True)
    double.will("VerifyPresentation", UNAVAILABLE, pb.VerifyPresentationResponse(verification=report))
    found = await client.verify_presentation(
        "employees",
        '{"id": "d"}',
        nonce="n" * 22,
        id_token="a.b.c",
        vp_token="d.e.f",
        at_time=moment(900),
    )
    assert found.at_time
    assert double.requests("VerifyPresentation")[1] == pb.VerifyPresentationRequest(
        verifier="employees",
        presentation_definition='{"id": "d"}',
        nonce="n" * 22,
        id_token="a.b.c",
        vp_token="d.e.f",
        at_time=Timestamp(seconds=900),
    )


async def test_secrets_and_claims_are_no_part_of_the_repr(client, double):
    """Neither the response code nor what a credential says is printed by accident."""
    subject = ParseDict({"credentialSubject": {"displayName": SECRET}}, Struct())
    credential = pb.PresentedCredential(descriptor_id="employee", credential=subject)
    message = request_message(
        pb.PRESENTATION_REQUEST_STATE_VERIFIED,
        verification=verification(credentials=[credential]),
        response_code=SECRET,
    )
    double.will("GetPresentationRequest", pb.GetPresentationRequestResponse(request=message))
    found = await client.get_presentation_request(NAME)
    created = CreatedPresentationRequest(found, qr_svg=SECRET.encode())
    assert SECRET not in f"{found!r} {found} {[created]}"


async def test_values_are_frozen(client, double):
    """A report cannot be changed after the fact."""
    message = request_message(
        pb.PRESENTATION_REQUEST_STATE_REFUSED, verification=verification(accepted=False)
    )
    double.will("GetPresentationRequest", pb.GetPresentationRequestResponse(request=message))
    found = await client.get_presentation_request(NAME)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.verification.accepted = True
