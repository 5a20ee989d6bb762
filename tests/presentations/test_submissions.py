"""Requests and answers through two replicas over one database: whose they are, and that each is used once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import AvailabilityError, Reason, RequestError, StateError
from gateway.jose import base64url
from gateway.presentations.request import (
    SUBMISSION_LEASE,
    PresentationResponse,
    RequestStatus,
    RequestWish,
)
from gateway.presentations.requests import PresentationRequests, RequestSettings
from gateway.presentations.result import VerificationResult
from gateway.presentations.submissions import PresentationSubmissions
from gateway.presentations.verification import VerificationInput
from gateway.presentations.verifier import Display, Policy, Verifier, Verifiers
from gateway.presentations.watches import RequestWatches
from gateway.store import open_store
from tests.support.profile_answer import decoded
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

OWNER = "spiffe://example.org/portal"
DEFINITION = json.dumps({"id": "d", "input_descriptors": [{"id": "e", "schema": [{"uri": "T"}]}]})
REFUSED = VerificationResult(False, (), None, (), int(NOW), at_time=False)
VERIFIERS = Verifiers(
    {
        "open": Verifier("open", "did:web:v.example", Policy(None), Display("V")),
        "closed": Verifier(
            "closed", "did:web:v.example", Policy(None), Display("V"), callers=frozenset({OWNER})
        ),
    }
)


class OwnKeyDouble:
    """Signs nothing: the payload travels as the middle of three parts."""

    async def sign(self, payload: bytes, typ: str | None) -> str:
        """Three parts."""
        header = base64url.encode(json.dumps({"alg": "none", "typ": typ}).encode())
        return f"{header}.{base64url.encode(payload)}.x"


@dataclass
class OwnDidDouble:
    """The gateway's DID with a key, or without."""

    error: Exception | None = None

    def signing_key(self, purpose: Any) -> OwnKeyDouble:
        """The key."""
        if self.error is not None:
            raise self.error
        return OwnKeyDouble()


@dataclass
class VerifierDouble:
    """Refuses everything, and keeps what it was asked."""

    asked: list[VerificationInput] = field(default_factory=list)
    pause: asyncio.Event | None = None

    async def verify(self, asked: VerificationInput) -> VerificationResult:
        """No."""
        self.asked.append(asked)
        if self.pause is not None:
            await self.pause.wait()
        return REFUSED


class NoRepository:
    """Must not be asked."""


@dataclass
class Replica:
    """The use cases of one process."""

    requests: PresentationRequests
    submissions: PresentationSubmissions
    verifier: VerifierDouble
    own: OwnDidDouble


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def clock() -> SettableClock:
    """The clock of both replicas."""
    return SettableClock()


@pytest.fixture
async def replicas(url: str, clock: SettableClock) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas over one database."""
    settings = RequestSettings("https://id.example/r", "https://id.example/answers", 300, 4000)
    async with AsyncExitStack() as stack:
        made = []
        for number in range(2):
            store = await stack.enter_async_context(open_store(url, clock=clock, migrate=not number))
            verifier, own, repository = VerifierDouble(), OwnDidDouble(), store.presentation_requests
            watches = await stack.enter_async_context(RequestWatches(repository, clock=clock))
            made.append(
                Replica(
                    PresentationRequests(VERIFIERS, own, repository, watches, settings, clock=clock),
                    PresentationSubmissions(VERIFIERS, repository, verifier, clock=clock),
                    verifier,
                    own,
                )
            )
        yield made[0], made[1]


def answer(state: str) -> PresentationResponse:
    """An answer to the request with *state*."""
    return PresentationResponse.of(state=state, id_token="i.d.t", vp_token="v.p.t")


async def outcome(work: Any) -> Any:
    """What *work* returns, or the reason it fails with."""
    try:
        return await work
    except (StateError, RequestError, AvailabilityError) as error:
        return error.reason


async def test_the_request_object_says_what_was_asked(replicas):
    """The claims of the profile: who asks, for what, where to answer, and until when."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    header, claims = decoded(await two.requests.request_object(record.request.request_id))
    assert header["typ"] == "JWT"
    assert claims == {
        "iss": "did:web:v.example",
        "aud": "https://self-issued.me/v2",
        "response_type": "id_token",
        "response_mode": "post",
        "client_id": "did:web:v.example",
        "redirect_uri": "https://id.example/answers",
        "scope": "openid",
        "nonce": record.request.nonce,
        "state": record.request.state,
        "claims": {"vp_token": {"presentation_definition": json.loads(DEFINITION)}},
        "registration": {
            "subject_syntax_types_supported": ["did:ion", "did:jwk", "did:key", "did:web"],
            "vp_formats": {
                "jwt_vp": {"alg": ["ES256", "ES256K", "ES384", "EdDSA"]},
                "jwt_vc": {"alg": ["ES256", "ES256K", "ES384", "EdDSA"]},
            },
            "client_name": "V",
        },
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 300,
        "jti": record.request.request_id,
    }
    assert len({record.request.request_id, record.request.nonce, record.request.state}) == 3
    assert {len(value) for value in (record.request.request_id, record.request.nonce)} == {43}


