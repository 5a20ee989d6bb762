"""What a signed request must be, rule by rule: each is broken alone, and the problem says which it was."""

import asyncio
import json

import pytest

from tests.support.acme import JOSE, AcmeClient, acme_gateway, dns_request, encoded
from tests.support.dpop import OMIT
from tests.support.gateway import SteppedClock
from tests.support.wire import prover

pytestmark = pytest.mark.asyncio(loop_scope="module")

URN = "urn:ietf:params:acme:error:"


def problem_of(response) -> tuple[int, str, str]:
    """Status, type and reason; and every problem is told in the same way."""
    document = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["replay-nonce"]
    assert 'rel="index"' in response.headers["link"]
    assert response.headers["cache-control"] == "no-store"
    assert document["status"] == response.status_code
    (reason,) = document["subproblems"]
    assert reason["type"] == document["type"]
    return response.status_code, document["type"].removeprefix(URN), reason["reason"]


def wish(client: AcmeClient) -> tuple[str, dict]:
    """A request that is good."""
    return f"{client.base}/new-order", {"identifiers": [{"type": "dns", "value": "www.example.org"}]}


async def refused(client: AcmeClient, **header) -> tuple[int, str, str]:
    """What becomes of a good request with another *header*."""
    return problem_of(await client.post(*wish(client), **header))


async def refused_body(client: AcmeClient, change) -> tuple[int, str, str]:
    """What becomes of a good request whose body *change* made another."""
    url, payload = wish(client)
    body = client.jws(url, payload, {"nonce": await client.fresh()})
    return problem_of(await client.send(url, change(body)))


class TestDirectory:
    """Where clients begin."""

    async def test_the_directory_names_everything(self, served, client):
        """RFC 8555 §7.1.1, RFC 9773 §4.1."""
        response = await client.http.get(f"{client.base}/directory")
        document = response.json()
        assert response.headers["content-type"] == "application/json"
        assert document.pop("meta") == {"externalAccountRequired": False}
        assert document == {
            name: f"{served.base('tls')}/{path}"
            for name, path in {
                "newNonce": "new-nonce",
                "newAccount": "new-account",
                "newOrder": "new-order",
                "revokeCert": "revoke-cert",
                "keyChange": "key-change",
                "renewalInfo": "renewal-info",
            }.items()
        }

    async def test_a_directory_tells_what_accounts_need(self, served, client):
        """Terms, and that accounts are bound."""
        meta = (await client.http.get(f"{served.base('bound')}/directory")).json()["meta"]
        assert meta == {"externalAccountRequired": True, "termsOfService": "https://ca.example.org/terms"}

    async def test_a_nonce_by_head_and_by_get(self, client):
        """RFC 8555 §7.2: 200 and 204, not to be kept, and never the same."""
        head = await client.http.head(f"{client.base}/new-nonce")
        get = await client.http.get(f"{client.base}/new-nonce")
        assert (head.status_code, get.status_code) == (200, 204)
        assert head.headers["replay-nonce"] != get.headers["replay-nonce"]
        for response in (head, get):
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["link"] == f'<{client.base}/directory>;rel="index"'

    async def test_a_provisioner_that_is_not_there(self, served, client):
        """Its paths lead nowhere."""
        for path in ("nobody/directory", "tls/nothing", "tls/order/a/b/finalize", "tls/order/"):
            url = served.base("tls").removesuffix("tls") + path
            assert (await client.http.get(url)).status_code == 404

    @pytest.mark.parametrize(
        "path", ["new-account", "new-order", "order/x", "authz/x", "challenge/x/y", "certificate/x"]
    )
    async def test_what_is_signed_is_not_fetched(self, client, path):
        """RFC 8555 §6.3: GET is answered with 405, as a problem."""
        response = await client.http.get(f"{client.base}/{path}")
        assert problem_of(response)[:2] == (405, "malformed")
        assert response.headers["allow"] == "POST"


