"""gateway.jose.jwk: public keys from outside, and sets of them."""

import base64
import json
from copy import deepcopy

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jose import JoseError, JoseFault, JwkSet, base64url, parse_jwk, public_jwk
from signers import Algorithm
from tests.support.pki import self_signed

P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED25519_P = 2**255 - 19


def code_of(members):
    """The code with which a key is refused."""
    with pytest.raises(JoseError) as caught:
        parse_jwk(members)
    return caught.value.code


def number(value: int) -> str:
    return base64url.encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def ed25519_jwk(y: int) -> dict[str, str]:
    return ED25519 | {"x": base64url.encode(y.to_bytes(32, "little"))}


@pytest.fixture(scope="module")
def rsa_jwk():
    return public_jwk(rsa.generate_private_key(65537, 2048).public_key(), "rsa-1")


class TestAccepted:
    @pytest.mark.parametrize("name", ["RFC 7638 3.1", "RFC 8037 A.3"])
    def test_the_published_thumbprints_are_met(self, load_vectors, name):
        """The thumbprints of RFC 7638 and RFC 8037 come out of the keys published with them."""
        vector = next(item for item in load_vectors("jwk_thumbprints.json")["keys"] if item["name"] == name)
        assert parse_jwk(vector["jwk"]).thumbprint == vector["thumbprint"]

    @pytest.mark.parametrize(
        ("curve", "algorithm"),
        [
            (ec.SECP256R1(), Algorithm.ES256),
            (ec.SECP384R1(), Algorithm.ES384),
            (ec.SECP521R1(), Algorithm.ES512),
            (ec.SECP256K1(), Algorithm.ES256K),
        ],
    )
    def test_an_elliptic_curve_key_survives_publishing(self, curve, algorithm):
        """What public_jwk writes parse_jwk reads, bound to the only algorithm of its curve."""
        public_key = ec.generate_private_key(curve).public_key()
        key = parse_jwk(public_jwk(public_key, "k-1", algorithm))
        assert (key.public_key, key.kid, key.algorithm, key.use) == (public_key, "k-1", algorithm, "sig")

    def test_an_ed25519_key_survives_publishing(self):
        """OKP keys read back, and imply EdDSA where no alg is stated."""
        public_key = ed25519.Ed25519PrivateKey.generate().public_key()
        key = parse_jwk(public_jwk(public_key, "k-1"))
        assert (key.public_key, key.algorithm) == (public_key, Algorithm.EDDSA)

    def test_an_rsa_key_without_alg_is_bound_to_none(self, rsa_jwk):
        """RSA serves RS256 and PS256; the user of the key has to choose."""
        key = parse_jwk(rsa_jwk)
        assert key.algorithm is None
        key.require_algorithm(Algorithm.RS256)
        key.require_algorithm(Algorithm.PS256)

    def test_publishing_refuses_an_algorithm_that_does_not_fit(self):
        """A JWKS never states an algorithm that its key cannot serve."""
        public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
        with pytest.raises(JoseError) as caught:
            public_jwk(public_key, "k-1", Algorithm.ES384)
        assert caught.value.code is JoseFault.ALG_MISMATCH


