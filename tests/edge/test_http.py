"""HTTP itself: what is malformed, too large, too slow or too many, on raw connections."""

import asyncio
import ssl

import httpx
import pytest

from tests.support.edge import FORM, TOKEN, Edge
from tests.support.gateway import running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
POST = b"POST /oauth2/token HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
CLOSE = b"Connection: close\r\n\r\n"


def status(answer: bytes) -> int:
    """The status of the first response, 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_the_loop_is_a_workers():
    """The tests of the edge run on uvloop, as workers do."""
    assert type(asyncio.get_running_loop()).__module__ == "uvloop"


async def test_methods(edge: Edge):
    """Another method is 405 with Allow; HEAD goes with GET."""
    async with edge.client() as client:
        refused = await client.get(TOKEN)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        refused = await client.delete("/oauth2/jwks")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert (await client.options(TOKEN)).status_code == 405
        head = await client.head("/oauth2/jwks")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path", ["/", "/oauth2/token/", "/oauth2", "//oauth2/token", "/oauth2/../healthz", "/x" * 2000]
)
async def test_unknown_path(edge: Edge, path):
    """What is not a path of the edge is 404, and the log keeps only the beginning of it."""
    answer = await edge.raw(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + CLOSE)
    assert status(answer) == 404
    assert len(edge.gateway.log.records[-1].method) <= 132


async def test_request_id(edge: Edge):
    """The client's request id returns; a malformed one is replaced."""
    response = await edge.get("/healthz", headers={"x-request-id": "my-id.1"})
    assert response.headers["x-request-id"] == "my-id.1"
    response = await edge.get("/healthz", headers={"x-request-id": "my id"})
    assert len(response.headers["x-request-id"]) == 16
    record = edge.gateway.log.records[-1]
    assert (record.method, record.code, record.reason) == ("GET /healthz", "200", "")
    assert record.peer.startswith("127.0.0.1:")


async def test_no_cors(edge: Edge):
    """No browser application is invited."""
    response = await edge.post(TOKEN, headers={"origin": "https://evil.example"}, data={"grant_type": "x"})
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_media_type(edge: Edge):
    """A body that is no form is 415."""
    response = await edge.post(TOKEN, json={"grant_type": "client_credentials"})
    assert (response.status_code, response.headers["accept"]) == (415, FORM["content-type"])
    assert (await edge.post(TOKEN)).status_code == 415


async def test_parameters_in_the_uri(edge: Edge):
    """What identifies a client never travels in a URI (RFC 6749 §2.3.1)."""
    response = await edge.post(TOKEN + "?client_id=x", data={"grant_type": "client_credentials"})
    assert response.status_code == 400
    assert edge.cause(response)[1] == "query_not_allowed"


async def test_body_too_large(edge: Edge):
    """More than 64 KiB is 413, whether announced or found out, and the connection ends."""
    announced = await edge.raw(POST + b"Content-Length: 65537\r\n\r\n")
    assert status(announced) == 413
    chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    found = await edge.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"1\r\na\r\n0\r\n\r\n")
    assert status(found) == 413
    assert b"connection: close" in found.lower()
    assert edge.gateway.log.records[-1].reason == "MESSAGE_TOO_LARGE"
    assert status(await edge.raw(GET + b"Content-Length: 1\r\n\r\na")) == 413


async def cut_off(edge: Edge, *octets: bytes) -> bool:
    """Whether the connection ends without a response."""
    try:
        return await edge.raw(*octets) == b""
    except ConnectionError:
        return True  # While the rest was still on its way.


async def test_framing_too_large(edge: Edge):
    """Chunk extensions and trailers without end are the end of the connection, however small the body is."""
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    extensions = (b"1;" + b"a" * 1000 + b"\r\na\r\n") * 600
    assert await cut_off(edge, chunked, extensions)
    trailers = (b"x-trailer: " + b"a" * 1000 + b"\r\n") * 600
    assert await cut_off(edge, chunked + b"0\r\n", trailers)


async def test_a_body_of_the_largest_size(edge: Edge):
    """64 KiB pass."""
    body = b"grant_type=x&x=" + b"a" * (65536 - 15)
    response = await edge.post(TOKEN, content=body, headers=FORM)
    assert response.json()["error"] == "invalid_request"


