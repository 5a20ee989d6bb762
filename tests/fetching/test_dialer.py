"""Names to checked addresses, and connections to exactly those."""

import asyncio
import ssl
from ipaddress import ip_address

import pytest

from gateway.fetching import (
    DangerousLoopbackDoor,
    FetchError,
    FetchFault,
    FetchPolicy,
    FetchRequest,
    GuardedClient,
    GuardedDialer,
    parse_inner_network,
)
from gateway.fetching.dialer import MAX_ATTEMPTS
from tests.support.pki import SERVER_AUTH
from tests.support.scripted_server import ScriptedServer, redirect, reply, server_context

PUBLIC = ("93.184.215.14", "2606:2800:220:1::1")


class Answers:
    """A resolver that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers):
        self.answers = [[ip_address(text) for text in answer] for answer in answers]
        self.asked = []

    async def addresses(self, host):
        self.asked.append(host)
        return tuple(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.fixture
async def internet(monkeypatch):
    """Leads connections to public addresses to loopback, at `internet.port`; lists where they meant to go.

    This stands for the route into the network alone: the sockets, the TLS and the server are real.
    """

    class Internet:
        port = 0
        refusing: frozenset[str] = frozenset()

        def __init__(self):
            self.reached = []

    network = Internet()
    loop = asyncio.get_running_loop()
    connect = type(loop).sock_connect

    async def sock_connect(self, connection, address):
        network.reached.append(address)
        if address[0] in network.refusing:
            raise ConnectionRefusedError
        await connect(self, connection, ("127.0.0.1", network.port))

    monkeypatch.setattr(type(loop), "sock_connect", sock_connect)
    return network


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        [PUBLIC[0], "192.168.0.1"],
    ],
)
async def test_names_that_lead_inside(answer):
    """A name with any inner address is refused before a connection is tried."""
    dialer = GuardedDialer(Answers(answer))
    with pytest.raises(FetchError) as caught:
        await dialer.dial("data.example.org", 443)
    assert caught.value.fault is FetchFault.ADDRESS_REFUSED


async def test_rebinding_finds_no_second_lookup(internet, authority):
    """A name that answers public, then private, is asked once, and the public address is connected to."""
    resolver = Answers([PUBLIC[0]], ["127.0.0.1"])
    client = GuardedClient(resolver)
    client._public_trust.load_verify_locations(cadata=authority.pem.decode())
    async with ScriptedServer(tls=server_context(authority.server("data.example.org"))) as server:
        internet.port = server.port
        server.routes["/"] = reply()
        fetched = await client.fetch(FetchRequest("https://data.example.org/"))
    assert fetched.status == 200
    assert resolver.asked == ["data.example.org"]
    assert internet.reached == [(PUBLIC[0], 443)]
    assert server.server_names == ["data.example.org"]
    assert server.requests[0].headers["host"] == "data.example.org"


async def test_rebinding_between_redirects(internet, authority):
    """A redirect is resolved and checked anew: a name that has turned inward by then is refused."""
    resolver = Answers([PUBLIC[0]], ["10.0.0.1"])
    client = GuardedClient(resolver)
    client._public_trust.load_verify_locations(cadata=authority.pem.decode())
    async with ScriptedServer(tls=server_context(authority.server("data.example.org"))) as server:
        internet.port = server.port
        server.routes["/"] = redirect("/again")
        with pytest.raises(FetchError) as caught:
            await client.fetch(FetchRequest("https://data.example.org/"), FetchPolicy(max_redirects=3))
    assert caught.value.fault is FetchFault.ADDRESS_REFUSED
    assert server.connections == 1


async def test_the_next_address_is_tried(internet):
    """An address that refuses is followed by the next one."""
    internet.refusing = frozenset({PUBLIC[0]})
    dialer = GuardedDialer(Answers([PUBLIC[0], "93.184.215.15"]))
    async with ScriptedServer() as server:
        internet.port = server.port
        connection = await dialer.dial("data.example.org", 443)
        connection.close()
    assert [address for address, _ in internet.reached] == [PUBLIC[0], "93.184.215.15"]


async def test_the_attempts_are_bounded(internet):
    """A name with many dead addresses costs a few attempts."""
    addresses = [f"93.184.215.{index}" for index in range(1, 20)]
    internet.refusing = frozenset(addresses)
    with pytest.raises(FetchError) as caught:
        await GuardedDialer(Answers(addresses)).dial("data.example.org", 443)
    assert caught.value.fault is FetchFault.CONNECT_FAILED
    assert len(internet.reached) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    "host", ["localhost", "0x7f.1", "2130706433", "data.example.org.", "a b.example", ""]
)
async def test_odd_hosts_are_not_resolved(host):
    """The dialer takes canonical hosts only, whoever calls it."""
    resolver = Answers([PUBLIC[0]])
    with pytest.raises(FetchError) as caught:
        await GuardedDialer(resolver).dial(host, 443)
    assert caught.value.fault is FetchFault.HOST_REFUSED
    assert resolver.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.1.2.3", "fe80::1"])
async def test_inner_literals_are_refused(host):
    """An IP identifier is checked as an answer of DNS would be."""
    with pytest.raises(FetchError) as caught:
        await GuardedDialer(Answers([PUBLIC[0]])).resolve(host)
    assert caught.value.fault is FetchFault.ADDRESS_REFUSED


@pytest.mark.parametrize("host", PUBLIC)
async def test_public_literals_are_their_own_address(host):
    """A public IP identifier needs no DNS."""
    assert await GuardedDialer(Answers(["127.0.0.1"])).resolve(host) == (ip_address(host),)


async def test_an_inner_host_may_be_opened_by_name():
    """The operator's host may lead into its network, and nowhere else; other hosts gain nothing."""
    inner = {"idp.corp": [parse_inner_network("10.1.0.0/16")]}
    assert await GuardedDialer(Answers(["10.1.0.9"]), inner_hosts=inner).resolve("idp.corp")
    for host, answer in [
        ("idp.corp", "10.2.0.1"),
        ("idp.corp", "127.0.0.1"),
        ("evil.example.org", "10.1.0.9"),
    ]:
        with pytest.raises(FetchError) as caught:
            await GuardedDialer(Answers([answer]), inner_hosts=inner).resolve(host)
        assert caught.value.fault is FetchFault.ADDRESS_REFUSED


