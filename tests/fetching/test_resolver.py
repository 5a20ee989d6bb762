"""DNS lookups against a real nameserver on loopback."""

import pytest

from gateway.fetching import DnsResolver, FetchError, FetchFault, GuardedDialer
from gateway.fetching.resolver import MAX_ADDRESSES, MAX_TXT_RECORDS
from tests.support.scripted_server import ScriptedDns

NAME = "data.example.org"


@pytest.fixture
async def nameserver():
    async with ScriptedDns() as running:
        yield running


@pytest.fixture
def resolver(nameserver):
    return DnsResolver([nameserver.address], timeout=1.0)


async def fault_of(lookup):
    with pytest.raises(FetchError) as caught:
        await lookup
    return caught.value.fault


async def test_both_families(nameserver, resolver):
    """A and AAAA records are found, version 4 first, each asked once and by the name as it is."""
    nameserver.records = {(NAME, "A"): ["1.1.1.1", "1.0.0.1"], (NAME, "AAAA"): ["2606:4700::1"]}
    addresses = await resolver.addresses(NAME)
    assert sorted(map(str, addresses[:2])) == ["1.0.0.1", "1.1.1.1"]
    assert str(addresses[2]) == "2606:4700::1"
    assert sorted(nameserver.asked) == [(NAME, "A"), (NAME, "AAAA")]


@pytest.mark.parametrize(("kind", "text"), [("A", "1.1.1.1"), ("AAAA", "2606:4700::1")])
async def test_one_family(nameserver, resolver, kind, text):
    """A host of one family has its addresses, also where the lookup of the other fails."""
    nameserver.records = {(NAME, kind): [text]}
    assert [str(each) for each in await resolver.addresses(NAME)] == [text]
    nameserver.failing = {(NAME, "A"), (NAME, "AAAA")} - {(NAME, kind)}
    assert [str(each) for each in await resolver.addresses(NAME)] == [text]


async def test_an_unknown_name(resolver):
    """A name that does not exist is NAME_NOT_FOUND, which waiting does not mend."""
    assert await fault_of(resolver.addresses(NAME)) is FetchFault.NAME_NOT_FOUND


async def test_a_name_without_addresses(nameserver, resolver):
    """So is a name that has other records only."""
    nameserver.records = {(NAME, "TXT"): ['"x"']}
    assert await fault_of(resolver.addresses(NAME)) is FetchFault.NAME_NOT_FOUND


async def test_a_failing_nameserver(nameserver, resolver):
    """SERVFAIL for both families is DNS_FAILED."""
    nameserver.failing = {(NAME, "A"), (NAME, "AAAA")}
    assert await fault_of(resolver.addresses(NAME)) is FetchFault.DNS_FAILED


async def test_a_silent_nameserver(nameserver):
    """A nameserver that never answers costs the timeout."""
    nameserver.silent = {NAME}
    resolver = DnsResolver([nameserver.address], timeout=0.2)
    assert await fault_of(resolver.addresses(NAME)) is FetchFault.DNS_FAILED


async def test_too_many_addresses(nameserver, resolver):
    """An answer with very many addresses is refused."""
    nameserver.records = {(NAME, "A"): [f"1.1.1.{index}" for index in range(MAX_ADDRESSES + 1)]}
    assert await fault_of(resolver.addresses(NAME)) is FetchFault.DNS_ANSWER_TOO_LARGE


@pytest.mark.parametrize(("kind", "text"), [("A", "127.0.0.1"), ("AAAA", "::1"), ("AAAA", "64:ff9b::a00:1")])
async def test_inner_answers_meet_the_dialer(nameserver, resolver, kind, text):
    """What DNS answers is checked: a public name with an inner address is refused."""
    nameserver.records = {(NAME, "A"): ["1.1.1.1"], (NAME, kind): [text]}
    assert await fault_of(GuardedDialer(resolver).dial(NAME, 443)) is FetchFault.ADDRESS_REFUSED


async def test_txt_records(nameserver, resolver):
    """TXT records come as octets, the strings of each record joined."""
    nameserver.records = {(f"_acme-challenge.{NAME}", "TXT"): ['"one"', '"tw" "o"']}
    assert sorted(await resolver.txt(f"_acme-challenge.{NAME}")) == [b"one", b"two"]


async def test_no_txt_records(nameserver, resolver):
    """A name without TXT records, existing or not, has none."""
    assert await resolver.txt(f"_acme-challenge.{NAME}") == ()
    nameserver.records = {(NAME, "A"): ["1.1.1.1"]}
    assert await resolver.txt(NAME) == ()


async def test_txt_failures(nameserver, resolver):
    """A failing nameserver is not an empty answer."""
    nameserver.failing = {(NAME, "TXT")}
    assert await fault_of(resolver.txt(NAME)) is FetchFault.DNS_FAILED


async def test_too_many_txt_records(nameserver, resolver):
    """Very many TXT records are refused."""
    nameserver.records = {(NAME, "TXT"): [f'"{index}"' for index in range(MAX_TXT_RECORDS + 1)]}
    assert await fault_of(resolver.txt(NAME)) is FetchFault.DNS_ANSWER_TOO_LARGE


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".org", "bücher.example", "a." * 200])
async def test_what_is_no_name(resolver, nameserver, name):
    """What DNS cannot carry is not asked."""
    assert await fault_of(resolver.txt(name)) is FetchFault.HOST_REFUSED
    assert nameserver.asked == []