class TestRefused:
    @pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
    def test_a_private_member_is_refused(self, name):
        """A key that carries private material, whatever its type, is private_key_member."""
        assert code_of(P256 | {name: "AA"}) is JoseFault.PRIVATE_KEY_MEMBER

    def test_a_symmetric_key_is_refused(self):
        """A key of kty oct is symmetric_key."""
        assert code_of({"kty": "oct", "k": "AAAA"}) is JoseFault.SYMMETRIC_KEY

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ([], JoseFault.INVALID_KEY),
            ({}, JoseFault.KEY_TYPE_UNSUPPORTED),
            ({"kty": "ec"}, JoseFault.KEY_TYPE_UNSUPPORTED),
            ({"kty": ["EC"]}, JoseFault.KEY_TYPE_UNSUPPORTED),
            (P256 | {"crv": "P-192"}, JoseFault.KEY_TYPE_UNSUPPORTED),
            (P256 | {"crv": ["P-256"]}, JoseFault.INVALID_KEY),
            (ED25519 | {"crv": "X25519"}, JoseFault.KEY_TYPE_UNSUPPORTED),
            (ED25519 | {"crv": "Ed448"}, JoseFault.KEY_TYPE_UNSUPPORTED),
            (ED25519 | {"y": "AA"}, JoseFault.INVALID_KEY),
            ({"kty": "EC", "crv": "P-256", "x": P256["x"]}, JoseFault.INVALID_KEY),
            (P256 | {"x": P256["x"] + "="}, JoseFault.INVALID_KEY),
            (P256 | {"x": 5}, JoseFault.INVALID_KEY),
            (P256 | {"crv": "P-384"}, JoseFault.INVALID_KEY),
            (P256 | {"use": "tls"}, JoseFault.INVALID_KEY),
            (P256 | {"use": None}, JoseFault.INVALID_KEY),
            (P256 | {"key_ops": "verify"}, JoseFault.INVALID_KEY),
            (P256 | {"key_ops": ["verify", "verify"]}, JoseFault.INVALID_KEY),
            (P256 | {"alg": "ES384"}, JoseFault.ALG_MISMATCH),
            (P256 | {"alg": "HS256"}, JoseFault.ALG_SYMMETRIC),
            (P256 | {"alg": "ECDH-ES"}, JoseFault.ALG_UNSUPPORTED),
            (P256 | {"alg": "none"}, JoseFault.ALG_NONE),
            (P256 | {"kid": "k" * 257}, JoseFault.INVALID_KID),
        ],
    )
    def test_a_malformed_or_foreign_key_is_refused(self, members, code):
        """Each fault of a key has its code."""
        assert code_of(members) is code

    def test_a_short_coordinate_is_refused(self):
        """RFC 7518 §6.2.1.2: a coordinate keeps its leading zero octets."""
        assert code_of(P256 | {"x": base64url.encode(b"\x01" * 31)}) is JoseFault.INVALID_KEY

    @pytest.mark.parametrize(
        "change", [{"x": base64url.encode(bytes(32)), "y": base64url.encode(bytes(32))}, {"y": P256["x"]}]
    )
    def test_a_point_off_the_curve_is_refused(self, change):
        """The invalid-curve attack, the point (0, 0) included, is point_not_on_curve."""
        assert code_of(P256 | change) is JoseFault.POINT_NOT_ON_CURVE

    @pytest.mark.parametrize("y", [2, ED25519_P, ED25519_P + 1, 2**255 - 1])
    def test_an_ed25519_encoding_of_no_point_is_refused(self, y):
        """No point has y = 2, and y beyond the prime is a second spelling of a smaller one."""
        assert code_of(ed25519_jwk(y)) is JoseFault.POINT_NOT_ON_CURVE

    @pytest.mark.parametrize(
        "y",
        [
            0,
            1,
            ED25519_P - 1,
            0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
            0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        ],
    )
    @pytest.mark.parametrize("sign", [0, 1])
    def test_an_ed25519_point_of_small_order_is_refused(self, y, sign):
        """Under such a key a signature of nobody verifies; it is invalid_key with either sign bit."""
        assert code_of(ed25519_jwk(y | sign << 255)) is JoseFault.INVALID_KEY

    def test_the_points_of_order_eight_are_on_the_curve(self):
        """The refused y coordinates are the roots of d·y⁴ + 2·y² = 1, where twice the point has y = 0."""
        d = -121665 * pow(121666, -1, ED25519_P)
        y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
        for root in (y, ED25519_P - y):
            assert (d * root**4 + 2 * root**2) % ED25519_P == 1

    def test_an_rsa_key_outside_the_bounds_is_refused(self, rsa_jwk):
        """Short, overlong, even, padded and degenerate RSA numbers each have their code."""
        modulus = int.from_bytes(base64url.decode(rsa_jwk["n"]), "big")
        padded = base64url.encode(b"\0" + base64url.decode(rsa_jwk["n"]))
        assert code_of(rsa_jwk | {"n": number(modulus >> 1)}) is JoseFault.KEY_TOO_SMALL
        assert code_of(rsa_jwk | {"n": number(1 << 8192 | 1)}) is JoseFault.KEY_TOO_LARGE
        assert code_of(rsa_jwk | {"n": number(modulus ^ 1)}) is JoseFault.INVALID_KEY
        assert code_of(rsa_jwk | {"n": padded}) is JoseFault.INVALID_KEY
        assert code_of(rsa_jwk | {"e": "AQ"}) is JoseFault.INVALID_KEY
        assert code_of(rsa_jwk | {"e": "Ag"}) is JoseFault.INVALID_KEY
        assert code_of(rsa_jwk | {"e": ""}) is JoseFault.INVALID_KEY
        assert code_of(rsa_jwk | {"e": number(1 << 32 | 1)}) is JoseFault.KEY_TOO_LARGE

    @pytest.mark.parametrize(
        ("change", "algorithm", "code"),
        [
            ({"use": "enc"}, Algorithm.ES256, JoseFault.KEY_USE_MISMATCH),
            ({"key_ops": ["encrypt"]}, Algorithm.ES256, JoseFault.KEY_USE_MISMATCH),
            ({}, Algorithm.ES256K, JoseFault.ALG_MISMATCH),
        ],
    )
    def test_a_key_meant_for_something_else_is_refused_at_use(self, change, algorithm, code):
        """Members use, key_ops and the bound algorithm are checked before a signature is."""
        with pytest.raises(JoseError) as caught:
            parse_jwk(P256 | change).require_algorithm(algorithm)
        assert caught.value.code is code


