"""Access tokens verified offline: each rule broken alone, with tokens made for it."""

import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from countersign import Actor
from countersign.resource_server import (
    AccessRefusedError,
    Fault,
    InsufficientScopeError,
    InvalidTokenError,
    MalformedRequestError,
    TokenMissingError,
)
from countersign.resource_server.certificate import certificate_thumbprint
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.jose import base64url
from tests.clients.resource_server.conftest import Issuer, encoded, request, verifier
from tests.support.dpop import OMIT, Prover
from tests.support.gateway import ISSUER, RESOURCE
from tests.support.pki import Authority


@pytest.fixture(scope="module")
def leaf():
    """A client's certificate."""
    return Authority.root().leaf("orders")


def bound(leaf):
    return {"cnf": {"x5t#S256": base64url.encode(certificate_thumbprint(leaf.der))}}


async def refused(issuer, token, certificate=None, *, scheme="Bearer", **options):
    with pytest.raises(AccessRefusedError) as caught:
        await verifier(issuer, **options).verify(request(token, scheme=scheme, certificate=certificate))
    return caught.value


async def test_claims_are_typed(issuer, leaf):
    """A good token's claims arrive as they were sent, times in UTC, unknown ones apart."""
    now = int(time.time())
    token = issuer.token(
        **bound(leaf),
        aud=["https://other.example.org", RESOURCE],
        iat=now,
        nbf=now,
        auth_time=now - 60,
        acr="loa2",
        amr=["pwd"],
        grant_id="grant-1",
        act={"sub": "b", "act": {"sub": "a"}},
        tenant="t1",
    )
    seen = await verifier(issuer).verify(request(token, certificate=leaf.der), scope=["read"])
    assert (seen.issuer, seen.subject, seen.client_id) == (ISSUER, "orders", "orders")
    assert seen.audience == ("https://other.example.org", RESOURCE)
    assert seen.scope == ("read", "write")
    assert seen.issue_time == seen.not_before_time == datetime.fromtimestamp(now, UTC)
    assert seen.auth_time == datetime.fromtimestamp(now - 60, UTC)
    assert (seen.token_id, seen.grant_id, seen.key_id) == ("token-1", "grant-1", "key-1")
    assert (seen.acr, seen.amr) == ("loa2", ("pwd",))
    assert seen.actor == Actor("b", Actor("a"))
    assert (seen.x5t_s256, seen.jkt) == (certificate_thumbprint(leaf.der), None)
    assert seen.additional_claims == {"tenant": "t1"}


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
        ("PS256", rsa.generate_private_key(65537, 2048)),
    ],
)
async def test_algorithms(alg, key, leaf):
    """Each algorithm verifies with its own kind of key, and PyJWT agrees about what the token says."""
    issuer = Issuer(Prover(key, alg))
    token = issuer.token(**bound(leaf))
    seen = await verifier(issuer).verify(request(token, certificate=leaf.der))
    claims = jwt.decode(token, key.public_key(), algorithms=[alg], audience=RESOURCE, issuer=ISSUER)
    assert (seen.token_id, seen.subject) == (claims["jti"], claims["sub"])
    assert seen.expire_time.timestamp() == claims["exp"]