class TestHeader:
    """The protected header."""

    @pytest.mark.parametrize("alg", ["none", "HS256", "RS512", "ES256K", OMIT])
    async def test_an_algorithm_outside_the_list(self, client, alg):
        """RFC 8555 §6.2: badSignatureAlgorithm, with those that are accepted."""
        response = await client.post(*wish(client), alg=alg)
        assert problem_of(response) == (400, "badSignatureAlgorithm", "SIGNED_REQUEST_REFUSED")
        assert response.json()["algorithms"] == ["ES256", "ES384", "ES512", "EdDSA", "PS256", "RS256"]

    async def test_an_algorithm_of_another_key(self, client):
        """A P-256 account key signs no EdDSA."""
        assert await refused(client, alg="EdDSA") == (400, "malformed", "SIGNED_REQUEST_REFUSED")

    @pytest.mark.parametrize("url", [OMIT, 7, ""])
    async def test_a_url_that_is_none(self, client, url):
        """RFC 8555 §6.4."""
        assert (await refused(client, url=url))[2] == "SIGNED_REQUEST_REFUSED"

    @pytest.mark.parametrize("change", ["/", "?a=b", "/../new-order"])
    async def test_a_url_of_another_resource(self, client, change):
        """RFC 8555 §6.4: refused as unauthorized, whatever leads to the same place."""
        url = f"{client.base}/new-order{change}"
        assert await refused(client, url=url) == (401, "unauthorized", "SIGNED_REQUEST_REFUSED")

    async def test_a_url_of_another_host(self, client):
        """The public URL counts, not what the request's Host header says."""
        url = f"{client.base}/new-order"
        body = client.jws(
            url.replace("localhost", "ca.example.org"), wish(client)[1], {"nonce": await client.fresh()}
        )
        response = await client.send(url, body, JOSE | {"host": "ca.example.org"})
        assert problem_of(response)[:2] == (401, "unauthorized")

    async def test_a_request_with_both_jwk_and_kid(self, client):
        """RFC 8555 §6.2: exactly one."""
        assert (await refused(client, jwk=dict(client.prover.jwk)))[2] == "SIGNED_REQUEST_REFUSED"

    async def test_a_request_with_neither_jwk_nor_kid(self, client):
        """RFC 8555 §6.2: exactly one."""
        assert (await refused(client, kid=OMIT))[2] == "SIGNED_REQUEST_REFUSED"

    async def test_a_new_account_by_kid(self, client):
        """RFC 8555 §7.3: newAccount carries the key."""
        response = await client.post(f"{client.base}/new-account", {})
        assert problem_of(response) == (400, "malformed", "SIGNED_REQUEST_REFUSED")

    async def test_an_order_by_jwk(self, client):
        """RFC 8555 §6.2: an account is named by kid."""
        assert await refused(client, kid=OMIT, jwk=dict(client.prover.jwk)) == (
            400,
            "malformed",
            "SIGNED_REQUEST_REFUSED",
        )

    @pytest.mark.parametrize("kid", ["{base}/account/nobody", "{base}/order/x", "https://ca/account/x", "x"])
    async def test_a_kid_that_is_no_account(self, client, kid):
        """RFC 8555 §6.2: accountDoesNotExist."""
        found = await refused(client, kid=kid.format(base=client.base))
        assert found == (400, "accountDoesNotExist", "ACCOUNT_NOT_FOUND")

    async def test_an_account_of_another_provisioner(self, served, client):
        """Accounts belong to one provisioner."""
        async with served.client("wire", client.prover) as elsewhere:
            await elsewhere.register()
            account_id = elsewhere.kid.rsplit("/", 1)[1]
        found = await refused(client, kid=f"{client.base}/account/{account_id}")
        assert found == (400, "accountDoesNotExist", "ACCOUNT_NOT_FOUND")

    async def test_the_key_of_another_account(self, client, other):
        """Whoever names an account must have its key."""
        client.prover = other.prover
        assert await refused(client) == (400, "malformed", "SIGNED_REQUEST_REFUSED")

    @pytest.mark.parametrize("name", ["crit", "b64", "zip"])
    async def test_a_header_that_changes_the_meaning(self, client, name):
        """Extensions of JWS are not understood, so refused."""
        assert (await refused(client, **{name: ["url"] if name == "crit" else False}))[0] == 400

    @pytest.mark.parametrize(
        "jwk",
        [
            {"kty": "oct", "k": "AAAA"},
            {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "n": encoded(b"\xc1" + bytes(127)), "e": "AQAB"},
            "a text",
            [],
        ],
        ids=["symmetric", "curve", "point", "tiny", "1024 bits", "text", "list"],
    )
    async def test_a_key_that_is_not_accepted(self, fresh, jwk):
        """RFC 8555 §6.2: badPublicKey."""
        response = await fresh.post(f"{fresh.base}/new-account", {}, jwk=jwk)
        assert problem_of(response) == (400, "badPublicKey", "BAD_PUBLIC_KEY")


