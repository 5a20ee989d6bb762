"""POST /oauth2/token over real HTTPS: every client authentication, and every refusal by its name."""

import base64
import json
import time

import httpx
import pytest

from tests.support.assertions import claims, signed
from tests.support.edge import (
    TOKEN,
    Edge,
    leaf,
    register,
    register_basic,
    register_certificates,
    register_key,
    register_post,
)
from tests.support.gateway import ISSUER, RESOURCE
from tests.support.pki import new_key, self_signed

pytestmark = pytest.mark.asyncio(loop_scope="module")
GRANT = {"grant_type": "client_credentials"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def body_of(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


async def test_certificate_of_the_pki(edge: Edge, admin):
    """A client certificate on the mutual-TLS port mints a token that is bound to it."""
    await register(admin, "pki")
    certificate = leaf(edge.gateway, "pki")
    response = await edge.post(
        TOKEN, identity=certificate, data={**GRANT, "client_id": "pki", "scope": "read"}
    )
    assert response.status_code == 200
    token = response.json()
    assert {**token, "access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "read",
    }
    assert "x5t#S256" in body_of(token["access_token"])["cnf"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["content-type"] == "application/json"


async def test_certificate_by_an_intermediate(edge: Edge, admin):
    """The intermediates that the client presents take part in the chain that is built in process."""
    await register(admin, "chained")
    certificate = edge.gateway.root.intermediate().leaf(dns=("chained.example.org",))
    response = await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "chained"})
    assert response.status_code == 200


async def test_certificate_that_was_registered(edge: Edge, admin):
    """A self-signed certificate passes the handshake once registered, and authenticates its client only."""
    certificate = self_signed("device")
    with pytest.raises(httpx.TransportError):
        await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "device"})
    await register_certificates(admin, "device", [certificate])
    await edge.admitted(certificate)
    response = await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "device"})
    assert response.status_code == 200
    await register(admin, "not-the-device")
    response = await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "not-the-device"})
    assert refusal(response) == (401, "invalid_client")


async def test_no_certificate(edge: Edge, admin):
    """On the port without client certificates such a client is refused, without a challenge."""
    await register(admin, "elsewhere")
    response = await edge.post(TOKEN, data={**GRANT, "client_id": "elsewhere"})
    assert refusal(response) == (401, "invalid_client")
    assert "www-authenticate" not in response.headers
    assert edge.cause(response) == ("INVALID_CLIENT", "certificate_missing")


async def test_secret_in_the_header(edge: Edge, admin):
    """client_secret_basic, the id repeated in the body or not."""
    secret = await register_basic(admin, "basic", certificate_bound_access_tokens=False)
    for data in (GRANT, {**GRANT, "client_id": "basic"}):
        response = await edge.post(TOKEN, auth=("basic", secret), data=data)
        assert response.status_code == 200
        assert "cnf" not in body_of(response.json()["access_token"])


async def test_header_is_form_decoded(edge: Edge, admin):
    """Both parts of Basic credentials are form-encoded (RFC 6749 §2.3.1)."""
    secret = await register_basic(admin, "en.coded~1")
    encoded = "".join(f"%{octet:02X}" for octet in b"en.coded~1")
    response = await edge.post(TOKEN, auth=(encoded, secret), data=GRANT)
    assert response.status_code == 200


async def test_wrong_secret_in_the_header(edge: Edge, admin):
    """Whoever tried the Authorization header is challenged with its scheme (RFC 6749 §5.2)."""
    await register_basic(admin, "wrong-basic")
    response = await edge.post(TOKEN, auth=("wrong-basic", "x"), data=GRANT)
    assert refusal(response) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert edge.cause(response) == ("INVALID_CLIENT", "secret_mismatch")


