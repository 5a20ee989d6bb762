"""Orders, authorizations, challenges and finalizing over ACME (RFC 8555 §7.4, §7.5)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from signers import Algorithm
from signers.key_files import generate_private_key
from tests.support.acme import dns_request, encoded, named_request
from tests.support.certificate_tools import accepted
from tests.support.enrollment import identifiers
from tests.support.pki import pem
from tests.support.wire import DOMAIN, NAME, SECOND

pytestmark = pytest.mark.asyncio(loop_scope="module")

URN = "urn:ietf:params:acme:error:"
WWW = ("dns", "www.example.org")
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak is what it is for.


def told(response) -> tuple[int, str]:
    """Status and error type."""
    return response.status_code, response.json()["type"].removeprefix(URN)


async def ready(client, web, *names: str):
    """An order whose http-01 challenges are answered; its URLs."""
    order = await client.order(*(("dns", each) for each in names or ("www.example.org",)))
    for url in order.json()["authorizations"]:
        challenge = await http01(client, url)
        web.answers[challenge["token"]] = f"{challenge['token']}.{client.prover.jkt}"
        assert (await client.post(challenge["url"], {})).json()["status"] == "valid"
    return order.headers["location"], order.json()["finalize"]


async def http01(client, url: str):
    """The http-01 challenge of an authorization."""
    listed = (await client.post(url)).json()["challenges"]
    return next(each for each in listed if each["type"] == "http-01")


class TestOrders:
    """newOrder."""

    async def test_a_new_order(self, client):
        """RFC 8555 §7.1.3, and its URL."""
        wished = {"notBefore": "2020-01-01T00:00:00Z"}
        refused = await client.order(WWW, **wished)
        assert told(refused) == (400, "malformed")
        order = await client.order(("dns", "WWW.Example.ORG"))
        document = order.json()
        assert order.status_code == 201
        assert document["status"] == "pending"
        assert document["identifiers"] == [{"type": "dns", "value": "www.example.org"}]
        assert document["finalize"] == f"{order.headers['location']}/finalize"
        assert datetime.fromisoformat(document["expires"]) > datetime.now(UTC)
        assert not {"certificate", "error", "notBefore"} & set(document)
        assert (await client.post(order.headers["location"])).json() == document

    @pytest.mark.parametrize("fraction", ["", ".5", ".123456", ".123456789"])
    async def test_times_are_echoed_and_never_rounded_up(self, client, fraction):
        """Up to microseconds; an offset becomes UTC."""
        now = datetime.now(UTC).replace(microsecond=0)
        text = now.strftime("%Y-%m-%dT%H:%M:%S")
        later = (now + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S")
        order = await client.order(WWW, notBefore=f"{text}{fraction}Z", notAfter=f"{later}+01:00")
        echoed = datetime.fromisoformat(order.json()["notBefore"])
        assert echoed == datetime.fromisoformat(f"{text}{fraction[:7]}+00:00")
        assert datetime.fromisoformat(order.json()["notAfter"]) == now + timedelta(hours=2)

    @pytest.mark.parametrize("name", ["notBefore", "notAfter"])
    @pytest.mark.parametrize(
        "text",
        ["", "now", "2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z", 7, "٢030-01-01T00:00:00Z"],
    )
    async def test_a_time_that_is_none(self, client, name, text):
        """RFC 3339 with a zone, in ASCII digits."""
        assert told(await client.order(WWW, **{name: text})) == (400, "malformed")

    @pytest.mark.parametrize(
        ("identifier", "kind"),
        [
            (("permanent-identifier", "x"), "unsupportedIdentifier"),
            (("wireapp-id", "{}"), "rejectedIdentifier"),
            (("dns", ""), "rejectedIdentifier"),
            (("dns", "www.example.org\u0000.evil.org"), "rejectedIdentifier"),
            (("dns", "www.ехample.org"), "rejectedIdentifier"),
            (("dns", 'a"b.example.org'), "rejectedIdentifier"),
            (("dns", "127.0.0.1"), "rejectedIdentifier"),
            (("dns", "*.*.example.org"), "rejectedIdentifier"),
            (("dns", "x" * 5000), "rejectedIdentifier"),
            (("ip", "192.0.2.1/24"), "rejectedIdentifier"),
            (("ip", "fe80::1%eth0"), "rejectedIdentifier"),
            (("", ""), "unsupportedIdentifier"),
        ],
        ids=lambda value: ascii(value)[:32],
    )
    async def test_an_identifier_that_is_refused(self, client, identifier, kind):
        """Its type, or its value: control characters, look-alikes, quotes, too much of it."""
        assert told(await client.order(identifier)) == (400, kind)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("name", "Alice\u0000"),
            ("name", "Alice\nO=other"),
            ("name", "Al\u202eice"),
            ("name", "Alice\u200b"),
            ("name", "A" * 65),
            ("name", ""),
            ("domain", "wire.com\u0000"),
            ("domain", "w\u0456re.com"),
            ("domain", "other.org"),
            ("handle", "wireapp://%40al\u0456ce@wire.com"),
            ("handle", 'wireapp://%40alice"@wire.com'),
            ("handle", "wireapp://%40alice@other.org"),
            ("client-id", f"{SECOND}\u0000"),
            ("client-id", SECOND.replace("!", "%2521")),
            ("client-id", SECOND.replace("wireapp:", "http:")),
            ("extra", "x"),
        ],
        ids=lambda value: ascii(value)[:24],
    )
    async def test_a_wire_name_that_is_refused(self, served, name, value):
        """Control characters, look-alikes, quotes, other domains and whatever else does not belong there."""
        (kind, device), (user_kind, user) = identifiers(SECOND)
        changed = json.loads(device) | {name: value}
        of_user = {key: changed[key] for key in json.loads(user)}
        async with served.client("wire") as wire:
            await wire.register()
            response = await wire.order((kind, json.dumps(changed)), (user_kind, json.dumps(of_user)))
        assert told(response) == (400, "rejectedIdentifier")

    async def test_a_quote_in_a_name_stays_one(self, served):
        """Nothing is pasted into anything: a display name may have what JSON and LDAP use."""
        (kind, device), (user_kind, user) = identifiers(SECOND)
        quoted = {"name": 'Al"ice\\, O=x'}
        async with served.client("wire") as wire:
            await wire.register()
            response = await wire.order(
                (kind, json.dumps(json.loads(device) | quoted)),
                (user_kind, json.dumps(json.loads(user) | quoted)),
            )
        assert response.status_code == 201

    @pytest.mark.parametrize(
        "payload",
        [
            {"identifiers": []},
            {"identifiers": [7]},
            {"identifiers": [{"type": "dns"}]},
            {"identifiers": [{"type": "dns", "value": 7}]},
            {"identifiers": [{"type": "dns", "value": "www.example.org"}], "replaces": 7},
            {"identifiers": [{"type": "dns", "value": "www.example.org"}], "replaces": "x"},
            {"identifiers": [{"type": "dns", "value": f"{n}.example.org"} for n in range(500)]},
        ],
        ids=["none", "number", "no value", "value", "replaces", "no such name", "too many"],
    )
    async def test_a_wish_that_is_malformed(self, client, payload):
        """Each member is checked."""
        assert told(await client.post(f"{client.base}/new-order", payload)) == (400, "malformed")

    async def test_mixed_identifiers(self, served):
        """A Wire device is ordered with its user alone."""
        async with served.client("wire") as client:
            await client.register()
            wire = identifiers(SECOND)
            assert told(await client.order(*wire, WWW)) == (400, "rejectedIdentifier")
            assert told(await client.order(wire[0])) == (400, "rejectedIdentifier")
            user = json.loads(wire[1][1])
            for name in ('Alice", "handle": "x', "Ali\u0007ce", "Al\u202eice", "x" * 65, ""):
                other = [(kind, json.dumps(json.loads(value) | {"name": name})) for kind, value in wire]
                response = await client.order(*other)
                # A quote is a character like any other: it stands in the JSON text and changes nothing.
                assert response.status_code == (201 if '"' in name else 400)
            assert user["name"] == NAME
            assert user["domain"] == DOMAIN

    async def test_an_order_of_another_account(self, client, other):
        """It is not found: not read, not answered, not finalized."""
        order = await client.order(WWW)
        (authorization,) = order.json()["authorizations"]
        challenge = await http01(client, authorization)
        for url, payload in (
            (order.headers["location"], None),
            (authorization, None),
            (authorization, {"status": "deactivated"}),
            (challenge["url"], {}),
            (order.json()["finalize"], {"csr": encoded(dns_request("www.example.org"))}),
        ):
            assert told(await other.post(url, payload)) == (404, "malformed")
        assert (await client.post(order.headers["location"])).json()["status"] == "pending"


class TestAuthorizations:
    """Authorizations and challenges."""

    async def test_an_authorization(self, client):
        """RFC 8555 §7.1.4."""
        order = await client.order(WWW)
        response = await client.post(order.json()["authorizations"][0])
        document = response.json()
        assert response.headers["location"] == order.json()["authorizations"][0]
        assert (document["status"], document["identifier"]["value"]) == ("pending", "www.example.org")
        assert [each["type"] for each in document["challenges"]] == ["http-01", "dns-01", "tls-alpn-01"]
        assert len({each["token"] for each in document["challenges"]}) == 1
        assert len(document["challenges"][0]["token"]) == 32
        assert "wildcard" not in document
        assert "target" not in document["challenges"][0]

    async def test_a_wildcard(self, client):
        """RFC 8555 §7.1.3: the domain, a flag, and dns-01 only."""
        order = await client.order(("dns", "*.example.org"))
        document = (await client.post(order.json()["authorizations"][0])).json()
        assert order.json()["identifiers"][0]["value"] == "*.example.org"
        assert (document["identifier"]["value"], document["wildcard"]) == ("example.org", True)
        assert [each["type"] for each in document["challenges"]] == ["dns-01"]

    async def test_a_challenge_is_read_without_answering(self, client):
        """POST-as-GET; with a link up to its authorization."""
        order = await client.order(WWW)
        (authorization,) = order.json()["authorizations"]
        challenge = await http01(client, authorization)
        response = await client.post(challenge["url"])
        assert response.json() == challenge
        assert f'<{authorization}>;rel="up"' in response.headers.get_list("link")

    async def test_a_good_answer(self, client, web):
        """The challenge is valid at once, alone is shown, and the order is ready."""
        order = await client.order(WWW)
        (authorization,) = order.json()["authorizations"]
        challenge = await http01(client, authorization)
        web.answers[challenge["token"]] = f"{challenge['token']}.{client.prover.jkt}"
        answered = (await client.post(challenge["url"], {})).json()
        assert answered["status"] == "valid"
        assert datetime.fromisoformat(answered["validated"]) <= datetime.now(UTC)
        document = (await client.post(authorization)).json()
        assert (document["status"], document["challenges"]) == ("valid", [answered])
        assert (await client.post(order.headers["location"])).json()["status"] == "ready"
        again = await client.post(challenge["url"], {})
        assert (again.status_code, again.json()) == (200, answered)

    async def test_a_bad_answer(self, client):
        """The challenge says why, and the authorization and the order are invalid for good."""
        order = await client.order(WWW)
        (authorization,) = order.json()["authorizations"]
        answered = (await client.post((await http01(client, authorization))["url"], {})).json()
        assert answered["status"] == "invalid"
        assert answered["error"]["type"] == f"{URN}unauthorized"
        assert (await client.post(authorization)).json()["status"] == "invalid"
        after = (await client.post(order.headers["location"])).json()
        assert (after["status"], after["error"]) == ("invalid", answered["error"])

    @pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.1"])
    async def test_validation_does_not_reach_inner_networks(self, client, address):
        """An address that is not public is refused before anything is sent there."""
        order = await client.order(("ip", address))
        challenge = await http01(client, order.json()["authorizations"][0])
        answered = (await client.post(challenge["url"], {})).json()
        assert answered["status"] == "invalid"
        assert "address_refused" in answered["error"]["detail"]

    @pytest.mark.parametrize("payload", [{"id_token": "x"}, {"access_token": "x"}])
    async def test_an_answer_of_another_kind(self, client, payload):
        """It changes nothing."""
        order = await client.order(WWW)
        challenge = await http01(client, order.json()["authorizations"][0])
        assert told(await client.post(challenge["url"], payload)) == (400, "malformed")
        assert (await client.post(challenge["url"])).json()["status"] == "pending"

    async def test_an_authorization_is_given_up(self, client):
        """RFC 8555 §7.5.2; the order ends with it, and only once."""
        order = await client.order(WWW)
        (authorization,) = order.json()["authorizations"]
        assert told(await client.post(authorization, {"status": "valid"})) == (400, "malformed")
        given = await client.post(authorization, {"status": "deactivated"})
        assert given.json()["status"] == "deactivated"
        assert (await client.post(order.headers["location"])).json()["status"] == "invalid"
        assert told(await client.post(authorization, {"status": "deactivated"})) == (403, "orderNotReady")


class TestFinalize:
    """finalize."""

    async def test_the_certificate_is_there_with_the_reply(self, client, web):
        """And a second request gives the same one."""
        url, finalize = await ready(client, web)
        csr = {"csr": encoded(dns_request("www.example.org"))}
        done = await client.post(finalize, csr)
        assert (done.status_code, done.json()["status"]) == (200, "valid")
        assert done.headers["location"] == url
        assert (await client.post(finalize, csr)).json() == done.json()
        assert (await client.post(url)).json() == done.json()

    async def test_a_race_makes_one_certificate(self, client, web):
        """Whoever comes second is shown the order as it is, and in the end there is one certificate."""
        url, finalize = await ready(client, web)
        csr = {"csr": encoded(dns_request("www.example.org"))}
        bodies = [client.jws(finalize, csr, {"nonce": await client.fresh()}) for _ in range(6)]
        answers = await asyncio.gather(*(client.send(finalize, each) for each in bodies))
        assert {each.status_code for each in answers} == {200}
        final = (await client.post(url)).json()
        named = {each.json()["certificate"] for each in answers if "certificate" in each.json()}
        assert named == {final["certificate"]}
        for each in answers:
            if each.json()["status"] == "processing":
                assert each.headers["retry-after"] == "1"

    @pytest.mark.parametrize("alg", ["EdDSA", "ES256", "ES384", "ES512", "RS256"])
    async def test_programs_by_others_accept_the_certificate(self, served, client, web, tmp_path, alg):
        """OpenSSL and pkilint, for every kind of key."""
        _, finalize = await ready(client, web)
        kind = Algorithm.EDDSA if alg == "EdDSA" else Algorithm(alg)
        csr = encoded(named_request(generate_private_key(kind), "www.example.org"))
        done = (await client.post(finalize, {"csr": csr})).json()
        chain = (await client.post(done["certificate"])).content
        accepted(tmp_path, chain, pem(served.root), purpose="sslserver", findings=frozenset())

    async def test_extensions_that_nobody_grants(self, client, web):
        """A request for a CA certificate or for an unknown extension leads to no such certificate."""
        _, finalize = await ready(client, web)
        for extension in (
            x509.BasicConstraints(ca=True, path_length=None),
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
        ):
            builder = (
                x509.CertificateSigningRequestBuilder()
                .subject_name(x509.Name([]))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName("www.example.org")]), critical=False)
                .add_extension(extension, critical=True)
            )
            request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
            csr = encoded(request.public_bytes(Encoding.DER))
            assert told(await client.post(finalize, {"csr": csr})) == (400, "badCSR")

    async def test_an_order_that_is_not_ready(self, client):
        """403 orderNotReady (RFC 8555 §7.4)."""
        order = await client.order(WWW)
        response = await client.post(
            order.json()["finalize"], {"csr": encoded(dns_request("www.example.org"))}
        )
        assert told(response) == (403, "orderNotReady")

    @pytest.mark.parametrize(
        ("csr", "kind"),
        [
            (None, "malformed"),
            (7, "malformed"),
            ("", "badCSR"),
            ("AAAA", "badCSR"),
            ("====", "badCSR"),
            (encoded(dns_request("www.example.org")) + "=", "badCSR"),
            ("A" * 49_156, "badCSR"),
            (encoded(dns_request("api.example.org")), "badCSR"),
            (encoded(dns_request("www.example.org", "api.example.org")), "badCSR"),
            (encoded(named_request(WEAK, "www.example.org")), "badCSR"),
            (encoded(named_request(ec.generate_private_key(ec.SECP256K1()), "www.example.org")), "badCSR"),
        ],
        ids=[
            "missing",
            "number",
            "empty",
            "garbage",
            "padding",
            "padded",
            "huge",
            "another name",
            "a name more",
            "weak key",
            "curve",
        ],
    )
    async def test_a_request_that_is_refused(self, client, web, csr, kind):
        """The order stays ready, and a right request is still taken."""
        url, finalize = await ready(client, web)
        assert told(await client.post(finalize, {} if csr is None else {"csr": csr})) == (400, kind)
        assert (await client.post(url)).json()["status"] == "ready"

    async def test_the_account_key_is_not_certified(self, client, web):
        """RFC 8555 §11.1; the problem's subproblem names the fault."""
        _, finalize = await ready(client, web)
        request = named_request(client.prover.key, "www.example.org")
        response = await client.post(finalize, {"csr": encoded(request)})
        assert told(response) == (400, "badCSR")
        (reason,) = response.json()["subproblems"]
        assert (reason["reason"], set(reason["metadata"])) == ("BAD_CSR", {"fault"})

    async def test_the_chain(self, served, client, web):
        """RFC 8555 §9.1: the certificate first, nothing but PEM blocks, for its account only."""
        _, finalize = await ready(client, web, "www.example.org")
        done = await client.post(finalize, {"csr": encoded(dns_request("www.example.org"))})
        chain = await client.post(done.json()["certificate"])
        leaf, issuer = x509.load_pem_x509_certificates(chain.content)
        leaf.verify_directly_issued_by(issuer)
        assert chain.headers["content-type"] == "application/pem-certificate-chain"
        assert not any("alternate" in each for each in chain.headers.get_list("link"))
        assert chain.text.replace("-----BEGIN CERTIFICATE-----", "").count("BEGIN") == 0
        async with served.client("tls") as stranger:
            await stranger.register()
            assert told(await stranger.post(done.json()["certificate"])) == (404, "malformed")