class TestNonces:
    """RFC 8555 §6.5."""

    @pytest.mark.parametrize("nonce", [OMIT, "", "x", "A" * 60, 7])
    async def test_a_nonce_that_is_none_of_ours(self, client, nonce):
        """badNonce, with a fresh one to go on."""
        assert await refused(client, nonce=nonce) == (400, "badNonce", "BAD_NONCE")
        assert (await client.post(*wish(client))).status_code == 201

    async def test_a_nonce_works_once(self, client):
        """The same request again is refused."""
        url, payload = wish(client)
        body = client.jws(url, payload, {"nonce": await client.fresh()})
        assert (await client.send(url, body)).status_code == 201
        assert problem_of(await client.send(url, body)) == (400, "badNonce", "BAD_NONCE")

    async def test_a_nonce_of_another_provisioner(self, served, client):
        """Each has its own."""
        async with served.client("wire") as elsewhere:
            nonce = await elsewhere.fresh()
        assert await refused(client, nonce=nonce) == (400, "badNonce", "BAD_NONCE")

    async def test_a_refused_request_leaves_its_nonce(self, client):
        """Whoever cannot sign does not use up nonces of others."""
        nonce = await client.fresh()
        url, payload = wish(client)
        body = client.jws(url, payload, {"nonce": nonce})
        broken = await client.send(url, body | {"signature": body["signature"][::-1]})
        assert problem_of(broken)[2] == "SIGNED_REQUEST_REFUSED"
        assert (await client.send(url, body)).status_code == 201

    async def test_every_answer_carries_the_next_nonce(self, client):
        """A client never needs to fetch one between two requests."""
        first = await client.order(("dns", "www.example.org"))
        assert client.nonce == first.headers["replay-nonce"]
        assert (await client.post(first.headers["location"])).status_code == 200


async def test_a_nonce_expires(tmp_path):
    """After its lifetime it is refused as badNonce, and the next one is good."""
    clock = SteppedClock()
    async with acme_gateway(tmp_path, clock=clock) as served, served.client("tls") as client:
        await client.register()
        clock.advance(301)
        assert await refused(client) == (400, "badNonce", "BAD_NONCE")
        assert (await client.post(*wish(client))).status_code == 201


async def test_a_nonce_that_races_works_once(client):
    """Of requests with one nonce that come together, one is served."""
    url, payload = wish(client)
    body = client.jws(url, payload, {"nonce": await client.fresh()})
    statuses = sorted(
        [each.status_code for each in await asyncio.gather(*(client.send(url, body) for _ in range(8)))]
    )
    assert statuses == [201] + [400] * 7


