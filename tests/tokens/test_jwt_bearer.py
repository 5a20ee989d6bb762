"""Assertions of trusted issuers (RFC 7523 §2.1), rule by rule."""

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config import ConfigurationError
from gateway.errors import GatewayError, Reason
from gateway.tokens.client import GrantType
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import JwtBearerGrant, TokenRequest
from tests.support import assertions
from tests.support.authorizations import SECRET, web_client
from tests.support.gateway import ISSUER, RESOURCE, call_of, opened_application

PARTNER = "https://partner.example"
KEY = ec.generate_private_key(ec.SECP256R1())


def trusted(**changes):
    return {"issuer": PARTNER, "jwks": "partner.json", "subject_prefix": "partner:"} | changes


@pytest.fixture
async def app(tmp_path, clock):
    """A gateway that trusts a partner."""
    (tmp_path / "partner.json").write_bytes(assertions.jwks_of(KEY))
    async with opened_application(tmp_path, clock=clock, trusted_issuers=[trusted()]) as opened:
        await web_client(opened, grant_types=frozenset({GrantType.JWT_BEARER}))
        yield opened


def claims(now, **changes):
    return assertions.claims(now, **({"iss": PARTNER, "sub": "bob"} | changes))


async def redeem(app, assertion):
    request = TokenRequest(JwtBearerGrant(assertion))
    return await app.minter.mint(call_of(), "web", ClientSecret(SECRET), request)


async def refused(attempt):
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.reason, caught.value.cause


async def test_an_assertion_gives_a_token_for_its_user(app, clock):
    """The subject is told from every other issuer's by the prefix."""
    token = (await redeem(app, assertions.signed(KEY, claims(clock.now)))).token
    assert (token.subject, token.client_id, token.audience) == ("partner:bob", "web", (RESOURCE,))


async def test_an_assertion_is_used_once(app, clock):
    """Of ten at the same time one is accepted."""
    assertion = assertions.signed(KEY, claims(clock.now))
    results = await asyncio.gather(*(redeem(app, assertion) for _ in range(10)), return_exceptions=True)
    failed = [result for result in results if isinstance(result, Exception)]
    assert len(failed) == 9
    assert {(each.reason, each.cause) for each in failed} == {(Reason.INVALID_GRANT, "assertion_replayed")}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"iss": "https://stranger.example"}, "assertion_issuer_not_trusted"),
        ({"iss": PARTNER + "/"}, "assertion_issuer_not_trusted"),
        ({"iss": None}, "assertion_claim_missing"),
        ({"sub": None}, "assertion_claim_missing"),
        ({"sub": ""}, "assertion_claim_invalid"),
        ({"aud": "https://other.example"}, "assertion_audience_mismatch"),
        ({"aud": [ISSUER]}, "assertion_claim_invalid"),
        ({"exp": None}, "assertion_claim_missing"),
        ({"jti": None}, "assertion_claim_missing"),
    ],
)
async def test_claims(app, clock, changes, cause):
    """Each claim by itself."""
    assertion = assertions.signed(KEY, claims(clock.now, **changes))
    assert await refused(redeem(app, assertion)) == (Reason.INVALID_GRANT, cause)


@pytest.mark.parametrize(
    ("name", "offset", "cause"),
    [
        ("exp", -10, "assertion_expired"),
        ("exp", 311, "assertion_lifetime_too_long"),
        ("iat", 11, "assertion_issued_in_future"),
        ("nbf", 11, "assertion_not_yet_valid"),
    ],
)
async def test_times(app, clock, name, offset, cause):
    """With the skew that is configured, and no more."""
    assertion = assertions.signed(KEY, claims(clock.now, **{name: int(clock.now) + offset}))
    assert await refused(redeem(app, assertion)) == (Reason.INVALID_GRANT, cause)


async def test_signatures(app, clock):
    """Another key, another algorithm, none, another kind of JWT."""
    good = claims(clock.now)
    stranger = ec.generate_private_key(ec.SECP256R1())
    other_curve = ec.generate_private_key(ec.SECP521R1())
    for assertion, cause in (
        (assertions.signed(stranger, good), "assertion_signature_invalid"),
        (assertions.signed(other_curve, good, "ES512"), "assertion_alg_not_allowed"),
        (assertions.unsigned({"alg": "none"}, good, b"x"), "assertion_alg_none"),
        (assertions.signed(KEY, good, typ="at+jwt"), "assertion_typ_mismatch"),
        ("x", "assertion_malformed_compact"),
    ):
        assert await refused(redeem(app, assertion)) == (Reason.INVALID_GRANT, cause)


async def test_a_subject_that_is_a_client(tmp_path, clock):
    """Without a prefix a partner could name one of our clients (RFC 9700 §4.15)."""
    (tmp_path / "partner.json").write_bytes(assertions.jwks_of(KEY))
    entries = [trusted(subject_prefix="")]
    async with opened_application(tmp_path, clock=clock, trusted_issuers=entries) as app:
        await web_client(app, grant_types=frozenset({GrantType.JWT_BEARER}))
        assertion = assertions.signed(KEY, claims(clock.now, sub="web"))
        assert (await refused(redeem(app, assertion)))[1] == "assertion_subject_is_a_client"


async def test_clients_can_be_named(tmp_path, clock):
    """Others cannot present that issuer's assertions."""
    (tmp_path / "partner.json").write_bytes(assertions.jwks_of(KEY))
    entries = [trusted(clients=["batch"])]
    async with opened_application(tmp_path, clock=clock, trusted_issuers=entries) as app:
        await web_client(app, grant_types=frozenset({GrantType.JWT_BEARER}))
        assertion = assertions.signed(KEY, claims(clock.now))
        assert (await refused(redeem(app, assertion)))[1] == "assertion_issuer_not_trusted"


async def test_a_key_file_that_cannot_be_read_stops_the_start(tmp_path):
    """The message names the field and the file."""
    with pytest.raises(ConfigurationError, match=r"trusted_issuers\.jwks.*partner\.json"):
        await opened_application(tmp_path, trusted_issuers=[trusted()]).__aenter__()
