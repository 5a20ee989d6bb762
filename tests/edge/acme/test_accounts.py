"""Accounts over ACME: made, found, bound, changed, moved to another key, given up (RFC 8555 §7.3)."""

import hashlib
import hmac
import json
from datetime import timedelta
from urllib.parse import quote

import pytest

from tests.support.acme import TERMS, encoded
from tests.support.wire import prover

pytestmark = pytest.mark.asyncio(loop_scope="module")

URN = "urn:ietf:params:acme:error:"


def told(response) -> tuple[int, str]:
    """Status and error type."""
    return response.status_code, response.json()["type"].removeprefix(URN)


class TestNewAccount:
    """RFC 8555 §7.3."""

    async def test_a_new_account(self, served, fresh):
        """201 with its URL, and the orders URL from which Wire's clients take it."""
        response = await fresh.register(contact=["mailto:a@example.org"])
        assert response.status_code == 201
        url = response.headers["location"]
        assert url.startswith(served.base("tls") + "/account/")
        assert response.json() == {
            "status": "valid",
            "orders": f"{url}/orders",
            "contact": ["mailto:a@example.org"],
            "termsOfServiceAgreed": True,
        }
        assert response.headers["link"] == f'<{served.base("tls")}/directory>;rel="index"'

    async def test_a_key_has_one_account(self, client):
        """200 and the same URL for the second request, asked for or not."""
        known, client.kid = client.kid, None
        for payload in ({}, {"onlyReturnExisting": True}, {"contact": ["mailto:b@example.org"]}):
            response = await client.post(f"{client.base}/new-account", payload)
            assert (response.status_code, response.headers["location"]) == (200, known)
            assert "contact" not in response.json()

    async def test_an_account_that_is_not_there(self, fresh):
        """With onlyReturnExisting none is made."""
        response = await fresh.post(f"{fresh.base}/new-account", {"onlyReturnExisting": True})
        assert told(response) == (400, "accountDoesNotExist")

    @pytest.mark.parametrize(
        ("payload", "kind"),
        [
            ({"contact": "mailto:a@example.org"}, "invalidContact"),
            ({"contact": [7]}, "invalidContact"),
            ({"contact": ["mailto:\u202egro.elpmaxe@a"]}, "invalidContact"),
            ({"contact": ["mailto:a@example.org"] * 11}, "invalidContact"),
            ({"termsOfServiceAgreed": "yes"}, "malformed"),
            ({"externalAccountBinding": "x"}, "malformed"),
        ],
        ids=["text", "number", "bidirectional", "too many", "flag", "binding"],
    )
    async def test_a_payload_that_is_malformed(self, fresh, payload, kind):
        """The problem names the member."""
        assert told(await fresh.post(f"{fresh.base}/new-account", payload)) == (400, kind)


class TestBinding:
    """RFC 8555 §7.3.3, §7.3.4."""

    async def key(self, served):
        """A binding key of the administrator."""
        async with served.gateway.client(served.gateway.admin) as admin:
            return await admin.create_external_account_key("provisioners/bound", lifetime=timedelta(hours=1))

    def binding(self, client, key, **header):
        """A right binding, but for *header*; ``secret`` signs."""
        secret = header.pop("secret", key.secret)
        members = {"alg": "HS256", "kid": key.key.key_id, "url": f"{client.base}/new-account"} | header
        protected = encoded(json.dumps(members).encode())
        payload = encoded(json.dumps(dict(client.prover.jwk)).encode())
        tag = hmac.new(secret, f"{protected}.{payload}".encode(), hashlib.sha256).digest()
        return {"protected": protected, "payload": payload, "signature": encoded(tag)}

    async def test_terms_are_agreed_to_first(self, served):
        """RFC 8555 §7.3.3: the problem and a link say where they stand."""
        async with served.client("bound") as client:
            response = await client.post(f"{client.base}/new-account", {})
        assert told(response) == (403, "userActionRequired")
        assert response.json()["instance"] == TERMS
        assert f'<{TERMS}>;rel="terms-of-service"' in response.headers.get_list("link")

    async def test_without_a_binding(self, served):
        """The problem is externalAccountRequired."""
        async with served.client("bound") as client:
            assert told(await client.register()) == (403, "externalAccountRequired")

    async def test_a_binding_works_once(self, served):
        """For one account; a second one is refused."""
        key = await self.key(served)
        async with served.client("bound") as first, served.client("bound") as second:
            made = await first.register(externalAccountBinding=self.binding(first, key))
            again = await second.register(externalAccountBinding=self.binding(second, key))
        assert made.status_code == 201
        assert told(again) == (403, "externalAccountRequired")

    @pytest.mark.parametrize(
        "change",
        [{"secret": bytes(32)}, {"alg": "none"}, {"kid": "nobody"}, {"url": "https://ca/x"}, {"nonce": "x"}],
        ids=lambda change: next(iter(change)),
    )
    async def test_a_binding_that_does_not_hold(self, served, change):
        """Each part is checked, and the key stays usable."""
        key = await self.key(served)
        async with served.client("bound") as client:
            wrong = self.binding(client, key, **change)
            assert told(await client.register(externalAccountBinding=wrong)) == (
                403,
                "externalAccountRequired",
            )
            right = self.binding(client, key)
            assert (await client.register(externalAccountBinding=right)).status_code == 201


