"""gateway.jose.jws: the attacks of RFC 8725 on compact JWS, each with the code that stops it."""

import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jose import (
    JoseError,
    JoseFault,
    assemble,
    base64url,
    encode_header,
    parse_compact,
    parse_jwk,
    signing_input,
    verify,
)
from gateway.jose.jws import MAX_HEADER_SIZE
from signers import Algorithm

ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def code_of(token, public_key=None, algorithm=Algorithm.ES256):
    """The code with which a token is refused, by parsing it or else by verifying it."""
    with pytest.raises(JoseError) as caught:
        verify(parse_compact(token), public_key, algorithm)
    return caught.value.code


def resigned(token: str, signature: bytes) -> str:
    return f"{token.rpartition('.')[0]}.{base64url.encode(signature)}"


class TestVectors:
    @pytest.mark.parametrize("name", ["RFC 7515 A.2", "RFC 7515 A.3", "RFC 8037 A.4"])
    def test_the_published_tokens_verify(self, load_vectors, name):
        """The examples of RFC 7515 and RFC 8037 verify under the keys published with them."""
        vector = next(item for item in load_vectors("jws_examples.json")["tokens"] if item["name"] == name)
        key = parse_jwk(vector["jwk"])
        verify(parse_compact(vector["token"]), key.public_key, Algorithm(vector["alg"]))

    @pytest.mark.parametrize("index", range(3))
    def test_any_changed_octet_of_the_payload_is_noticed(self, load_vectors, index):
        """A published token with another payload does not verify."""
        vector = load_vectors("jws_examples.json")["tokens"][index]
        header, _, signature = vector["token"].split(".")
        forged = f"{header}.{base64url.encode(b'{}')}.{signature}"
        key = parse_jwk(vector["jwk"]).public_key
        assert code_of(forged, key, Algorithm(vector["alg"])) is JoseFault.SIGNATURE_INVALID


class TestRoundTrip:
    def test_what_is_assembled_verifies(self, issuer):
        """The signing side and the verifying side agree, and the header carries what was encoded."""
        header = encode_header(Algorithm.ES256, "key-1", "at+jwt")
        message = signing_input(header, b'{"iss":"x"}')
        jws = parse_compact(assemble(message, issuer.sign(message)))
        verify(jws, issuer.public_key, Algorithm.ES256)
        assert (jws.payload, jws.header.kid, jws.header.typ) == (b'{"iss":"x"}', "key-1", "at+jwt")

    def test_the_fully_specified_name_of_ed25519_is_accepted(self, ed25519_key):
        """RFC 9864: alg Ed25519 is EdDSA on that curve."""
        message = signing_input(base64url.encode(b'{"alg":"Ed25519"}'), b"{}")
        jws = parse_compact(assemble(message, ed25519_key.sign(message)))
        verify(jws, ed25519_key.public_key(), Algorithm.EDDSA)


