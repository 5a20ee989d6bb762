"""gateway.proofs.dpop against published proofs: RFC 9449, and the walk-through of a Wire device."""

import json
from pathlib import Path

import pytest

from gateway.jose import parse_jwk
from gateway.proofs.dpop import DpopPolicy, DpopVerifier
from gateway.proofs.dpop_errors import DpopError, DpopFault
from gateway.proofs.dpop_proof import access_token_hash, single_proof
from gateway.proofs.target_uri import Origins
from signers import Algorithm
from tests.support.dpop import MemoryReplays, accept, accept_with_token

VECTORS = Path(__file__).parent.parent / "vectors"
RFC9449 = json.loads((VECTORS / "rfc9449_proofs.json").read_text())
WIRE = json.loads((VECTORS / "wire_dpop_proof.json").read_text())
THUMBPRINTS = json.loads((VECTORS / "jwk_thumbprints.json").read_text())


def verifier_at(now, replay=None, **policy):
    values = {"algorithms": frozenset(Algorithm), "window": 60, "skew": 5} | policy
    return DpopVerifier(policy=DpopPolicy(**values), replay=replay or MemoryReplays(), clock=lambda: now)


def request_of(vector):
    targets = Origins.parse([vector["origin"]]).targets(vector["path"])
    return {"method": vector["method"], "targets": targets}


class TestRfc9449:
    @pytest.mark.parametrize("name", ["token", "refresh", "resource"])
    async def test_a_published_proof_is_accepted_at_its_time(self, name):
        """The three proofs of the RFC verify, with the key thumbprint that it gives."""
        vector = RFC9449["proofs"][name]
        proof = await accept(verifier_at(vector["iat"]), vector["proof"], **request_of(vector))
        assert (proof.jkt, proof.jti, proof.iat) == (RFC9449["jkt"], vector["jti"], vector["iat"])
        assert proof.algorithm is Algorithm.ES256

    async def test_the_resource_proof_goes_with_its_token(self):
        """The ath and jkt of section 7.1 are those of the proof."""
        vector = RFC9449["proofs"]["resource"]
        proof = await accept_with_token(
            verifier_at(vector["iat"]),
            vector["proof"],
            **request_of(vector),
            access_token=RFC9449["access_token"],
            jkt=RFC9449["jkt"],
        )
        assert proof.ath == RFC9449["ath"] == access_token_hash(RFC9449["access_token"])

    async def test_the_shared_jti_is_a_replay_while_the_first_proof_counts(self):
        """The RFC's token and refresh proofs share jti, key and target: within one window only one passes."""
        token, refresh = RFC9449["proofs"]["token"], RFC9449["proofs"]["refresh"]
        verifier = verifier_at(refresh["iat"], window=3600)
        await accept(verifier, token["proof"], **request_of(token))
        with pytest.raises(DpopError) as caught:
            await accept(verifier, refresh["proof"], **request_of(refresh))
        assert caught.value.fault is DpopFault.REPLAYED

    async def test_a_published_proof_is_refused_today(self):
        """The same proof, years later, is too old."""
        vector = RFC9449["proofs"]["token"]
        with pytest.raises(DpopError) as caught:
            await accept(verifier_at(1_900_000_000), vector["proof"], **request_of(vector))
        assert caught.value.fault is DpopFault.ISSUED_TOO_LONG_AGO


@pytest.mark.parametrize("vector", THUMBPRINTS["keys"], ids=lambda vector: vector["name"])
def test_the_key_of_a_proof_is_known_by_its_published_thumbprint(vector):
    """What becomes jkt is the RFC 7638 thumbprint, as published."""
    assert parse_jwk(vector["jwk"]).thumbprint == vector["thumbprint"]


class TestWire:
    """The recorded proof of a device: EdDSA, plain http, encoded twice in its header."""

    async def test_the_recorded_proof_is_accepted_and_shows_its_claims(self):
        """Both encodings of the header give the proof, and the profile's claims are there to be read."""
        plain = single_proof([WIRE["proof"]], allow_encoded=True)
        assert single_proof([WIRE["header"].encode()], allow_encoded=True) == plain == WIRE["proof"]
        targets = Origins.parse([WIRE["origin"]], allow_http=True).targets(WIRE["path"])
        verifier = verifier_at(WIRE["iat"], allow_http=True)
        proof = await accept(verifier, plain, method="POST", targets=targets)
        assert proof.claims.string("chal") == WIRE["chal"]
        assert (proof.nonce, proof.algorithm) == (WIRE["nonce"], Algorithm.EDDSA)

    def test_plain_http_needs_the_option(self):
        """Without allow_http the recorded target is no target."""
        targets = Origins.parse([WIRE["origin"]], allow_http=True).targets(WIRE["path"])
        with pytest.raises(DpopError) as caught:
            verifier_at(WIRE["iat"]).check(WIRE["proof"], method="POST", targets=targets)
        assert (caught.value.fault, caught.value.member) == (DpopFault.CLAIM_INVALID, "htu")

    def test_the_double_encoding_needs_the_option(self):
        """Elsewhere a header without a dot is handed on as it is, and is no token."""
        assert single_proof([WIRE["header"]]) == WIRE["header"]