class TestBody:
    """The outer shape."""

    @pytest.mark.parametrize(
        "media_type",
        ["application/json", "text/plain", "application/jose", "application/x-www-form-urlencoded", ""],
    )
    async def test_another_media_type(self, client, media_type):
        """RFC 8555 §6.2: 415, and what is accepted."""
        response = await client.send(wish(client)[0], b"{}", {"content-type": media_type})
        assert problem_of(response)[:2] == (415, "malformed")
        assert response.headers["accept"] == "application/jose+json"

    async def test_a_content_coding(self, client):
        """Nothing is ever decompressed."""
        response = await client.send(wish(client)[0], b"{}", JOSE | {"content-encoding": "gzip"})
        assert problem_of(response)[:2] == (415, "malformed")

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"null", b"{", b"\xff", b'{"protected":"a","protected":"b"}', b'{"a":' * 40],
        ids=["empty", "list", "null", "cut off", "not UTF-8", "repeated", "deep"],
    )
    async def test_no_json_object(self, client, body):
        """Strict JSON, one object."""
        found = problem_of(await client.send(wish(client)[0], body))
        assert found == (400, "malformed", "INVALID_REQUEST")

    async def test_more_members_than_three(self, client):
        """RFC 8555 §6.2: no unprotected header, no list of signatures, nothing else."""
        for more in ({"header": {"kid": "x"}}, {"signatures": []}, {"x": "y"}):
            assert await refused_body(client, lambda body, more=more: body | more) == (
                400,
                "malformed",
                "INVALID_REQUEST",
            )

    @pytest.mark.parametrize("name", ["protected", "payload", "signature"])
    async def test_a_member_that_is_missing_or_no_text(self, client, name):
        """All three, as texts."""
        assert (await refused_body(client, lambda b: {k: v for k, v in b.items() if k != name}))[0] == 400
        assert (await refused_body(client, lambda b: b | {name: {}}))[2] == "INVALID_REQUEST"

    @pytest.mark.parametrize("name", ["protected", "payload", "signature"])
    @pytest.mark.parametrize("change", ["=", "\n", "A", "."])
    async def test_every_part_is_signed_and_canonical(self, client, name, change):
        """A part with padding, white space or another letter is refused."""
        found = await refused_body(client, lambda body: body | {name: body[name] + change})
        assert found[0] == 400

    async def test_a_body_that_is_too_large(self, client):
        """It is refused before it is read."""
        response = await client.send(wish(client)[0], b" " * (128 * 1024 + 1))
        assert problem_of(response)[:2] == (413, "malformed")

    async def test_a_payload_that_is_too_large(self, client):
        """Within a body that is not."""
        url, _ = wish(client)
        response = await client.post(url, b'{"x":"' + b"x" * (66 * 1024) + b'"}')
        assert problem_of(response) == (400, "malformed", "SIGNED_REQUEST_REFUSED")

    @pytest.mark.parametrize("payload", [b"", b"[]", b"x", b"\xff", b'{"identifiers":{}}'])
    async def test_a_payload_that_is_no_order(self, client, payload):
        """Strict JSON, one object, with identifiers."""
        response = await client.post(f"{client.base}/new-order", payload)
        assert problem_of(response) == (400, "malformed", "INVALID_FIELD")

    async def test_what_is_read_has_an_empty_payload(self, client):
        """RFC 8555 §6.3: an object is no POST-as-GET."""
        order = await client.order(("dns", "www.example.org"))
        for url in (order.headers["location"], f"{client.kid}/orders", f"{client.base}/certificate/x"):
            assert problem_of(await client.post(url, {}))[2] == "INVALID_REQUEST"


async def test_every_kind_of_key_signs(served):
    """Each of the list but RS256, which certbot's library signs with elsewhere."""
    for alg in ("EdDSA", "ES256", "ES384", "ES512"):
        async with served.client("tls", prover(alg)) as client:
            assert (await client.register()).status_code == 201
            assert (await client.order(("dns", "www.example.org"))).status_code == 201


async def test_a_finished_log_record_names_the_reason(served, client):
    """What was refused is logged with status, reason and cause."""
    response = await client.post(f"{client.base}/order/none/finalize", {"csr": encoded(dns_request("a"))})
    assert problem_of(response) == (404, "malformed", "ENROLLMENT_NOT_FOUND")
    assert served.edge.cause(response)[0] == "ENROLLMENT_NOT_FOUND"
    assert json.loads(response.text)["detail"]
