"""Which peers count as one."""

import pytest

from gateway.limits.peers import UNKNOWN, AddressSet, site_of, site_of_forwarded, site_of_peer


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", UNKNOWN),
        ("@abstract", UNKNOWN),
    ],
)
def test_addresses_of_one_site(host, site):
    """An IPv4 address stands for itself however it is written, an IPv6 address for its /64."""
    assert site_of(host) == site


@pytest.mark.parametrize(
    ("peer", "site"),
    [
        ("ipv4:192.0.2.1:50123", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:50123", "2001:db8::/64"),
        ("ipv6:[2001:db8::1]:50123", "2001:db8::/64"),
        ("192.0.2.1:50123", "192.0.2.1"),
        ("2001:db8::1:50123", "2001:db8::/64"),
        ("unix:/run/a", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_peers_as_both_doors_write_them(peer, site):
    """The port does not count, and gRPC's spelling of an address is the edge's address."""
    assert site_of_peer(peer) == site


@pytest.mark.parametrize(
    ("entry", "site"),
    [
        (" 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:50123", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("[2001:db8::1]:50123\t", "2001:db8::/64"),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_addresses_as_proxies_write_them(entry, site):
    """Some add a port, some brackets; what is no address is one caller with all others of its kind."""
    assert site_of_forwarded(entry) == site


@pytest.mark.parametrize(
    ("host", "included"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("198.51.100.1", True),
        ("198.51.100.2", False),
        ("2001:db8::1", True),
        ("fe80::1%eth0", True),
        ("2001:db9::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_sets_of_addresses(host, included):
    """Networks and single addresses, whatever way a host is written; a name is in none."""
    known = AddressSet(["192.0.2.0/24", "198.51.100.1", "2001:db8::/32", "fe80::/10"])
    assert known.includes(host) is included
    assert AddressSet().includes(host) is False
