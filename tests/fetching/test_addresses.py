"""Which addresses a stranger's name may lead to."""

from ipaddress import IPv4Network, ip_address

import pytest

from gateway.fetching.addresses import is_public, parse_inner_network, parse_literal, require_reachable
from gateway.fetching.errors import FetchError, FetchFault

REFUSED = [
    "0.0.0.0",  # noqa: S104 - an input that is refused, not a bind.
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba Cloud's instance metadata.
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # Oracle Cloud's instance metadata.
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible.
    "::ffff:127.0.0.1",  # IPv4-mapped, also of a public address: one spelling is enough.
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",  # NAT64.
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo.
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4.
    "2002:808:808::1",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # Amazon's instance metadata.
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("text", REFUSED)
def test_special_addresses_are_not_public(text):
    """Every special-purpose range is refused, at its edges too."""
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_global_unicast_is_public(text):
    """Neighbors of the special ranges, and well-known public servers, are allowed."""
    assert is_public(ip_address(text))


def test_one_inner_answer_refuses_the_host():
    """A name that is public and private at once is refused whole."""
    with pytest.raises(FetchError) as caught:
        require_reachable([ip_address("1.1.1.1"), ip_address("10.0.0.1")], host="both.example.org")
    assert caught.value.fault is FetchFault.ADDRESS_REFUSED
    assert caught.value.host == "both.example.org"


def test_an_opened_network_is_reachable_and_no_other():
    """What the operator opened for a host is let through; its neighbors are not."""
    inner = [IPv4Network("10.1.0.0/16")]
    require_reachable([ip_address("10.1.2.3")], host="idp.corp", inner=inner)
    with pytest.raises(FetchError):
        require_reachable([ip_address("10.2.0.1")], host="idp.corp", inner=inner)


@pytest.mark.parametrize("text", ["10.1.0.0/16", "100.64.0.0/24", "192.168.1.0/24", "fd12:3456::/32"])
def test_private_networks_can_be_opened(text):
    """Private networks of RFC 1918, RFC 6598 and RFC 4193 may be opened by configuration."""
    assert str(parse_inner_network(text)) == text


@pytest.mark.parametrize(
    "text",
    ["127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/0", "8.8.8.0/24", "fe80::/10", "::/0", "10.0.0.1/8", "ten"],
)
def test_nothing_else_can_be_opened(text):
    """Loopback, link-local and everything wider stay closed, whatever configuration says."""
    with pytest.raises(ValueError, match=r".+"):
        parse_inner_network(text)


@pytest.mark.parametrize(
    "text", ["127.1", "0177.0.0.1", "2130706433", "0x7f000001", "::FFFF:1", "0:0::1", " ::1"]
)
def test_only_the_canonical_spelling_is_a_literal(text):
    """Odd spellings of an address are no literals."""
    assert parse_literal(text) is None
