"""gateway.proofs.dpop: every check, broken alone, and the fault that says so."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.jose import base64url
from gateway.proofs.dpop import DpopPolicy, DpopVerifier
from gateway.proofs.dpop_errors import DpopError, DpopFault
from gateway.proofs.dpop_proof import MAX_SIZE, single_proof
from gateway.proofs.nonces import ServerNonces
from gateway.proofs.target_uri import Origins
from signers import Algorithm
from tests.support.dpop import NOW, OMIT, TARGET, MemoryReplays, Prover, accept_with_token
from tests.support.private_jwk import private_jwk

ORIGINS = Origins.parse(["https://id.example.org"])
TARGETS = ORIGINS.targets("/oauth2/token")
ALGORITHMS = frozenset(Algorithm) - {Algorithm.RS256}
ACCESS_TOKEN = "an.access.token"
ATH = "UkM2b42E54u4hWzuKV_B3zyulUA6vtNYjJUv_ru2Qck"

PROVER = Prover.es256()


class Fixed:
    """A clock that a test sets."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


def verifier(clock=None, replay=None, nonces=None, **policy):
    values = {"algorithms": ALGORITHMS, "window": 60, "skew": 5} | policy
    return DpopVerifier(
        policy=DpopPolicy(**values), replay=replay or MemoryReplays(), clock=clock or Fixed(), nonces=nonces
    )


def check(proof, *, by=None, method="POST", targets=TARGETS, **more):
    return (by or verifier()).check(proof, method=method, targets=targets, **more)


def fault_of(proof, **more):
    with pytest.raises(DpopError) as caught:
        check(proof, **more)
    return caught.value.fault


def member_of(proof, **more):
    with pytest.raises(DpopError) as caught:
        check(proof, **more)
    return caught.value.fault, caught.value.member


class TestOneHeader:
    def test_one_value_is_the_proof(self):
        """Text and octets are read alike."""
        assert single_proof(["a.b.c"]) == single_proof([b"a.b.c"]) == "a.b.c"

    @pytest.mark.parametrize(
        ("values", "fault"),
        [
            ([], DpopFault.HEADER_MISSING),
            (["a.b.c", "a.b.c"], DpopFault.HEADER_REPEATED),
            (["x" * (MAX_SIZE + 1)], DpopFault.TOO_LARGE),
            (["é".encode()], DpopFault.MALFORMED),
        ],
    )
    def test_anything_but_one_readable_value_is_refused(self, values, fault):
        """Check 1: none, two (even the same twice), too long, and not ASCII."""
        with pytest.raises(DpopError) as caught:
            single_proof(values)
        assert caught.value.fault is fault

    @pytest.mark.parametrize("value", ["####", "4pyT", "A"])
    def test_a_double_encoding_that_is_none_is_refused(self, value):
        """What is neither a proof nor the encoding of ASCII text is malformed."""
        with pytest.raises(DpopError) as caught:
            single_proof([value], allow_encoded=True)
        assert caught.value.fault is DpopFault.MALFORMED


