"""DPoP proofs at a resource server (RFC 9449 §4.3, §7, §9): each rule broken alone."""

import hashlib
import time
from datetime import timedelta

import pytest
from countersign import DpopKey
from countersign.resource_server import (
    AccessRefusedError,
    DpopNonces,
    DpopPolicy,
    Fault,
    InvalidProofError,
    InvalidTokenError,
    NonceRequiredError,
    VerificationUnavailableError,
)
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.jose import base64url
from signers.jose_form import public_jwk
from tests.clients.resource_server.conftest import METHOD, ORIGIN, encoded, policy, request, verifier
from tests.support.dpop import OMIT, Prover

NOW = int(time.time())  # For claims that are off by an hour, whenever the test runs.


def ath(token):
    return base64url.encode(hashlib.sha256(token.encode()).digest())


@pytest.fixture
def token(issuer, prover):
    """A token that is bound to the prover's key."""
    return issuer.token(cnf={"jkt": prover.jkt})


def proof(prover, token, header=None, **claims):
    good = {"htu": ORIGIN + METHOD, "iat": int(time.time()), "ath": ath(token)}
    return prover.proof(header, **(good | claims))


async def check(issuer, token, *proofs, method="POST", path=METHOD, **options):
    changes = {"dpop": policy(**options)}
    call = request(token, *proofs, scheme="DPoP", method=method, path=path)
    return await verifier(issuer, **changes).verify(call)


async def refused(issuer, token, *proofs, **options):
    with pytest.raises(AccessRefusedError) as caught:
        await check(issuer, token, *proofs, **options)
    return caught.value


async def test_a_good_proof(issuer, prover, token):
    """The token is good with the proof, and says which key made it."""
    seen = await check(issuer, token, proof(prover, token))
    assert base64url.encode(seen.jkt) == prover.jkt


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
        ("PS256", rsa.generate_private_key(65537, 2048)),
    ],
)
async def test_algorithms(issuer, alg, key):
    """Each algorithm is good with its kind of key; the thumbprint is that of RFC 7638."""
    prover = Prover(key, alg)
    token = issuer.token(cnf={"jkt": prover.jkt})
    await check(issuer, token, proof(prover, token))


async def test_the_client_of_this_package(issuer):
    """What `DpopKey` makes for a call of this server is accepted."""
    key = ec.generate_private_key(ec.SECP256R1())
    token = issuer.token(cnf={"jkt": Prover(key, "ES256").jkt})
    made = DpopKey(key, "ES256", ORIGIN).proof(METHOD, access_token=token)
    await check(issuer, token, made)


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"jti": OMIT}, Fault.CLAIM_MISSING),
        ({"jti": "j" * 257}, Fault.CLAIM_INVALID),
        ({"htm": OMIT}, Fault.CLAIM_MISSING),
        ({"htm": "post"}, Fault.METHOD_MISMATCH),
        ({"htm": "GET"}, Fault.METHOD_MISMATCH),
        ({"htu": OMIT}, Fault.CLAIM_MISSING),
        ({"htu": METHOD}, Fault.CLAIM_INVALID),
        ({"htu": "https://user@orders.example.org" + METHOD}, Fault.CLAIM_INVALID),
        ({"htu": "http://orders.example.org" + METHOD}, Fault.CLAIM_INVALID),
        ({"htu": "https://evil.example.org" + METHOD}, Fault.TARGET_MISMATCH),
        ({"htu": ORIGIN + ":8443" + METHOD}, Fault.TARGET_MISMATCH),
        ({"htu": ORIGIN + METHOD + "/"}, Fault.TARGET_MISMATCH),
        ({"htu": ORIGIN + METHOD.lower()}, Fault.TARGET_MISMATCH),
        ({"iat": OMIT}, Fault.CLAIM_MISSING),
        ({"iat": NOW - 3600}, Fault.TOO_OLD),
        ({"iat": NOW + 3600}, Fault.ISSUED_IN_FUTURE),
        ({"iat": str(NOW)}, Fault.CLAIM_INVALID),
        ({"nbf": NOW + 3600}, Fault.NOT_YET_VALID),
        ({"exp": NOW - 3600}, Fault.EXPIRED),
        ({"ath": OMIT}, Fault.CLAIM_MISSING),
        ({"ath": ath("another")}, Fault.TOKEN_MISMATCH),
    ],
)
async def test_one_claim_is_wrong(issuer, prover, token, claims, fault):
    """A proof of which one claim breaks a rule is refused for it, with the algorithms in the challenge."""
    error = await refused(issuer, token, proof(prover, token, **claims))
    assert (type(error), error.fault, error.status) == (InvalidProofError, fault, 401)
    [challenge] = error.challenges
    assert challenge.startswith('DPoP error="invalid_dpop_proof"')
    assert challenge.endswith('algs="ES256 ES384 ES512 EdDSA PS256"')


