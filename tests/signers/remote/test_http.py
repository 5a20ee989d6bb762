"""The HTTP client of signers: what it refuses, and what it never follows."""

import asyncio

import pytest

from signers import KeyUnusableError, KeyUriError, SignerTimeoutError, SignerUnavailableError
from signers.remote import connection, http
from signers.remote.http import HttpService, require_base_url
from tests.support.pki import Authority
from tests.support.scripted_server import ScriptedServer, redirect, reply, server_context


@pytest.fixture(scope="module")
def authority():
    return Authority.root()


@pytest.fixture
async def server(authority):
    async with ScriptedServer(tls=server_context(authority.server())) as made:
        yield made


@pytest.fixture
async def service(server, authority, tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.pem)
    made = HttpService(f"https://127.0.0.1:{server.port}", name="test:", ca_file=ca_file)
    yield made
    await made.aclose()


async def test_request_and_reply(server, service):
    """Method, path, headers and body arrive as they are, and so do status, headers and body."""
    server.routes["/v1/a%2Fb"] = reply(418, b"short", headers={"Retry-After": "7"})
    got = await service.request("POST", "/v1/a%2Fb", headers={"X-Token": "t"}, body=b"content")
    assert (got.status, got.headers["retry-after"], got.body) == (418, "7", b"short")
    (received,) = server.requests
    assert (received.method, received.target, received.body) == ("POST", "/v1/a%2Fb", b"content")
    assert received.headers["x-token"] == "t"
    assert received.headers["accept-encoding"] == "identity"


async def test_redirects_are_not_followed(server, service):
    """A redirect is a reply like any other; nothing is sent where it points, least of all a credential."""
    server.routes["/a"] = redirect(f"https://127.0.0.1:{server.port}/b", 307)
    assert (await service.request("POST", "/a", body=b"")).status == 307
    assert [each.target for each in server.requests] == ["/a"]


async def test_unknown_certificate_is_refused(server):
    """A server whose certificate is from another authority gets no request."""
    other = HttpService(f"https://127.0.0.1:{server.port}", name="test:")
    with pytest.raises(SignerUnavailableError, match="certificate"):
        await other.request("GET", "/")
    await other.aclose()
    assert server.requests == []


async def test_certificate_of_another_host_is_refused(authority, tmp_path):
    """A certificate of the right authority for another address is refused."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.pem)
    context = server_context(authority.server(name="other.example", ips=("127.0.0.9",)))
    async with ScriptedServer(tls=context) as server:
        service = HttpService(f"https://127.0.0.1:{server.port}", name="test:", ca_file=ca_file)
        with pytest.raises(SignerUnavailableError, match="certificate"):
            await service.request("GET", "/")
        await service.aclose()
    assert server.requests == []


async def test_proxies_of_the_environment_are_not_used(server, service, monkeypatch):
    """What HTTPS_PROXY says moves no credential."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    server.routes["/"] = reply()
    assert (await service.request("GET", "/")).status == 200


async def test_long_replies_are_cut_off(server, service):
    """A reply beyond the bound is not read to its end."""
    server.routes["/"] = reply(body=bytes(connection.MAX_REPLY + 1))
    with pytest.raises(SignerUnavailableError, match="larger"):
        await service.request("GET", "/")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"garbage\r\n\r\n"],
    ids=["closed", "cut off", "no HTTP"],
)
async def test_replies_that_are_none(server, service, answer):
    """A connection that ends early or speaks no HTTP is an outage, not a reply."""
    server.routes["/"] = answer
    with pytest.raises(SignerUnavailableError):
        await service.request("GET", "/")


async def test_nobody_listens(server, service):
    """A refused connection is an outage."""
    service_port = server.port
    server._server.close()
    await server._server.wait_closed()
    with pytest.raises(SignerUnavailableError):
        await service.request("GET", "/")
    assert service_port


async def test_connection_that_hangs(authority, monkeypatch):
    """A server that takes the connection and says nothing is given up after the time to connect."""
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.1)
    accepted = asyncio.Event()

    async def silent(_reader, writer):
        accepted.set()
        await asyncio.sleep(5)
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    service = HttpService(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}", name="test:")
    with pytest.raises(SignerTimeoutError):
        await service.request("GET", "/")
    assert accepted.is_set()
    await service.aclose()
    listener.close()


async def test_cancelled_requests_give_their_connection_back(server, service):
    """Requests that are given up leave the pool as it was."""
    release = asyncio.Event()

    async def hang(_, writer):
        await release.wait()
        writer.write(reply())

    server.routes["/hang"] = hang
    server.routes["/"] = reply()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await service.request("GET", "/hang")
    async with asyncio.timeout(5):
        assert (await service.request("GET", "/")).status == 200
    release.set()


async def test_ca_file_that_is_none(tmp_path):
    """A CA file that is missing or holds no certificate is named."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (tmp_path / "missing.pem", empty):
        with pytest.raises(KeyUnusableError, match=path.name):
            HttpService("https://127.0.0.1", name="test:", ca_file=path)


@pytest.mark.parametrize(
    "url",
    ["https://bao.internal:8200", "https://[::1]:8200/prefix/", "http://127.0.0.1:8200", "http://[::1]:1"],
)
def test_base_urls(url):
    """An address may be https anywhere, and http to this machine's own addresses."""
    assert require_base_url(url, "address") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://bao.internal:8200",
        "http://10.0.0.1",
        "http://localhost.example",
        "ftp://bao.internal",
        "bao.internal:8200",
        "https:///path",
        "https://user:password@bao.internal",
        "https://bao.internal?token=a",
        "https://bao.internal#a",
        "https://bao.internal:port",
        "https://[::1",
    ],
)
def test_base_urls_that_are_refused(url):
    """Plain text to another machine, credentials, queries and what is no URL; the value is not repeated."""
    with pytest.raises(KeyUriError, match="address") as caught:
        require_base_url(url, "address")
    assert url not in str(caught.value)


async def test_connections_are_used_again(authority, tmp_path):
    """Requests one after another share a connection; those at once have as many as are allowed."""
    connections = 0
    release = asyncio.Event()
    release.set()

    async def serve(reader, writer):
        nonlocal connections
        connections += 1
        while await reader.read(65536):
            await release.wait()
            writer.write(reply())
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    service = HttpService(url, name="test:", connections=3)
    for _ in range(5):
        await service.request("GET", "/")
    assert connections == 1
    await asyncio.gather(*(service.request("GET", "/") for _ in range(20)))
    assert connections == 3
    await service.aclose()
    await service.aclose()
    listener.close()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("a", {}),
        ("/", {"X": "a\r\nY: b"}),
        ("/", {"X": "a\nb"}),
        ("/", {"X\r\nY": "a"}),
        ("/", {"X": "\u00e9"}),
        ("/", {"X": ""}),
    ],
)
async def test_requests_that_cannot_be_sent(server, service, path, headers):
    """What could end a line of the request is refused before anything is sent; no value is repeated."""
    with pytest.raises(KeyUnusableError) as caught:
        await service.request("GET", path, headers=headers)
    assert "Y: b" not in str(caught.value)
    assert server.connections == 0