class TestWellFormed:
    @pytest.mark.parametrize(
        "proof",
        ["", "abc", "a.b", "a.b.c.d", "....", "e30.e30.AA, e30.e30.AA", "é.b.c", "e30=.e30.AA", "W10.e30.AA"],
    )
    def test_what_is_no_compact_jws_is_malformed(self, proof):
        """Check 2: other part counts, two proofs joined by a comma, padding, a header that is no object."""
        assert fault_of(proof) is DpopFault.MALFORMED

    def test_a_payload_that_is_no_object_is_malformed(self):
        """Check 2: the signature is good, the claims set is an array."""
        header = json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.jwk}).encode()
        assert fault_of(PROVER.signed(header, b"[]")) is DpopFault.MALFORMED

    def test_a_repeated_claim_is_malformed(self):
        """Check 2: two parsers could read different values."""
        header = json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.jwk}).encode()
        assert fault_of(PROVER.signed(header, b'{"jti":"a","jti":"b"}')) is DpopFault.MALFORMED

    def test_an_oversized_proof_is_refused_before_it_is_read(self):
        """A proof has a largest size."""
        assert fault_of(PROVER.proof(extra="x" * MAX_SIZE)) is DpopFault.TOO_LARGE

    @pytest.mark.parametrize("typ", [OMIT, "JWT", "at+jwt", "dpop+jwt "])
    def test_another_typ_is_refused(self, typ):
        """Checks 3 and 4: absent or another type, whatever else is right."""
        assert fault_of(PROVER.proof({"typ": typ})) is DpopFault.TYP_MISMATCH

    @pytest.mark.parametrize("name", ["crit", "b64", "zip"])
    def test_an_extension_that_changes_the_meaning_is_refused(self, name):
        """No critical extension, detached or compressed payload is understood."""
        assert fault_of(PROVER.proof({name: ["x"]})) is DpopFault.EXTENSION_UNSUPPORTED

    @pytest.mark.parametrize("name", ["jku", "x5u", "x5c", "kid"])
    def test_other_ways_to_name_a_key_are_ignored(self, name):
        """Only jwk counts."""
        assert check(PROVER.proof({name: "https://evil.example"})).jkt == PROVER.jkt

    @given(st.text(max_size=300) | st.from_regex(r"\A[A-Za-z0-9_\-]{0,60}(\.[A-Za-z0-9_\-]{0,60}){2}\Z"))
    def test_any_text_is_refused_with_a_fault(self, text):
        """Whatever is sent, the answer is a DpopError and nothing else."""
        fault_of(text)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce", "nbf", "exp"]),
    )
    def test_any_value_of_any_claim_is_accepted_or_refused_with_a_fault(self, value, name):
        """A signed proof with an absurd claim never ends in another error."""
        try:
            check(PROVER.proof(**{name: value}))
        except DpopError as error:
            assert error.fault  # noqa: PT017 - acceptance is fine too, for a value that happens to be good


class TestAlgorithm:
    @pytest.mark.parametrize("alg", ["none", "NONE", "HS256", "ES256X", "RSA1_5"])
    def test_an_algorithm_that_is_not_asymmetric_or_unknown_is_refused(self, alg):
        """Check 5: none, MACs and unknown names."""
        assert fault_of(PROVER.proof({"alg": alg})) is DpopFault.ALG_NOT_ACCEPTED

    def test_a_missing_algorithm_is_refused(self):
        """Check 3: alg is required."""
        assert fault_of(PROVER.proof({"alg": OMIT})) is DpopFault.ALG_MISSING

    def test_an_algorithm_off_the_list_is_refused(self):
        """Check 5: supported by us, but not acceptable here."""
        by = verifier(algorithms=frozenset({Algorithm.EDDSA}))
        assert fault_of(PROVER.proof(), by=by) is DpopFault.ALG_NOT_ACCEPTED

    @pytest.mark.parametrize(
        ("key", "alg", "algorithm"),
        [
            (ec.generate_private_key(ec.SECP256R1()), "ES256", Algorithm.ES256),
            (ec.generate_private_key(ec.SECP384R1()), "ES384", Algorithm.ES384),
            (ec.generate_private_key(ec.SECP521R1()), "ES512", Algorithm.ES512),
            (ed25519.Ed25519PrivateKey.generate(), "EdDSA", Algorithm.EDDSA),
            (ed25519.Ed25519PrivateKey.generate(), "Ed25519", Algorithm.EDDSA),
            (rsa.generate_private_key(65537, 2048), "PS256", Algorithm.PS256),
        ],
        ids=["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256"],
    )
    def test_every_accepted_algorithm_verifies(self, key, alg, algorithm):
        """EdDSA also by its RFC 9864 name."""
        prover = Prover(key, alg)
        proof = check(prover.proof())
        assert (proof.algorithm, proof.jkt) == (algorithm, prover.jkt)


