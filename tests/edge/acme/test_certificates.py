"""After issuing: revocation, renewal information, the list of the revoked, and OCSP."""

import base64
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.pki.renewal import RenewalIdentifier
from tests.support.acme import encoded, named_request
from tests.support.dpop import OMIT, Prover

pytestmark = pytest.mark.asyncio(loop_scope="module")

URN = "urn:ietf:params:acme:error:"


def told(response) -> tuple[int, str]:
    """Status and error type."""
    return response.status_code, response.json()["type"].removeprefix(URN)


class Issued:
    """A certificate, its issuer and its key."""

    def __init__(self, pem: bytes, key) -> None:
        self.leaf, self.issuer = x509.load_pem_x509_certificates(pem)
        self.key = key

    @property
    def payload(self):
        """What revokeCert takes."""
        return {"certificate": encoded(self.leaf.public_bytes(Encoding.DER))}

    @property
    def ocsp_request(self) -> bytes:
        """DER."""
        builder = ocsp.OCSPRequestBuilder().add_certificate(self.leaf, self.issuer, hashes.SHA256())
        return builder.build().public_bytes(Encoding.DER)


async def authorize(client, web, *names: str) -> dict[str, Any]:
    """An order of *client* for which it has shown control over all *names*."""
    order: dict[str, Any] = (await client.order(*(("dns", name) for name in names))).json()
    for url in order["authorizations"]:
        challenge = (await client.post(url)).json()["challenges"][0]
        web.answers[challenge["token"]] = f"{challenge['token']}.{client.prover.jkt}"
        answered = await client.post(challenge["url"], {})
        assert answered.json()["status"] == "valid", answered.text
    return order


async def issue(client, web, *names: str) -> Issued:
    """A certificate of *client*."""
    order = await authorize(client, web, *names)
    key = ec.generate_private_key(ec.SECP256R1())
    done = await client.post(order["finalize"], {"csr": encoded(named_request(key, *names))})
    return Issued((await client.post(done.json()["certificate"])).content, key)


@pytest_asyncio.fixture(loop_scope="module")
async def issued(client, web) -> Issued:
    """A certificate of *client*."""
    return await issue(client, web, "www.example.org")


