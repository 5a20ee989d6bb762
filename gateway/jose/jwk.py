"""Public JSON Web Keys and sets of them (RFC 7517), and their thumbprints (RFC 7638)."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.header_values import bounded_text, parse_algorithm
from gateway.jose.key_material import implied_algorithm, public_key_of
from gateway.jose.strict_json import parse_object
from gateway.jose.x5c import parse_x5c
from signers import Algorithm, KeyUnusableError, PublicKey
from signers.jose_form import public_jwk as public_members
from signers.jose_form import thumbprint
from signers.verification import require_fit

MAX_KEYS = 100  # of one set, unless the caller says otherwise
MAX_KEY_SIZE = 32 * 1024  # octets of JSON that a key may take, on average over its set

_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_USES = frozenset({"sig", "enc"})
# RFC 7517 §5: what a reader of somebody's published set passes over.
_UNSUPPORTED = frozenset({JoseFault.KEY_TYPE_UNSUPPORTED, JoseFault.ALG_UNSUPPORTED})


@dataclass(frozen=True)  # Not slotted: the thumbprint is cached on first use.
class Jwk:
    """One public key as its owner described it.

    *algorithm* is the declared ``alg``, or the only one that the key type allows; None for an RSA key that
    declares none. *use* is ``sig``, ``enc`` or None. *key_ops* is None where absent. *x5c* holds DER
    certificates, leaf first, and its first one carries this very key (RFC 7517 §4.7); the chain itself is not
    verified here.
    """

    public_key: PublicKey
    kid: str | None = None
    algorithm: Algorithm | None = None
    use: str | None = None
    key_ops: frozenset[str] | None = None
    x5c: tuple[bytes, ...] = ()

    @cached_property
    def thumbprint(self) -> str:
        """SHA-256 JWK thumbprint, base64url without padding (RFC 7638)."""
        return thumbprint(self.public_key)

    def members(self) -> dict[str, Any]:
        """The JWK as JSON members: what `parse_jwk` read, in normal form."""
        members: dict[str, Any] = dict(public_members(self.public_key))
        if self.kid is not None:
            members["kid"] = self.kid
        if self.algorithm is not None:
            members["alg"] = self.algorithm.value
        if self.use is not None:
            members["use"] = self.use
        if self.key_ops is not None:
            members["key_ops"] = sorted(self.key_ops)
        if self.x5c:
            members["x5c"] = [b64encode(certificate).decode("ascii") for certificate in self.x5c]
        return members

    def require_algorithm(self, algorithm: Algorithm) -> None:
        """One key, one algorithm: refuse a key that is not for verifying *algorithm* (RFC 8725 §3.1).

        Raises `JoseError` with `ALG_MISMATCH` or `KEY_USE_MISMATCH`.
        """
        if self.use == "enc" or (self.key_ops is not None and "verify" not in self.key_ops):
            raise JoseError(JoseFault.KEY_USE_MISMATCH, "the key is not for signatures", member="use")
        if self.algorithm is not None and self.algorithm is not algorithm:
            raise JoseError(JoseFault.ALG_MISMATCH, f"the key is bound to {self.algorithm}", member="alg")
        require_key_type(self.public_key, algorithm)


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The keys of one party, in the order given."""

    keys: tuple[Jwk, ...]

    @classmethod
    def parse(cls, data: bytes, *, max_keys: int = MAX_KEYS, ignore_unsupported: bool = False) -> "JwkSet":
        """Parse a JWK Set (RFC 7517 §5) of at most *max_keys* keys from UTF-8 JSON.

        With *ignore_unsupported*, keys of an unknown type, curve or algorithm are left out, as §5 asks of one
        who reads a set published for everybody; a malformed key, a symmetric one or a private member still
        refuses the whole set. Raises `JoseError`.
        """
        members = parse_object(data, max_size=max_keys * MAX_KEY_SIZE)
        return cls.from_members(members, max_keys=max_keys, ignore_unsupported=ignore_unsupported)

    @classmethod
    def from_members(
        cls, members: Mapping[str, Any], *, max_keys: int = MAX_KEYS, ignore_unsupported: bool = False
    ) -> "JwkSet":
        """As `parse`, from an object that `strict_json` parsed."""
        entries = members.get("keys")
        if not isinstance(entries, list):
            raise JoseError(JoseFault.INVALID_KEY, "keys is missing or not an array", member="keys")
        if len(entries) > max_keys:
            raise JoseError(JoseFault.TOO_MANY_KEYS, f"more than {max_keys} keys", member="keys")
        keys = []
        for entry in entries:
            try:
                keys.append(parse_jwk(entry))
            except JoseError as error:
                if not (ignore_unsupported and error.code in _UNSUPPORTED):
                    raise
        return cls(tuple(keys))

    def members(self) -> dict[str, Any]:
        """The set as JSON members (RFC 7517 §5)."""
        return {"keys": [key.members() for key in self.keys]}

    def select(self, kid: str | None, algorithm: Algorithm) -> Jwk:
        """The one key for *algorithm*, by *kid* where the header names one.

        *kid* is only ever compared for equality. Raises `JoseError` with `KEY_NOT_FOUND`, or `KEY_AMBIGUOUS`
        where more than one key fits: no signature is tried against several keys.
        """
        fitting = [key for key in self.keys if (kid is None or key.kid == kid) and _fits(key, algorithm)]
        if not fitting:
            raise JoseError(JoseFault.KEY_NOT_FOUND, "no key of the set fits", member="kid")
        if len(fitting) > 1:
            raise JoseError(JoseFault.KEY_AMBIGUOUS, "more than one key of the set fits", member="kid")
        return fitting[0]