async def test_head_too_large(edge: Edge):
    """A head above the limit is 431, in one piece or in many, complete or not."""
    large = b"X-Large: " + b"a" * 20_000 + b"\r\n"
    assert status(await edge.raw(GET + large + CLOSE)) == 431
    many = b"".join(b"X-%d: a\r\n" % number for number in range(3000))
    assert status(await edge.raw(GET + many + CLOSE)) == 431
    assert status(await edge.raw(GET, *[b"X-Part: " + b"a" * 5000] * 5)) == 431
    assert status(await edge.raw(b"GET /" + b"a" * 20_000)) == 431


async def test_a_head_of_nearly_the_largest_size(edge: Edge):
    """What is below the limit passes, also in pieces, and again on the same connection."""
    large = GET + b"X-Large: " + b"a" * 15_000 + b"\r\n"
    answer = await edge.raw(large[:9000], large[9000:] + b"\r\n", large + CLOSE)
    assert answer.count(b"HTTP/1.1 200") == 2


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "garbage": b"hello\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": GET + HOST + b"\r\n",
    "a space before the colon": GET + b"X-A : b\r\n\r\n",
    "a control character": GET + b"X-A: b\x00c\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +1\r\n\r\na",
    "a huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "a chunk size that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a target that is none": b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is not ASCII": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority": b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("fault", MALFORMED)
async def test_malformed(edge: Edge, fault):
    """What is not HTTP is answered with 400 or not at all, and the connection ends."""
    answer = await edge.raw(MALFORMED[fault])
    assert status(answer) in (0, 400, 404, 405)
    assert status(answer) != 200
    assert answer.count(b"HTTP/1.1 ") <= 1


@pytest.mark.parametrize("octet", [*range(9), 11, 12, *range(14, 32), 127])
async def test_control_characters(edge: Edge, octet):
    """No control character but a tab is part of a header (RFC 9110 §5.5)."""
    answer = await edge.raw(GET + b"X-A: b" + bytes([octet]) + b"c\r\n" + CLOSE)
    assert status(answer) == 400


async def test_a_response_goes_before_garbage(edge: Edge):
    """What was asked before a connection turned to garbage is answered, and then the connection ends."""
    answer = await edge.raw(GET + b"\r\n" + b"\x00\x01\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in answer


async def test_upgrades_are_not_followed(edge: Edge):
    """A request that asks for another protocol is answered in this one, and is the last."""
    upgrade = GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET + CLOSE
    answer = await edge.raw(upgrade)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"101" not in answer.split(b"\r\n")[0]


async def test_trailers_are_no_headers(edge: Edge):
    """A trailer never counts as a header: a terminator may let it pass where it strips the header."""
    trailer = b"Authorization: Basic YTpi\r\nClient-Cert: :AA==:\r\nX-Request-Id: from-the-trailer\r\n\r\n"
    answer = await edge.raw(
        POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\ntoken\r\n0\r\n" + trailer
    )
    assert status(answer) == 400
    assert b"from-the-trailer" not in answer
    assert edge.gateway.log.records[-1].reason == "MISSING_FIELD"


async def test_pipelined_requests(edge: Edge):
    """Requests that were sent at once are answered in order; too many are not."""
    two = GET + b"X-Request-Id: first\r\n\r\n" + GET + b"X-Request-Id: second\r\n" + CLOSE
    answer = await edge.raw(two)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"first") < answer.index(b"second")
    flood = await edge.raw((GET + b"\r\n") * 500)
    assert flood.count(b"HTTP/1.1 200") < 50


async def test_octet_by_octet(edge: Edge):
    """It does not matter how a request is cut into pieces."""
    body = b"grant_type=none&client_id=x"
    request = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    answer = await edge.raw(*[request[index : index + 1] for index in range(len(request))])
    assert b"unsupported_grant_type" in answer


