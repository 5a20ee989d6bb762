"""private_key_jwt: each claim and header parameter wrong on its own, and single use."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from gateway.errors import AuthenticationError, Reason
from gateway.jose.jwk import JwkSet
from gateway.tokens.client import ClientAuthenticationMethod as Method
from gateway.tokens.client_authentication import PrivateKeyJwt
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from signers.jose_form import public_jwk
from tests.support.assertions import claims, jwks_of, signed, signed_octets, unsigned
from tests.support.gateway import ISSUER, call_of, opened_application, stored_octets
from tests.support.pki import new_key

REQUEST = TokenRequest(ClientCredentialsGrant())


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
async def backend(app, key):
    """An application that knows the client `backend` by *key*."""
    await register(app, jwks_of(key))
    return app


async def register(app, jwks: bytes, client_id: str = "backend") -> None:
    await app.register(
        client_id,
        authentication_method=Method.PRIVATE_KEY_JWT,
        identity=None,
        jwks=JwkSet.parse(jwks),
        certificate_bound_access_tokens=False,
    )


async def mint(app, assertion: str, client_id: str = "backend"):
    return await app.minter.mint(call_of(), client_id, PrivateKeyJwt(assertion), REQUEST)


async def refused(app, assertion: str, client_id: str = "backend") -> str:
    with pytest.raises(AuthenticationError) as caught:
        await mint(app, assertion, client_id)
    assert caught.value.reason is Reason.INVALID_CLIENT
    assert str(caught.value) == "Client authentication failed."
    return caught.value.cause


@pytest.mark.parametrize("typ", ["JWT", "jwt", "client-authentication+jwt", None])
async def test_accepted(backend, clock, key, typ):
    """A right assertion is accepted with every type that RFC 7523 and its successor allow."""
    assert await mint(backend, signed(key, claims(clock()), typ=typ))


WRONG_CLAIMS = [
    ({"iss": "other"}, "assertion_issuer_mismatch"),
    ({"iss": None}, "assertion_claim_missing"),
    ({"iss": 7}, "assertion_claim_invalid"),
    ({"sub": "other"}, "assertion_subject_mismatch"),
    ({"sub": None}, "assertion_claim_missing"),
    ({"sub": "backend\0"}, "assertion_claim_invalid"),
    ({"aud": None}, "assertion_claim_missing"),
    ({"aud": [ISSUER]}, "assertion_claim_invalid"),
    ({"aud": []}, "assertion_claim_invalid"),
    ({"aud": f"{ISSUER}/"}, "assertion_audience_mismatch"),
    ({"aud": f"{ISSUER}/oauth2/token"}, "assertion_audience_mismatch"),
    ({"aud": ISSUER.upper()}, "assertion_audience_mismatch"),
    ({"exp": None}, "assertion_claim_missing"),
    ({"exp": True}, "assertion_claim_invalid"),
    ({"exp": "9999999999"}, "assertion_claim_invalid"),
    ({"exp": 1e300}, "assertion_claim_invalid"),
    ({"exp": -1}, "assertion_claim_invalid"),
    ({"jti": None}, "assertion_claim_missing"),
    ({"jti": ""}, "assertion_claim_invalid"),
    ({"jti": 7}, "assertion_claim_invalid"),
    ({"jti": "x" * 257}, "assertion_claim_invalid"),
]


@pytest.mark.parametrize(("change", "cause"), WRONG_CLAIMS)
async def test_claim_wrong(backend, clock, key, change, cause):
    """Each claim that is missing, of another kind or of another value is refused for that alone."""
    payload = json.dumps(claims(clock(), **change)).encode()
    assert await refused(backend, signed_octets(key, payload)) == cause


WRONG_TIMES = [
    ({"exp": -60}, "assertion_expired"),
    ({"exp": -10}, "assertion_expired"),
    ({"exp": 311}, "assertion_lifetime_too_long"),
    ({"exp": 86_400}, "assertion_lifetime_too_long"),
    ({"iat": 60}, "assertion_issued_in_future"),
    ({"iat": 11}, "assertion_issued_in_future"),
    ({"nbf": 60}, "assertion_not_yet_valid"),
    ({"nbf": 11}, "assertion_not_yet_valid"),
]


@pytest.mark.parametrize(("offsets", "cause"), WRONG_TIMES)
async def test_time_wrong(backend, clock, key, offsets, cause):
    """Each time that is outside what the policy allows is refused for that alone."""
    change = {name: int(clock()) + offset for name, offset in offsets.items()}
    assert await refused(backend, signed(key, claims(clock(), **change))) == cause


@pytest.mark.parametrize("offsets", [{"iat": 8}, {"nbf": 8}, {"exp": -8}, {"exp": 300}, {"iat": -3_000}])
async def test_time_within_the_skew(backend, clock, key, offsets):
    """A clock that is 8 s ahead is forgiven, as FAPI 2.0 asks; so is one that is 8 s behind."""
    change = {name: int(clock()) + offset for name, offset in offsets.items()}
    assert await mint(backend, signed(key, claims(clock(), **change)))


async def test_without_iat(backend, clock, key):
    """`iat` is optional (RFC 7523 §3)."""
    assert await mint(backend, signed(key, claims(clock(), iat=None)))


async def test_of_another_client(backend, clock, key):
    """An assertion of one client does not authenticate another, even with the same key."""
    await register(backend, jwks_of(key), "second")
    assert await refused(backend, signed(key, claims(clock())), "second") == "assertion_issuer_mismatch"


async def test_used_once(backend, clock, key):
    """An assertion works once."""
    assertion = signed(key, claims(clock()))
    await mint(backend, assertion)
    assert await refused(backend, assertion) == "assertion_replayed"


async def test_same_jti_in_another_assertion(backend, clock, key):
    """It is the id that works once, whatever else the assertion says."""
    await mint(backend, signed(key, claims(clock(), jti="one")))
    again = signed(key, claims(clock(), jti="one", iat=int(clock()) - 1))
    assert await refused(backend, again) == "assertion_replayed"


async def test_jti_is_of_its_client(backend, clock, key):
    """Two clients may choose the same id; and no id can be cut to look like another client's."""
    await register(backend, jwks_of(key), "backend.x")
    await mint(backend, signed(key, claims(clock(), jti="x.y")))
    await mint(backend, signed(key, claims(clock(), "backend.x", jti="y")), "backend.x")
    await mint(backend, signed(key, claims(clock(), "backend.x", jti="x.y")), "backend.x")


