"""Answers that want to cost something: each is judged, within the deadline, and by name."""

import asyncio
import json
import time
from typing import Any

import pytest

from gateway.dids import DidResolver, IonPolicy, default_methods
from gateway.fetching import GuardedClient
from gateway.presentations.checks import Outcome
from gateway.presentations.issuer_checks import IssuerChecks
from gateway.presentations.linked_domains import LinkedDomains
from gateway.presentations.status_lists import StatusLists
from gateway.presentations.verification import PresentationVerifier
from tests.support.dids import jwt, web_host
from tests.support.profile_answer import ProfileAnswer, refusals

PATIENCE = 0.4
"""Seconds that the verifier of these tests waits for others."""


def nested(depth: int) -> Any:
    """Arrays in arrays."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def code_of(answer_refusals: set[tuple[str, str]]) -> set[str]:
    return {code for code, _ in answer_refusals}


@pytest.mark.parametrize("part", ["id", "vp", "vc"])
@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (nested(40), "json_too_deep"),
        ({"a": "x" * 600_000}, "token_too_large"),
    ],
    ids=["deep", "large"],
)
async def test_a_payload_beyond_its_bound_is_refused(part, member, reason):
    """Depth and size are bounded for each token, before anything looks at it."""
    answer = ProfileAnswer()
    getattr(answer, part)["more"] = member
    assert ("token_well_formed", reason) in refusals(await answer.verify())


async def test_ten_megabytes_are_not_parsed():
    """A token above its bound is refused by its length alone."""
    answer = ProfileAnswer()
    answer.raw["id_token"] = "e30." + "A" * 10_000_000 + ".AA"
    started = time.process_time()
    result = await answer.verify()
    assert ("token_well_formed", "token_too_large") in refusals(result)
    # Generous: parsing it would take many times that.
    assert time.process_time() - started < 1.0


async def test_a_deep_payload_does_not_exhaust_the_stack():
    """A hundred thousand brackets are an answer like any other."""
    answer = ProfileAnswer()
    payload = b"[" * 20_000 + b"]" * 20_000
    answer.raw["vp_token"] = jwt(answer.signers["vp"], answer.vp_header, payload)
    assert "token_well_formed" in code_of(refusals(await answer.verify()))


async def test_many_credentials_are_not_looked_at():
    """Beyond the bound the presentation is refused, and only so many of them are read."""
    answer = ProfileAnswer()
    answer.vp["vp"]["verifiableCredential"] = ["a.b.c"] * 5_000
    result = await answer.verify()
    assert ("presentation_well_formed", "too_many_credentials") in refusals(result)
    assert len(result.checks) < 500


async def test_many_nodes_end_the_evaluation():
    """A credential of very many values is not walked through: the report says that it was given up."""
    answer = ProfileAnswer()
    answer.vc["vc"]["credentialSubject"]["list"] = [0] * 20_000
    assert refusals(await answer.verify()) == {("pe_work_bounded", "")}


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
async def test_numbers_that_are_none(number):
    """What JSON cannot carry is refused when the token is read."""
    answer = ProfileAnswer()
    payload = json.dumps(answer.vc)[:-1] + f', "n": {number}}}'
    answer.raw["credential"] = jwt(answer.signers["vc"], answer.vc_header, payload.encode())
    assert code_of(refusals(await answer.verify())) == {"token_well_formed"}


async def test_a_number_of_thousands_of_digits():
    """It is refused, or bounded: nothing computes with it."""
    answer = ProfileAnswer()
    payload = json.dumps(answer.vc)[:-1] + f', "n": {"9" * 4000}}}'
    answer.raw["credential"] = jwt(answer.signers["vc"], answer.vc_header, payload.encode())
    assert code_of(refusals(await answer.verify())) <= {"token_well_formed", "pe_work_bounded"}


@pytest.mark.parametrize("filter_of", [{"pattern": "(a+)+$"}, {"pattern": "^(a|a)*b$"}])
async def test_a_pattern_that_would_backtrack(filter_of):
    """The pattern runs in linear time against the holder's text."""
    answer = ProfileAnswer()
    answer.vc["vc"]["credentialSubject"]["displayName"] = "a" * 4000 + "!"
    field = {"path": ["$.vc.credentialSubject.displayName"], "filter": {"type": "string"} | filter_of}
    answer.definition["input_descriptors"][0]["constraints"] = {"fields": [field]}
    started = time.process_time()
    assert refusals(await answer.verify()) == {("pe_field_filter", "")}
    assert time.process_time() - started < 2.0


def patient(client: GuardedClient) -> PresentationVerifier:
    """A verifier that waits `PATIENCE` for others."""
    methods = default_methods(client, ion_policy=IonPolicy(unsafe_non_canonical_ion=True))
    resolver = DidResolver(methods)
    issuers = IssuerChecks(StatusLists(client, resolver), LinkedDomains(client))
    return PresentationVerifier(resolver, issuers, deadline=PATIENCE)


async def test_an_issuer_that_never_answers_costs_the_deadline():
    """The DID is not resolved in time, which is unknown and no error; nothing waits on."""
    async with web_host() as host:
        silent = asyncio.Event()

        async def never(received: object, writer: object) -> None:
            await silent.wait()

        host.server.routes["/.well-known/did.json"] = never
        answer = ProfileAnswer()
        answer.vc["iss"] = host.did
        answer.vc_header["kid"] = f"{host.did}#k"
        async with asyncio.timeout(PATIENCE * 10):
            result = await patient(host.client).verify(answer.asked())
        silent.set()
    assert refusals(result) == {("did_resolved", "did_unavailable")}
    assert {c.outcome for c in result.checks if c.reason == "did_unavailable"} == {Outcome.UNKNOWN}


async def test_a_list_that_never_answers_costs_the_deadline():
    """The status is unknown, and fails under the default policy."""
    async with web_host() as host:
        silent = asyncio.Event()

        async def never(received: object, writer: object) -> None:
            await silent.wait()

        host.server.routes["/list"] = never
        answer = ProfileAnswer()
        answer.vc["vc"]["credentialStatus"]["statusListCredential"] = f"{host.origin}/list"
        answer.change_policy(status=type(answer.policy.status)())
        async with asyncio.timeout(PATIENCE * 10):
            result = await patient(host.client).verify(answer.asked())
        silent.set()
    assert refusals(result) == {("status_list_available", "deadline_exceeded")}


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/list",
        "https://[::1]/list",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/list",
        "http://lists.example.org/list",
        "https://localhost/list",
        "https://user@lists.example.org/list",
        "file:///etc/passwd",
    ],
)
async def test_what_a_credential_names_inside_is_not_fetched(url):
    """No list is asked for at an address or name that a stranger has no business with."""
    answer = ProfileAnswer()
    answer.vc["vc"]["credentialStatus"]["statusListCredential"] = url
    answer.change_policy(status=type(answer.policy.status)())
    assert code_of(refusals(await answer.verify())) <= {"status_list_available", "status_entry_well_formed"}
    assert not (await answer.verify()).accepted


async def test_what_a_stranger_names_is_not_asked():
    """The lists and domains of an issuer that is not trusted are left alone."""
    async with web_host() as host:
        answer = ProfileAnswer(client=host.client)
        answer.vc["vc"]["credentialStatus"]["statusListCredential"] = f"{host.origin}/list"
        answer.change_policy(trusted_issuers=frozenset({"did:web:somebody.example"}))
        assert refusals(await answer.verify()) == {("issuer_trusted", "issuer_not_trusted")}
        assert host.server.requests == []
