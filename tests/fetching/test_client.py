"""The guarded client against real TLS servers, one rule broken at a time."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta

import pytest

from gateway.fetching import (
    AcmeHttpPolicy,
    ClientLimits,
    DangerousLoopbackDoor,
    FetchError,
    FetchFault,
    FetchPolicy,
    FetchRequest,
    GuardedClient,
)
from gateway.fetching.exchange import MAX_HEADER_SIZE, MAX_INTERIM_RESPONSES
from tests.fetching.conftest import HOST, NoResolver
from tests.support.pki import SERVER_AUTH, Authority
from tests.support.scripted_server import ScriptedServer, redirect, reply, server_context

SHORT = FetchPolicy(deadline=0.3)
ANY = ()


async def refused(client, request, policy=None):
    """The fault that *request* meets."""
    if isinstance(request, str):
        request = FetchRequest(request)
    with pytest.raises(FetchError) as caught:
        await client.fetch(request, policy or FetchPolicy())
    assert caught.value.host in (HOST, None)
    return caught.value.fault


async def test_get(client, server, base):
    """A GET brings status, the kept fields, the body and where it came from; the request is plain."""
    server.routes["/a"] = reply(
        body=b'{"a":1}',
        content_type="application/JSON; charset=utf-8",
        headers={"Cache-Control": "max-age=60", "Set-Cookie": "a=b", "ETag": '"1"'},
    )
    fetched = await client.fetch(FetchRequest(f"{base}/a?b=c"))
    assert (fetched.status, fetched.body, fetched.final_url) == (200, b'{"a":1}', f"{base}/a?b=c")
    assert fetched.media_type == "application/json"
    assert dict(fetched.headers) == {
        "content-type": "application/JSON; charset=utf-8",
        "cache-control": "max-age=60",
        "etag": '"1"',
    }
    (received,) = server.requests
    assert (received.method, received.target) == ("GET", "/a?b=c")
    assert received.headers == {
        "host": f"{HOST}:{server.port}",
        "user-agent": "countersign",
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert server.server_names == [HOST]


async def test_post(client, server, base):
    """A POST carries its body, media type and further fields."""
    server.routes["/p"] = lambda received: reply(201, received.body)
    request = FetchRequest(
        f"{base}/p", "POST", body=b"a=b", content_type="text/x", headers=(("Authorization", "Basic eA=="),)
    )
    fetched = await client.fetch(request)
    assert (fetched.status, fetched.body) == (201, b"a=b")
    assert server.requests[0].headers["content-type"] == "text/x"
    assert server.requests[0].headers["authorization"] == "Basic eA=="
    assert "Basic" not in repr(request)


async def test_an_error_status_is_a_result_of_any_type(client, base):
    """404 is an answer, not a fault, and its media type does not matter."""
    assert (await client.fetch(FetchRequest(f"{base}/none", accept=("text/plain",)))).status == 404


async def test_chunked_bodies(client, server, base):
    """A chunked body is put together; its trailers mean nothing."""
    server.routes["/"] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n3;x=y\r\n   \r\n0\r\nEtag: t\r\n\r\n"
    )
    fetched = await client.fetch(FetchRequest(base))
    assert fetched.body == b"{}   "
    assert "etag" not in fetched.headers


@pytest.mark.parametrize("name", ["Host", "Cookie", "content-length", "Transfer-Encoding", "Accept-Encoding"])
def test_a_request_sets_none_of_the_clients_own_fields(name):
    """Framing, routing and negotiation belong to the client."""
    with pytest.raises(ValueError, match="itself"):
        FetchRequest("https://data.example.org/", headers=((name, "x"),))


@pytest.mark.parametrize("wrong", [{"method": "PUT"}, {"body": b"x"}, {"content_type": "text/plain"}])
def test_only_plain_requests_can_be_made(wrong):
    """GET has no body, and there are no other methods than GET and POST."""
    with pytest.raises(ValueError, match="GET"):
        FetchRequest("https://data.example.org/", **wrong)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://data.example.test/", FetchFault.SCHEME_REFUSED),
        ("https://8.8.8.8/", FetchFault.IP_LITERAL_REFUSED),
        ("https://127.0.0.1/", FetchFault.IP_LITERAL_REFUSED),
        ("https://[2606:4700::1]/", FetchFault.IP_LITERAL_REFUSED),
        ("https://data.example.org:8443/", FetchFault.PORT_REFUSED),
        ("https://data.example.org:22/", FetchFault.PORT_REFUSED),
        ("https://localhost/", FetchFault.HOST_REFUSED),
    ],
)
async def test_the_policy_is_asked_before_anything_leaves(client, server, url, fault):
    """Scheme, kind of host and port are judged from the URL alone."""
    with pytest.raises(FetchError) as caught:
        await client.fetch(FetchRequest(url))
    assert caught.value.fault is fault
    assert server.connections == 0


async def test_without_the_door_loopback_is_closed(authority, server, base):
    """The same request without a door goes to DNS, and there is no way around it."""
    client = GuardedClient(NoResolver())
    assert await refused(client, base, FetchPolicy(ports=frozenset({server.port}))) is FetchFault.DNS_FAILED
    assert server.connections == 0


async def test_the_door_opens_named_hosts_only(client, server):
    """Another name is none of the door's business: port rule and DNS apply to it."""
    with pytest.raises(FetchError) as caught:
        await client.fetch(FetchRequest("https://other.example.test/"))
    assert caught.value.fault is FetchFault.DNS_FAILED