class TestAlgorithm:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
    @pytest.mark.parametrize("signature", ["", "AA"])
    def test_none_is_refused_in_any_case(self, name, signature):
        """An unsecured token is alg_none, with or without something in place of the signature."""
        header = base64url.encode(json.dumps({"alg": name}).encode())
        assert code_of(f"{header}.e30.{signature}") is JoseFault.ALG_NONE

    def test_the_public_key_is_never_an_hmac_secret(self, issuer):
        """The RS256-to-HS256 trick, HMAC under the PEM of the public key, is alg_symmetric."""
        secret = issuer.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        message = signing_input(base64url.encode(b'{"alg":"HS256"}'), b"{}")
        token = assemble(message, hmac.digest(secret, message, hashlib.sha256))
        assert code_of(token, issuer.public_key) is JoseFault.ALG_SYMMETRIC

    @pytest.mark.parametrize("name", ["HS256", "HS384", "HS512", "hs256", "HS1"])
    def test_hmac_is_refused(self, issuer, name):
        """Every HMAC algorithm, a weak one too, is alg_symmetric whatever the key."""
        assert code_of(issuer.token(alg=name)) is JoseFault.ALG_SYMMETRIC

    @pytest.mark.parametrize("name", ["RS512", "es256", "ES256 ", "RSA1_5", "PBES2-HS256+A128KW", ""])
    def test_an_algorithm_outside_the_table_is_refused(self, issuer, name):
        """An unknown name, another case included, is alg_unsupported."""
        assert code_of(issuer.token(alg=name)) is JoseFault.ALG_UNSUPPORTED

    @pytest.mark.parametrize("value", [None, 1, ["ES256"], {}])
    def test_an_algorithm_that_is_not_a_string_is_refused(self, issuer, value):
        """Parameter alg must be a string."""
        assert code_of(issuer.token(alg=value)) is JoseFault.ALG_MISSING

    def test_a_missing_algorithm_is_refused(self, issuer):
        """A header without alg is alg_missing."""
        assert code_of(issuer.token_of_header(b"{}")) is JoseFault.ALG_MISSING

    def test_one_key_serves_one_algorithm(self, issuer):
        """A good ES256 token is refused where the key is bound to another algorithm."""
        assert code_of(issuer.token(), issuer.public_key, Algorithm.ES384) is JoseFault.ALG_MISMATCH

    def test_an_rsa_key_bound_to_ps256_refuses_rs256(self):
        """The header cannot choose between the two algorithms of an RSA key."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        token = assemble(signing_input(encode_header(Algorithm.RS256, None, None), b"{}"), bytes(256))
        assert code_of(token, key, Algorithm.PS256) is JoseFault.ALG_MISMATCH

    @pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
    def test_a_key_of_another_curve_is_refused(self, issuer, curve):
        """A key whose curve is not the algorithm's is alg_mismatch, not a failed signature."""
        key = ec.generate_private_key(curve).public_key()
        assert code_of(issuer.token(), key) is JoseFault.ALG_MISMATCH


