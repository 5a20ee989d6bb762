"""The certificate that a trusted TLS terminator forwards, in every spelling, and from nobody else."""

import base64
import textwrap
from urllib.parse import quote, quote_plus

import pytest

from gateway.pki import x5t_s256
from tests.support.edge import INTROSPECT, TOKEN, Edge, register
from tests.support.gateway import API, CALLERS, RunningGateway, running_gateway
from tests.support.pki import Issued

PROXY = "spiffe://example.org/proxy"
HEADER = "x-wso2-mtls-cert"
DATA = {"grant_type": "client_credentials", "client_id": "behind"}


@pytest.fixture
async def gateway(tmp_path):
    """A gateway behind a terminator, with one client."""
    terminator = {"trusted": [PROXY], "header": HEADER, "format": "pem"}
    async with running_gateway(tmp_path, terminator=terminator, callers=CALLERS) as running:
        async with running.client(running.admin) as admin:
            await register(admin, "behind")
        yield running


@pytest.fixture
def proxy(gateway: RunningGateway) -> Issued:
    """The terminator's own certificate."""
    return gateway.root.leaf("proxy", uris=(PROXY,))


@pytest.fixture
def client(gateway: RunningGateway) -> Issued:
    """The client's certificate."""
    return gateway.root.leaf(dns=("behind.example.org",))


def one_line(issued: Issued) -> str:
    return issued.pem.decode().replace("\n", "")


SPELLINGS = {
    "in one line": one_line,
    "folded with spaces": lambda issued: " ".join(issued.pem.decode().split("\n")).strip(),
    "folded with tabs": lambda issued: "\t".join(issued.pem.decode().split("\n")).strip(),
    "with escaped line ends": lambda issued: issued.pem.decode().replace("\n", "\\n"),
    "percent-encoded": lambda issued: quote(issued.pem.decode(), safe=""),
    "encoded as a form": lambda issued: quote_plus(issued.pem.decode()),
    "bare base64": lambda issued: base64.b64encode(issued.der).decode(),
    "bare base64 in groups": lambda issued: " ".join(
        textwrap.wrap(base64.b64encode(issued.der).decode(), 64)
    ),
}


@pytest.mark.parametrize("name", [HEADER, HEADER.upper(), "X-Wso2-Mtls-Cert"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_spellings(gateway, proxy, client, spelling, name):
    """However the certificate is written, and in whatever letter case its header, it is the client's."""
    edge = Edge(gateway)
    headers = {name: SPELLINGS[spelling](client)}
    response = await edge.post(TOKEN, identity=proxy, headers=headers, data=DATA)
    token = response.json()["access_token"]
    answer = (await edge.post(INTROSPECT, identity=gateway.api, data={"token": token})).json()
    assert answer["cnf"] == {"x5t#S256": x5t_s256(client.der)}


def folded_request(certificate: str, extra: str = "") -> bytes:
    """A token request whose header goes on over many lines, as nginx writes it."""
    value = certificate.strip().replace("\n", "\r\n\t")
    body = "grant_type=client_credentials&client_id=behind"
    return (
        f"POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\n{HEADER}: {value}\r\n{extra}Connection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_a_header_of_many_lines(gateway, proxy, client):
    """A terminator may fold the header over lines, which HTTP forbids everybody else (RFC 9112 §5.2)."""
    edge, request = Edge(gateway), folded_request(client.pem.decode())
    assert (await edge.raw(request, identity=proxy)).startswith(b"HTTP/1.1 200")
    assert (await edge.raw(request[:700], request[700:], identity=proxy)).startswith(b"HTTP/1.1 200")
    assert (await edge.raw(request, identity=gateway.api)).startswith(b"HTTP/1.1 400")
    assert (await edge.raw(request)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("octet", ["\x00", "\x0b", "\x1b", "\x7f"])
async def test_control_characters_from_the_terminator(gateway, proxy, client, octet):
    """Folding is all that a terminator may do beyond the others."""
    request = folded_request(client.pem.decode(), f"X-Any: a{octet}b\r\n")
    assert (await Edge(gateway).raw(request, identity=proxy)).startswith(b"HTTP/1.1 400")


async def test_two_headers(gateway, proxy, client):
    """Two certificates are refused, even if they are the same."""
    edge = Edge(gateway)
    headers = [(HEADER, one_line(client)), (HEADER.upper(), one_line(client))]
    response = await edge.post(TOKEN, identity=proxy, headers=headers, data=DATA)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert edge.cause(response) == ("TERMINATOR_HEADER_REFUSED", "header_duplicate")


async def test_from_somebody_else(gateway, client):
    """A sender that is not the terminator is refused, on either port; it is not ignored."""
    edge = Edge(gateway)
    for identity in (None, gateway.api, client):
        headers = {HEADER: one_line(client)}
        response = await edge.post(TOKEN, identity=identity, headers=headers, data=DATA)
        assert edge.cause(response) == ("TERMINATOR_HEADER_REFUSED", "header_from_untrusted_sender")


async def test_without_the_header(gateway, proxy):
    """The terminator's own certificate is not its client's."""
    edge = Edge(gateway)
    response = await edge.post(TOKEN, identity=proxy, data=DATA)
    assert edge.cause(response) == ("INVALID_CLIENT", "certificate_missing")


async def test_a_trailer_is_not_the_header(gateway, proxy, client):
    """A terminator that strips the header from the head may let it pass as a trailer: it does not count."""
    edge = Edge(gateway)
    body = b"grant_type=client_credentials&client_id=behind"
    answer = await edge.raw(
        f"POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
        + b"%x\r\n%s\r\n0\r\n" % (len(body), body)
        + f"{HEADER}: {one_line(client)}\r\n\r\n".encode(),
        identity=proxy,
    )
    assert answer.startswith(b"HTTP/1.1 401")


async def test_a_caller_behind_the_terminator(gateway, proxy):
    """A resource server behind the terminator is the caller, with its own roles."""
    edge = Edge(gateway)
    headers = {HEADER: one_line(gateway.api)}
    response = await edge.post(INTROSPECT, identity=proxy, headers=headers, data={"token": "x"})
    assert response.json() == {"active": False}
    assert gateway.log.records[-1].caller == API