async def test_replayed_until_it_has_expired(backend, clock, key):
    """The id is remembered for as long as the assertion would be accepted, the skew included."""
    assertion = signed(key, claims(clock(), exp=int(clock()) + 300))
    await mint(backend, assertion)
    clock.advance(309)
    assert await refused(backend, assertion) == "assertion_replayed"
    clock.advance(1)
    assert await refused(backend, assertion) == "assertion_expired"


async def test_a_refused_assertion_is_not_used_up(backend, clock, key):
    """Somebody else's copy with a broken signature does not use up the real one."""
    assertion = signed(key, claims(clock()))
    head, _, tail = assertion.rpartition(".")
    broken = f"{head}.{'A' if tail[0] != 'A' else 'B'}{tail[1:]}"
    assert await refused(backend, broken) == "assertion_signature_invalid"
    assert await mint(backend, assertion)


async def test_race_of_two_replicas(tmp_path, clock, key):
    """Of many uses of one assertion on two replicas at once, one succeeds."""
    async with opened_application(tmp_path, clock=clock) as first:
        await register(first, jwks_of(key))
        async with opened_application(tmp_path, clock=clock, prepared=first.prepared) as second:
            assertion = signed(key, claims(clock()))
            uses = [mint(app, assertion) for app in (first, second) for _ in range(8)]
            outcomes = await asyncio.gather(*uses, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(errors) == 15
    assert {error.cause for error in errors} == {"assertion_replayed"}


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "application/at+jwt", "token-introspection+jwt", "x"])
async def test_type_of_another_token(backend, clock, key, typ):
    """What the client signed for another purpose does not authenticate it (RFC 8725 §3.11)."""
    assert await refused(backend, signed(key, claims(clock()), typ=typ)) == "assertion_typ_mismatch"


async def test_algorithm_not_allowed(app, clock, rsa_key):
    """RS256 is not among the algorithms of the policy, though the key could."""
    await register(app, jwks_of(rsa_key))
    assertion = signed(rsa_key, claims(clock()), "RS256")
    assert await refused(app, assertion) == "assertion_alg_not_allowed"
    assert await mint(app, signed(rsa_key, claims(clock()), "PS256"))


async def test_algorithm_by_configuration(tmp_path, clock, rsa_key):
    """RS256 is accepted where the configuration lists it, and then nothing else."""
    options = {"assertion_algorithms": ["RS256"]}
    async with opened_application(tmp_path, clock=clock, tokens=options) as app:
        await register(app, jwks_of(rsa_key))
        assert await mint(app, signed(rsa_key, claims(clock()), "RS256"))
        refusal = await refused(app, signed(rsa_key, claims(clock()), "PS256"))
    assert refusal == "assertion_alg_not_allowed"


async def test_further_audience_by_configuration(tmp_path, clock, key):
    """A token URL is accepted as audience where the configuration lists it."""
    url = f"{ISSUER}/oauth2/token"
    async with opened_application(tmp_path, clock=clock, tokens={"assertion_audiences": [url]}) as app:
        await register(app, jwks_of(key))
        assert await mint(app, signed(key, claims(clock(), aud=url)))
        assert await mint(app, signed(key, claims(clock())))
        assert await refused(app, signed(key, claims(clock(), aud=[url]))) == "assertion_claim_invalid"


