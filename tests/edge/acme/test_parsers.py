"""The parsers of what strangers send, given anything at all: they parse, or say why not, and nothing else."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.acme_payloads import (
    parse_account_change,
    parse_csr,
    parse_deactivation,
    parse_inner_jws,
    parse_order_wish,
)
from gateway.edge.acme_requests import flattened_jws
from gateway.edge.exchange import EdgeRequest, Headers
from gateway.enrollment.accounts import AccountWish, parse_key_change
from gateway.enrollment.answers import parse_answer
from gateway.enrollment.identifiers import parse_identifiers
from gateway.enrollment.revocations import parse_revocation
from gateway.enrollment.signed_requests import parse_signed_request
from gateway.errors import GatewayError
from gateway.jose import base64url
from gateway.principal import ANONYMOUS, Call

BOUNDED = settings(max_examples=300, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    [
        "alg",
        "jwk",
        "kid",
        "nonce",
        "url",
        "identifiers",
        "notBefore",
        "replaces",
        "csr",
        "certificate",
        "reason",
        "status",
        "contact",
        "account",
        "oldKey",
        "id_token",
        "access_token",
        "protected",
        "payload",
        "signature",
        "externalAccountBinding",
    ]
)
OBJECTS = st.dictionaries(MEMBERS, JSON, max_size=6)
PAYLOADS = st.binary(max_size=64) | OBJECTS.map(lambda members: json.dumps(members).encode())
PARSERS = (
    parse_account_change,
    parse_order_wish,
    parse_deactivation,
    parse_csr,
    parse_inner_jws,
    parse_revocation,
    parse_key_change,
    parse_answer,
    AccountWish.parse,
)


def request_with(body: bytes) -> EdgeRequest:
    """A request that could hold a JWS."""
    headers = Headers([("content-type", "application/jose+json")])
    return EdgeRequest(Call(ANONYMOUS, None, "1"), "POST", "/", b"", headers, body, None)


def refuses_or_parses(parse, *arguments) -> None:
    """It returns, or raises what a caller may be told, which is no defect of ours."""
    try:
        parse(*arguments)
    except GatewayError as error:
        assert error.reason != "INTERNAL"  # noqa: PT017 - it may as well not be raised.


@BOUNDED
@given(PAYLOADS)
def test_payloads(payload):
    """Every payload, by every parser."""
    for parse in PARSERS:
        refuses_or_parses(parse, payload)


@BOUNDED
@given(st.binary(max_size=64) | OBJECTS.map(lambda members: json.dumps(members).encode()))
def test_bodies(body):
    """The outer shape of a request."""
    refuses_or_parses(flattened_jws, request_with(body))


@BOUNDED
@given(OBJECTS, PAYLOADS, st.binary(max_size=80))
def test_signed_requests(header, payload, signature):
    """Well-formed in its outer shape, with any header."""
    header = {"alg": "ES256", "url": "https://ca", "nonce": "x", "kid": "https://ca/x"} | header
    body = {
        "protected": base64url.encode(json.dumps(header).encode()),
        "payload": base64url.encode(payload),
        "signature": base64url.encode(signature),
    }

    def parse() -> None:
        parse_signed_request(flattened_jws(request_with(json.dumps(body).encode())))

    refuses_or_parses(parse)


@BOUNDED
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["dns", "ip", "wireapp-id", "wireapp-device", "wireapp-user", "x"]),
            st.text(max_size=40) | OBJECTS.map(json.dumps),
        ),
        max_size=3,
    )
)
def test_identifiers(pairs):
    """Types and values."""
    refuses_or_parses(parse_identifiers, pairs)