def parse_jwk(members: object) -> Jwk:
    """A public key from the members of its JWK, as `strict_json` or a JWS header gives them.

    Accepted: EC on P-256, P-384, P-521 and secp256k1; OKP Ed25519; RSA of 2048 to 8192 bits. Refused: any
    private member, a symmetric key, coordinates of the wrong size or off the curve, an ``alg`` that the key
    cannot serve, and an ``x5c`` whose first certificate carries another key. Raises `JoseError`.
    """
    if not isinstance(members, Mapping):
        raise JoseError(JoseFault.INVALID_KEY, "the key is not an object")
    if members.get("kty") == "oct":
        raise JoseError(JoseFault.SYMMETRIC_KEY, "a symmetric key is never accepted", member="kty")
    for name in _PRIVATE_MEMBERS:
        if name in members:
            raise JoseError(JoseFault.PRIVATE_KEY_MEMBER, "the key carries private material", member=name)
    public_key = public_key_of(members)
    return Jwk(
        public_key=public_key,
        kid=bounded_text(members, "kid", JoseFault.INVALID_KID),
        algorithm=_algorithm(members, public_key),
        use=_use(members),
        key_ops=_key_ops(members),
        x5c=parse_x5c(members, public_key),
    )


def public_jwk(
    public_key: PublicKey, kid: str, algorithm: Algorithm | None = None, use: str | None = "sig"
) -> dict[str, str]:
    """The members of a JWK to publish. Raises `JoseError` where *algorithm* does not fit the key."""
    members = public_members(public_key) | {"kid": kid}
    if algorithm is not None:
        require_key_type(public_key, algorithm)
        members["alg"] = algorithm.value
    if use is not None:
        members["use"] = use
    return members


def require_key_type(public_key: PublicKey, algorithm: Algorithm) -> None:
    """Refuse a key whose type, curve or size is not *algorithm*'s. Raises `JoseError` with `ALG_MISMATCH`."""
    try:
        require_fit(public_key, algorithm)
    except KeyUnusableError as error:
        raise JoseError(JoseFault.ALG_MISMATCH, f"the key cannot serve {algorithm}", member="alg") from error


def _fits(key: Jwk, algorithm: Algorithm) -> bool:
    try:
        key.require_algorithm(algorithm)
    except JoseError:
        return False
    return True


def _algorithm(members: Mapping[str, Any], public_key: PublicKey) -> Algorithm | None:
    if "alg" not in members:
        return implied_algorithm(public_key)
    algorithm = parse_algorithm(members["alg"])
    require_key_type(public_key, algorithm)
    return algorithm


def _use(members: Mapping[str, Any]) -> str | None:
    use = members.get("use")
    if use is None and "use" not in members:
        return None
    if not isinstance(use, str) or use not in _USES:
        raise JoseError(JoseFault.INVALID_KEY, "use is neither sig nor enc", member="use")
    return use


def _key_ops(members: Mapping[str, Any]) -> frozenset[str] | None:
    """RFC 7517 §4.3: distinct strings; unknown operations are kept and mean nothing."""
    if "key_ops" not in members:
        return None
    operations = members["key_ops"]
    if not isinstance(operations, list) or not all(isinstance(name, str) for name in operations):
        raise JoseError(JoseFault.INVALID_KEY, "key_ops is not an array of strings", member="key_ops")
    if len(set(operations)) != len(operations):
        raise JoseError(JoseFault.INVALID_KEY, "key_ops repeats an operation", member="key_ops")
    return frozenset(operations)
