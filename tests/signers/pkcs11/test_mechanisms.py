"""The mechanism of each algorithm, and what the token is given."""

import hashlib

import pytest

from signers import Algorithm, KeyUnusableError
from signers.pkcs11 import constants as ck
from signers.pkcs11.mechanisms import select

MESSAGE = b"message"


@pytest.mark.parametrize(
    ("algorithm", "mechanism", "data"),
    [
        (Algorithm.EDDSA, ck.CKM_EDDSA, MESSAGE),
        (Algorithm.ES256, ck.CKM_ECDSA, hashlib.sha256(MESSAGE).digest()),
        (Algorithm.ES256, ck.CKM_ECDSA_SHA256, MESSAGE),
        (Algorithm.ES256K, ck.CKM_ECDSA, hashlib.sha256(MESSAGE).digest()),
        (Algorithm.ES384, ck.CKM_ECDSA, hashlib.sha384(MESSAGE).digest()),
        (Algorithm.ES384, ck.CKM_ECDSA_SHA384, MESSAGE),
        (Algorithm.ES512, ck.CKM_ECDSA, hashlib.sha512(MESSAGE).digest()),
        (Algorithm.ES512, ck.CKM_ECDSA_SHA512, MESSAGE),
        (Algorithm.RS256, ck.CKM_SHA256_RSA_PKCS, MESSAGE),
        (Algorithm.PS256, ck.CKM_RSA_PKCS_PSS, hashlib.sha256(MESSAGE).digest()),
        (Algorithm.PS256, ck.CKM_SHA256_RSA_PKCS_PSS, MESSAGE),
    ],
)
def test_the_only_mechanism_there_is_used(algorithm, mechanism, data):
    """Where the token has one suitable mechanism it is chosen, and gets the digest or the message."""
    spec = select(algorithm, frozenset({mechanism}), key="k")
    assert spec.call.mechanism == mechanism
    assert spec.input_for(MESSAGE) == data


def test_plain_mechanisms_come_first():
    """Among several mechanisms the one that takes a digest is chosen."""
    everything = frozenset(range(0x2000))
    assert select(Algorithm.ES256, everything, key="k").call.mechanism == ck.CKM_ECDSA
    assert select(Algorithm.RS256, everything, key="k").call.mechanism == ck.CKM_RSA_PKCS


def test_rs256_wraps_the_digest():
    """CKM_RSA_PKCS is given the DigestInfo of SHA-256 (RFC 8017 §9.2)."""
    data = select(Algorithm.RS256, frozenset({ck.CKM_RSA_PKCS}), key="k").input_for(MESSAGE)
    digest = hashlib.sha256(MESSAGE).digest()
    assert data == bytes.fromhex("3031300d060960864801650304020105000420") + digest


def test_pss_parameters_are_explicit():
    """PS256 passes SHA-256, MGF1 with SHA-256 and a salt of 32 bytes, as three CK_ULONG."""
    parameter = select(Algorithm.PS256, frozenset({ck.CKM_RSA_PKCS_PSS}), key="k").call.parameter
    size = len(parameter) // 3
    numbers = [int.from_bytes(parameter[at : at + size], "little") for at in range(0, len(parameter), size)]
    assert numbers == [ck.CKM_SHA256, ck.CKG_MGF1_SHA256, 32]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_missing_mechanism_is_refused(algorithm):
    """A token without a suitable mechanism is refused with the algorithm's name and the key's."""
    with pytest.raises(KeyUnusableError, match=f"no mechanism that {algorithm} needs") as caught:
        select(algorithm, frozenset({ck.CKM_SHA256}), key="pkcs11:token=t;object=o")
    assert caught.value.key == "pkcs11:token=t;object=o"
