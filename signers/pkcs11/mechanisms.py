"""Which PKCS#11 mechanism makes a JOSE signature, and what is fed to it. A pure function of the algorithm."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from signers.algorithms import Algorithm
from signers.errors import KeyUnusableError
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import MechanismCall, ulong

# DER of DigestInfo for SHA-256, up to the digest. SOURCE: RFC 8017 §9.2, note 1.
_SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

# CK_RSA_PKCS_PSS_PARAMS: SHA-256, MGF1 with SHA-256, and a salt of 32 bytes (RFC 7518 §3.5). Always passed,
# because bindings and modules disagree about defaults.
_PSS_SHA256 = ulong(ck.CKM_SHA256) + ulong(ck.CKG_MGF1_SHA256) + ulong(32)


@dataclass(frozen=True, slots=True)
class MechanismSpec:
    """A mechanism and the input that it takes.

    `digest` is the hashlib name of the hash applied here first, or None where the token takes the whole
    message; `prefix` stands before the digest (the DigestInfo of RSASSA-PKCS1-v1_5).
    """

    call: MechanismCall
    digest: str | None
    prefix: bytes = b""

    def input_for(self, message: bytes) -> bytes:
        """What C_Sign is given for *message*."""
        if self.digest is None:
            return message
        return self.prefix + hashlib.new(self.digest, message).digest()


def _ecdsa(digest: str, hashing_mechanism: int) -> tuple[MechanismSpec, ...]:
    # Plain CKM_ECDSA comes first: it works on every token, sends 32 to 64 bytes whatever the message's
    # length, and SoftHSM before 2.7 has no other.
    return (
        MechanismSpec(MechanismCall(ck.CKM_ECDSA), digest),
        MechanismSpec(MechanismCall(hashing_mechanism), None),
    )


_CHOICES: dict[Algorithm, tuple[MechanismSpec, ...]] = {
    Algorithm.ES256: _ecdsa("sha256", ck.CKM_ECDSA_SHA256),
    Algorithm.ES256K: _ecdsa("sha256", ck.CKM_ECDSA_SHA256),
    Algorithm.ES384: _ecdsa("sha384", ck.CKM_ECDSA_SHA384),
    Algorithm.ES512: _ecdsa("sha512", ck.CKM_ECDSA_SHA512),
    # Without a parameter CKM_EDDSA is pure Ed25519 (PKCS#11 v3.0 §2.3.14).
    Algorithm.EDDSA: (MechanismSpec(MechanismCall(ck.CKM_EDDSA), None),),
    Algorithm.RS256: (
        MechanismSpec(MechanismCall(ck.CKM_RSA_PKCS), "sha256", _SHA256_DIGEST_INFO),
        MechanismSpec(MechanismCall(ck.CKM_SHA256_RSA_PKCS), None),
    ),
    Algorithm.PS256: (
        MechanismSpec(MechanismCall(ck.CKM_RSA_PKCS_PSS, _PSS_SHA256), "sha256"),
        MechanismSpec(MechanismCall(ck.CKM_SHA256_RSA_PKCS_PSS, _PSS_SHA256), None),
    ),
}


def select(
    algorithm: Algorithm,
    available: frozenset[int],
    *,
    key: str,
    flags_of: Callable[[int], int] = lambda _: ck.CKF_SIGN,
) -> MechanismSpec:
    """The mechanism for *algorithm* among the CKM_ numbers *available* (C_GetMechanismList).

    *flags_of* gives the CKF_ bits of one that is available (C_GetMechanismInfo); none at all say nothing.
    Raises `KeyUnusableError` where the token offers none to sign with; *key* is the redacted name.
    """
    listed = [choice for choice in _CHOICES[algorithm] if choice.call.mechanism in available]
    for choice in listed:
        if flags_of(choice.call.mechanism) & ck.CKF_SIGN or not flags_of(choice.call.mechanism):
            return choice
    wanted = " or ".join(ck.mechanism_name(choice.call.mechanism) for choice in _CHOICES[algorithm])
    what = "offers the mechanism, but not to sign with, that" if listed else "has no mechanism that"
    raise KeyUnusableError(
        f"The token {what} {algorithm} needs: {wanted}. Use another algorithm, or enable it on the token.",
        key=key,
    )