class TestKey:
    def test_a_missing_key_is_refused(self):
        """Check 3: jwk is required."""
        assert fault_of(PROVER.proof({"jwk": OMIT})) is DpopFault.KEY_MISSING

    def test_a_private_key_is_refused(self):
        """Check 7: a jwk with d."""
        assert fault_of(PROVER.proof({"jwk": json.loads(private_jwk(PROVER.key))})) is DpopFault.KEY_PRIVATE

    @pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
    def test_any_private_member_is_refused(self, name):
        """Check 7: each private member of any key type, whatever its value."""
        assert fault_of(PROVER.proof({"jwk": {**PROVER.jwk, name: "AA"}})) is DpopFault.KEY_PRIVATE

    @pytest.mark.parametrize(
        "jwk",
        [1, "x", [], {}, {"kty": "oct"}, {"kty": "EC", "crv": "P-256"}, {"kty": "OKP", "crv": "X25519"}],
    )
    def test_what_is_no_public_key_is_refused(self, jwk):
        """A jwk of another JSON type, symmetric, incomplete or of an unknown curve."""
        assert fault_of(PROVER.proof({"jwk": jwk})) is DpopFault.KEY_INVALID

    def test_a_point_off_the_curve_is_refused(self):
        """The invalid-curve attack ends where the key is read."""
        jwk = {**PROVER.jwk, "y": base64url.encode(bytes(32))}
        assert fault_of(PROVER.proof({"jwk": jwk})) is DpopFault.KEY_INVALID

    def test_a_short_rsa_key_is_refused(self):
        """RSA keys have 2048 bits or more."""
        prover = Prover(rsa.generate_private_key(65537, 1024), "PS256")  # noqa: S505 - weak on purpose
        assert fault_of(prover.proof()) is DpopFault.KEY_TOO_SMALL

    @pytest.mark.parametrize("alg", ["EdDSA", "ES384", "PS256"])
    def test_a_key_of_another_algorithm_is_refused(self, alg):
        """The key type and curve must be those of alg."""
        assert fault_of(PROVER.proof({"alg": alg})) is DpopFault.KEY_NOT_FOR_ALG

    def test_a_key_that_says_it_is_for_something_else_is_refused(self):
        """A jwk whose use is enc signs nothing."""
        assert fault_of(PROVER.proof({"jwk": {**PROVER.jwk, "use": "enc"}})) is DpopFault.KEY_NOT_FOR_ALG

    def test_a_signature_by_another_key_is_refused(self):
        """Check 6: somebody else's public key over my signature."""
        assert fault_of(PROVER.proof({"jwk": Prover.es256().jwk})) is DpopFault.SIGNATURE_INVALID

    @pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), b"\x01" * 64])
    def test_a_signature_that_is_none_is_refused(self, signature):
        """Check 6: empty, r = s = 0, a wrong length, made up."""
        message = PROVER.proof().rpartition(".")[0]
        assert fault_of(f"{message}.{base64url.encode(signature)}") is DpopFault.SIGNATURE_INVALID

    def test_a_changed_payload_is_refused(self):
        """Check 6: the signature covers every claim."""
        header, _, signature = PROVER.proof().split(".")
        other = PROVER.proof().split(".")[1]
        assert fault_of(f"{header}.{other}.{signature}") is DpopFault.SIGNATURE_INVALID


