"""Verifiers that ask and wallets that answer: nonces used twice, requests answered twice, results watched."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx
import jwt
from countersign import GatewayClient
from countersign.presentations import PresentationRequest, PresentationRequestState, VerifiedEmployeeQuery

from gateway.fetching import GuardedClient
from signers import Algorithm
from tests.replicas.cluster import VERIFIER
from tests.replicas.fleet import PATIENCE, Fleet, GivenUpError
from tests.replicas.history import Kind, Outcome
from tests.support.dids import NoDns
from tests.support.wallet import Asked, Wallet
from tests.support.wallet_identities import identity
from tests.support.wallet_issuer import EmployeeIssuer

HOLDS: Final = "verified"
DECLINES: Final = "refused"
_WATCHED_AT_MOST: Final = 3 * PATIENCE
"""Seconds: more than a request lives, and than one is verified for that lost its replica (60 s)."""
_WATCHED_AT_ONCE: Final = 5.0
"""Seconds for which one replica is watched: a frozen one tells nothing, and ends nothing."""
_LIFETIME: Final = timedelta(seconds=90)
_DECLINED_PART: Final = 0.3


@dataclass
class Presentations:
    """The wallet of a run, and the requests that it was asked by."""

    wallet: Wallet
    names: list[str] = field(default_factory=list)


def new_presentations() -> Presentations:
    """A wallet with one credential. Neither its DID nor its issuer's has to be fetched from anywhere."""
    holder, issuer = identity("jwk", Algorithm.ES256), EmployeeIssuer(identity("jwk", Algorithm.ES256))
    nobody = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
    credential = issuer.issue(holder.did)
    return Presentations(Wallet(holder, [credential], GuardedClient(NoDns()), nobody, check_linkage=False))


def words_of(request: PresentationRequest) -> str:
    """The state, and where it is final a digest of all that is told of the result."""
    if not request.state.is_final:
        return request.state
    result = {
        "error": request.wallet_error,
        "verification": None if request.verification is None else asdict(request.verification),
    }
    written = json.dumps(result, default=str, sort_keys=True).encode()
    return f"{request.state} {hashlib.sha256(written).hexdigest()[:16]}"


async def present(fleet: Fleet, presentations: Presentations) -> None:
    """A request, under one nonce at two replicas; it is watched, answered in two ways at once, and read."""
    name = await _ask(fleet)
    if name is None:
        return
    presentations.names.append(name)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(fleet, name))
        await _answer(fleet, presentations, name)
        await look_at(fleet, name)


async def _ask(fleet: Fleet) -> str | None:
    """The request that was made; None where nobody said that one was."""
    nonce, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    made = await fleet.race(
        Kind.ASK,
        nonce,
        lambda client: client.create_presentation_request(
            VERIFIER, VerifiedEmployeeQuery(), nonce=nonce, state_parameter=state, lifetime=_LIFETIME
        ),
        told=lambda created: [created.request.name],
    )
    return next((created.request.name for _, created in made if created is not None), None)


async def _answer(fleet: Fleet, presentations: Presentations, name: str) -> None:
    """Answer at two replicas at once, and again where neither answers.

    Where one of the two declines, they contradict each other.
    """
    _, fetched = await fleet.persist(
        Kind.STEP, f"fetch-{fleet.number()}", lambda client: client.get_request_object(name)
    )
    if fetched is None:
        return
    form = presentations.wallet.answer(_asked(fetched))
    state = form.pop("state")
    contradicted = fleet.random.random() < _DECLINED_PART
    other: Mapping[str, str] = {"error": "user_cancelled"} if contradicted else form
    first, second = fleet.random.sample(range(len(fleet.clients)), k=2)
    made = await asyncio.gather(
        fleet.attempt(Kind.SUBMIT, name, _submitting(state, form), told=_told, family=HOLDS, replica=first),
        fleet.attempt(
            Kind.SUBMIT,
            name,
            _submitting(state, other),
            told=_told,
            family=DECLINES if contradicted else HOLDS,
            replica=second,
        ),
    )
    if all(attempt.outcome is Outcome.UNKNOWN for attempt, _ in made):
        await fleet.persist(Kind.SUBMIT, name, _submitting(state, form), told=_told, family=HOLDS)


def _submitting(state: str, form: Mapping[str, str]) -> Callable[[GatewayClient], Any]:
    return lambda client: client.submit_presentation(state, **form)


def _told(request: PresentationRequest) -> list[str]:
    return [words_of(request)]


def _asked(request_object: str) -> Asked:
    """What the wallet needs of a request object; who signed it is shown elsewhere (`tests.edge`)."""
    claims: dict[str, Any] = jwt.decode(request_object, options={"verify_signature": False})
    return Asked(
        client_id=claims["client_id"],
        origin="",
        redirect_uri=claims["redirect_uri"],
        nonce=claims["nonce"],
        state=claims["state"],
        definition=claims["claims"]["vp_token"]["presentation_definition"],
        registration=claims["registration"],
    )


async def look_at(fleet: Fleet, name: str, *, replica: int | None = None) -> None:
    """Ask what became of a request: any replica, or that one."""
    await fleet.attempt(
        Kind.LOOK,
        name,
        lambda client: client.get_presentation_request(name),
        told=_told,
        replica=replica,
    )


async def _watch(fleet: Fleet, name: str) -> None:
    """Follow a request at one replica after another, until its result. Raises `GivenUpError`."""
    began = fleet.now()
    last: int | None = None
    while fleet.now() < began + _WATCHED_AT_MOST:
        heard: list[str] = []
        made, _ = await fleet.attempt(
            Kind.WATCH, name, _watching(name, heard), heard=heard, replica=fleet.choose(besides=last)
        )
        if heard and PresentationRequestState(heard[-1].partition(" ")[0]).is_final:
            return
        last = made.replica
        await asyncio.sleep(0.05)
    raise GivenUpError(f"nobody told what became of {name}")


def _watching(name: str, heard: list[str]) -> Callable[[GatewayClient], Any]:
    async def watch(client: GatewayClient) -> None:
        async for request in client.watch_presentation_request(name, timeout=_WATCHED_AT_ONCE):
            heard.append(words_of(request))  # noqa: PERF401 - what was told before it broke off counts too.

    return watch
