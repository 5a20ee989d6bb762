"""What the port of presentation requests promises, on SQLite and on PostgreSQL, through two replicas."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.request import (
    SUBMISSION_LEASE,
    PresentationRequest,
    RequestStatus,
    ResponseMode,
)
from gateway.presentations.result import VerificationResult, VerifiedCredential
from gateway.store import Store, open_store
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

REQUEST = PresentationRequest(
    request_id="r" * 43,
    owner="spiffe://example.org/portal",
    verifier="employees",
    client_id="did:web:verifier.example.org",
    nonce="n" * 43,
    state="s" * 43,
    definition='{"id":"ü \\u0000"}',
    response_mode=ResponseMode.DIRECT_POST,
    create_time=NOW + 0.25,
    expire_time=NOW + 300,
    request_uri="https://id.example.org/presentations/requests/" + "r" * 43,
    request_object="a.b.c",
)
KEEP = NOW + 4000
RESULT = VerificationResult(
    accepted=True,
    checks=(
        Check("token_signature", Outcome.PASSED, "RFC 7515 §5.2", "$.id_token", "It verifies."),
        Check("status_list_available", Outcome.UNKNOWN, "x", "$.vp_token", "No.", True, "unreachable"),
    ),
    holder="did:jwk:holder",
    credentials=(
        VerifiedCredential(
            descriptor_id="VerifiedEmployeeVC",
            issuer="did:web:issuer.example.org",
            subject="did:jwk:holder",
            types=("VerifiableCredential", "VerifiedEmployee"),
            credential={"credentialSubject": {"displayName": "Pat \0 Smith \ud800", "n": [1, 1.5, None]}},
            state=CredentialState.ACTIVE,
            linked_origin="https://issuer.example.org",
        ),
    ),
    evaluation_time=int(NOW) + 9,
    at_time=False,
)


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
async def stores(url: str, clock: SettableClock) -> AsyncIterator[tuple[Store, Store]]:
    """Two replicas over one database."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, clock=clock, migrate=True))
        two = await stack.enter_async_context(open_store(url, clock=clock))
        yield one, two


async def test_a_request_is_read_back(stores):
    """Every field survives, by both replicas; another id finds nothing."""
    one, two = stores
    assert await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    record = await two.presentation_requests.find(REQUEST.request_id)
    assert record.request == REQUEST
    assert (record.stored, record.revision) == (RequestStatus.CREATED, 1)
    assert (record.fetch_time, record.submit_time, record.result, record.wallet_error) == (None,) * 4
    assert await one.presentation_requests.find("x" * 43) is None


@pytest.mark.parametrize("shared", ["nonce", "state", "request_id"])
async def test_nonce_and_state_are_taken_once(stores, shared):
    """Of many requests with one nonce, or one state, one is remembered, whichever replica is asked."""
    values = {"nonce", "state", "request_id"} - {shared}
    attempts = [replace(REQUEST, **{name: f"{name}-{number}" for name in values}) for number in range(10)]
    inserted = await asyncio.gather(
        *(
            stores[number % 2].presentation_requests.insert(request, keep_until=KEEP)
            for number, request in enumerate(attempts)
        )
    )
    assert sorted(inserted) == [False] * 9 + [True]


async def test_a_fetch_is_noted_once(stores):
    """The first one moves the request on and sets the time; a later one changes nothing."""
    one, two = stores
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    first = await one.presentation_requests.fetch(REQUEST.request_id, now=NOW + 1)
    again = await two.presentation_requests.fetch(REQUEST.request_id, now=NOW + 2)
    assert first == again
    assert (first.stored, first.fetch_time, first.revision) == (RequestStatus.FETCHED, NOW + 1, 2)
    assert await one.presentation_requests.fetch("x" * 43, now=NOW) is None


async def test_an_expired_request_is_not_fetched(stores):
    """It stays as it was, and says that it is over."""
    one, _ = stores
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    record = await one.presentation_requests.fetch(REQUEST.request_id, now=REQUEST.expire_time)
    assert record.stored is RequestStatus.CREATED
    assert record.status(REQUEST.expire_time) is RequestStatus.EXPIRED


