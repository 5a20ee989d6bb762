"""Whatever a sender writes is refused as a sender's fault: no other error escapes."""

import asyncio

import pytest
from countersign.resource_server import AccessRefusedError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clients.resource_server.conftest import METHOD, ORIGIN, Issuer, encoded, request, verifier
from tests.clients.resource_server.test_dpop import ath
from tests.support.dpop import Prover

ISSUED = Issuer(Prover.es256())
PROVER = Prover.es256()
BOUND = ISSUED.token(cnf={"jkt": PROVER.jkt})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([PROVER.jkt, ORIGIN + METHOD, "ES256", "EC", "P-256", 10**400, -1]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["jkt", "x5t#S256", "kty", "crv", "x", "y", "n", "e", "act", "sub"]), inner
        )
    ),
    max_leaves=6,
)


def refused(call):
    """The call is refused, and by a rule."""
    with pytest.raises(AccessRefusedError) as caught:
        asyncio.run(verifier(ISSUED).verify(call))
    assert caught.value.status in {400, 401}
    for challenge in caught.value.challenges:
        assert challenge.isascii()
        assert challenge.count('"') % 2 == 0


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "kid", "crit", "jwk"]), VALUES, max_size=2),
    st.dictionaries(
        st.sampled_from(
            ["iss", "aud", "exp", "nbf", "iat", "scope", "cnf", "act", "amr", "auth_time", "jti"]
        ),
        VALUES,
        max_size=3,
    ),
)
def test_tokens(header, claims):
    """Any JSON in the place of any claim or header parameter, signed with the gateway's key."""
    token = ISSUED.token(header, **claims)
    refused(request(token))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "crit"]), VALUES, max_size=2),
    st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nbf", "exp"]), VALUES, min_size=1),
)
def test_proofs(header, claims):
    """Any JSON in the place of any part of a proof, signed with the bound key; iat is of the past."""
    members = {"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(PROVER.jwk)} | header
    good = {"jti": "1", "htm": "POST", "htu": ORIGIN + METHOD, "iat": 1, "ath": ath(BOUND)} | claims
    refused(request(BOUND, PROVER.signed(encoded(members), encoded(good)), scheme="DPoP"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(max_size=40), max_size=2),
    st.lists(st.text(max_size=40), max_size=2),
    st.text(max_size=20),
)
def test_headers(authorization, dpop, path):
    """Any text in the headers and in the path."""
    refused(request("", *dpop, authorization=tuple(authorization), path=path))
    refused(request(BOUND, *dpop, scheme="DPoP", path=path))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_octets(header, payload):
    """Any octets for header and payload."""
    token = ISSUED.prover.signed(header, payload)
    refused(request(token))
    refused(request(BOUND, token, scheme="DPoP"))
