"""Whether a subject's public key may be certified: its type, its size, and known ways to be weak.

SOURCE: CA/Browser Forum Baseline Requirements §6.1.1.3, §6.1.5 and §6.1.6; ROCA: M. Nemec and others, "The
Return of Coppersmith's Attack" (ACM CCS 2017), §3.2 and the authors' detection tool. Not checked: the lists
of Debian's predictable keys (CVE-2008-0166), which are megabytes of hashes, one list per key size.
"""

import math

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.pki.issuance_errors import RequestError, RequestFault
from signers import PublicKey
from signers.verification import MAX_RSA_BITS, MIN_RSA_BITS

MIN_EXPONENT = 65537
_MAX_EXPONENT_BITS = 256
_FERMAT_ROUNDS = 100
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_ODD_PRIMES = tuple(n for n in range(3, 752, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))
_SMALL_FACTORS = 2 * math.prod(_ODD_PRIMES)

# Every ROCA prime is k*M + (65537^a mod M), where M is a product of the first primes, at least up to 167. So
# the modulus lies in the group that 65537 generates modulo each of them. Primes where that is the whole group
# tell nothing and are left out. A sound modulus passes for a ROCA one with a chance below 2^-27.
_ROCA_RESIDUES = {
    prime: residues
    for prime in _ODD_PRIMES
    if prime <= 167  # noqa: PLR2004 - the 39th prime, as said above.
    and len(residues := frozenset(pow(65537, power, prime) for power in range(prime - 1))) < prime - 1
}

# The field and the constant of edwards25519 (RFC 8032 §5.1).
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def require_strong_key(key: object) -> PublicKey:
    """Return *key*, typed: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, free of known weakness.

    Raises `RequestError` with `UNSUPPORTED_KEY` or `WEAK_KEY`.
    """
    if isinstance(key, RSAPublicKey):
        _require_strong_rsa(key)
        return key
    if isinstance(key, EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise RequestError(RequestFault.UNSUPPORTED_KEY, "the curve is none of P-256, P-384 and P-521")
        return key
    if isinstance(key, Ed25519PublicKey):
        _require_large_order(key)
        return key
    raise RequestError(RequestFault.UNSUPPORTED_KEY, "the key is none of RSA, EC and Ed25519")


def _require_strong_rsa(key: RSAPublicKey) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS or key.key_size % 8:
        raise RequestError(
            RequestFault.WEAK_KEY,
            f"the RSA modulus is not of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits in whole octets",
        )
    numbers = key.public_numbers()
    exponent, modulus = numbers.e, numbers.n
    # That it is odd is checked by the library when it reads the key.
    if exponent < MIN_EXPONENT or exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise RequestError(
            RequestFault.WEAK_KEY, f"the RSA exponent is not {MIN_EXPONENT} to 2^{_MAX_EXPONENT_BITS}"
        )
    if math.gcd(modulus, _SMALL_FACTORS) != 1:
        raise RequestError(RequestFault.WEAK_KEY, "the RSA modulus has a small factor")
    if all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES.items()):
        raise RequestError(RequestFault.WEAK_KEY, "the RSA key has the mark of ROCA (CVE-2017-15361)")
    if _has_close_primes(modulus):
        raise RequestError(RequestFault.WEAK_KEY, "the primes of the RSA modulus are close together")


def _has_close_primes(modulus: int) -> bool:
    """Fermat's method, as many rounds as the Baseline Requirements ask for; covers p = q as well."""
    middle = math.isqrt(modulus - 1) + 1
    for _ in range(_FERMAT_ROUNDS):
        square = middle * middle - modulus
        if math.isqrt(square) ** 2 == square:
            return True
        middle += 1
    return False


def _require_large_order(key: Ed25519PublicKey) -> None:
    """A point of order 1, 2, 4 or 8 verifies signatures that nobody made.

    With y its coordinate: order 1 or 2 has y² = 1, order 4 has y = 0, and a point of order 8 doubles to one
    with y = 0, which is d·y⁴ + 2y² = 1 on the curve -x² + y² = 1 + d·x²y².
    """
    octets = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    y = (int.from_bytes(octets, "little") & (2**255 - 1)) % _P
    square = y * y % _P
    if square in (0, 1) or (_D * square * square + 2 * square - 1) % _P == 0:
        raise RequestError(RequestFault.WEAK_KEY, "the Ed25519 key is a point of small order")