class TestChanges:
    """RFC 8555 §7.3.2, §7.3.6."""

    async def test_contacts_are_replaced(self, client):
        """And stay where they are not named."""
        changed = await client.post(client.kid, {"contact": ["mailto:b@example.org"]})
        assert (changed.status_code, changed.json()["contact"]) == (200, ["mailto:b@example.org"])
        for payload in (None, {}, {"status": "valid"}, {"unknown": 1}):
            assert (await client.post(client.kid, payload)).json() == changed.json()
        assert changed.headers["location"] == client.kid

    async def test_another_account_is_not_touched(self, client, other):
        """Not read, not changed, not listed."""
        for url in (other.kid, f"{other.kid}/orders"):
            assert told(await client.post(url)) == (403, "unauthorized")

    @pytest.mark.parametrize("status", ["revoked", "", 7])
    async def test_a_status_that_clients_cannot_set(self, client, status):
        """Only deactivated."""
        assert told(await client.post(client.kid, {"status": status})) == (400, "malformed")

    async def test_a_deactivated_account_does_nothing_more(self, client):
        """RFC 8555 §7.3.6: 401 unauthorized, also for its key."""
        done = await client.post(client.kid, {"status": "deactivated"})
        assert done.json()["status"] == "deactivated"
        assert told(await client.order(("dns", "www.example.org"))) == (401, "unauthorized")
        client.kid = None
        assert told(await client.post(f"{client.base}/new-account", {})) == (401, "unauthorized")


class TestKeyChange:
    """RFC 8555 §7.3.5."""

    async def change(self, client, key, *, inner=None, payload=None, signer=None):
        """Ask for *key*, with any part of the inner request changed."""
        url = f"{client.base}/key-change"
        wish = {"account": client.kid, "oldKey": dict(client.prover.jwk)} | (payload or {})
        header = {"alg": key.alg, "jwk": dict(key.jwk), "url": url} | (inner or {})
        compact = (signer or key).signed(json.dumps(header).encode(), json.dumps(wish).encode())
        parts = dict(zip(("protected", "payload", "signature"), compact.split("."), strict=True))
        return await client.post(url, parts)

    async def test_the_account_has_the_new_key(self, client):
        """The old key is nobody's any more."""
        new, old = prover("EdDSA"), client.prover
        changed = await self.change(client, new)
        assert (changed.status_code, changed.headers["location"]) == (200, client.kid)
        assert told(await client.order(("dns", "www.example.org"))) == (400, "malformed")
        client.prover = new
        assert (await client.order(("dns", "www.example.org"))).status_code == 201
        client.prover, client.kid = old, None
        response = await client.post(f"{client.base}/new-account", {"onlyReturnExisting": True})
        assert told(response) == (400, "accountDoesNotExist")

    async def test_a_key_that_another_account_has(self, client, other):
        """409, with the URL of that account."""
        response = await self.change(client, other.prover)
        assert told(response) == (409, "malformed")
        assert response.headers["location"] == other.kid

    @pytest.mark.parametrize(
        "broken",
        [
            {"inner": {"url": "https://ca/key-change"}},
            {"inner": {"nonce": "x"}},
            {"inner": {"kid": "x"}},
            {"payload": {"account": "https://ca/account/x"}},
            {"payload": {"oldKey": dict(prover("ES256").jwk)}},
            {"payload": {"oldKey": 7}},
            {"signer": prover("EdDSA")},
        ],
        ids=["url", "nonce", "kid", "account", "old key", "no key", "signature"],
    )
    async def test_every_part_of_the_inner_request_counts(self, client, broken):
        """The account keeps its key."""
        response = await self.change(client, prover("EdDSA"), **broken)
        assert response.status_code in {400, 401}
        assert (await client.post(client.kid)).status_code == 200


async def test_orders_are_listed_page_by_page(client):
    """RFC 8555 §7.1.2.1: an object with URLs, and a link to the next page until the last."""
    made = {(await client.order(("dns", "www.example.org"))).headers["location"] for _ in range(52)}
    first = await client.post(f"{client.kid}/orders")
    (following,) = [each for each in first.headers.get_list("link") if 'rel="next"' in each]
    second = await client.post(following[1:].partition(">")[0])
    assert len(first.json()["orders"]) == 50
    assert set(first.json()["orders"]) | set(second.json()["orders"]) == made
    assert not any('rel="next"' in each for each in second.headers.get_list("link"))


@pytest.mark.parametrize(
    "query", ["cursor=" + "%00" * 3, "&".join(f"a{n}=1" for n in range(9)), "cursor=\u00ff"]
)
async def test_a_page_that_is_none(client, query):
    """What stands in the query is the client's own; it finds nothing, or is malformed."""
    response = await client.post(f"{client.kid}/orders?{quote(query, safe='=&%')}")
    assert response.status_code in {200, 400}
    if response.is_error:
        assert told(response) == (400, "malformed")
    else:
        assert response.json() == {"orders": []}
