"""Hostile wallets and issuers: answered in time, never accepted, and nothing inner is asked."""

import asyncio
import gzip
import time

import httpx
import pytest
import pytest_asyncio
from countersign.v1 import presentation_service_pb2 as pb

from gateway.jose import base64url
from gateway.presentations.status import Dialect
from signers import Algorithm
from tests.support.presenting import objections, presenting
from tests.support.scripted_server import redirect, reply

DEADLINE = 2.0
INNER = (
    "https://127.0.0.1/s",
    "https://10.0.0.1/s",
    "https://192.168.1.1/s",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/s",
    "https://[fd00::1]/s",
    "https://[::ffff:127.0.0.1]/s",
    "https://2130706433/s",
    "https://127.1/s",
    "https://localhost/s",
    "https://metadata.internal/s",
    "https://user@others.example.test/s",
    "https://others.example.test:22/s",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    """A verifier with a short deadline."""
    folder = tmp_path_factory.mktemp("hostile")
    async with presenting(folder, presentations={"deadline": DEADLINE}) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def judged(stage, credential_of, **changes):
    """What the verifier sees of a wallet that presents what *credential_of* makes of its holder and issuer.

    Verifying may take its deadline, and a little for everything else.
    """
    holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer()
    credential = credential_of(holder, issuer)
    asked = await stage.ask()
    async with stage.http() as http:
        wallet = stage.wallet(holder, [credential], http)
        read = await wallet.read(asked.authorization_request_uri)
        async with asyncio.timeout(DEADLINE + 3):
            answered = await wallet.send(read, wallet.answer(read, **changes))
    assert answered.response.status_code == 400
    report = await stage.get(asked.name)
    assert report.state == pb.PRESENTATION_REQUEST_STATE_REFUSED
    return report.verification


def listed(stage, answer):
    """Makes a credential whose status list is *answer*."""

    def credential(holder, issuer):
        stage.publish(issuer, answer)
        return issuer.issue(holder.did, status=True)

    return credential


@pytest.mark.parametrize("url", INNER)
async def test_a_status_list_is_never_fetched_from_inside(stage, url):
    """An inner address as status list is unknown and so refused; no connection leaves."""
    before = stage.others.connections

    def credential(holder, issuer):
        issuer.status_url = url
        return issuer.issue(holder.did, status=True)

    verification = await judged(stage, credential)
    assert objections(verification)[0] in {"status_list_available", "status_entry_well_formed"}
    assert stage.others.connections == before


@pytest.mark.parametrize(
    "did",
    [
        "did:web:127.0.0.1",
        "did:web:10.0.0.1",
        "did:web:169.254.169.254",
        "did:web:localhost",
        "did:web:2130706433",
        "did:web:user%40a.example",
        "did:web:a.example%3A22",
        "did:web:%5B%3A%3A1%5D",
        "did:web:a.example:..:..",
    ],
)
async def test_an_issuer_is_never_looked_for_inside(stage, did):
    """An issuer whose DID leads to an inner address does not resolve."""

    def credential(holder, issuer):
        claims = issuer.claims(holder.did) | {"iss": did}
        return issuer.identity.sign(claims, kid=f"{did}#key-1")

    assert "did_resolved" in objections(await judged(stage, credential))


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/", "https://elsewhere.example/", "http://others.example.test/"]
)
async def test_a_redirected_status_list_is_not_followed_elsewhere(stage, location):
    """A host cannot send the gateway to another one."""
    verification = await judged(stage, listed(stage, redirect(location)))
    assert objections(verification) == ["status_list_available"]


async def test_a_silent_host_costs_the_deadline(stage):
    """A host that accepts and says nothing is unknown, and the wallet has its answer in time."""
    released = asyncio.Event()

    async def silent(request, writer):
        await released.wait()

    verification = await judged(stage, listed(stage, silent))
    released.set()
    assert objections(verification) == ["status_list_available"]


async def test_a_dripping_host_costs_the_deadline(stage):
    """A host that always sends a little more does not stretch the deadline."""

    async def dripping(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"e")
            await writer.drain()
            await asyncio.sleep(0.05)

    verification = await judged(stage, listed(stage, dripping))
    assert objections(verification) == ["status_list_available"]


