"""Private keys as a KMS holds them: made once per kind, because RSA keys take long, and signing digests."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signers.base import PublicKey

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}
HASHES: dict[int, HashAlgorithm] = {256: SHA256(), 384: SHA384(), 512: SHA512()}


def generate(kind: str) -> PrivateKey:
    """A key of a kind: a JWK curve name, ``Ed25519``, or ``RSA-2048`` and larger.

    RSA keys come from two of each size, in turn, so that a new version differs from the one before it.
    """
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind.startswith("RSA-"):
        return _rsa(int(kind.removeprefix("RSA-")), _next_slot(kind))
    return ec.generate_private_key(CURVES[kind])


_slots: dict[str, int] = {}


def _next_slot(kind: str) -> int:
    _slots[kind] = 1 - _slots.get(kind, 1)
    return _slots[kind]


@cache
def _rsa(bits: int, slot: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def sign_digest(key: PrivateKey, digest: bytes, bits: int, *, pss: bool = False) -> bytes:
    """DER for EC, the plain signature for RSA. Raises `ValueError` where *digest* has not *bits* bits."""
    scheme = utils.Prehashed(HASHES[bits])
    if len(digest) * 8 != bits:
        raise ValueError("digest of the wrong length")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(digest, ec.ECDSA(scheme))
    assert isinstance(key, rsa.RSAPrivateKey)
    salted = padding.PSS(mgf=padding.MGF1(HASHES[bits]), salt_length=bits // 8)
    return key.sign(digest, salted if pss else padding.PKCS1v15(), scheme)


def public_pem(key: PublicKey) -> str:
    """The SubjectPublicKeyInfo in PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