async def test_roots_of_the_company_are_for_inner_hosts(internet, authority):
    """A root that the operator adds vouches for the inner hosts and not for the rest of the world."""
    inner = {"idp.corp": [parse_inner_network("10.1.0.0/16")]}
    leaf = authority.leaf("both", dns=("idp.corp", "data.example.org"), extended_key_usage=(SERVER_AUTH,))
    async with ScriptedServer(tls=server_context(leaf)) as server:
        internet.port = server.port
        server.routes["/"] = reply()
        resolver = Answers(["10.1.0.9"], [PUBLIC[0]])
        client = GuardedClient(resolver, inner_hosts=inner, ca_pem=authority.pem.decode())
        assert (await client.fetch(FetchRequest("https://idp.corp/"))).status == 200
        with pytest.raises(FetchError) as caught:
            await client.fetch(FetchRequest("https://data.example.org/"))
    assert caught.value.fault is FetchFault.CERTIFICATE_REFUSED


async def test_a_tls_alpn_handshake_on_a_dialed_socket(authority):
    """A dialed socket carries a handshake of the caller's own, as ACME tls-alpn-01 needs."""
    tls = server_context(authority.server("data.example.test"))
    tls.set_alpn_protocols(["acme-tls/1"])
    async with ScriptedServer(tls=tls) as server:
        door = DangerousLoopbackDoor(frozenset({"data.example.test"}), port_map={443: server.port})
        connection = await GuardedDialer(Answers([]), door=door).dial("data.example.test", 443)
        context = ssl.create_default_context(cadata=authority.pem.decode())
        context.set_alpn_protocols(["acme-tls/1"])
        _, writer = await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname="data.example.test"
        )
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "acme-tls/1"
        writer.close()