@pytest.mark.parametrize("alg", ["none", "None", "NONE"])
async def test_algorithm_none(backend, clock, alg):
    """An unsigned assertion is refused, in whatever case it says so (RFC 8725 §2.1)."""
    refusal = await refused(backend, unsigned({"alg": alg}, claims(clock()), b"x"))
    assert refusal in {"assertion_alg_none", "assertion_alg_unsupported"}


async def test_signature_empty(backend, clock):
    """An empty signature is refused under a good algorithm too."""
    refusal = await refused(backend, unsigned({"alg": "ES256"}, claims(clock())))
    assert refusal == "assertion_signature_missing"


async def test_hmac_with_the_public_key(app, clock, rsa_key):
    """HS256 under the client's public key, in each encoding, is refused (RFC 8725 §2.1)."""
    await register(app, jwks_of(rsa_key))
    public = rsa_key.public_key()
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        secret = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        text = unsigned({"alg": "HS256", "typ": "JWT"}, claims(clock())).rpartition(".")[0]
        mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        assertion = f"{text}.{unsigned({}, {}, mac).rpartition('.')[2]}"
        assert await refused(app, assertion) == "assertion_alg_symmetric"


@pytest.mark.parametrize("parameter", ["jwk", "jku", "x5u", "x5c"])
async def test_key_in_the_header(backend, clock, parameter):
    """A key or a reference to one that the header brings along is not looked at."""
    attacker = new_key()
    values = {
        "jwk": public_jwk(attacker.public_key()),
        "jku": "https://attacker.example/jwks",
        "x5u": "https://attacker.example/cert",
        "x5c": ["MIIB"],
    }
    assertion = signed(attacker, claims(clock()), **{parameter: values[parameter]})
    assert await refused(backend, assertion) == "assertion_signature_invalid"


async def test_key_of_somebody_else(backend, clock):
    """An assertion signed with a key that is not registered is refused."""
    assert await refused(backend, signed(new_key(), claims(clock()))) == "assertion_signature_invalid"


async def test_key_by_its_id(app, clock):
    """Of two registered keys the header's `kid` chooses; without one, none is tried."""
    first, second = new_key(), new_key()
    await register(app, jwks_of(first, second, kids=("1", "2")))
    assert await mint(app, signed(second, claims(clock()), kid="2"))
    assert await refused(app, signed(second, claims(clock()), kid="1")) == "assertion_signature_invalid"
    assert await refused(app, signed(second, claims(clock()), kid="3")) == "assertion_key_not_found"
    assert await refused(app, signed(second, claims(clock()))) == "assertion_key_ambiguous"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "x" * 2000])
async def test_key_id_of_an_attacker(backend, clock, key, kid):
    """A `kid` is only ever compared; one that is no key's is refused."""
    refusal = await refused(backend, signed(key, claims(clock()), kid=kid))
    assert refusal in {"assertion_key_not_found", "assertion_invalid_kid"}


async def test_algorithm_of_another_key_type(backend, clock):
    """An assertion under EdDSA finds no key among the registered EC keys."""
    other = ed25519.Ed25519PrivateKey.generate()
    assert await refused(backend, signed(other, claims(clock()), "EdDSA")) == "assertion_key_not_found"


async def test_oversized(backend, clock, key):
    """An assertion of more than 8192 characters is refused before it is parsed."""
    assert (
        await refused(backend, signed(key, claims(clock(), note="x" * 8192))) == "assertion_token_too_large"
    )


@pytest.mark.parametrize(
    "text", ["", ".", "a.b", "a.b.c.d", "....", "{}", '{"payload":"","signatures":[]}', "ä.b.c", "=.=.="]
)
async def test_not_a_jws(backend, text):
    """What is no compact JWS is refused."""
    cause = await refused(backend, text)
    assert cause in {
        "assertion_malformed_compact",
        "assertion_invalid_base64url",
        "assertion_invalid_json",
    }


async def test_critical_extension(backend, clock, key):
    """A header that marks an extension critical is refused, since none is understood."""
    assertion = signed(key, claims(clock()), crit=["exp"])
    assert await refused(backend, assertion) == "assertion_crit_unsupported"


async def test_repeated_claim(backend, clock, key):
    """A claim given twice is refused, whichever of its values would be right."""
    values = json.dumps(claims(clock()))
    assertion = signed_octets(key, f'{values[:-1]}, "aud": "x"}}'.encode())
    assert await refused(backend, assertion) == "assertion_duplicate_member"


async def test_no_keys_registered(app, clock, key):
    """A client that has lost its keys cannot authenticate."""
    await app.register("backend", authentication_method=Method.PRIVATE_KEY_JWT, identity=None, jwks=None)
    assert await refused(app, signed(key, claims(clock()))) == "jwks_missing"


async def test_the_assertion_is_not_kept(backend, clock, key, tmp_path: Path):
    """The database holds neither the assertion nor its id, only a hash."""
    assertion = signed(key, claims(clock(), jti="find-me-if-you-can"))
    await mint(backend, assertion)
    written = stored_octets(tmp_path)
    assert b"find-me-if-you-can" not in written
    assert assertion.encode() not in written