class TestSignature:
    def test_an_empty_signature_is_refused(self, issuer):
        """A token that ends with its second dot is signature_missing."""
        token = issuer.token().rpartition(".")[0] + "."
        assert code_of(token, issuer.public_key) is JoseFault.SIGNATURE_MISSING

    @pytest.mark.parametrize(
        ("r", "s"),
        [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
            (ORDER_OF_P256, 1),
            (1, ORDER_OF_P256),
            (ORDER_OF_P256, ORDER_OF_P256),
            (2**256 - 1, 2**256 - 1),
        ],
    )
    def test_special_values_of_r_and_s_are_refused(self, issuer, r, s):
        """Values of zero ("psychic signatures"), of the order and beyond, in r or s, never verify."""
        token = resigned(issuer.token(), r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        assert code_of(token, issuer.public_key) is JoseFault.SIGNATURE_INVALID

    def test_s_plus_the_order_is_refused(self, issuer):
        """A valid signature written with r or s out of range is not a second spelling of it."""
        token = issuer.token()
        raw = base64url.decode(token.rpartition(".")[2])
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        for wrong in ((r + ORDER_OF_P256, s), (r, s + ORDER_OF_P256)):
            octets = b"".join(number.to_bytes(33, "big") for number in wrong)
            assert code_of(resigned(token, octets), issuer.public_key) is JoseFault.SIGNATURE_INVALID

    def test_a_der_signature_is_refused(self, issuer):
        """JOSE wants raw r || s: the same numbers in DER are signature_invalid."""
        token = issuer.token()
        raw = base64url.decode(token.rpartition(".")[2])
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        assert code_of(resigned(token, der), issuer.public_key) is JoseFault.SIGNATURE_INVALID

    @pytest.mark.parametrize(
        "change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: b"\0" + raw]
    )
    def test_a_signature_of_another_length_is_refused(self, issuer, change):
        """One octet less or more is signature_invalid."""
        token = issuer.token()
        raw = base64url.decode(token.rpartition(".")[2])
        assert code_of(resigned(token, change(raw)), issuer.public_key) is JoseFault.SIGNATURE_INVALID

    def test_another_key_does_not_verify(self, issuer):
        """A token of a foreign issuer is signature_invalid."""
        stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
        assert code_of(issuer.token(), stranger) is JoseFault.SIGNATURE_INVALID


class TestEmbeddedKeys:
    def test_an_embedded_key_is_not_trusted(self, issuer):
        """A token signed with the key of its own jwk header fails under the key that the caller has."""
        ours = ec.generate_private_key(ec.SECP256R1()).public_key()
        assert code_of(issuer.token(jwk=issuer.jwk), ours) is JoseFault.SIGNATURE_INVALID

    @pytest.mark.parametrize(
        "header",
        [
            {"jku": "https://attacker.example/jwks"},
            {"x5u": "https://attacker.example/cert"},
            {"x5c": ["AAAA"]},
            {"x5t": "AAAA", "x5t#S256": "AAAA"},
        ],
    )
    def test_references_to_keys_are_never_read(self, issuer, header):
        """jku, x5u, x5c and x5t neither help nor hurt: only the caller's key counts."""
        token = issuer.token(**header)
        verify(parse_compact(token), issuer.public_key, Algorithm.ES256)
        ours = ec.generate_private_key(ec.SECP256R1()).public_key()
        assert code_of(token, ours) is JoseFault.SIGNATURE_INVALID

    def test_a_caller_may_ask_for_the_embedded_key(self, issuer):
        """DPoP and ACME get the key by asking for it, and the proof verifies under it."""
        jws = parse_compact(issuer.token(jwk=issuer.jwk, nonce="n-1"))
        verify(jws, jws.header.embedded_jwk.public_key, Algorithm.ES256)
        assert jws.header.parameter("nonce") == "n-1"

    def test_a_missing_embedded_key_is_said(self, issuer):
        """Asking for a key that is not there is embedded_key_missing."""
        with pytest.raises(JoseError) as caught:
            parse_compact(issuer.token()).header.embedded_jwk  # noqa: B018 - the access is what raises.
        assert caught.value.code is JoseFault.EMBEDDED_KEY_MISSING

    def test_an_embedded_private_key_is_refused(self, issuer):
        """A client that sends its private key along is told so."""
        header = parse_compact(issuer.token(jwk=issuer.jwk | {"d": "AAAA"})).header
        with pytest.raises(JoseError) as caught:
            header.embedded_jwk  # noqa: B018 - the access is what raises.
        assert caught.value.code is JoseFault.PRIVATE_KEY_MEMBER


class TestHeader:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ({"crit": ["exp"], "exp": 1}, JoseFault.CRIT_UNSUPPORTED),
            ({"crit": []}, JoseFault.CRIT_UNSUPPORTED),
            ({"crit": None}, JoseFault.CRIT_UNSUPPORTED),
            ({"b64": False, "crit": ["b64"]}, JoseFault.CRIT_UNSUPPORTED),
            ({"b64": False}, JoseFault.B64_UNSUPPORTED),
            ({"b64": True}, JoseFault.B64_UNSUPPORTED),
            ({"zip": "DEF"}, JoseFault.ZIP_UNSUPPORTED),
            ({"typ": 1}, JoseFault.INVALID_HEADER),
            ({"typ": ""}, JoseFault.INVALID_HEADER),
            ({"typ": "x" * 65}, JoseFault.INVALID_HEADER),
            ({"kid": 7}, JoseFault.INVALID_KID),
            ({"kid": ""}, JoseFault.INVALID_KID),
            ({"kid": "k" * 257}, JoseFault.INVALID_KID),
            ({"kid": "a\0b"}, JoseFault.INVALID_KID),
            ({"kid": "a\r\nb"}, JoseFault.INVALID_KID),
            ({"x": "y" * MAX_HEADER_SIZE}, JoseFault.HEADER_TOO_LARGE),
        ],
    )
    def test_a_parameter_that_is_not_understood_is_refused(self, issuer, header, code):
        """Critical extensions, unencoded payloads, compression and bad texts each have their code."""
        assert code_of(issuer.token(**header), issuer.public_key) is code

    def test_a_longer_kid_is_for_callers_who_say_so(self, issuer):
        """The bound is the caller's; what one had read is not kept for another with a lower one."""
        token = issuer.token(kid="k" * 2000)
        assert parse_compact(token, max_kid=2000).header.kid == "k" * 2000
        for bound in ({"max_kid": 1999}, {}):
            with pytest.raises(JoseError) as caught:
                parse_compact(token, **bound)
            assert caught.value.code is JoseFault.INVALID_KID

    def test_the_names_of_all_parameters_are_known(self, issuer):
        """Also of those that nobody reads."""
        assert parse_compact(issuer.token(kid="k", x5u="https://x")).header.names >= {"alg", "kid", "x5u"}

    @pytest.mark.parametrize("kid", ["../../../etc/passwd", "' OR 1=1 --", "/dev/null", "key\u00e9"])
    def test_an_odd_kid_stays_text(self, issuer, kid):
        """A kid that aims at a file or a query is handed on unchanged, to be compared for equality only."""
        assert parse_compact(issuer.token(kid=kid)).header.kid == kid

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (b'{"alg":"none","alg":"ES256"}', JoseFault.DUPLICATE_MEMBER),
            (b'{"alg":"ES256","alg":"ES256"}', JoseFault.DUPLICATE_MEMBER),
            (b'{"alg":"ES256","x":"\xff"}', JoseFault.INVALID_UTF8),
            (b'{"alg":"ES256","x":NaN}', JoseFault.INVALID_JSON),
            (b'["ES256"]', JoseFault.NOT_AN_OBJECT),
            (b'{"alg":"ES256","x":' + b"[" * 17 + b"]" * 17 + b"}", JoseFault.JSON_TOO_DEEP),
            (b"", JoseFault.INVALID_JSON),
        ],
    )
    def test_a_header_of_ambiguous_json_is_refused(self, issuer, header, code):
        """Repeated members, bad UTF-8, non-JSON numbers and deep nesting each have their code."""
        assert code_of(issuer.token_of_header(header), issuer.public_key) is code

    def test_a_refused_header_stays_refused(self, issuer):
        """Only accepted headers are remembered: the second try fails like the first."""
        token = issuer.token(alg="none")
        assert [code_of(token), code_of(token)] == [JoseFault.ALG_NONE] * 2