class TestClaims:
    @pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat"])
    def test_a_missing_claim_is_named(self, name):
        """Check 3: each required claim."""
        assert member_of(PROVER.proof(**{name: OMIT})) == (DpopFault.CLAIM_MISSING, name)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("jti", ""),
            ("jti", "x" * 257),
            ("jti", 7),
            ("htm", ["POST"]),
            ("htu", "x" * 2049),
            ("iat", str(NOW)),
            ("iat", NOW + 0.5),
            ("iat", True),
            ("iat", None),
            ("ath", 1),
            ("nonce", "x" * 257),
            ("exp", "soon"),
            ("nbf", []),
        ],
    )
    def test_a_claim_of_the_wrong_shape_is_named(self, name, value):
        """Types and sizes are checked, also of claims that are optional."""
        assert member_of(PROVER.proof(**{name: value})) == (DpopFault.CLAIM_INVALID, name)

    @pytest.mark.parametrize("htm", ["GET", "post", "POST "])
    def test_another_method_is_refused(self, htm):
        """Check 8: the case counts."""
        assert member_of(PROVER.proof(htm=htm)) == (DpopFault.METHOD_MISMATCH, "htm")

    @pytest.mark.parametrize(
        "htu",
        [
            "https://id.example.org/oauth2/introspect",
            "https://id.example.org/oauth2/token/",
            "https://id.example.org/OAUTH2/token",
            "https://id.example.org:8443/oauth2/token",
            "https://evil.example/oauth2/token",
        ],
    )
    def test_another_target_is_refused(self, htu):
        """Check 9: another path, port or host."""
        assert member_of(PROVER.proof(htu=htu)) == (DpopFault.TARGET_MISMATCH, "htu")

    @pytest.mark.parametrize(
        "htu",
        ["/oauth2/token", "http://id.example.org/oauth2/token", "https://u@id.example.org/oauth2/token"],
    )
    def test_what_is_no_target_is_invalid(self, htu):
        """Check 9: no origin, plain http, userinfo."""
        assert member_of(PROVER.proof(htu=htu)) == (DpopFault.CLAIM_INVALID, "htu")

    @pytest.mark.parametrize(
        "htu",
        [TARGET + "?a=b", TARGET + "#x", "HTTPS://ID.example.ORG:443/oauth2/token", TARGET[:-1] + "%6e"],
    )
    def test_another_spelling_of_the_target_is_accepted(self, htu):
        """Check 9: query and fragment are ignored, and RFC 3986 normalization applies."""
        assert str(check(PROVER.proof(htu=htu)).target) == TARGET

    def test_a_grpc_call_is_a_post_to_its_full_method(self):
        """The proof of a call names origin, package, service and method."""
        method = "/countersign.v1.TokenService/MintToken"
        proof = PROVER.proof(htu="https://id.example.org" + method)
        targets = ORIGINS.grpc_targets(method)
        assert check(proof, targets=targets).target in targets


class TestTime:
    @pytest.mark.parametrize("offset", [-60, -10, 0, 5])
    def test_a_proof_within_the_window_is_accepted(self, offset):
        """Check 11: as old as the window, as far ahead as the skew."""
        assert check(PROVER.proof(iat=NOW + offset)).iat == NOW + offset

    @pytest.mark.parametrize(
        ("offset", "fault"), [(-61, DpopFault.ISSUED_TOO_LONG_AGO), (6, DpopFault.ISSUED_IN_FUTURE)]
    )
    def test_a_proof_outside_the_window_is_refused(self, offset, fault):
        """Check 11: a second too old, a second too far ahead."""
        assert member_of(PROVER.proof(iat=NOW + offset)) == (fault, "iat")

    @pytest.mark.parametrize(
        ("claim", "value", "fault"),
        [("exp", NOW - 5, DpopFault.EXPIRED), ("nbf", NOW + 6, DpopFault.NOT_YET_VALID)],
    )
    def test_exp_and_nbf_are_honored_where_present(self, claim, value, fault):
        """RFC 7519 §4.1.4 and §4.1.5 hold for proofs that carry them."""
        assert member_of(PROVER.proof(**{claim: value})) == (fault, claim)
        assert check(PROVER.proof(exp=NOW - 4, nbf=NOW + 5))