class TestRevocation:
    """RFC 8555 §7.6."""

    async def test_by_the_account(self, client, issued):
        """200 without a body, once."""
        url = f"{client.base}/revoke-cert"
        done = await client.post(url, issued.payload | {"reason": 1})
        assert (done.status_code, done.content) == (200, b"")
        assert told(await client.post(url, issued.payload)) == (400, "alreadyRevoked")

    async def test_by_the_certificates_key(self, served, issued):
        """Whoever holds it needs no account."""
        async with served.client("tls", Prover(issued.key, "ES256")) as holder:
            response = await holder.post(f"{holder.base}/revoke-cert", issued.payload)
        assert response.status_code == 200

    async def test_by_another_account_or_key(self, served, other, issued):
        """403 unauthorized."""
        async with served.client("tls") as stranger:
            for each in (other, stranger):
                response = await each.post(f"{each.base}/revoke-cert", issued.payload)
                assert told(response) == (403, "unauthorized")

    async def test_by_an_account_with_the_same_names(self, client, other, web, issued):
        """Another account that has shown control over every name; not before, and not with some of them."""
        url = f"{other.base}/revoke-cert"
        both = await issue(client, web, "www.example.org", "api.example.org")
        await authorize(other, web, "www.example.org")
        assert told(await other.post(url, both.payload)) == (403, "unauthorized")
        assert (await other.post(url, issued.payload)).status_code == 200
        await authorize(other, web, "api.example.org")
        assert (await other.post(url, both.payload)).status_code == 200

    async def test_an_authorization_that_was_given_up(self, other, web, issued):
        """It stands for nothing any more."""
        order = await authorize(other, web, "www.example.org")
        await other.post(order["authorizations"][0], {"status": "deactivated"})
        response = await other.post(f"{other.base}/revoke-cert", issued.payload)
        assert told(response) == (403, "unauthorized")

    async def test_by_a_deactivated_account(self, client, issued):
        """It revokes nothing any more, not even its own."""
        await client.post(client.kid, {"status": "deactivated"})
        response = await client.post(f"{client.base}/revoke-cert", issued.payload)
        assert told(response) == (401, "unauthorized")

    async def test_a_certificate_that_was_tampered_with(self, client, issued):
        """Revoked is what was issued, octet for octet."""
        der = issued.leaf.public_bytes(Encoding.DER)
        changed = der[:-1] + bytes([der[-1] ^ 1])
        response = await client.post(f"{client.base}/revoke-cert", {"certificate": encoded(changed)})
        assert told(response) == (404, "malformed")
        response = await client.post(f"{client.base}/revoke-cert", {"certificate": encoded(der + b"x")})
        assert told(response) == (400, "malformed")

    async def test_another_provisioners_account(self, served, issued):
        """An account of one provisioner is none of another, whatever it signs."""
        async with served.client("wire") as elsewhere:
            await elsewhere.register()
            kid = elsewhere.kid
            elsewhere.base, elsewhere.nonce = served.base("tls"), None
            response = await elsewhere.post(f"{served.base('tls')}/revoke-cert", issued.payload, kid=kid)
        assert told(response) == (400, "accountDoesNotExist")

    @pytest.mark.parametrize("reason", [2, 6, 7, 8, 10, 11, -1, "1", True, 1.0])
    async def test_a_reason_that_is_not_accepted(self, client, issued, reason):
        """badRevocationReason; nothing is revoked."""
        url = f"{client.base}/revoke-cert"
        response = await client.post(url, issued.payload | {"reason": reason})
        assert told(response) == (400, "badRevocationReason")
        assert (await client.post(url, issued.payload)).status_code == 200

    @pytest.mark.parametrize("certificate", [OMIT, 7, "", "AAAA", "*"])
    async def test_no_certificate(self, client, certificate):
        """A malformed payload."""
        payload = {} if certificate is OMIT else {"certificate": certificate}
        assert told(await client.post(f"{client.base}/revoke-cert", payload)) == (400, "malformed")

    async def test_a_certificate_of_another_ca(self, served, client):
        """It is not found."""
        der = served.gateway.root.certificate.public_bytes(Encoding.DER)
        response = await client.post(f"{client.base}/revoke-cert", {"certificate": encoded(der)})
        assert told(response) == (404, "malformed")


class TestRenewalInfo:
    """RFC 9773."""

    async def test_the_window(self, client, issued):
        """Late in life; without a signature; with a time after which to ask again."""
        url = f"{client.base}/renewal-info/{RenewalIdentifier.of(issued.leaf).text}"
        response = await client.http.get(url)
        window = response.json()["suggestedWindow"]
        start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
        assert issued.leaf.not_valid_before_utc < start < end < issued.leaf.not_valid_after_utc
        assert int(response.headers["retry-after"]) == 6 * 3600

    async def test_a_revoked_certificate_is_renewed_at_once(self, client, issued):
        """Its window is over."""
        await client.post(f"{client.base}/revoke-cert", issued.payload)
        url = f"{client.base}/renewal-info/{RenewalIdentifier.of(issued.leaf).text}"
        window = (await client.http.get(url)).json()["suggestedWindow"]
        assert datetime.fromisoformat(window["end"]).timestamp() <= datetime.now().astimezone().timestamp()

    @pytest.mark.parametrize(("name", "status"), [("x", 400), ("AAAA.AQ==", 400), ("qqqq.AQ", 404)])
    async def test_a_name_of_no_certificate(self, client, name, status):
        """Malformed, or not found."""
        response = await client.http.get(f"{client.base}/renewal-info/{name}")
        assert told(response) == (status, "malformed")

    async def test_an_order_that_replaces(self, client, issued):
        """RFC 9773 §5: the account's own certificate is named, and echoed."""
        name = RenewalIdentifier.of(issued.leaf).text
        order = await client.order(("dns", "www.example.org"), replaces=name)
        assert (order.status_code, order.json()["replaces"]) == (201, name)

    async def test_a_certificate_is_replaced_once(self, client, issued):
        """RFC 9773 §5 and §7.4: a second order that names it is a conflict."""
        name = RenewalIdentifier.of(issued.leaf).text
        await client.order(("dns", "www.example.org"), replaces=name)
        again = await client.order(("dns", "www.example.org"), replaces=name)
        assert told(again) == (409, "alreadyReplaced")
        (subproblem,) = again.json()["subproblems"]
        assert (subproblem["reason"], subproblem["field"]) == ("ALREADY_REPLACED", "replaces")

    async def test_a_foreign_certificate_is_not_replaced(self, other, issued):
        """It is not found."""
        name = RenewalIdentifier.of(issued.leaf).text
        order = await other.order(("dns", "www.example.org"), replaces=name)
        assert told(order) == (404, "malformed")


