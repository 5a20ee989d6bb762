"""Two replicas behind one URL: a client may be led to either, and what races has one winner."""

import asyncio

import pytest

from tests.support.acme import (
    AcmeClient,
    KeyAuthorizations,
    acme_gateway,
    dns_request,
    encoded,
    replica_of,
    through,
)
from tests.support.stores import DATABASES, empty_database

HOST = "www.example.org"
CALLERS = 3
"""Requests to each replica that race."""


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    (tmp_path / "var").mkdir()
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def web():
    """Where http-01 looks for the host."""
    async with KeyAuthorizations() as server:
        yield server


@pytest.fixture
async def clients(url, tmp_path, web):
    """One account's client, led to the one replica and to the other."""
    async with (
        acme_gateway(tmp_path, http_port=web.port, database_url=url) as one,
        replica_of(one) as two,
        one.client("tls") as first,
    ):
        assert (await first.register()).status_code == 201
        second = through(first, two)
        async with second.http:
            yield first, second


async def race(clients: tuple[AcmeClient, AcmeClient], url: str, payload) -> list[tuple[int, dict]]:
    """The answers to the same wish, signed anew for each request and sent to both replicas at once."""
    requests = [
        (client, client.jws(url, payload, {"nonce": await client.fresh()}))
        for _ in range(CALLERS)
        for client in clients
    ]
    answers = await asyncio.gather(*(client.send(url, body) for client, body in requests))
    return [(each.status_code, each.json() if each.content else {}) for each in answers]


def kinds(answers) -> set[tuple[int, str]]:
    """The problems among *answers*."""
    return {(status, body["type"].rpartition(":")[2]) for status, body in answers if status >= 400}


async def ready(clients, web) -> dict:
    """An order that is ready, its challenge answered in a race."""
    first, second = clients
    order = (await first.order(("dns", HOST))).json()
    challenge = (await second.post(order["authorizations"][0])).json()["challenges"][0]
    web.answers[challenge["token"]] = f"{challenge['token']}.{first.prover.jkt}"
    answered = await race(clients, challenge["url"], {})
    assert {(status, body["status"]) for status, body in answered} == {(200, "valid")}
    return order


async def test_a_certificate_is_made_once(clients, web):
    """Answers and finalizing race through both replicas; there is one certificate in the end."""
    first, second = clients
    order = await ready(clients, web)

    answers = await race(clients, order["finalize"], {"csr": encoded(dns_request(HOST))})

    assert {status for status, _ in answers} == {200}
    (made,) = {body["certificate"] for _, body in answers if body["status"] == "valid"}
    assert (await first.post(made)).content == (await second.post(made)).content


async def test_a_certificate_is_revoked_once(clients, web):
    """One request revokes it; the others are told that it is done."""
    first, second = clients
    order = await ready(clients, web)
    done = (await second.post(order["finalize"], {"csr": encoded(dns_request(HOST))})).json()
    chain = (await first.post(done["certificate"])).text
    leaf = chain.partition("-----END")[0].partition("\n")[2].replace("\n", "")
    der = leaf.replace("+", "-").replace("/", "_").rstrip("=")

    answers = await race(clients, f"{first.base}/revoke-cert", {"certificate": der})

    assert [status for status, _ in answers].count(200) == 1
    assert kinds(answers) == {(400, "alreadyRevoked")}


async def test_a_nonce_works_at_one_of_them(clients):
    """It is made by one replica, honored by the other, and used up for both."""
    first, second = clients
    url = f"{first.base}/new-order"
    body = first.jws(url, {"identifiers": [{"type": "dns", "value": HOST}]}, {"nonce": await first.fresh()})

    answers = await asyncio.gather(*(client.send(url, body) for client in (second, first) * CALLERS))

    statuses = [each.status_code for each in answers]
    assert (statuses.count(201), statuses.count(400)) == (1, len(answers) - 1)
    assert {each.json()["type"].rpartition(":")[2] for each in answers if each.is_error} == {"badNonce"}


async def test_one_order_replaces_a_nonce_that_was_lost(clients):
    """A refused request carries a nonce with which either replica takes it (RFC 8555 §6.5)."""
    first, second = clients
    url = f"{first.base}/new-order"
    wish = {"identifiers": [{"type": "dns", "value": HOST}]}
    nonce = await first.fresh()
    await first.send(url, first.jws(url, wish, {"nonce": nonce}))

    refused = await second.send(url, second.jws(url, wish, {"nonce": nonce}))
    taken = await first.send(url, first.jws(url, wish, {"nonce": refused.headers["replay-nonce"]}))

    assert (refused.status_code, taken.status_code) == (400, 201)
