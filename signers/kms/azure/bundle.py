"""A key as Key Vault describes it: its identifier, its JWK and its attributes."""

import re
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyUnusableError
from signers.kms.azure.algorithms import ALGORITHMS
from signers.kms.protection import ProtectionLevel
from signers.kms.reply import JsonReply
from signers.verification import require_fit

_KID = re.compile(
    r"https://(?P<vault>[a-z0-9.-]+)(?::443)?/keys/(?P<key>[A-Za-z0-9-]+)/(?P<version>[0-9a-f]{32})\Z"
)


@dataclass(frozen=True, slots=True)
class KeyBundle:
    """One version of a key that may sign. `kid` is its identifier, as every signature repeats it."""

    kid: str
    version: str
    public_key: PublicKey
    protection_level: ProtectionLevel


def read_bundle(reply: JsonReply, algorithm: Algorithm, vault: str, key: str, *, name: str) -> KeyBundle:
    """Read a Get Key reply for *key* in *vault*; *name* is the redacted name.

    Raises `KeyUnusableError` for a key that does not sign with *algorithm*, or not now.
    """
    jwk = reply.object("key")
    kid = jwk.text("kid")
    found = _KID.match(kid)
    if found is None or found["vault"] != vault or found["key"].lower() != key.lower():
        raise KeyUnusableError("The vault answered with another key than asked for.", key=name)
    _require_in_force(reply.object("attributes"), name)
    if "sign" not in jwk.texts("key_ops"):
        raise KeyUnusableError("The key's operations (key_ops) do not include 'sign'.", key=name)
    kty = jwk.text("kty")
    level = ProtectionLevel.HSM if kty.endswith("-HSM") else ProtectionLevel.SOFTWARE
    return KeyBundle(kid, found["version"], _public_key(jwk, kty, algorithm, name), level)


def _require_in_force(attributes: JsonReply, name: str) -> None:
    now = time.time()
    if not attributes.flag("enabled"):
        raise KeyUnusableError("The key is disabled.", key=name)
    if (attributes.number("nbf") or 0) > now:
        raise KeyUnusableError("The key is not active yet (nbf).", key=name)
    expires = attributes.number("exp")
    if expires is not None and expires <= now:
        raise KeyUnusableError("The key has expired (exp).", key=name)


def _public_key(jwk: JsonReply, kty: str, algorithm: Algorithm, name: str) -> PublicKey:
    row, curve = ALGORITHMS[algorithm], algorithm.spec.ec_curve
    try:
        if kty.removesuffix("-HSM") == "RSA" and curve is None:
            n, e = (int.from_bytes(jwk.base64url(member), "big") for member in ("n", "e"))
            return require_fit(RSAPublicNumbers(e, n).public_key(), algorithm, key=name)
        if kty.removesuffix("-HSM") == "EC" and curve is not None and jwk.text("crv") == row.crv:
            x, y = (int.from_bytes(jwk.base64url(member), "big") for member in ("x", "y"))
            return require_fit(EllipticCurvePublicNumbers(x, y, curve).public_key(), algorithm, key=name)
    except ValueError:
        raise KeyUnusableError("The vault's public key is not valid.", key=name) from None
    raise KeyUnusableError(
        f"The key is of type {kty} {jwk.text_or('crv', '')}, which is not for {algorithm}.", key=name
    )