async def test_garbage_behind_a_request(edge: Edge, caplog):
    """A connection that turns to garbage ends, without filling the log with traces."""
    for garbage in (b"\x00\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"X" * 100_000):
        await edge.raw(GET + b"\r\n" + garbage)
        await edge.raw(GET + b"\r\n", garbage)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_clients_that_leave(edge: Edge, caplog):
    """A client that leaves in the middle of a request is one record, and no trace."""
    before = len(edge.gateway.log.records)
    async with edge.connection() as (_, writer):
        writer.write(POST + b"Content-Length: 10\r\n\r\ntoken")
        await writer.drain()
    async with asyncio.timeout(10):
        while len(edge.gateway.log.records) == before:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    assert edge.gateway.log.records[-1].cause == "client_left"
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_line_ends_do_not_get_into_the_log(edge: Edge):
    """A path is logged as it was sent: percent-encoding stays."""
    await edge.get("/x%0d%0aforged")
    assert edge.gateway.log.records[-1].method == "GET /x%0d%0aforged"


async def test_keep_alive(edge: Edge):
    """One connection takes many requests."""
    async with edge.client() as client:
        for _ in range(3):
            assert (await client.get("/healthz")).status_code == 200
        peers = {record.peer for record in edge.gateway.log.records[-3:]}
    assert len(peers) == 1


async def test_http_1_0(edge: Edge):
    """HTTP/1.0 is answered, and its connection ends."""
    answer = await edge.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert status(answer) == 200


async def test_expect_continue(edge: Edge):
    """A client that waits for 100 Continue gets it, or the refusal at once."""
    async with edge.connection() as (reader, writer), asyncio.timeout(10):
        writer.write(POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    answer = await edge.raw(POST + b"Content-Length: 99999\r\nExpect: 100-continue\r\n\r\n")
    assert status(answer) == 413


async def test_slow_clients(tmp_path):
    """A head or a body that does not arrive in time is 408; an idle connection ends without a word."""
    server = {"https_request_timeout": 0.2, "https_keep_alive": 0.2}
    async with running_gateway(tmp_path, server=server) as gateway:
        edge = Edge(gateway)
        assert status(await edge.raw(b"GET /hea")) == 408
        late = await edge.raw(POST + b"Content-Length: 10\r\n\r\ntoken")
        assert status(late) == 408
        assert gateway.log.records[-1].cause.startswith("body_late")
        assert await edge.raw(b"") == b""
        async with edge.connection() as (reader, writer), asyncio.timeout(10):
            writer.write(GET + b"\r\n")
            await reader.readuntil(b"\nserving\n")
            writer.write(GET[:10])
            assert status(await reader.read()) == 408
        twice = await edge.raw(GET + b"\r\n" + GET[:10])
        assert twice.count(b"HTTP/1.1 200") == 1
        assert (await edge.raw(GET + b"\r\n")).count(b"HTTP/1.1 200") == 1


async def test_old_connections_end(tmp_path):
    """Beyond its age a connection ends with its next response, so that load spreads."""
    async with running_gateway(tmp_path, server={"max_connection_age": 1.0}) as gateway:
        edge = Edge(gateway)
        async with edge.connection() as (reader, writer), asyncio.timeout(10):
            while True:
                writer.write(GET + b"\r\n")
                answer = await reader.readuntil(b"serving\n")
                if b"connection: close" in answer:
                    break
            assert await reader.read() == b""


async def test_too_many_connections(tmp_path):
    """Beyond the limit a connection is closed at once; when one ends there is room again."""
    async with running_gateway(tmp_path, server={"https_max_connections": 2}) as gateway:
        edge = Edge(gateway)
        async with edge.connection(), edge.connection(), edge.connection() as (reader, _):
            with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
                async with asyncio.timeout(10):
                    await reader.readexactly(1)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await edge.get("/healthz")).status_code == 200
                    break
                except httpx.TransportError:
                    continue


async def test_too_many_connections_of_one_address(tmp_path):
    """One address gets its part of the connections; a trusted terminator's connections do not count."""
    proxy = "spiffe://example.org/proxy"
    server = {"https_max_connections_per_peer": 2}
    async with running_gateway(tmp_path, server=server, terminator={"trusted": [proxy]}) as gateway:
        edge, terminator = Edge(gateway), gateway.root.leaf("proxy", uris=(proxy,))
        idle = gateway.server._edge._limits.idle
        async with edge.connection(), edge.connection(), edge.connection() as (reader, _):
            with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
                async with asyncio.timeout(10):
                    await reader.readexactly(1)
            assert (await edge.get("/healthz", identity=terminator)).status_code == 200
            idle.clear()
        async with asyncio.timeout(10):
            await idle.wait()
        assert (await edge.get("/healthz")).status_code == 200


async def test_slow_bodies_take_no_room(tmp_path):
    """A client that is still sending does not count as a call under way."""
    async with running_gateway(tmp_path, server={"max_concurrent_calls": 1}) as gateway:
        edge = Edge(gateway)
        async with edge.connection() as (_, writer):
            writer.write(POST + b"Content-Length: 10\r\n\r\ntoken")
            await writer.drain()
            assert (await edge.get("/oauth2/jwks")).status_code == 200
