"""Private keys as JWK, for tests; the project itself never writes one."""

import json

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signers.jose_form import base64url, public_jwk
from signers.key_files import PrivateKey


def private_jwk(private_key: PrivateKey) -> bytes:
    """The private JWK (RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2) of *private_key*."""
    members = public_jwk(private_key.public_key())
    if isinstance(private_key, Ed25519PrivateKey):
        members["d"] = base64url(private_key.private_bytes_raw())
    elif isinstance(private_key, EllipticCurvePrivateKey):
        size = (private_key.curve.key_size + 7) // 8
        members["d"] = base64url(private_key.private_numbers().private_value.to_bytes(size, "big"))
    else:
        numbers = private_key.private_numbers()
        values = {"d": numbers.d, "p": numbers.p, "q": numbers.q}
        values |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        for name, value in values.items():
            members[name] = base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
    return json.dumps(members).encode()
