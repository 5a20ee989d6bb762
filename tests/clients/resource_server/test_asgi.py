"""Access tokens on a real ASGI application, in this process and behind uvicorn."""

import base64
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from countersign.resource_server import (
    AccessTokenMiddleware,
    CertificateForm,
    CertificateHeader,
    DpopNonces,
    token_of_scope,
)
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from gateway.jose import base64url
from tests.clients.resource_server.conftest import ORIGIN, policy, request, verifier
from tests.clients.resource_server.test_dpop import proof
from tests.support.dpop import OMIT
from tests.support.pki import Authority

PROXY = "10.1.2.3"


async def who(request):
    token = request.state.access_token
    assert token is token_of_scope(request.scope)
    return JSONResponse({"subject": token.subject, "path": request.url.path})


async def public(request):
    with pytest.raises(LookupError):
        token_of_scope(request.scope)
    return JSONResponse({"public": True})


async def socket(websocket):
    await websocket.accept()
    await websocket.send_text(websocket.state.access_token.subject)
    await websocket.close()


APPLICATION = Starlette(
    routes=[
        Route("/public", public),
        Route("/socket", who),
        WebSocketRoute("/socket", socket),
        Route("/{path:path}", who, methods=["GET", "POST"]),
    ]
)


def scopes(scope):
    if scope["path"] == "/public":
        return None
    return ["admin"] if scope["path"] == "/admin" else ["read"]


def protected(keys, certificate_header=None, **options):
    return AccessTokenMiddleware(
        APPLICATION, verifier=verifier(keys, **options), policy=scopes, certificate_header=certificate_header
    )


def with_tls(app, *chain):
    """*app* as a server with ASGI's TLS extension calls it."""

    async def serving(scope, receive, send):
        extensions = {"tls": {"client_cert_chain": [each.pem.decode() for each in chain]}}
        await app({**scope, "extensions": extensions}, receive, send)

    return serving