class TestSerialization:
    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token.replace(".", "", 1),
            lambda token: token + ".",
            lambda token: "." + token,
            lambda token: token + ".AA.AA",  # a JWE has five parts
            lambda token: "",
            lambda token: json.dumps({"payload": "e30", "signatures": []}),
        ],
    )
    def test_anything_but_three_parts_is_refused(self, issuer, change):
        """Fewer or more dots, a JWE and the JSON serialization are malformed_compact."""
        assert code_of(change(issuer.token())) is JoseFault.MALFORMED_COMPACT

    @pytest.mark.parametrize("part", [0, 1, 2])
    @pytest.mark.parametrize(
        "change", [lambda text: text + "=", lambda text: text + " ", lambda text: "+" + text]
    )
    def test_a_part_with_padding_or_garbage_is_refused(self, issuer, part, change):
        """Each of the three parts is strict base64url."""
        parts = issuer.token().split(".")
        parts[part] = change(parts[part])
        assert code_of(".".join(parts), issuer.public_key) is JoseFault.INVALID_BASE64URL

    def test_unused_bits_of_the_signature_are_refused(self, issuer):
        """A token has no second spelling that a denylist by text would miss."""
        token = issuer.token()
        # 64 octets end with two characters, of whose last only the top two bits count.
        sibling = chr(ord(token[-1]) + 1)
        assert code_of(token[:-1] + sibling, issuer.public_key) is JoseFault.INVALID_BASE64URL

    def test_an_oversized_token_is_refused_unread(self, issuer):
        """One character beyond the bound is token_too_large; the bound is the caller's to lower."""
        assert code_of("x" * (16 * 1024 + 1)) is JoseFault.TOKEN_TOO_LARGE
        with pytest.raises(JoseError) as caught:
            parse_compact(issuer.token(), max_size=32)
        assert caught.value.code is JoseFault.TOKEN_TOO_LARGE


TOKEN_TEXT = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="eyJhbGciOiJ.-_=A0", max_size=120),
    st.builds(
        lambda header, payload, signature: ".".join(map(base64url.encode, (header, payload, signature))),
        st.one_of(st.binary(max_size=40), st.sampled_from([b'{"alg":"ES256"}', b'{"alg":"none"}', b"{}"])),
        st.binary(max_size=20),
        st.binary(max_size=70),
    ),
)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(TOKEN_TEXT)
def test_only_the_documented_error_escapes(token):
    """Whatever text arrives, parsing gives a CompactJws or a JoseError."""
    try:
        jws = parse_compact(token)
    except JoseError:
        return
    assert jws.signing_input.decode() == token.rpartition(".")[0]