class TestX5c:
    def test_a_matching_certificate_is_kept_as_der(self):
        """x5c[0] carries the key: the chain is handed on in DER, leaf first."""
        issued = self_signed("client-a")
        members = public_jwk(issued.key.public_key(), "k-1") | {
            "x5c": [base64.b64encode(issued.der).decode()]
        }
        assert parse_jwk(members).x5c == (issued.der,)

    def test_a_certificate_of_another_key_is_refused(self):
        """RFC 7517 §4.7: the key of the first certificate must be the key of the JWK."""
        issued = self_signed("client-a")
        members = P256 | {"x5c": [base64.b64encode(issued.der).decode()]}
        assert code_of(members) is JoseFault.X5C_MISMATCH

    def test_what_is_not_a_list_of_certificates_is_refused(self):
        """Wrong types, base64url, too many entries and other octets are invalid_x5c."""
        issued = self_signed("client-a")
        members = public_jwk(issued.key.public_key(), "k-1")
        good = base64.b64encode(issued.der).decode()
        trailing = base64.b64encode(issued.der + b"\0").decode()
        for value in (
            good,
            [],
            [1],
            ["AAAA"],
            [good, "AAAA"],
            [good[:-4] + "-_=="],
            [trailing],
            [good + "===="],
            [good] * 11,
        ):
            assert code_of(members | {"x5c": value}) is JoseFault.INVALID_X5C


class TestSet:
    def parse(self, *keys, **options):
        return JwkSet.parse(json.dumps({"keys": keys}).encode(), **options)

    def test_a_kid_selects_its_key(self):
        """Of two keys that fit, the one that the header names is used."""
        keys = self.parse(P256 | {"kid": "a"}, P256 | {"kid": "b"})
        assert keys.select("b", Algorithm.ES256).kid == "b"

    def test_an_unknown_kid_finds_nothing(self):
        """No other key is tried for a kid that is not in the set, however it is spelled."""
        for kid in ("c", "A", "a ", "../a", "' OR '1'='1"):
            with pytest.raises(JoseError) as caught:
                self.parse(P256 | {"kid": "a"}).select(kid, Algorithm.ES256)
            assert caught.value.code is JoseFault.KEY_NOT_FOUND

    def test_a_kid_does_not_lend_a_key_to_another_algorithm(self):
        """The named key must fit the algorithm too."""
        with pytest.raises(JoseError) as caught:
            self.parse(P256 | {"kid": "a"}).select("a", Algorithm.EDDSA)
        assert caught.value.code is JoseFault.KEY_NOT_FOUND

    def test_without_a_kid_the_only_fitting_key_is_used(self):
        """One ES256 key among others needs no name; two are key_ambiguous."""
        assert self.parse(P256, ED25519).select(None, Algorithm.EDDSA).algorithm is Algorithm.EDDSA
        with pytest.raises(JoseError) as caught:
            self.parse(P256 | {"kid": "a"}, P256 | {"kid": "b"}).select(None, Algorithm.ES256)
        assert caught.value.code is JoseFault.KEY_AMBIGUOUS

    def test_the_number_of_keys_is_bounded(self):
        """One key too many refuses the set."""
        with pytest.raises(JoseError) as caught:
            self.parse(P256, P256, P256, max_keys=2)
        assert caught.value.code is JoseFault.TOO_MANY_KEYS
        assert len(self.parse(*[P256] * 100).keys) == 100

    def test_unknown_kinds_are_passed_over_only_where_asked(self):
        """A published set may hold keys for others; a client's own registration may not."""
        foreign = ({"kty": "OKP", "crv": "X25519", "x": "AA"}, P256 | {"alg": "ECDH-ES", "use": "enc"})
        assert self.parse(*foreign, P256, ignore_unsupported=True).keys == self.parse(P256).keys
        with pytest.raises(JoseError) as caught:
            self.parse(*foreign, P256)
        assert caught.value.code is JoseFault.KEY_TYPE_UNSUPPORTED

    @pytest.mark.parametrize(
        ("key", "code"),
        [
            (P256 | {"d": "AA"}, JoseFault.PRIVATE_KEY_MEMBER),
            ({"kty": "oct", "k": "AA"}, JoseFault.SYMMETRIC_KEY),
            (P256 | {"y": P256["x"]}, JoseFault.POINT_NOT_ON_CURVE),
        ],
    )
    def test_a_leaked_or_broken_key_refuses_the_whole_set(self, key, code):
        """Being lenient about foreign kinds never hides private material or a bad point."""
        with pytest.raises(JoseError) as caught:
            self.parse(P256, key, ignore_unsupported=True)
        assert caught.value.code is code

    @pytest.mark.parametrize("data", [b"{}", b'{"keys":{}}', b'{"keys":[1]}', b'{"keys":null}'])
    def test_what_is_not_a_set_is_refused(self, data):
        """Member keys is an array of objects."""
        with pytest.raises(JoseError) as caught:
            JwkSet.parse(data)
        assert caught.value.code is JoseFault.INVALID_KEY


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MUTATED_KEY = st.builds(
    lambda base, changes: deepcopy(base) | changes,
    st.sampled_from([P256, ED25519, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {}]),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid", "x5c"]),
        JSON_VALUE | st.binary(max_size=40).map(base64url.encode) | st.sampled_from(["EC", "RSA", "P-256"]),
        max_size=4,
    ),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(JSON_VALUE | MUTATED_KEY)
def test_only_the_documented_error_escapes(members):
    """Whatever JSON arrives as a key, parsing gives a Jwk or a JoseError."""
    try:
        key = parse_jwk(members)
    except JoseError:
        return
    assert len(key.thumbprint) == 43