PRIVATE = {"d": "AAAA"}


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (lambda jwk: {"typ": "JWT"}, Fault.TYP_MISMATCH),
        (lambda jwk: {"typ": "at+jwt"}, Fault.TYP_MISMATCH),
        (lambda jwk: {"alg": "none"}, Fault.ALG_NOT_ACCEPTED),
        (lambda jwk: {"alg": "HS256"}, Fault.ALG_NOT_ACCEPTED),
        (lambda jwk: {"alg": "RS256"}, Fault.ALG_NOT_ACCEPTED),
        (lambda jwk: {"alg": "ES384"}, Fault.KEY_INVALID),
        (lambda jwk: {"jwk": OMIT}, Fault.CLAIM_MISSING),
        (lambda jwk: {"jwk": "x"}, Fault.KEY_INVALID),
        (lambda jwk: {"jwk": jwk | PRIVATE}, Fault.KEY_INVALID),
        (lambda jwk: {"jwk": {"kty": "oct", "k": "AAAA"}}, Fault.KEY_INVALID),
        (lambda jwk: {"jwk": jwk | {"crv": "P-384"}}, Fault.KEY_INVALID),
        (lambda jwk: {"jwk": jwk | {"y": jwk["x"]}}, Fault.KEY_INVALID),
        (lambda jwk: {"jwk": jwk | {"x": jwk["x"] + "="}}, Fault.KEY_INVALID),
        (
            lambda jwk: {"jwk": public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())},
            Fault.SIGNATURE_INVALID,
        ),
        (lambda jwk: {"crit": ["x"], "x": 1}, Fault.PARAMETER_REFUSED),
    ],
)
async def test_one_header_parameter_is_wrong(issuer, prover, token, header, fault):
    """A header that breaks one rule is refused for it."""
    error = await refused(issuer, token, proof(prover, token, header(dict(prover.jwk))))
    assert (type(error), error.fault) == (InvalidProofError, fault)


async def test_small_rsa_key(issuer):
    """An RSA key below 2048 bits proves nothing (RFC 7518 §3.5)."""
    prover = Prover(rsa.generate_private_key(65537, 1024), "PS256")  # noqa: S505 - the fault under test.
    token = issuer.token(cnf={"jkt": prover.jkt})
    assert (await refused(issuer, token, proof(prover, token))).fault is Fault.KEY_INVALID


@pytest.mark.parametrize("y", [0, 1, 2**255 - 20])
async def test_ed25519_key_of_small_order(issuer, y):
    """A point under which anybody's signature may verify is no key."""
    prover = Prover(ed25519.Ed25519PrivateKey.generate(), "EdDSA")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(y.to_bytes(32, "little"))}
    token = issuer.token(cnf={"jkt": prover.jkt})
    assert (await refused(issuer, token, proof(prover, token, {"jwk": jwk}))).fault is Fault.KEY_INVALID


async def test_signature_that_is_damaged(issuer, prover, token):
    """One changed octet of the signature refuses the proof."""
    text, _, signature = proof(prover, token).rpartition(".")
    octets = bytearray(base64url.decode(signature))
    octets[5] ^= 1
    error = await refused(issuer, token, f"{text}.{base64url.encode(bytes(octets))}")
    assert error.fault is Fault.SIGNATURE_INVALID


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SOURCE: SEC 2 v2.0 §2.4.2
ONE = (1).to_bytes(32, "big")


@pytest.mark.parametrize(
    "signature",
    [
        bytes(64),
        ONE + bytes(32),
        bytes(32) + ONE,
        ORDER.to_bytes(32, "big") + ONE,
        ONE + ORDER.to_bytes(32, "big"),
        ONE + ONE,
        ONE[1:] + ONE,
        ONE + ONE + b"\x00",
        bytes.fromhex("3006020101020101"),
    ],
)
async def test_signatures_that_are_none(issuer, prover, token, signature):
    """Values out of range, other lengths and DER are no ES256 signatures (RFC 7518 §3.4)."""
    text = proof(prover, token).rpartition(".")[0]
    error = await refused(issuer, token, f"{text}.{base64url.encode(signature)}")
    assert (type(error), error.fault) == (InvalidProofError, Fault.SIGNATURE_INVALID)