async def test_a_decompression_bomb_stays_packed(stage):
    """A list that would inflate to 64 MB is refused by its bound."""

    def credential(holder, issuer):
        made = issuer.issue(holder.did, status=True)
        claims = {
            "iss": issuer.identity.did,
            "jti": issuer.status_url,
            "nbf": int(time.time()) - 60,
            "exp": int(time.time()) + 600,
            "vc": {
                "@context": ["https://www.w3.org/2018/credentials/v1"],
                "type": ["VerifiableCredential", "StatusList2021Credential"],
                "credentialSubject": {
                    "id": f"{issuer.status_url}#list",
                    "type": "RevocationList2021",
                    "encodedList": base64url.encode(gzip.compress(bytes(64 * 1024 * 1024))),
                },
            },
        }
        body = issuer.identity.sign(claims).encode()
        stage.publish(issuer, reply(body=body, content_type="application/jwt"))
        return made

    assert objections(await judged(stage, credential))[0].startswith("status_list_")


async def test_an_endless_did_document_is_cut_off(stage):
    """A document beyond the bound is none."""

    def credential(holder, issuer):
        other = stage.identity("endless", "web", Algorithm.ES256)
        stage.others.routes["/endless/did.json"] = reply(body=b" " * 2_000_000 + (other.document or b""))
        claims = issuer.claims(holder.did) | {"iss": other.did}
        return other.sign(claims)

    assert "did_resolved" in objections(await judged(stage, credential))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"a","iss":"b"}',
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" * 100_000,
        b'{"iss":"\xff"}',
        b'{"a":1e999}',
        b"{} {}",
        b"x" * 500_000,
    ],
    ids=["duplicate", "deep", "unclosed", "utf8", "number", "trailing", "no-json"],
)
async def test_a_token_that_parsers_could_read_differently_is_refused(stage, payload):
    """Duplicate members, deep nesting and what is no strict JSON end the token they are in."""
    holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer()
    asked = await stage.ask()
    async with stage.http() as http:
        wallet = stage.wallet(holder, [issuer.issue(holder.did)], http)
        read = await wallet.read(asked.authorization_request_uri)
        form = wallet.answer(read)
        header, _, signature = form["vp_token"].split(".")
        form["vp_token"] = f"{header}.{base64url.encode(payload)}.{signature}"
        answered = await wallet.send(read, form)
    assert answered.response.status_code == 400
    verification = (await stage.get(asked.name)).verification
    assert "token_well_formed" in objections(verification) or "response_shape" in objections(verification)


async def test_many_presentations_cost_no_more_than_some(stage):
    """An array of very many presentations is refused by its number, and none is verified."""
    holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer()
    asked = await stage.ask()
    async with stage.http() as http:
        wallet = stage.wallet(holder, [issuer.issue(holder.did)], http)
        read = await wallet.read(asked.authorization_request_uri)
        form = wallet.answer(read)
        form["vp_token"] = "[" + ",".join([f'"{form["vp_token"]}"'] * 300) + "]"
        answered = await wallet.send(read, form)
    assert answered.response.status_code == 400
    assert "response_shape" in objections((await stage.get(asked.name)).verification)


@pytest.mark.parametrize("dialect", sorted(Dialect))
async def test_a_list_that_somebody_else_signed_is_refused(stage, dialect):
    """A list signed by another DID than the credential's issuer does not speak for it."""
    other = stage.issuer(dialect=dialect)

    def credential(holder, issuer):
        issuer.dialect = dialect
        issuer.status_url = other.status_url
        stage.publish(other)
        return issuer.issue(holder.did, status=True)

    assert objections(await judged(stage, credential)) == ["status_list_issuer"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
async def test_a_pattern_that_backtracks_answers_at_once(stage, pattern):
    """A definition with a pattern that takes other engines for ever is answered with the truth."""
    holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer()
    definition = {
        "id": "slow",
        "input_descriptors": [
            {
                "id": "employee",
                "schema": [{"uri": "VerifiedEmployee"}],
                "constraints": {
                    "fields": [
                        {
                            "path": ["$.vc.credentialSubject.displayName"],
                            "filter": {"type": "string", "pattern": pattern},
                        }
                    ]
                },
            }
        ],
    }
    asked = await stage.ask(presentation_definition=httpx.Response(200, json=definition).text)
    credential = issuer.issue(holder.did, employee={"displayName": "a" * 256})
    async with stage.http() as http:
        wallet = stage.wallet(holder, [credential], http)
        wallet.choose = lambda definition: {"employee": credential}
        async with asyncio.timeout(DEADLINE + 3):
            await wallet.present(asked.authorization_request_uri)
    report = await stage.get(asked.name)
    assert report.state in (
        pb.PRESENTATION_REQUEST_STATE_VERIFIED,
        pb.PRESENTATION_REQUEST_STATE_REFUSED,
    )
    assert (report.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED) == (pattern == "(a+)+$")