class TestStatus:
    """What relying parties ask."""

    async def test_the_list(self, client, issued):
        """DER, signed by the CA, with a number, and open to everybody."""
        response = await client.http.get(f"{client.base}/crl")
        crl = x509.load_der_x509_crl(response.content)
        assert response.headers["content-type"] == "application/pkix-crl"
        assert crl.is_signature_valid(issued.issuer.public_key())
        assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number >= 1

    async def test_the_list_and_the_certificate_of_one_ca(self, client, issued):
        """Both are found by the key identifier that its certificates name, and nothing by another."""
        name = issued.leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        issuer = name.key_identifier.hex()
        listed = await client.http.get(f"{client.base}/crl/{issuer}")
        assert x509.load_der_x509_crl(listed.content).is_signature_valid(issued.issuer.public_key())
        found = await client.http.get(f"{client.base}/ca/{issuer}")
        assert found.headers["content-type"] == "application/pkix-cert"
        assert x509.load_der_x509_certificate(found.content) == issued.issuer
        for path in ("crl", "ca"):
            assert (await client.http.get(f"{client.base}/{path}/{'00' * 20}")).status_code == 404

    @pytest.mark.parametrize("by", ["POST", "GET"])
    async def test_ocsp(self, client, issued, by):
        """Good, then revoked, by either method (RFC 6960 Appendix A.1)."""

        async def ask():
            url, request = f"{client.base}/ocsp", issued.ocsp_request
            if by == "GET":
                text = quote(base64.b64encode(request).decode(), safe="")
                response = await client.http.get(f"{url}/{text}")
            else:
                headers = {"content-type": "application/ocsp-request"}
                response = await client.http.post(url, content=request, headers=headers)
            assert response.headers["content-type"] == "application/ocsp-response"
            return ocsp.load_der_ocsp_response(response.content).certificate_status

        assert await ask() is ocsp.OCSPCertStatus.GOOD
        await client.post(f"{client.base}/revoke-cert", issued.payload)
        assert await ask() is ocsp.OCSPCertStatus.REVOKED

    async def test_ocsp_tells_what_is_wrong_itself(self, client):
        """A request that is none; only the wrong media type is HTTP's matter."""
        headers = {"content-type": "application/ocsp-request"}
        answers = [
            await client.http.post(f"{client.base}/ocsp", content=b"x", headers=headers),
            await client.http.get(f"{client.base}/ocsp/***"),
        ]
        for response in answers:
            status = ocsp.load_der_ocsp_response(response.content).response_status
            assert status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        assert (await client.http.post(f"{client.base}/ocsp", content=b"x")).status_code == 415
        large = await client.http.post(f"{client.base}/ocsp", content=b"x" * 5000, headers=headers)
        assert large.status_code == 413