def client(app, peer=PROXY):
    transport = httpx.ASGITransport(app, client=(peer, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://inside")


@pytest.fixture(scope="module")
def leaf():
    """A client's certificate."""
    return Authority.root().leaf("orders")


@pytest.fixture
def token(issuer, leaf):
    """A token that is bound to the certificate."""
    from countersign.resource_server.certificate import certificate_thumbprint  # noqa: PLC0415 - here only.

    return issuer.token(cnf={"x5t#S256": base64url.encode(certificate_thumbprint(leaf.der))})


def bearer(token, **headers):
    return {"authorization": f"Bearer {token}"} | headers


async def test_certificate_of_the_tls_extension(issuer, leaf, token):
    """The leaf of the server's own TLS connection holds the token; another one or none does not."""
    async with client(with_tls(protected(issuer), leaf, Authority.root().leaf("ca"))) as api:
        answer = await api.get("/orders?a=b", headers=bearer(token))
    assert (answer.status_code, answer.json()["subject"]) == (200, "orders")
    for chain in ([Authority.root().leaf("orders")], []):
        async with client(with_tls(protected(issuer), *chain)) as api:
            answer = await api.get("/orders", headers=bearer(token))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert answer.headers["cache-control"] == "no-store"


def rfc9440(leaf):
    return f":{base64.b64encode(leaf.der).decode()}:"


async def test_certificate_of_a_trusted_header(issuer, leaf, token):
    """A proxy of the configured network names the client's certificate (RFC 9440)."""
    app = protected(issuer, CertificateHeader(("10.1.0.0/16",)))
    async with client(app) as api:
        good = await api.get("/orders", headers=bearer(token, **{"client-cert": rfc9440(leaf)}))
        absent = await api.get("/orders", headers=bearer(token))
    assert good.status_code == 200
    assert absent.json()["error"] == "invalid_token"


async def test_peer_of_a_socket_for_both_families(issuer, leaf, token):
    """An IPv4 proxy is known by its IPv4-mapped IPv6 address too."""
    app = protected(issuer, CertificateHeader(("10.1.0.0/16",)))
    async with client(app, "::ffff:10.1.2.3") as api:
        answer = await api.get("/orders", headers=bearer(token, **{"client-cert": rfc9440(leaf)}))
    assert answer.status_code == 200


async def test_header_beside_a_tls_certificate(issuer, leaf, token):
    """Where a header is configured the connection's certificate is the proxy's, and never the client's."""
    app = with_tls(protected(issuer, CertificateHeader(("10.1.0.0/16",))), leaf)
    async with client(app) as api:
        answer = await api.get("/orders", headers=bearer(token))
    assert answer.status_code == 401


async def test_header_that_nobody_configured(issuer, leaf, token):
    """Without configuration the header is only text of the sender."""
    async with client(protected(issuer)) as api:
        answer = await api.get("/orders", headers=bearer(token, **{"client-cert": rfc9440(leaf)}))
    assert answer.status_code == 401


async def test_url_encoded_pem(issuer, leaf, token):
    """The header may be nginx's, under any name."""
    header = CertificateHeader((PROXY,), "X-Client-Certificate", CertificateForm.URL_ENCODED_PEM)
    async with client(protected(issuer, header)) as api:
        headers = bearer(token, **{"x-client-certificate": quote(leaf.pem.decode(), safe="")})
        assert (await api.get("/orders", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("peer", "values", "message"),
    [
        ("10.2.0.1", 1, "This peer may not send a client certificate header."),
        ("unknown", 1, "This peer may not send a client certificate header."),
        (PROXY, 2, "The client certificate header is repeated."),
    ],
)
async def test_header_of_the_wrong_peer_or_twice(issuer, leaf, token, peer, values, message):
    """A header that an outsider sends, or that comes twice, is a bad request."""
    app = protected(issuer, CertificateHeader(("10.1.0.0/16",)))
    headers = [*bearer(token).items(), *[("Client-Cert", rfc9440(leaf))] * values]
    async with client(app, peer) as api:
        answer = await api.get("/orders", headers=headers)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "invalid_request", "error_description": message},
    )


@pytest.mark.parametrize(
    "change", [lambda v: v[1:-1], lambda v: v + ";x=1", lambda v: ":AAAA:", lambda v: "a" * 40_000]
)
async def test_header_that_cannot_be_read(issuer, leaf, token, change):
    """Anything but one byte sequence that is one certificate is a bad request."""
    app = protected(issuer, CertificateHeader(("10.1.0.0/16",)))
    async with client(app) as api:
        answer = await api.get("/orders", headers=bearer(token, **{"client-cert": change(rfc9440(leaf))}))
    assert answer.json()["error_description"] == "The client certificate header cannot be read."


async def test_dpop(issuer, prover):
    """The proof is for the method and path of the request at the public origin, not at the socket's."""
    token = issuer.token(cnf={"jkt": prover.jkt})

    async def call(api, method, path, **claims):
        made = proof(prover, token, **claims)
        return await api.request(method, path, headers={"authorization": f"DPoP {token}", "dpop": made})

    async with client(protected(issuer)) as api:
        good = await call(api, "GET", "/a%20b/c?x=1", htm="GET", htu=ORIGIN + "/a%20b/c")
        assert (good.status_code, good.headers.get("dpop-nonce")) == (200, None)
        other = await call(api, "POST", "/a", htm="GET", htu=ORIGIN + "/a")
        assert other.json()["error_description"] == "The proof is for another method."
        inside = await call(api, "GET", "/a", htm="GET", htu="https://inside/a")
        assert inside.json()["error_description"] == "The proof is for another target."
        encoded = await call(api, "GET", "/a%2Fb", htm="GET", htu=ORIGIN + "/a/b")
        assert encoded.json()["error_description"] == "The proof is for another target."
        unsigned = await call(api, "GET", "/a", htm="GET", htu=ORIGIN + "/a", ath=OMIT)
        assert (unsigned.status_code, unsigned.json()["error"]) == (401, "invalid_dpop_proof")
        made = proof(prover, token, htm="GET", htu=ORIGIN + "/a")
        headers = [("authorization", f"DPoP {token}"), ("dpop", made), ("dpop", made)]
        assert (await api.get("/a", headers=headers)).json()["error"] == "invalid_dpop_proof"


async def test_nonce(issuer, prover):
    """A 401 brings the nonce, and so does every answer to a good proof."""
    token = issuer.token(cnf={"jkt": prover.jkt})
    async with client(protected(issuer, dpop=policy(nonces=DpopNonces()))) as api:
        made = proof(prover, token, htm="GET", htu=ORIGIN + "/a")
        first = await api.get("/a", headers={"authorization": f"DPoP {token}", "dpop": made})
        assert (first.status_code, first.json()["error"]) == (401, "use_dpop_nonce")
        made = proof(prover, token, htm="GET", htu=ORIGIN + "/a", nonce=first.headers["dpop-nonce"])
        second = await api.get("/a", headers={"authorization": f"DPoP {token}", "dpop": made})
    assert second.status_code == 200
    assert second.headers["dpop-nonce"] == first.headers["dpop-nonce"]


async def test_answers_without_access(issuer, leaf, token):
    """No token, two tokens, too little scope: each has its status; an open path needs nothing."""
    async with client(with_tls(protected(issuer), leaf)) as api:
        missing = await api.get("/orders")
        assert (missing.status_code, missing.json()["error"]) == (401, "token_missing")
        assert missing.headers.get_list("www-authenticate") == [
            "Bearer",
            'DPoP algs="ES256 ES384 ES512 EdDSA PS256"',
        ]
        twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
        assert (await api.get("/orders", headers=twice)).status_code == 400
        scope = await api.get("/admin", headers=bearer(token))
        assert (scope.status_code, scope.json()["error"]) == (403, "insufficient_scope")
        assert 'scope="admin"' in scope.headers["www-authenticate"]
        assert (await api.get("/public")).json() == {"public": True}


async def test_token_in_the_query_is_none(issuer, leaf, token):
    """A token is taken from the Authorization header only (RFC 9700 §4.3.2)."""
    async with client(with_tls(protected(issuer), leaf)) as api:
        assert (await api.get(f"/orders?access_token={token}")).status_code == 401


async def test_keys_cannot_be_fetched(issuer, leaf, token):
    """Where nothing can be said the answer is 503 without a challenge."""
    from tests.clients.resource_server.test_key_cache import DOWN  # noqa: PLC0415 - the error of a gateway.

    issuer.failure = DOWN
    async with client(with_tls(protected(issuer), leaf)) as api:
        answer = await api.get("/orders", headers=bearer(token))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "www-authenticate" not in answer.headers


async def open_socket(app, token, extensions):
    """What the application sends to one that opens a web socket."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/socket",
        "raw_path": b"/socket",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
        "extensions": extensions,
    }
    await app(scope, receive, send)
    return sent


async def test_web_sockets(issuer, leaf, token):
    """A web socket is opened with a good token and never without, with an answer where the server can."""
    app = protected(issuer)
    tls = {"tls": {"client_cert_chain": [leaf.pem.decode()]}}
    accepted = await open_socket(app, token, tls)
    assert [each["type"] for each in accepted] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert accepted[1]["text"] == "orders"
    assert await open_socket(app, None, tls) == [
        {"type": "websocket.close", "code": 1008, "reason": "missing"}
    ]
    start, body = await open_socket(app, token, {"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert b"invalid_token" in body["body"]


async def test_behind_uvicorn(served):
    """A real server, a real gateway's token and a certificate from the proxy's header, end to end."""
    token = await served.certificate_bound()
    async with served.gateway.client() as keys:
        app = protected(keys, CertificateHeader(("127.0.0.1",)))
        config = uvicorn.Config(app, port=0, log_level="warning", proxy_headers=False, lifespan="off")
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as api:
            good = await api.get(
                "/orders", headers=bearer(token, **{"client-cert": rfc9440(served.identity)})
            )
            bad = await api.get(
                "/orders", headers=bearer(token, **{"client-cert": rfc9440(served.gateway.api)})
            )
        await server.shutdown()
    assert good.json() == {"subject": "backend", "path": "/orders"}
    assert bad.status_code == 401


async def test_request_is_not_shown_by_repr(token):
    """Tokens, proofs and certificates stay out of logs."""
    shown = repr(request(token, "proof-1", certificate=b"certificate"))
    assert token not in shown
    assert "proof-1" not in shown


@pytest.mark.parametrize(
    "options", [{"trusted_peers": ()}, {"trusted_peers": ("10.1.2.3/8",)}, {"trusted_peers": ("x",)}]
)
def test_header_configuration_is_checked(options):
    """A header from nobody, or from a network that is none, is not configured."""
    with pytest.raises(ValueError, match=r".+"):
        CertificateHeader(**options)
