"""The key of a verification method (DID Core §5.2.1), or the reason why it is of no use here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.dids.document import ALGORITHM_OF_TYPE, DID_ALGORITHMS
from gateway.dids.errors import DidError
from gateway.dids.multibase import decode_base58, decode_multibase, decode_multikey, ed25519_key
from gateway.jose import JoseError, parse_jwk
from gateway.jose.key_material import implied_algorithm
from signers import Algorithm, PublicKey

_MATERIAL: Final = ("publicKeyJwk", "publicKeyMultibase", "publicKeyBase58")
# What a JWK is read by; its kid and certificates decide nothing about a key that stands in a DID document.
_IGNORED: Final = frozenset({"kid", "x5c", "x5u", "x5t", "x5t#S256"})


@dataclass(frozen=True, slots=True)
class MethodKey:
    """A key and its algorithm, or `unusable`: why there is none, for a log and a report."""

    public_key: PublicKey | None = None
    algorithm: Algorithm | None = None
    unusable: str | None = None


def read_key(method_type: str, members: Mapping[str, Any]) -> MethodKey:
    """The key of a method of *method_type*. Never raises: what cannot be used says so."""
    if method_type not in ALGORITHM_OF_TYPE:
        return MethodKey(unusable="the verification method type is not supported")
    material = [name for name in _MATERIAL if name in members]
    if len(material) != 1:
        return MethodKey(unusable="the verification method does not hold exactly one key")
    try:
        key = _read(material[0], method_type, members[material[0]])
    except JoseError as error:
        return MethodKey(unusable=f"the JWK is refused: {error.code}")
    except DidError as error:
        return MethodKey(unusable=f"the key is refused: {error.fault}")
    bound = ALGORITHM_OF_TYPE[method_type]
    if key.algorithm is not None and bound not in (None, key.algorithm):
        return MethodKey(unusable="the key is not of the verification method's type")
    return key


def read_jwk(value: object) -> MethodKey:
    """The key of a JWK. Raises `JoseError` for what `parse_jwk` refuses, private members among it."""
    if isinstance(value, Mapping):
        value = {name: member for name, member in value.items() if name not in _IGNORED}
    jwk = parse_jwk(value)
    if jwk.use == "enc" or (jwk.key_ops is not None and "verify" not in jwk.key_ops):
        return MethodKey(unusable="the JWK is not for signatures")
    return usable(jwk.public_key)


def usable(public_key: PublicKey) -> MethodKey:
    """*public_key* with the one algorithm of `DID_ALGORITHMS` that it serves, if there is one."""
    algorithm = implied_algorithm(public_key)
    if algorithm not in DID_ALGORITHMS:
        return MethodKey(unusable="the key serves no accepted algorithm")
    return MethodKey(public_key, algorithm)


def _read(name: str, method_type: str, value: object) -> MethodKey:
    if name == "publicKeyJwk":
        return read_jwk(value)
    if not isinstance(value, str):
        return MethodKey(unusable=f"{name} is not a string")
    if name == "publicKeyMultibase":
        return usable(decode_multikey(decode_multibase(value)))
    if method_type != "Ed25519VerificationKey2018":
        return MethodKey(unusable="publicKeyBase58 is read for Ed25519VerificationKey2018 alone")
    return usable(ed25519_key(decode_base58(value)))