async def test_secret_in_the_body(edge: Edge, admin):
    """client_secret_post."""
    secret = await register_post(admin, "post")
    response = await edge.post(TOKEN, data={**GRANT, "client_id": "post", "client_secret": secret})
    assert response.status_code == 200
    response = await edge.post(TOKEN, data={**GRANT, "client_id": "post", "client_secret": "x"})
    assert refusal(response) == (401, "invalid_client")
    assert "www-authenticate" not in response.headers


async def test_secret_sent_in_the_other_way(edge: Edge, admin):
    """A client that is registered for one way to send its secret is refused in the other."""
    basic = await register_basic(admin, "only-basic")
    post = await register_post(admin, "only-post")
    data = {**GRANT, "client_id": "only-basic", "client_secret": basic}
    response = await edge.post(TOKEN, data=data)
    assert edge.cause(response) == ("INVALID_CLIENT", "method_not_registered")
    response = await edge.post(TOKEN, auth=("only-post", post), data=GRANT)
    assert edge.cause(response) == ("INVALID_CLIENT", "method_not_registered")


async def test_assertion(edge: Edge, admin):
    """private_key_jwt, with the client id or without (RFC 7521 §4.2); an assertion works once."""
    key = new_key()
    await register_key(admin, "signing", key)
    for extra in ({}, {"client_id": "signing"}):
        assertion = signed(key, claims(time.time(), "signing"))
        data = {**GRANT, **extra, "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        response = await edge.post(TOKEN, data=data)
        assert response.status_code == 200
        response = await edge.post(TOKEN, data=data)
        assert edge.cause(response) == ("INVALID_CLIENT", "assertion_replayed")


ASSERTION_FAULTS = {
    "another client's id": ({"client_id": "other"}, "assertion_subject_is_another_client"),
    "another type": ({"client_assertion_type": "urn:x"}, "assertion_type_unknown"),
    "no JWS": ({"client_assertion": "a.b"}, "assertion_malformed_compact"),
}


@pytest.mark.parametrize("fault", ASSERTION_FAULTS)
async def test_assertion_refused(edge: Edge, admin, fault):
    """What the edge itself reads of an assertion is refused as a client that is not proven."""
    changes, cause = ASSERTION_FAULTS[fault]
    assertion = signed(new_key(), claims(time.time(), "nobody"))
    data = {**GRANT, "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE, **changes}
    response = await edge.post(TOKEN, data=data)
    assert refusal(response) == (401, "invalid_client")
    assert edge.cause(response)[1].startswith(cause)


@pytest.mark.parametrize("missing", ["client_assertion", "client_assertion_type"])
async def test_assertion_goes_with_its_type(edge: Edge, missing):
    """One without the other is a malformed request."""
    data = {**GRANT, "client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE}
    del data[missing]
    assert refusal(await edge.post(TOKEN, data=data)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "second",
    [
        {"client_secret": "x"},
        {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE},
        {"client_secret": "x", "client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE},
    ],
)
async def test_several_authentications(edge: Edge, second):
    """More than one method in a request is an error, whatever each is worth (RFC 6749 §2.3)."""
    response = await edge.post(TOKEN, auth=("any", "secret"), data={**GRANT, **second})
    assert refusal(response) == (400, "invalid_request")
    assert edge.cause(response)[1] == "several_authentications"


async def test_two_client_ids(edge: Edge):
    """The body must not name another client than the header."""
    response = await edge.post(TOKEN, auth=("one", "secret"), data={**GRANT, "client_id": "two"})
    assert refusal(response) == (400, "invalid_request")
    assert edge.cause(response)[1] == "client_ids_conflict"


BASIC_FAULTS = {
    "not base64": "Basic !!!",
    "padding is missing": "Basic YTpi" + "YQ",
    "no colon": "Basic " + base64.b64encode(b"client").decode(),
    "no id": "Basic " + base64.b64encode(b":secret").decode(),
    "no secret": "Basic " + base64.b64encode(b"client:").decode(),
    "not UTF-8": "Basic " + base64.b64encode(b"client:\xff").decode(),
    "a stray percent": "Basic " + base64.b64encode(b"client:%zz").decode(),
    "empty": "Basic",
}


@pytest.mark.parametrize("fault", BASIC_FAULTS)
async def test_basic_malformed(edge: Edge, fault):
    """A header that cannot be read proves no client."""
    response = await edge.post(TOKEN, headers={"authorization": BASIC_FAULTS[fault]}, data=GRANT)
    assert refusal(response) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert edge.cause(response)[1].startswith("basic_malformed")


async def test_two_authorization_headers(edge: Edge):
    """A second Authorization header is refused, whichever comes first."""
    basic = ("authorization", "Basic YTpi")
    bearer = ("authorization", "Bearer x")
    for headers in ([basic, bearer], [bearer, basic], [basic, basic]):
        response = await edge.post(TOKEN, headers=headers, data=GRANT)
        assert response.status_code == 401


async def test_bearer_token_that_does_not_hold(edge: Edge):
    """A caller's access token that is refused is challenged as RFC 6750 §3 has it."""
    response = await edge.post(TOKEN, headers={"authorization": "Bearer x"}, data=GRANT)
    assert refusal(response) == (401, "invalid_token")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert response.headers["www-authenticate"].startswith("Bearer ")


GRANT_FAULTS = {
    "no grant": ({"grant_type": ""}, (400, "invalid_request")),
    "an unknown grant": ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    "another letter case": ({"grant_type": "Client_Credentials"}, (400, "unsupported_grant_type")),
    "no client": ({"client_id": ""}, (400, "invalid_request")),
    "an unknown scope": ({"scope": "admin"}, (400, "invalid_scope")),
    "two spaces in scope": ({"scope": "read  write"}, (400, "invalid_scope")),
    "an unknown resource": ({"resource": "https://other.example.org"}, (400, "invalid_target")),
}


@pytest.mark.parametrize("fault", GRANT_FAULTS)
async def test_grant_refused(edge: Edge, admin, fault):
    """Each fault of a grant has the error that RFC 6749 §5.2 or RFC 8707 §2 names."""
    changes, expected = GRANT_FAULTS[fault]
    name = "refused-" + fault.replace(" ", "-")
    await register(admin, name)
    response = await edge.post(
        TOKEN, identity=leaf(edge.gateway, name), data={**GRANT, "client_id": name, **changes}
    )
    assert refusal(response) == expected
    assert response.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in response.headers


async def test_grant_not_registered(edge: Edge, admin):
    """A client that is not registered for a grant is unauthorized_client."""
    await register(admin, "grantless", grant_types=[])
    response = await edge.post(
        TOKEN, identity=leaf(edge.gateway, "grantless"), data={**GRANT, "client_id": "grantless"}
    )
    assert refusal(response) == (400, "unauthorized_client")


async def test_several_resources(edge: Edge, admin):
    """The parameter resource may repeat (RFC 8707 §2)."""
    await register(admin, "two-resources")
    response = await edge.post(
        TOKEN,
        identity=leaf(edge.gateway, "two-resources"),
        data={**GRANT, "client_id": "two-resources", "resource": [RESOURCE, ISSUER]},
    )
    assert body_of(response.json()["access_token"])["aud"] == [RESOURCE, ISSUER]


async def test_bound_client_without_certificate(edge: Edge, admin):
    """A client whose tokens are bound gets an error, never an unbound token (RFC 8705 §3.4)."""
    secret = await register_basic(admin, "bound-basic", certificate_bound_access_tokens=True)
    response = await edge.post(TOKEN, auth=("bound-basic", secret), data=GRANT)
    assert refusal(response) == (400, "invalid_request")
    response = await edge.post(
        TOKEN, identity=leaf(edge.gateway, "any"), auth=("bound-basic", secret), data=GRANT
    )
    assert "x5t#S256" in body_of(response.json()["access_token"])["cnf"]