async def test_an_unknown_root_is_refused(server, base):
    """A certificate under a root that the client does not trust ends the handshake."""
    stranger = DangerousLoopbackDoor(frozenset({HOST}), Authority.root("Other").pem.decode())
    assert await refused(GuardedClient(NoResolver(), door=stranger), base) is FetchFault.CERTIFICATE_REFUSED
    assert server.requests == []


async def test_the_system_roots_are_not_behind_the_door(server, base):
    """A door without roots of its own trusts nobody."""
    client = GuardedClient(NoResolver(), door=DangerousLoopbackDoor(frozenset({HOST})))
    assert await refused(client, base) is FetchFault.CERTIFICATE_REFUSED


async def test_the_certificate_carries_the_name(client, authority):
    """A trusted certificate for another name is refused, although the address is the right one."""
    async with ScriptedServer(tls=server_context(authority.server("other.example.test"))) as server:
        fault = await refused(client, f"https://{HOST}:{server.port}/")
    assert fault is FetchFault.CERTIFICATE_REFUSED
    assert server.requests == []


async def test_an_expired_certificate_is_refused(client, authority):
    """The validity period of the server's certificate counts."""
    now = datetime.now(tz=UTC)
    old = authority.leaf(
        HOST,
        dns=(HOST,),
        extended_key_usage=(SERVER_AUTH,),
        not_before=now - timedelta(9),
        not_after=now - timedelta(1),
    )
    async with ScriptedServer(tls=server_context(old)) as server:
        assert await refused(client, f"https://{HOST}:{server.port}/") is FetchFault.CERTIFICATE_REFUSED


