"""Private keys in files: PKCS#8 PEM (RFC 5208, RFC 5958) and private JWK (RFC 7517), loaded and created."""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from signers.algorithms import Algorithm
from signers.errors import KeyAmbiguousError, KeyUnusableError
from signers.jose_form import base64url, public_jwk

PrivateKey: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

RSA_BITS = 3072
"""The size of new RSA keys: 128 bits of strength (NIST SP 800-57 part 1, table 2)."""

_RSA_CRT = ("p", "q", "dp", "dq", "qi")


def parse_private_key(
    content: bytes, passphrase: bytes | None, algorithm: Algorithm, *, key: str
) -> PrivateKey:
    """The private key in *content*, PEM or JWK by its first character.

    *key* is the redacted name. Raises `KeyUnusableError`; nothing of *content* is in its message.
    """
    if content.lstrip().startswith(b"{"):
        if passphrase is not None:
            raise KeyUnusableError("A JWK is not encrypted; remove passphrase-source.", key=key)
        return _parse_jwk(content, algorithm, key)
    try:
        private_key = load_pem_private_key(content, passphrase)
    except TypeError:
        problem = (
            "The key is encrypted; add '?passphrase-source=file:/path'."
            if passphrase is None
            else "The key is not encrypted; remove passphrase-source."
        )
        raise KeyUnusableError(problem, key=key) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "The file holds no PKCS#8 private key in PEM" + (
            "." if passphrase is None else ", or the passphrase is wrong."
        )
        raise KeyUnusableError(problem, key=key) from None
    if isinstance(private_key, EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey):
        return private_key
    raise KeyUnusableError(f"A key of type {type(private_key).__name__} signs no JOSE algorithm.", key=key)


def generate_private_key(algorithm: Algorithm) -> PrivateKey:
    """A new private key of *algorithm*'s type."""
    spec = algorithm.spec
    if spec.ec_curve is not None:
        return ec.generate_private_key(spec.ec_curve)
    if spec.key_type == "OKP":
        return Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def write_private_key(path: Path, private_key: PrivateKey, passphrase: bytes | None, *, key: str) -> None:
    """Write *private_key* as PKCS#8 PEM, mode 0600, whole or not at all, and never over another file.

    Written beside its place and linked into it once it is on the disk: link(2) refuses a name that is taken.
    Raises `KeyAmbiguousError` for such a name, `KeyUnusableError` where the folder cannot be written.
    """
    encryption: KeySerializationEncryption = (
        NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    )
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_folder(path.parent)
    except FileExistsError:
        raise KeyAmbiguousError(f"{path} exists already; it is never overwritten.", key=key) from None
    except OSError as error:
        raise KeyUnusableError(f"{path} cannot be written: {error.strerror}.", key=key) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse_jwk(content: bytes, algorithm: Algorithm, key: str) -> PrivateKey:
    try:
        members = json.loads(content, object_pairs_hook=_unique)
        _require_use(members, algorithm)
        private_key = _from_members(members, algorithm)
        # The public members are as much part of the file as the private one, so they must belong together.
        stated = {name: members.get(name) for name in public_jwk(private_key.public_key())}
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error, UnsupportedAlgorithm):
        raise KeyUnusableError(f"The file holds no private JWK for {algorithm}.", key=key) from None
    if stated != public_jwk(private_key.public_key()):
        raise KeyUnusableError("The JWK's public members do not belong to its private key.", key=key)
    return private_key


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _require_use(members: Mapping[str, object], algorithm: Algorithm) -> None:
    """Where the JWK states its use (RFC 7517 §4.2-§4.4), it must be this one."""
    operations = members.get("key_ops", ["sign"])
    if (
        members.get("alg", algorithm.value) != algorithm.value
        or members.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "sign" not in operations
    ):
        raise ValueError


def _from_members(members: Mapping[str, object], algorithm: Algorithm) -> PrivateKey:
    spec = algorithm.spec
    if members["kty"] != spec.key_type or members.get("crv") != spec.curve:
        raise ValueError
    secret = _octets(members["d"])
    if spec.key_type == "OKP":
        return Ed25519PrivateKey.from_private_bytes(secret)
    if spec.ec_curve is not None:
        if len(secret) != (spec.ec_curve.key_size + 7) // 8:
            raise ValueError
        return ec.derive_private_key(int.from_bytes(secret, "big"), spec.ec_curve)
    n, e, d = (int.from_bytes(_octets(members[name]), "big") for name in ("n", "e", "d"))
    if all(name in members for name in _RSA_CRT):
        p, q, dp, dq, qi = (int.from_bytes(_octets(members[name]), "big") for name in _RSA_CRT)
    else:
        p, q = rsa.rsa_recover_prime_factors(n, e, d)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n))
    return numbers.private_key()


def _octets(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError
    octets = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    # One value has one spelling: no padding, and no stray bits in the last character (RFC 7515 §2).
    if base64url(octets) != value:
        raise ValueError
    return octets