NOW = int(time.time())
BROKEN = [
    ({"iss": "https://id.example.org/"}, Fault.ISSUER_MISMATCH),
    ({"aud": RESOURCE + "/"}, Fault.AUDIENCE_MISMATCH),
    ({"aud": []}, Fault.CLAIM_INVALID),
    ({"aud": {"a": RESOURCE}}, Fault.CLAIM_INVALID),
    ({"exp": NOW - 11}, Fault.EXPIRED),
    ({"exp": str(NOW + 300)}, Fault.CLAIM_INVALID),
    ({"exp": NOW + 300.5}, Fault.CLAIM_INVALID),
    ({"exp": True}, Fault.CLAIM_INVALID),
    ({"exp": 10**18}, Fault.CLAIM_INVALID),
    ({"nbf": NOW + 3600}, Fault.NOT_YET_VALID),
    ({"iat": NOW + 3600}, Fault.ISSUED_IN_FUTURE),
    ({"jti": "line\nbreak"}, Fault.CLAIM_INVALID),
    ({"scope": ["read"]}, Fault.CLAIM_INVALID),
    ({"act": {"iss": "a"}}, Fault.CLAIM_MISSING),
    ({"cnf": {}}, Fault.CONFIRMATION_INVALID),
    ({"cnf": "x"}, Fault.CLAIM_INVALID),
    ({"cnf": {"kid": "k"}}, Fault.CONFIRMATION_INVALID),
    ({"cnf": {"x5t#S256": "A" * 43, "jkt": "A" * 43}}, Fault.CONFIRMATION_INVALID),
    ({"cnf": {"x5t#S256": "A" * 42}}, Fault.CONFIRMATION_INVALID),
    ({"cnf": {"x5t#S256": "A" * 42 + "B"}}, Fault.CONFIRMATION_INVALID),
    ({"cnf": {"x5t#SHA256": "A" * 43}}, Fault.CONFIRMATION_INVALID),
    ({"cnf": OMIT}, Fault.CONFIRMATION_MISSING),
    *(
        ({name: OMIT}, Fault.CLAIM_MISSING)
        for name in ("iss", "sub", "aud", "client_id", "iat", "exp", "jti")
    ),
]


@pytest.mark.parametrize(("claims", "fault"), BROKEN)
async def test_one_claim_is_wrong(issuer, leaf, claims, fault):
    """A token of which one claim breaks a rule is an invalid token, with the rule as the fault."""
    error = await refused(issuer, issuer.token(**(bound(leaf) | claims)), leaf.der)
    assert (type(error), error.fault, error.status) == (InvalidTokenError, fault, 401)
    assert error.challenges == (f'Bearer error="invalid_token", error_description="{error.message}"',)


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({"typ": "JWT"}, Fault.TYP_MISMATCH),
        ({"typ": OMIT}, Fault.TYP_MISMATCH),
        ({"typ": "dpop+jwt"}, Fault.TYP_MISMATCH),
        ({"typ": "token-introspection+jwt"}, Fault.TYP_MISMATCH),
        ({"alg": "none"}, Fault.ALG_NOT_ACCEPTED),
        ({"alg": "HS256"}, Fault.ALG_NOT_ACCEPTED),
        ({"alg": "es256"}, Fault.ALG_NOT_ACCEPTED),
        ({"alg": "RS256"}, Fault.ALG_NOT_ACCEPTED),
        ({"alg": OMIT}, Fault.CLAIM_MISSING),
        ({"kid": OMIT}, Fault.CLAIM_MISSING),
        ({"kid": "k" * 257}, Fault.CLAIM_INVALID),
        ({"kid": ["key-1"]}, Fault.CLAIM_INVALID),
        ({"kid": "../key-1"}, Fault.KEY_UNKNOWN),
        ({"crit": ["exp"]}, Fault.PARAMETER_REFUSED),
        ({"b64": False}, Fault.PARAMETER_REFUSED),
        ({"zip": "DEF"}, Fault.PARAMETER_REFUSED),
    ],
)
async def test_one_header_parameter_is_wrong(issuer, leaf, header, fault):
    """A header that breaks one rule is refused for it; what the key is bound to decides about alg."""
    error = await refused(issuer, issuer.token(header, **bound(leaf)), leaf.der)
    assert (type(error), error.fault) == (InvalidTokenError, fault)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
async def test_spellings_of_typ(issuer, leaf, typ):
    """The media type is compared without regard to case and prefix (RFC 7515 §4.1.9)."""
    await verifier(issuer).verify(request(issuer.token({"typ": typ}, **bound(leaf)), certificate=leaf.der))


async def test_signature_of_another_key(issuer, leaf):
    """A token that another key signed under our key's name is refused."""
    forged = Issuer(Prover.es256()).token(**bound(leaf))
    assert (await refused(issuer, forged, leaf.der)).fault is Fault.SIGNATURE_INVALID