async def test_a_server_without_tls_is_refused(client):
    """Plain text where TLS is due fails the handshake."""

    async def greet(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await refused(client, f"https://{HOST}:{port}/") is FetchFault.TLS_FAILED


async def test_nobody_listens(client):
    """A closed port is CONNECT_FAILED, and worth another try later."""
    async with ScriptedServer() as server:
        port = server.port
    with pytest.raises(FetchError) as caught:
        await client.fetch(FetchRequest(f"https://{HOST}:{port}/"))
    assert caught.value.fault is FetchFault.CONNECT_FAILED
    assert caught.value.transient


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
async def test_a_decompression_bomb_stays_packed(client, server, base, coding):
    """A content coding is refused by its name; nothing is unpacked, and the body is not read."""
    bomb = gzip.compress(bytes(10_000_000))
    server.routes["/"] = reply(body=bomb, headers={"Content-Encoding": coding})
    assert await refused(client, base) is FetchFault.CONTENT_ENCODING_REFUSED


@pytest.mark.parametrize("kind", ["text/html", "application/jwt", "application/json-seq", "", None])
async def test_another_media_type_is_refused(client, server, base, kind):
    """A successful response has a type that was asked for."""
    server.routes["/"] = reply(content_type=kind)
    assert await refused(client, base) is FetchFault.CONTENT_TYPE_REFUSED


async def test_any_media_type_may_be_asked_for(client, server, base):
    """An empty accept takes every type, and none."""
    server.routes["/"] = reply(content_type=None)
    assert (await client.fetch(FetchRequest(base, accept=ANY))).media_type is None
    assert server.requests[0].headers["accept"] == "*/*"


async def test_a_body_at_the_limit_and_one_above(client, server, base):
    """The size is counted in octets of the body, inclusive."""
    server.routes["/"] = reply(body=b"x" * 1000)
    assert len((await client.fetch(FetchRequest(base), FetchPolicy(max_body=1000))).body) == 1000
    assert await refused(client, base, FetchPolicy(max_body=999)) is FetchFault.BODY_TOO_LARGE


async def test_an_endless_body_is_cut_off(client, server, base):
    """A body without end is refused as it passes the limit, and the connection is dropped."""
    dropped = asyncio.Event()

    async def pour(received, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        try:
            while True:
                writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)  # drain alone does not let the loop notice that the peer has gone.
        finally:
            dropped.set()

    server.routes["/"] = pour
    assert await refused(client, base) is FetchFault.BODY_TOO_LARGE
    await asyncio.wait_for(dropped.wait(), 5)


async def test_endless_headers_are_cut_off(client, server, base):
    """The head is bounded while it arrives."""

    async def pour(received, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: " + b"a" * 4096 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    server.routes["/"] = pour
    assert await refused(client, base) is FetchFault.PROTOCOL_VIOLATION


async def test_a_large_head_in_one_piece_is_refused(client, server, base):
    """So it is when it arrives whole."""
    server.routes["/"] = reply(headers={f"X-{index}": "a" * 1000 for index in range(MAX_HEADER_SIZE // 500)})
    assert await refused(client, base) is FetchFault.PROTOCOL_VIOLATION


async def test_endless_interim_responses_are_cut_off(client, server, base):
    """A few 1xx responses are passed over, more are not."""
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    server.routes["/"] = interim * MAX_INTERIM_RESPONSES + reply()
    assert (await client.fetch(FetchRequest(base))).status == 200
    server.routes["/"] = interim * (MAX_INTERIM_RESPONSES + 1) + reply()
    assert await refused(client, base) is FetchFault.PROTOCOL_VIOLATION


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_a_connection_that_ends_before_the_response(client, server, base, sent):
    """No response is CONNECTION_LOST."""
    server.routes["/"] = sent
    assert await refused(client, base) is FetchFault.CONNECTION_LOST


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)
async def test_a_truncated_body_is_refused(client, server, base, sent):
    """A body shorter than it was announced is no body."""
    server.routes["/"] = sent
    assert await refused(client, base) is FetchFault.BODY_TRUNCATED


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        # Over TLS a body that ends with the connection may have been cut.
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
    ],
)
async def test_what_is_not_http_is_refused(client, server, base, sent):
    """Ambiguous or missing framing and other protocols are violations."""
    server.routes["/"] = sent
    assert await refused(client, base) is FetchFault.PROTOCOL_VIOLATION


async def test_a_silent_server_meets_the_deadline(client, server, base):
    """A server that accepts and says nothing costs the deadline and no more."""

    async def hold(received, writer):
        await asyncio.Event().wait()

    server.routes["/"] = hold
    assert await refused(client, base, SHORT) is FetchFault.DEADLINE_EXCEEDED


async def test_a_dripping_server_meets_the_deadline(client, server, base):
    """A server that always sends a little more does not stretch the deadline."""

    async def drip(received, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    server.routes["/"] = drip
    assert await refused(client, base, SHORT) is FetchFault.DEADLINE_EXCEEDED


async def test_a_handshake_that_hangs_meets_the_deadline(client):
    """A port that accepts and never shakes hands costs the deadline and no more."""
    released = asyncio.Event()

    async def hang(reader, writer):
        await released.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await refused(client, f"https://{HOST}:{port}/", SHORT) is FetchFault.DEADLINE_EXCEEDED
        released.set()


async def test_redirects_are_refused_by_default(client, server, base):
    """Nothing is followed unless the policy says so."""
    server.routes["/"] = redirect("/there")
    assert await refused(client, base) is FetchFault.REDIRECT_REFUSED
    assert server.connections == 1


async def test_a_redirect_within_the_origin(client, server, base):
    """Where allowed, a redirect is followed on a new connection."""
    server.routes["/"] = redirect("/there?x=y", 307)
    server.routes["/there"] = reply(body=b"[]")
    fetched = await client.fetch(FetchRequest(base), FetchPolicy(max_redirects=1))
    assert (fetched.body, fetched.final_url) == (b"[]", f"{base}/there?x=y")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("https://127.0.0.1/", FetchFault.REDIRECT_REFUSED),
        ("https://169.254.169.254/latest/meta-data/", FetchFault.REDIRECT_REFUSED),
        ("https://[::1]/", FetchFault.REDIRECT_REFUSED),
        ("https://other.example.test/", FetchFault.REDIRECT_REFUSED),
        (f"https://{HOST}/", FetchFault.REDIRECT_REFUSED),
        (f"http://{HOST}/", FetchFault.REDIRECT_REFUSED),
        ("https://2130706433/", FetchFault.HOST_REFUSED),
        ("gopher://127.0.0.1/", FetchFault.SCHEME_REFUSED),
    ],
)
async def test_a_redirect_elsewhere(client, server, base, location, fault):
    """No policy follows a redirect to another host, port or scheme."""
    server.routes["/"] = redirect(location)
    assert await refused(client, base, FetchPolicy(max_redirects=5)) is fault
    assert server.connections == 1


async def test_endless_redirects(client, server, base):
    """A loop ends after as many redirects as the policy allows."""
    server.routes["/"] = redirect("/")
    assert await refused(client, base, FetchPolicy(max_redirects=3)) is FetchFault.REDIRECT_REFUSED
    assert server.connections == 4


async def test_a_redirect_without_location(client, server, base):
    """A redirect to nowhere, or to two places, is refused."""
    server.routes["/"] = reply(302)
    assert await refused(client, base, FetchPolicy(max_redirects=1)) is FetchFault.REDIRECT_REFUSED


async def test_post_is_never_redirected(client, server, base):
    """A body with secrets goes where it was sent, or nowhere."""
    server.routes["/"] = redirect("/there", 307)
    request = FetchRequest(base, "POST", body=b"secret")
    assert await refused(client, request, FetchPolicy(max_redirects=1)) is FetchFault.REDIRECT_REFUSED
    assert server.connections == 1


async def test_the_environment_is_not_asked(client, server, base, monkeypatch, tmp_path):
    """Neither proxies nor key logs of the environment are honored."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    server.routes["/"] = reply()
    door = client.dialer._door
    assert (await GuardedClient(NoResolver(), door=door).fetch(FetchRequest(base))).status == 200
    assert not (tmp_path / "keys").exists()


async def test_too_many_waiting_requests(door, server, base):
    """Beyond the slots and the queue a request is told BUSY at once, and slots are given back."""
    client = GuardedClient(NoResolver(), door=door, limits=ClientLimits(total=4, per_host=1, waiting=1))
    release, arrived = asyncio.Event(), asyncio.Event()

    async def hold(received, writer):
        arrived.set()
        await release.wait()
        writer.write(reply())

    server.routes["/"] = hold
    first = asyncio.create_task(client.fetch(FetchRequest(base)))
    await arrived.wait()
    second = asyncio.create_task(client.fetch(FetchRequest(base)))
    await asyncio.sleep(0)
    assert await refused(client, base) is FetchFault.BUSY
    assert server.connections == 1
    release.set()
    assert [(await each).status for each in (first, second)] == [200, 200]
    assert client._admission._hosts == {}


async def test_a_canceled_request_leaves_nothing(client, server, base):
    """Cancelling a caller ends its connection and gives back its slot."""
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def hold(received, writer):
        arrived.set()
        try:
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    server.routes["/"] = hold
    task = asyncio.create_task(client.fetch(FetchRequest(base)))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 5)
    assert client._admission._hosts == {}


async def test_a_closed_client_refuses(client, server, base):
    """After close nothing is fetched."""
    client.close()
    with pytest.raises(FetchError) as caught:
        await client.fetch(FetchRequest(base))
    assert caught.value.fault is FetchFault.CLOSED


@pytest.mark.parametrize(
    "wrong",
    [{"deadline": 0}, {"deadline": 61}, {"connect_timeout": 0}, {"max_body": -1}, {"max_redirects": 11}],
)
def test_policies_have_bounds(wrong):
    """No policy is without a deadline, a size or a count."""
    with pytest.raises(ValueError, match="at most"):
        FetchPolicy(**wrong)


async def test_acme_http_validation():
    """The ACME policy fetches plain http from port 80, which the door maps, by name or literal."""
    async with ScriptedServer() as server:
        server.routes["/.well-known/acme-challenge/t"] = b"HTTP/1.0 200 OK\r\n\r\nt.thumbprint"
        door = DangerousLoopbackDoor(frozenset({HOST, "127.0.0.1"}), port_map={80: server.port})
        client = GuardedClient(NoResolver(), door=door)
        for host in (HOST, "127.0.0.1"):
            request = FetchRequest(f"http://{host}/.well-known/acme-challenge/t", accept=ANY)
            assert (await client.fetch(request, AcmeHttpPolicy())).body == b"t.thumbprint"
            assert server.requests[-1].headers["host"] == host


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::7f00:1]", "[fd00::1]"]
)
async def test_acme_validation_stays_outside(host):
    """An IP identifier inside the gateway's networks is refused."""
    with pytest.raises(FetchError) as caught:
        await GuardedClient(NoResolver()).fetch(FetchRequest(f"http://{host}/", accept=ANY), AcmeHttpPolicy())
    assert caught.value.fault is FetchFault.ADDRESS_REFUSED


async def test_acme_validation_uses_port_80_only():
    """Plain http to another port is refused even by the ACME policy."""
    with pytest.raises(FetchError) as caught:
        await GuardedClient(NoResolver()).fetch(
            FetchRequest("http://data.example.org:8080/", accept=ANY), AcmeHttpPolicy()
        )
    assert caught.value.fault is FetchFault.PORT_REFUSED
