"""Finding the one key pair that a URI names, and reading its public half."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_der_public_key

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyAmbiguousError, KeyNotFoundError, KeyUnusableError
from signers.pinning import same_key
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import Cryptoki, Template, ulong
from signers.uri import Pkcs11Uri
from signers.verification import require_fit

KEY_TYPES = {"EC": ck.CKK_EC, "OKP": ck.CKK_EC_EDWARDS, "RSA": ck.CKK_RSA}
"""CKK_ numbers by JWK key type."""

_OCTET_STRING = 0x04
_SHORT_LENGTH = 0x80


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A private key on the token: its handle, good for one session, and its public half."""

    handle: int
    public_key: PublicKey


def named(uri: Pkcs11Uri) -> Template:
    """The part of a template that *uri* gives: CKA_ID, CKA_LABEL or both."""
    label = () if uri.object is None else ((ck.CKA_LABEL, uri.object.encode()),)
    key_id = () if uri.id is None else ((ck.CKA_ID, uri.id),)
    return label + key_id


def find_key(
    cryptoki: Cryptoki,
    session: int,
    uri: Pkcs11Uri,
    algorithm: Algorithm,
    certificate: x509.Certificate | None = None,
) -> TokenKey:
    """Find exactly one private key of *algorithm*'s type that *uri* names, and its public half.

    *certificate* gives the public half where the token holds none. Raises `KeyNotFoundError`,
    `KeyAmbiguousError`, `KeyUnusableError` or `CryptokiError`.
    """
    handle = _find_private(cryptoki, session, uri, algorithm)
    if cryptoki.attribute(session, handle, ck.CKA_ALWAYS_AUTHENTICATE) == b"\x01":
        raise KeyUnusableError("The key asks for the PIN at every signature.", key=uri.redacted)
    if cryptoki.attribute(session, handle, ck.CKA_SIGN) == b"\x00":
        raise KeyUnusableError(
            "The key may not sign: its CKA_SIGN is false. Change that on the token, or make another key.",
            key=uri.redacted,
        )
    public: object = _public_from_token(cryptoki, session, uri, algorithm, handle)
    if public is None and certificate is not None:
        public = certificate.public_key()
    if public is None:
        raise KeyUnusableError(
            "The token holds no public half of the key; configure its certificate.", key=uri.redacted
        )
    return TokenKey(handle, require_fit(public, algorithm, key=uri.redacted))


def _find_private(cryptoki: Cryptoki, session: int, uri: Pkcs11Uri, algorithm: Algorithm) -> int:
    anything = ((ck.CKA_CLASS, ulong(ck.CKO_PRIVATE_KEY)), *named(uri))
    typed = (*anything, (ck.CKA_KEY_TYPE, ulong(KEY_TYPES[algorithm.spec.key_type])))
    found = cryptoki.find(session, typed, 2)
    if len(found) == 1:
        return found[0]
    if found:
        raise KeyAmbiguousError(
            "More than one private key on the token answers to this URI; add id= to name one.",
            key=uri.redacted,
        )
    others = cryptoki.find(session, anything, 1)
    # One of the right type was made between the two searches; the next call will find it.
    if others and cryptoki.attribute(session, others[0], ck.CKA_KEY_TYPE) != typed[-1][1]:
        raise KeyUnusableError(
            f"The key exists, but not of type {algorithm.spec.key_type} as {algorithm} needs.",
            key=uri.redacted,
        )
    raise KeyNotFoundError("No private key on the token answers to this URI.", key=uri.redacted)


def _public_from_token(
    cryptoki: Cryptoki, session: int, uri: Pkcs11Uri, algorithm: Algorithm, private: int
) -> PublicKey | None:
    """The public half by CKO_PUBLIC_KEY, else CKA_PUBLIC_KEY_INFO, else the private key's RSA numbers."""
    key_type = KEY_TYPES[algorithm.spec.key_type]
    of_type: Template = ((ck.CKA_CLASS, ulong(ck.CKO_PUBLIC_KEY)), (ck.CKA_KEY_TYPE, ulong(key_type)))
    # CKA_ID joins the halves of a pair on every vendor's token. Where two pairs share one, the label decides.
    key_id = cryptoki.attribute(session, private, ck.CKA_ID)
    label = cryptoki.attribute(session, private, ck.CKA_LABEL)
    by_id: Template = ((ck.CKA_ID, key_id),) if key_id else named(uri)
    candidates: list[PublicKey] = []
    for join in (by_id, (*by_id, (ck.CKA_LABEL, label or b""))):
        found = cryptoki.find(session, (*of_type, *join), 8)
        candidates = [_read_public(cryptoki, session, handle, algorithm, uri) for handle in found]
        if candidates and all(same_key(candidates[0], other) for other in candidates[1:]):
            return candidates[0]
        if not candidates:
            break
    if candidates:
        raise KeyAmbiguousError("Different public keys on the token answer to this key.", key=uri.redacted)
    info = cryptoki.attribute(session, private, ck.CKA_PUBLIC_KEY_INFO)
    if info:
        return _from_spki(info, algorithm, uri)
    if key_type == ck.CKK_RSA and cryptoki.attribute(session, private, ck.CKA_PUBLIC_EXPONENT):
        return _read_public(cryptoki, session, private, algorithm, uri)
    return None


def _read_public(
    cryptoki: Cryptoki, session: int, handle: int, algorithm: Algorithm, uri: Pkcs11Uri
) -> PublicKey:
    spec = algorithm.spec
    try:
        if spec.key_type == "RSA":
            modulus = cryptoki.attribute(session, handle, ck.CKA_MODULUS) or b""
            exponent = cryptoki.attribute(session, handle, ck.CKA_PUBLIC_EXPONENT) or b""
            return RSAPublicNumbers(
                int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")
            ).public_key()
        point = unwrap_point(cryptoki.attribute(session, handle, ck.CKA_EC_POINT) or b"")
        if spec.ec_curve is None:
            return Ed25519PublicKey.from_public_bytes(point)
        return EllipticCurvePublicKey.from_encoded_point(spec.ec_curve, point)
    except (ValueError, UnsupportedAlgorithm) as error:
        # The usual reason: the key lies on another curve than the algorithm's.
        raise KeyUnusableError(
            f"The key's public half is no {spec.curve or spec.key_type} key, as {algorithm} needs.",
            key=uri.redacted,
        ) from error


def _from_spki(info: bytes, algorithm: Algorithm, uri: Pkcs11Uri) -> PublicKey:
    try:
        return require_fit(load_der_public_key(info), algorithm, key=uri.redacted)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusableError("CKA_PUBLIC_KEY_INFO of the key cannot be read.", key=uri.redacted) from error


def unwrap_point(value: bytes) -> bytes:
    """CKA_EC_POINT without its wrapping.

    The standard asks for a DER OCTET STRING (PKCS#11 v2.40 §2.3.3); some tokens give the bare point. A bare
    uncompressed point starts with the same byte, so the wrapping must account for the whole length.
    """
    if len(value) > 2 and value[0] == _OCTET_STRING:  # noqa: PLR2004  # A header is two bytes.
        if value[1] < _SHORT_LENGTH and len(value) == 2 + value[1]:
            return value[2:]
        if value[1] == _SHORT_LENGTH + 1 and len(value) == 3 + value[2]:
            return value[3:]
    return value