@pytest.mark.parametrize("path", ["orders", "*", "http://evil.example.org/a", "/a?b", "/a#b", "/a b", "/%zz"])
async def test_request_target_that_is_no_path(issuer, prover, token, path):
    """A request target that is not a path, as of OPTIONS * or in absolute form, is no proof's target."""
    for htu in (ORIGIN + path, ORIGIN + "/" + path, ORIGIN):
        error = await refused(issuer, token, proof(prover, token, htu=htu), path=path)
        assert (type(error), error.fault) == (InvalidProofError, Fault.CLAIM_INVALID)


async def test_repeated_claim(issuer, prover, token):
    """Two htu in one proof refuse it."""
    start = int(time.time())
    header = encoded({"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(prover.jwk)})
    claims = {"jti": "1", "htm": "POST", "htu": ORIGIN + METHOD, "iat": start, "ath": ath(token)}
    payload = encoded(claims)[:-1] + b',"htu":"https://evil.example.org/"}'
    assert (await refused(issuer, token, prover.signed(header, payload))).fault is Fault.MALFORMED


async def test_no_proof_and_two(issuer, prover, token):
    """Exactly one proof comes with a request."""
    error = await refused(issuer, token)
    assert (type(error), error.fault) == (InvalidProofError, Fault.MISSING)
    error = await refused(issuer, token, proof(prover, token), proof(prover, token))
    assert (type(error), error.fault) == (InvalidProofError, Fault.REPEATED)


async def test_key_of_somebody_else(issuer, token):
    """A stolen token with a good proof of the thief's own key is an invalid token (RFC 9449 §7.1)."""
    error = await refused(issuer, token, proof(Prover.es256(), token))
    assert (type(error), error.fault) == (InvalidTokenError, Fault.KEY_MISMATCH)
    assert error.challenges[0].startswith('DPoP error="invalid_token"')


@pytest.mark.parametrize(
    ("origin", "htu", "path"),
    [
        (ORIGIN, "HTTPS://Orders.Example.ORG:443/a?x=1#y", "/a"),
        (ORIGIN + ":443", "https://orders.example.org/%7Ea/./b/../c%2f", "/~a/c%2F"),
        ("https://[2001:db8::1]:8443", "https://[2001:DB8:0::1]:8443/", "/"),
        (ORIGIN, ORIGIN, "/"),
        (ORIGIN, ORIGIN + "//a", "//a"),
    ],
)
async def test_spellings_of_a_target(issuer, prover, token, origin, htu, path):
    """RFC 3986's normal forms are equal; query and fragment do not matter."""
    await check(issuer, token, proof(prover, token, htu=htu), origins=(origin,), path=path)


async def test_replay(issuer, prover, token):
    """A proof is good once; the same jti of another key, or for another path, is another proof."""
    checking = verifier(issuer)
    once = request(token, proof(prover, token, jti="same"), scheme="DPoP")
    await checking.verify(once)
    with pytest.raises(InvalidProofError) as caught:
        await checking.verify(once)
    assert caught.value.fault is Fault.REPLAYED
    other = proof(prover, token, jti="same", htu=ORIGIN + "/other")
    await checking.verify(request(token, other, scheme="DPoP", path="/other"))
    thief = Prover.es256()
    own = issuer.token(cnf={"jkt": thief.jkt})
    await checking.verify(request(own, proof(thief, own, jti="same"), scheme="DPoP"))


async def test_replay_while_acceptable(issuer, prover, token):
    """A proof from as far ahead as is allowed is remembered until its last second, and forgotten then."""
    start = int(time.time())
    now = [float(start)]
    checking = verifier(
        issuer,
        dpop=policy(window=timedelta(seconds=60), skew=timedelta(0), max_proofs=1),
        clock=lambda: now[0],
    )
    first = request(token, proof(prover, token, iat=start), scheme="DPoP")
    await checking.verify(first)
    now[0] = start + 60
    with pytest.raises(InvalidProofError) as caught:
        await checking.verify(first)
    assert caught.value.fault is Fault.REPLAYED
    now[0] = start + 60.5
    await checking.verify(request(token, proof(prover, token, iat=start + 60), scheme="DPoP"))


async def test_replay_of_a_proof_from_ahead(issuer, prover, token):
    """A proof whose iat was ahead of our clock is remembered as much longer as it stays acceptable."""
    start = int(time.time())
    now = [float(start)]
    window, skew = timedelta(seconds=60), timedelta(seconds=10)
    checking = verifier(issuer, dpop=policy(window=window, skew=skew), clock=lambda: now[0])
    call = request(token, proof(prover, token, iat=start + 10), scheme="DPoP")
    await checking.verify(call)
    now[0] = start + 70
    with pytest.raises(InvalidProofError) as caught:
        await checking.verify(call)
    assert caught.value.fault is Fault.REPLAYED


async def test_coordinates_cut_elsewhere(issuer, prover, token):
    """The octets of a point cut into 31 and 33 are the same point and another name for it: refused."""
    point = base64url.decode(prover.jwk["x"]) + base64url.decode(prover.jwk["y"])
    jwk = dict(prover.jwk) | {"x": base64url.encode(point[:31]), "y": base64url.encode(point[31:])}
    assert (await refused(issuer, token, proof(prover, token, {"jwk": jwk}))).fault is Fault.KEY_INVALID


async def test_full_table_forgets_nothing(issuer, prover, token):
    """Where no room is left a new proof is refused for now, and an old one still is a replay."""
    checking = verifier(issuer, dpop=policy(max_proofs=1))
    first = request(token, proof(prover, token), scheme="DPoP")
    await checking.verify(first)
    with pytest.raises(VerificationUnavailableError) as caught:
        await checking.verify(request(token, proof(prover, token), scheme="DPoP"))
    assert (caught.value.fault, caught.value.status) == (Fault.TABLE_FULL, 503)
    with pytest.raises(InvalidProofError):
        await checking.verify(first)


async def test_refused_proof_is_not_used_up(issuer, prover, token):
    """A proof that was refused for the token's sake takes no room and may be used after."""
    checking = verifier(issuer, dpop=policy(max_proofs=1))
    made = proof(prover, token)
    with pytest.raises(AccessRefusedError):
        await checking.verify(request(token, made, scheme="DPoP", method="GET"))
    await checking.verify(request(token, made, scheme="DPoP"))


async def test_nonce(issuer, prover, token):
    """Where nonces are used a proof without, or with a stale one, is answered with the one to use."""
    start = int(time.time())
    now = [float(start)]
    nonces = DpopNonces(step=60, clock=lambda: now[0])
    checking = verifier(issuer, dpop=policy(nonces=nonces), clock=lambda: now[0])

    async def tried(**claims):
        made = proof(prover, token, iat=int(now[0]), **claims)
        with pytest.raises(NonceRequiredError) as caught:
            await checking.verify(request(token, made, scheme="DPoP"))
        return caught.value

    error = await tried()
    assert (error.fault, error.status) == (Fault.NONCE_MISSING, 401)
    assert error.challenges[0].startswith('DPoP error="use_dpop_nonce"')
    nonce = error.dpop_nonce
    await checking.verify(request(token, proof(prover, token, nonce=nonce, iat=start), scheme="DPoP"))
    for wrong in (nonce[:-2] + "AA", "x", "A" * 32, DpopNonces().issue()):
        assert (await tried(nonce=wrong)).fault is Fault.NONCE_MISMATCH
    now[0] += 180
    assert (await tried(nonce=nonce)).fault is Fault.NONCE_MISMATCH


def test_replicas_share_nonces_by_their_secret():
    """A nonce of one replica is good at another that has the secret, and at no third one."""
    secret = b"s" * 32
    nonce = DpopNonces(secret).issue()
    assert DpopNonces(secret).accepts(nonce)
    assert not DpopNonces(b"t" * 32).accepts(nonce)
    with pytest.raises(ValueError, match="octets"):
        DpopNonces(b"short")


@pytest.mark.parametrize(
    "changes",
    [
        {"origins": ()},
        {"origins": ("https://a.example/path",)},
        {"origins": ("https://a.example/?x",)},
        {"origins": ("http://a.example",)},
        {"origins": ("a.example",)},
        {"algorithms": frozenset({"HS256"})},
        {"algorithms": frozenset()},
        {"window": timedelta(0)},
        {"max_proofs": 0},
    ],
)
def test_policy_is_checked(changes):
    """A policy that would accept the wrong things is not made."""
    with pytest.raises(ValueError, match=r".+"):
        DpopPolicy(**({"origins": (ORIGIN,)} | changes))