async def test_two_replicas_use_a_state_once(replicas):
    """Of twenty answers at once, whichever replica they reach, one is verified and the others are refused."""
    record = await replicas[0].requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    outcomes = await asyncio.gather(
        *(
            outcome(replicas[number % 2].submissions.submit(answer(record.request.state)))
            for number in range(20)
        )
    )
    assert outcomes.count(Reason.PRESENTATION_REQUEST_CLOSED) == 19
    assert sum(len(replica.verifier.asked) for replica in replicas) == 1
    (asked,) = [each for replica in replicas for each in replica.verifier.asked]
    assert asked.claimed
    assert asked.nonce == record.request.nonce


async def test_two_replicas_take_a_nonce_once(replicas):
    """Of twenty requests with one nonce, one is made."""
    wish = RequestWish("open", DEFINITION, nonce="n" * 43)
    outcomes = await asyncio.gather(
        *(outcome(replicas[number % 2].requests.create(wish, owner=OWNER)) for number in range(20))
    )
    assert outcomes.count(Reason.PRESENTATION_REQUEST_ALREADY_EXISTS) == 19


async def test_a_request_is_its_makers(replicas):
    """Nobody else reads it, fetches it for a wallet, answers it as their own, or watches it."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    request_id, state = record.request.request_id, record.request.state
    for attempt in (
        two.requests.get(request_id, owner="other"),
        two.requests.request_object(request_id, owner="other"),
        two.submissions.submit(answer(state), owner="other"),
        anext(two.requests.watch(request_id, owner="other")),
    ):
        assert await outcome(attempt) is Reason.PRESENTATION_REQUEST_NOT_FOUND
    assert (await two.requests.get(request_id, owner=OWNER)).stored is RequestStatus.CREATED
    assert await outcome(two.submissions.submit(answer(state), owner=OWNER))


async def test_a_verifier_is_for_its_callers(replicas):
    """One that names callers is not there for others."""
    one, _ = replicas
    wish = RequestWish("closed", DEFINITION)
    assert await outcome(one.requests.create(wish, owner="other")) is Reason.VERIFIER_NOT_FOUND
    await one.requests.create(wish, owner=OWNER)


async def test_an_expired_request_takes_no_answer(replicas, clock):
    """From its end on it is neither fetched nor answered, and says so."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    clock.now = record.request.expire_time
    closed = Reason.PRESENTATION_REQUEST_CLOSED
    assert await outcome(two.requests.request_object(record.request.request_id)) is closed
    assert await outcome(two.submissions.submit(answer(record.request.state))) is closed
    assert two.verifier.asked == []
    seen = [each async for each in one.requests.watch(record.request.request_id, owner=OWNER)]
    assert [each.status(clock.now) for each in seen] == [RequestStatus.EXPIRED]