async def test_embedded_key_is_not_trusted(issuer, leaf):
    """A jwk in the header of a token changes nothing: the key set decides."""
    other = Issuer(Prover.es256())
    forged = other.token({"jwk": other.prover.jwk}, **bound(leaf))
    assert (await refused(issuer, forged, leaf.der)).fault is Fault.SIGNATURE_INVALID


async def test_repeated_member_is_refused(issuer, leaf):
    """Two members of one name, of which PyJWT takes the last, refuse a token that is signed well."""
    header = encoded({"typ": "at+jwt", "alg": "ES256", "kid": "key-1"})
    payload = encoded({"iss": ISSUER, "aud": RESOURCE, "exp": int(time.time()) + 300} | bound(leaf))
    twice = payload[:-1] + b',"exp":99999999999}'
    token = issuer.prover.signed(header, twice)
    claims = jwt.decode(
        token, issuer.prover.key.public_key(), algorithms=["ES256"], audience=RESOURCE, issuer=ISSUER
    )
    assert claims["exp"] == 99999999999
    assert (await refused(issuer, token, leaf.der)).fault is Fault.MALFORMED


@pytest.mark.parametrize(
    "payload",
    [b"[]", b'"x"', b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\\ud800"}', b"\xff{}", b"{}x", b"[" * 9000, b""],
)
async def test_payload_that_is_not_strict_json(issuer, payload):
    """A payload that two parsers could read differently is refused although it is signed."""
    header = encoded({"typ": "at+jwt", "alg": "ES256", "kid": "key-1"})
    assert (await refused(issuer, issuer.prover.signed(header, payload))).fault is Fault.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + ".x",
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.rpartition(".")[0],
        lambda token: token[:-1] + ("B" if token[-1] == "A" else "A") + "=",
        lambda token: token.replace(".", "..", 1),
    ],
    ids=["fourth part", "empty signature", "two parts", "padding", "empty part"],
)
async def test_text_that_is_not_a_compact_jws(issuer, leaf, change):
    """A token in any but its one spelling is refused."""
    error = await refused(issuer, change(issuer.token(**bound(leaf))), leaf.der)
    assert error.fault is Fault.MALFORMED


async def test_too_large(issuer):
    """A token of more than 16 KiB is not parsed."""
    assert (await refused(issuer, "a" * 20_000)).fault is Fault.TOO_LARGE


async def test_leeway(issuer, leaf):
    """An expiry counts from the leeway on, to the second."""
    now = 1_900_000_000.0
    token = issuer.token(**bound(leaf), iat=int(now) - 100, exp=int(now))
    options = {"leeway": timedelta(seconds=5)}
    last = verifier(issuer, **options, clock=lambda: now + 4.9)
    await last.verify(request(token, certificate=leaf.der))
    error = await refused(issuer, token, leaf.der, **options, clock=lambda: now + 5)
    assert error.fault is Fault.EXPIRED


async def test_certificate_is_missing(issuer, leaf):
    """A bound token without a certificate is refused."""
    error = await refused(issuer, issuer.token(**bound(leaf)))
    assert (type(error), error.fault) == (InvalidTokenError, Fault.CERTIFICATE_MISSING)


async def test_certificate_is_another(issuer, leaf):
    """A bound token with somebody else's certificate is refused."""
    other = Authority.root().leaf("orders")
    error = await refused(issuer, issuer.token(**bound(leaf)), other.der)
    assert error.fault is Fault.CERTIFICATE_MISMATCH


async def test_certificate_bound_token_under_dpop(issuer, leaf):
    """A token that is bound to a certificate is presented as Bearer (RFC 8705 §3), and the answer says so."""
    error = await refused(issuer, issuer.token(**bound(leaf)), leaf.der, scheme="DPoP")
    assert error.fault is Fault.SCHEME_MISMATCH
    assert error.challenges[0].startswith("Bearer ")