@pytest.mark.parametrize("fetched", [False, True])
async def test_of_many_answers_one_claims_the_request(stores, fetched):
    """The database decides; the others learn that it is taken."""
    await stores[0].presentation_requests.insert(REQUEST, keep_until=KEEP)
    if fetched:
        await stores[0].presentation_requests.fetch(REQUEST.request_id, now=NOW + 1)
    claims = await asyncio.gather(
        *(
            stores[number % 2].presentation_requests.claim(REQUEST.state, owner=None, now=NOW + 2)
            for number in range(20)
        )
    )
    assert sorted(ours for _, ours in claims) == [False] * 19 + [True]
    assert {record.stored for record, _ in claims} == {RequestStatus.SUBMITTED}
    assert {record.submit_time for record, _ in claims} == {NOW + 2}


async def test_a_claim_needs_an_open_request(stores):
    """An unknown state claims nothing; an expired request is known and not claimed."""
    one, two = stores
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    assert await two.presentation_requests.claim("t" * 43, owner=None, now=NOW) is None
    record, ours = await two.presentation_requests.claim(REQUEST.state, owner=None, now=REQUEST.expire_time)
    assert (record.stored, ours) == (RequestStatus.CREATED, False)


async def test_a_claim_for_another_owner_changes_nothing(stores):
    """With an owner, only that one's request is found."""
    one, two = stores
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    assert await two.presentation_requests.claim(REQUEST.state, owner="other", now=NOW) is None
    _, ours = await two.presentation_requests.claim(REQUEST.state, owner=REQUEST.owner, now=NOW)
    assert ours


@pytest.mark.parametrize(
    ("result", "wallet_error", "status"),
    [
        (RESULT, None, RequestStatus.VERIFIED),
        (replace(RESULT, accepted=False, credentials=()), None, RequestStatus.REFUSED),
        (None, "user_cancelled", RequestStatus.REFUSED),
    ],
)
async def test_what_came_of_it_is_read_back(stores, result, wallet_error, status):
    """The report, with every field of it, is there for both replicas."""
    one, two = stores
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    await one.presentation_requests.claim(REQUEST.state, owner=None, now=NOW)
    settled = await one.presentation_requests.settle(
        REQUEST.request_id, result=result, wallet_error=wallet_error, now=NOW + 1
    )
    assert settled == await two.presentation_requests.find(REQUEST.request_id)
    assert (settled.stored, settled.result, settled.wallet_error) == (status, result, wallet_error)


async def test_an_answer_is_judged_once_and_in_time(stores):
    """What was not claimed, was judged, or was claimed too long ago, is not written."""
    one, two = stores
    judge = {"request_id": REQUEST.request_id, "result": RESULT, "wallet_error": None}
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    assert await one.presentation_requests.settle(**judge, now=NOW) is None
    await one.presentation_requests.claim(REQUEST.state, owner=None, now=NOW)
    assert await one.presentation_requests.settle(**judge, now=NOW + SUBMISSION_LEASE) is None
    late = await one.presentation_requests.find(REQUEST.request_id)
    assert late.status(NOW + SUBMISSION_LEASE) is RequestStatus.EXPIRED
    settled = await asyncio.gather(
        *(stores[number % 2].presentation_requests.settle(**judge, now=NOW + 1) for number in range(10))
    )
    assert sum(each is not None for each in settled) == 1
    assert await two.presentation_requests.find(REQUEST.request_id) in settled


async def test_a_request_is_kept_and_then_purged(stores, clock):
    """It is readable until it need not be, and its nonce is taken as long."""
    one, two = stores
    await one.presentation_requests.insert(REQUEST, keep_until=KEEP)
    clock.now = KEEP - 1
    assert await one.purge.once() == 0
    assert not await two.presentation_requests.insert(
        replace(REQUEST, request_id="q" * 43, state="z"), keep_until=KEEP
    )
    clock.now = KEEP + 301
    assert await one.purge.once() == 1
    assert await two.presentation_requests.find(REQUEST.request_id) is None