async def test_what_is_judged_too_late_is_not_told(replicas, clock):
    """A verification longer than its lease was reported as expired; its result is thrown away."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    one.verifier.pause = asyncio.Event()
    pending = asyncio.create_task(outcome(one.submissions.submit(answer(record.request.state))))
    watching = two.requests.watch(record.request.request_id, owner=OWNER)
    while (await anext(watching)).stored is not RequestStatus.SUBMITTED:
        pass
    clock.now += SUBMISSION_LEASE
    assert (await anext(watching)).status(clock.now) is RequestStatus.EXPIRED
    one.verifier.pause.set()
    assert await pending is Reason.PRESENTATION_REQUEST_CLOSED
    late = await two.requests.get(record.request.request_id, owner=OWNER)
    assert (late.status(clock.now), late.result) == (RequestStatus.EXPIRED, None)


async def test_a_watcher_sees_what_another_replica_does(replicas, clock):
    """Fetched there and answered there, it is seen here, and the watch ends."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    watching = one.requests.watch(record.request.request_id, owner=OWNER)
    seen = [(await anext(watching)).status(clock.now)]
    await two.requests.request_object(record.request.request_id)
    seen.append((await anext(watching)).status(clock.now))
    await two.submissions.submit(answer(record.request.state))
    seen += [each.status(clock.now) async for each in watching]
    assert seen == [RequestStatus.CREATED, RequestStatus.FETCHED, RequestStatus.REFUSED]


async def test_without_a_key_no_request_is_made(replicas):
    """The reason is the signer's, and nothing is stored."""
    one, _ = replicas
    one.own.error = AvailabilityError(Reason.NO_ACTIVE_KEY, "none")
    wish = RequestWish("open", DEFINITION, nonce="n" * 43)
    assert await outcome(one.requests.create(wish, owner=OWNER)) is Reason.NO_ACTIVE_KEY
    one.own.error = None
    await one.requests.create(wish, owner=OWNER)


async def test_an_error_of_a_wallet_uses_the_request_up(replicas):
    """It is kept instead of a report, and nothing is verified."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    declined = PresentationResponse.of(state=record.request.state, error="user_cancelled")
    done = await two.submissions.submit(declined)
    assert (done.stored, done.wallet_error, done.result) == (RequestStatus.REFUSED, "user_cancelled", None)
    assert two.verifier.asked == []


async def test_a_wallet_that_hangs_up_is_judged(replicas):
    """The report reaches the verifier even where nobody waits for the answer any more."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    one.verifier.pause = asyncio.Event()
    sent = asyncio.create_task(one.submissions.submit(answer(record.request.state)))
    watching = two.requests.watch(record.request.request_id, owner=OWNER)
    while (await anext(watching)).stored is not RequestStatus.SUBMITTED:
        pass
    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent
    one.verifier.pause.set()
    await one.submissions.aclose()
    judged = await two.requests.get(record.request.request_id, owner=OWNER)
    assert (judged.stored, judged.result) == (RequestStatus.REFUSED, REFUSED)


async def test_answers_under_way_are_bounded(replicas):
    """One more than may be is told to come again, before it uses anything up."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    full = PresentationSubmissions(VERIFIERS, NoRepository(), one.verifier, limit=0)
    assert await outcome(full.submit(answer(record.request.state))) is Reason.OVERLOADED
    assert (await two.requests.get(record.request.request_id, owner=OWNER)).stored is RequestStatus.CREATED


class FailingVerifier:
    """Has a fault of its own."""

    async def verify(self, asked: VerificationInput) -> VerificationResult:
        """Fail."""
        raise ZeroDivisionError


async def test_a_fault_of_ours_accepts_nothing(replicas, clock, caplog):
    """The caller is told, the log has it, and the request ends without a verdict."""
    one, two = replicas
    record = await one.requests.create(RequestWish("open", DEFINITION), owner=OWNER)
    one.submissions._verifier = FailingVerifier()
    with pytest.raises(ZeroDivisionError):
        await one.submissions.submit(answer(record.request.state))
    assert "could not be judged" in caplog.text
    clock.now += SUBMISSION_LEASE
    left = await two.requests.get(record.request.request_id, owner=OWNER)
    assert (left.status(clock.now), left.result) == (RequestStatus.EXPIRED, None)
