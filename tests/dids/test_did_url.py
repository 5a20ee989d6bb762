"""DIDs and DID URLs by the ABNF of DID Core."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids.did_url import (
    MAX_DID,
    MAX_DID_URL,
    parse_did,
    parse_did_url,
    percent_decode,
    resolve_reference,
)
from gateway.dids.errors import DidError, DidFault
from tests.support.dids import refuses

BASE = parse_did("did:example:123")


@pytest.mark.parametrize(
    "text",
    [
        "did:example:123",
        "did:web:a.example%3A8443:b:c",
        "did:a1:-._%20",
        "did:x:a::b",
        "did:x::a",
        "did:x:a:%3A",
        "did:ion:test:abc",
    ],
)
def test_a_did_is_read_as_spelled(text):
    """A DID keeps its spelling, and its method and identifier are its parts."""
    did = parse_did(text)
    assert str(did) == text == f"did:{did.method}:{did.identifier}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did",
        "did:",
        "did:example",
        "did:example:",
        "did:example:a:",
        "did::a",
        "DID:example:a",
        "did:Example:a",
        "did:ex-ample:a",
        "did:example:a b",
        "did:example:%2",
        "did:example:%zz",
        "did:example:ä",
        "did:example:a/b",
        "did:example:a?b",
        "did:example:a#b",
        " did:example:a",
        "did:example:a\n",
        "did:example:" + "a" * MAX_DID,
    ],
)
def test_what_is_no_did_is_refused(text):
    """Everything outside of the ABNF, or longer than the bound, is refused."""
    with refuses(DidFault.INVALID_DID):
        parse_did(text)


def test_the_parts_of_a_did_url():
    """Path, query and fragment come apart as RFC 3986 has them, and together again as spelled."""
    text = "did:example:123/a/b?service=files&relativeRef=%2Fx#key-1"
    url = parse_did_url(text)
    assert (url.did, url.path, url.fragment) == (BASE, "/a/b", "key-1")
    assert url.query == "service=files&relativeRef=%2Fx"
    assert (url.parameter("service"), url.parameter("relativeRef")) == ("files", "/x")
    assert str(url) == text


def test_absent_and_empty_parts_differ():
    """An empty query or fragment is one, and an absent one is None."""
    assert parse_did_url("did:example:123").query is None
    assert parse_did_url("did:example:123?#").query == ""
    assert parse_did_url("did:example:123?#").fragment == ""
    assert parse_did_url("did:example:123#a?b/c").fragment == "a?b/c"


@pytest.mark.parametrize(
    "text",
    [
        "did:example:123#a#b",
        "did:example:123/a b",
        "did:example:123?a=%zz",
        "did:example:123#ü",
        "did:example:123/[",
        "did:example:123#" + "a" * MAX_DID_URL,
    ],
)
def test_what_is_no_did_url_is_refused(text):
    """A character outside of its part's alphabet refuses the DID URL."""
    with refuses(DidFault.INVALID_DID_URL):
        parse_did_url(text)


def test_a_repeated_parameter_is_refused():
    """Two readers could take different ones of two values, so neither is taken."""
    with refuses(DidFault.INVALID_DID_URL):
        parse_did_url("did:example:123?service=a&service=b").parameter("service")


def test_an_absent_parameter_is_none():
    """A parameter that is not there has no value, with and without a query."""
    assert parse_did_url("did:example:123").parameter("service") is None
    assert parse_did_url("did:example:123?a=b+c").parameter("service") is None
    assert parse_did_url("did:example:123?a=b+c").parameter("a") == "b+c"


@pytest.mark.parametrize(
    ("reference", "absolute"),
    [
        ("#key-1", "did:example:123#key-1"),
        ("?service=x", "did:example:123?service=x"),
        ("/path#f", "did:example:123/path#f"),
        ("did:other:9#k", "did:other:9#k"),
    ],
)
def test_a_relative_url_is_resolved_against_the_did(reference, absolute):
    """A relative DID URL belongs to the DID it stands under, and an absolute one keeps its own."""
    assert str(resolve_reference(reference, BASE)) == absolute


@pytest.mark.parametrize("reference", ["", "key-1", "../x", "http://a.example/#k", "#" + "a" * MAX_DID_URL])
def test_a_reference_that_would_merge_into_the_identifier_is_refused(reference):
    """A rootless path is no relative DID URL."""
    with refuses(DidFault.INVALID_DID_URL):
        resolve_reference(reference, BASE)


def test_escapes_are_utf8():
    """Percent escapes decode to UTF-8, and other octets are refused."""
    assert percent_decode("%C3%A4%2F") == "ä/"
    with refuses(DidFault.INVALID_DID_URL):
        percent_decode("%FF")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"did:[a-z]{1,5}:[a-z:%?#/0-9]{0,40}", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    """Whatever comes in, the parser returns the same text or raises its own error."""
    for parse in (parse_did, parse_did_url):
        with contextlib.suppress(DidError):
            assert str(parse(text)) == text
