"""Identifiers of orders: what is read, and each way to be refused."""

import json

import pytest

from gateway.enrollment.identifiers import IdentifierType, names_of, parse_identifiers
from gateway.enrollment.wire_names import ClientUri, Generation, WireNameError
from gateway.errors import Reason, RequestError
from tests.support.wire import DEVICE, DOMAIN, FIRST, NAME, SECOND

FIRST_HANDLE = "im:wireapp=%40alice_wire@wire.com"
SECOND_HANDLE = "wireapp://%40alice_wire@wire.com"


def wire(client_id=SECOND, handle=SECOND_HANDLE, **changes):
    """The JSON of a Wire identifier; a change to None leaves a member out."""
    members = {"name": NAME, "domain": DOMAIN, "client-id": client_id, "handle": handle} | {
        name.replace("_", "-"): value for name, value in changes.items()
    }
    return json.dumps({name: value for name, value in members.items() if value is not None})


def pair(device=None, user=None):
    """The two identifiers of the second generation."""
    return [
        ("wireapp-device", wire() if device is None else device),
        ("wireapp-user", wire(client_id=None) if user is None else user),
    ]


def refusal(pairs):
    """Why *pairs* are refused."""
    with pytest.raises(RequestError) as refused:
        parse_identifiers(pairs)
    return refused.value.reason


def test_the_recorded_identifier_is_read(recorded):
    """The walk-through's one identifier names user and device of the first generation."""
    recorded_value = recorded["responses"][1]["identifiers"][0]

    (identifier,) = parse_identifiers([(recorded_value["type"], recorded_value["value"])])

    assert identifier.value == recorded_value["value"]
    found = names_of((identifier,)).wire
    assert (found.generation, found.display_name, found.domain) == (
        Generation.FIRST,
        "Alice Smith",
        "wire.com",
    )
    assert (found.client.device, found.handle.handle) == (DEVICE, "alice_wire")


@pytest.mark.parametrize("turned", [False, True])
def test_the_second_generation_is_read_in_either_order(turned):
    """Device and user may come in any order, and keep it."""
    pairs = pair()[::-1] if turned else pair()

    identifiers = parse_identifiers(pairs)

    assert [each.type for each in identifiers] == [kind for kind, _ in pairs]
    assert names_of(identifiers).wire.generation is Generation.SECOND


def test_the_separator_may_be_encoded():
    """``%21`` and ``!`` are one; the text is kept as it was sent."""
    client = ClientUri.parse(SECOND.replace("!", "%21"))

    assert client.text == SECOND.replace("!", "%21")
    assert client.normal == SECOND


@pytest.mark.parametrize(
    "pairs",
    [
        pair()[:1],
        pair()[1:],
        [*pair(), ("dns", "example.org")],
        [("wireapp-id", wire(FIRST, FIRST_HANDLE)), *pair()],
        [("wireapp-id", wire(FIRST, FIRST_HANDLE)), ("dns", "example.org")],
        [*pair(), pair()[0]],
        [("dns", "example.org"), ("dns", "EXAMPLE.org")],
        [("ip", "2001:db8::1"), ("ip", "2001:DB8:0::1")],
    ],
)
def test_identifiers_that_do_not_go_together_are_refused(pairs):
    """Half a pair, a mixture, and anything twice."""
    assert refusal(pairs) is Reason.REJECTED_IDENTIFIER


@pytest.mark.parametrize(
    "user",
    [{"name": "Alice Smyth"}, {"domain": "wire.org"}, {"handle": "wireapp://%40bob@wire.com"}],
)
def test_the_pair_must_agree(user):
    """Name, domain and handle of device and user are the same."""
    assert refusal(pair(user=wire(client_id=None, **user))) is Reason.REJECTED_IDENTIFIER


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Alice",
        "[]",
        wire(extra="x"),
        wire(name=None),
        wire(name=""),
        wire(name="Alice\x00"),
        wire(name='Alice", "x": "'[:6] + "\u202e"),
        wire(name="Аlice"),
        wire(name="Alice " + "x" * 60),
        wire(name=7),
        wire(domain="wire.org"),
        wire(domain="Wire.com"),
        wire(domain="*.wire.com"),
        wire(client_id=FIRST),
        wire(handle=FIRST_HANDLE),
        wire(client_id=SECOND.replace("!", "/")),
        wire(client_id=SECOND.replace(DEVICE, DEVICE.upper())),
        wire(client_id=SECOND + "#x"),
        wire(client_id=SECOND.replace("KPrqV67URCOHFKk4yKIXZQ", "KPrqV67URCOHFKk4yKIXZR")),
        wire(client_id=SECOND.replace("@wire.com", "@wire.org")),
        wire(handle="wireapp://%40Alice@wire.com"),
        wire(handle="wireapp://alice@wire.com"),
        wire()[:-1] + ', "name": "Mallory"}',
        "x" * 3000,
    ],
)
def test_a_malformed_device_is_refused(value):
    """JSON that is not strict, members too many or few, names that are not Wire's or not what they show."""
    assert refusal(pair(device=value)) is Reason.REJECTED_IDENTIFIER


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dns", "example..org"),
        ("dns", "exa mple.org"),
        ("dns", "*.*.example.org"),
        ("dns", "10.0.0.1"),
        ("dns", "bücher.example"),
        ("dns", "a" * 254),
        ("ip", "10.0.0.256"),
        ("ip", "fe80::1%eth0"),
        ("ip", "example.org"),
    ],
)
def test_malformed_names_and_addresses_are_refused(kind, value):
    """A DNS name is in A-labels, an address is one."""
    assert refusal([(kind, value)]) is Reason.REJECTED_IDENTIFIER


@pytest.mark.parametrize("kind", ["permanent-identifier", "email", "", "DNS"])
def test_other_types_are_not_certified(kind):
    """What is not known is told apart from what is malformed."""
    assert refusal([(kind, "x")]) is Reason.UNSUPPORTED_IDENTIFIER


def test_names_and_addresses_have_one_spelling():
    """Lower case and RFC 5952, so that the order compares by text."""
    identifiers = parse_identifiers([("dns", "WWW.Example.ORG"), ("ip", "2001:DB8::0:1")])

    assert [each.value for each in identifiers] == ["www.example.org", "2001:db8::1"]
    assert {each.type for each in identifiers} == {IdentifierType.DNS, IdentifierType.IP}


@pytest.mark.parametrize("count", [0, 101])
def test_the_number_of_identifiers_is_bounded(count):
    """At least one, at most a hundred."""
    assert refusal([("dns", f"h{number}.example.org") for number in range(count)]) is Reason.INVALID_FIELD


@pytest.mark.parametrize("text", ["", "Alice", "a", "é", "x" * 257, "a@b"])
def test_a_handle_is_of_few_characters(text):
    """What a handle may not hold would have to be encoded, and then had two spellings."""
    with pytest.raises(WireNameError):
        Generation.SECOND.handle_uri(text, DOMAIN)