class TestNonce:
    def nonces(self, clock):
        return ServerNonces([bytes(32)], space="as", clock=clock)

    @pytest.mark.parametrize("nonce", [OMIT, "x", "x" * 32])
    def test_a_nonce_that_is_not_ours_asks_for_a_new_one(self, nonce):
        """Check 10: absent, malformed or forged; OAuth's error invites to try again with a fresh one."""
        by = verifier(nonces=self.nonces(Fixed()), nonce_required=True)
        with pytest.raises(DpopError) as caught:
            check(PROVER.proof(nonce=nonce), by=by)
        wanted = DpopFault.NONCE_MISSING if nonce is OMIT else DpopFault.NONCE_MISMATCH
        assert (caught.value.fault, caught.value.oauth_error) == (wanted, "use_dpop_nonce")

    def test_a_nonce_of_ours_is_accepted_and_a_stale_one_is_not(self):
        """Check 10: what was handed out counts for a while."""
        clock = Fixed()
        nonces = self.nonces(clock)
        nonce = nonces.issue()
        by = verifier(clock, nonces=nonces, nonce_required=True)
        assert check(PROVER.proof(nonce=nonce), by=by).nonce == nonce
        clock.now += 180
        assert fault_of(PROVER.proof(nonce=nonce, iat=clock.now), by=by) is DpopFault.NONCE_MISMATCH

    def test_a_nonce_for_another_client_is_refused(self):
        """Check 10: a bound nonce is of use to its client only."""
        nonces = self.nonces(Fixed())
        proof = PROVER.proof(nonce=nonces.issue(subject="alice"))
        by = verifier(nonces=nonces)
        assert check(proof, by=by, nonce_subject="alice")
        assert fault_of(proof, by=by, nonce_subject="bob") is DpopFault.NONCE_MISMATCH

    def test_an_optional_nonce_may_be_absent_but_not_wrong(self):
        """Where nonces are not required, one that is sent is still checked."""
        by = verifier(nonces=self.nonces(Fixed()))
        assert check(PROVER.proof(), by=by).nonce is None
        assert fault_of(PROVER.proof(nonce="x"), by=by) is DpopFault.NONCE_MISMATCH

    @pytest.mark.parametrize(
        ("offset", "fault"), [(-3600, DpopFault.ISSUED_TOO_LONG_AGO), (3600, DpopFault.ISSUED_IN_FUTURE)]
    )
    def test_a_nonce_vouches_for_the_time_of_a_device_whose_clock_is_wrong(self, offset, fault):
        """Check 11: with a nonce of ours, iat may be further off, where the policy says so."""
        nonces = self.nonces(Fixed())
        by = verifier(nonces=nonces, window_with_nonce=3600)
        assert check(PROVER.proof(iat=NOW + offset, nonce=nonces.issue()), by=by)
        further = offset + offset // 3600
        assert fault_of(PROVER.proof(iat=NOW + further, nonce=nonces.issue()), by=by) is fault
        assert fault_of(PROVER.proof(iat=NOW + offset), by=by) is fault

    def test_nonces_that_are_required_need_something_to_check_them(self):
        """A verifier that could not tell is not made."""
        with pytest.raises(ValueError, match="nonces are required"):
            verifier(nonce_required=True)


class TestAccessToken:
    async def verify(self, proof, *, access_token=ACCESS_TOKEN, jkt=PROVER.jkt, by=None):
        return await accept_with_token(
            by or verifier(), proof, method="POST", targets=TARGETS, access_token=access_token, jkt=jkt
        )

    async def test_a_proof_for_the_token_by_its_key_is_accepted(self):
        """Check 12: hash and key."""
        assert (await self.verify(PROVER.proof(ath=ATH))).ath == ATH

    @pytest.mark.parametrize(
        ("ath", "changes", "fault"),
        [
            (OMIT, {}, DpopFault.ACCESS_TOKEN_HASH_MISSING),
            (ATH, {"access_token": "another"}, DpopFault.ACCESS_TOKEN_MISMATCH),
            (ATH + "=", {}, DpopFault.ACCESS_TOKEN_MISMATCH),
            (ATH.swapcase(), {}, DpopFault.ACCESS_TOKEN_MISMATCH),
            (ATH, {"access_token": "\ud800é"}, DpopFault.ACCESS_TOKEN_MISMATCH),
            (ATH, {"jkt": "x" * 43}, DpopFault.KEY_MISMATCH),
            (ATH, {"jkt": PROVER.jkt.swapcase()}, DpopFault.KEY_MISMATCH),
            (ATH, {"jkt": ""}, DpopFault.KEY_MISMATCH),
            (ATH, {"jkt": "\ud800"}, DpopFault.KEY_MISMATCH),
        ],
    )
    async def test_a_proof_for_another_token_or_key_is_refused_and_not_used_up(self, ath, changes, fault):
        """Check 12: no hash, another token, another spelling, another key; nothing is recorded."""
        replay = MemoryReplays()
        with pytest.raises(DpopError) as caught:
            await self.verify(PROVER.proof(ath=ath), by=verifier(replay=replay), **changes)
        assert (caught.value.fault, replay.used) == (fault, [])
        assert caught.value.oauth_error == "invalid_dpop_proof"


class TestPolicy:
    @pytest.mark.parametrize(
        "changes", [{"algorithms": frozenset()}, {"window": 0}, {"skew": -1}, {"window_with_nonce": -1}]
    )
    def test_a_policy_that_makes_no_sense_is_refused(self, changes):
        """Mistakes of configuration show at the start."""
        with pytest.raises(ValueError, match=r"algorithm|window"):
            verifier(**changes)