async def test_dpop_bound_token_under_bearer(issuer, prover, leaf):
    """A token that is bound to a key is refused under Bearer (RFC 9449 §7.2), and the challenge is DPoP."""
    error = await refused(issuer, issuer.token(cnf={"jkt": prover.jkt}), leaf.der)
    assert (type(error), error.fault) == (InvalidTokenError, Fault.SCHEME_MISMATCH)
    [challenge] = error.challenges
    assert challenge.startswith('DPoP error="invalid_token", error_description="The token is a DPoP token."')
    assert challenge.endswith(', algs="ES256 ES384 ES512 EdDSA PS256"')


async def test_dpop_where_it_is_not_supported(issuer, prover):
    """Without a policy for proofs a token that needs one is refused."""
    error = await refused(issuer, issuer.token(cnf={"jkt": prover.jkt}), scheme="DPoP", dpop=None)
    assert error.fault is Fault.CONFIRMATION_INVALID


async def test_unbound_token_by_choice(issuer):
    """A bearer token is accepted only where that was chosen, and never under DPoP."""
    seen = await verifier(issuer, accept_unbound=True).verify(request(issuer.token(), scheme="bearer"))
    assert (seen.x5t_s256, seen.jkt) == (None, None)
    error = await refused(issuer, issuer.token(), scheme="DPoP", accept_unbound=True)
    assert error.fault is Fault.SCHEME_MISMATCH


@pytest.mark.parametrize(
    ("authorization", "kind", "fault"),
    [
        ((), TokenMissingError, Fault.MISSING),
        (("Basic YTpi",), TokenMissingError, Fault.MISSING),
        (("Bearer a", "DPoP a"), MalformedRequestError, Fault.REPEATED),
        (("Bearer",), MalformedRequestError, Fault.MALFORMED),
        (("Bearer a b",), MalformedRequestError, Fault.MALFORMED),
        (("Bearer a,Bearer b",), MalformedRequestError, Fault.MALFORMED),
        (("DPoP ä",), MalformedRequestError, Fault.MALFORMED),
    ],
)
async def test_authorization_header(issuer, authorization, kind, fault):
    """A header without our schemes is no token; one with them that is not readable is a bad request."""
    with pytest.raises(AccessRefusedError) as caught:
        await verifier(issuer).verify(request("", authorization=authorization))
    assert (type(caught.value), caught.value.fault) == (kind, fault)


async def test_challenges_without_a_token(issuer):
    """Who presents nothing is told both schemes and no error (RFC 6750 §3.1, RFC 9449 §7.1)."""
    with pytest.raises(TokenMissingError) as caught:
        await verifier(issuer).verify(request("", authorization=()))
    assert caught.value.challenges == ("Bearer", 'DPoP algs="ES256 ES384 ES512 EdDSA PS256"')
    with pytest.raises(TokenMissingError) as caught:
        await verifier(issuer, dpop=None).verify(request("", authorization=()))
    assert caught.value.challenges == ("Bearer",)


async def test_scope(issuer, leaf):
    """A scope that the token lacks is another error, with all that is needed in the challenge."""
    with pytest.raises(InsufficientScopeError) as caught:
        await verifier(issuer).verify(
            request(issuer.token(**bound(leaf)), certificate=leaf.der), scope=["read", "delete"]
        )
    error = caught.value
    assert (error.status, error.code.name) == (403, "PERMISSION_DENIED")
    assert error.challenges[0].startswith('Bearer error="insufficient_scope"')
    assert error.challenges[0].endswith('scope="read delete"')


async def test_algorithms_may_be_narrowed(issuer, leaf):
    """An algorithm that this server does not accept is refused although the gateway has a key for it."""
    error = await refused(issuer, issuer.token(**bound(leaf)), leaf.der, algorithms=["EdDSA"])
    assert error.fault is Fault.ALG_NOT_ACCEPTED


@pytest.mark.parametrize(
    "options",
    [
        {"audience": RESOURCE},
        {"audience": ()},
        {"issuer": ""},
        {"algorithms": ["HS256"]},
        {"algorithms": ()},
        {"leeway": timedelta(seconds=-1)},
    ],
)
def test_configuration_is_checked(issuer, options):
    """A verifier that would accept the wrong things is not made."""
    with pytest.raises(ValueError, match="must"):
        verifier(issuer, **options)
