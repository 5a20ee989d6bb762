"""What attackers do to JWTs (RFC 8725 §2 and §3, RFC 7515 §10, RFC 9700 §4), as data.

Each attack changes one thing of a `Token` that its door would accept, and names the rule that has to refuse
it: a `JoseFault` where the rule is the same at every door.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.jose.errors import JoseFault
from signers.jose_form import public_jwk

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n of P-256 (SP 800-186 §3.2.1.3)."""
STRANGER: Final = ec.generate_private_key(ec.SECP256R1())
"""The attacker's own key."""
OTHER_JWTS: Final = (
    "JWT",
    "at+jwt",
    "dpop+jwt",
    "client-authentication+jwt",
    "token-introspection+jwt",
    "logout+jwt",
)


def b64(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass(frozen=True)
class Token:
    """A token that its door would accept; *key* is the one that the door trusts for it."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    key: ec.EllipticCurvePrivateKey

    def with_header(self, **changes: Any) -> "Token":
        """With other header parameters; None leaves one out."""
        return replace(self, header=_changed(self.header, changes))

    def with_claims(self, **changes: Any) -> "Token":
        """With other claims; None leaves one out."""
        return replace(self, claims=_changed(self.claims, changes))

    def compact(self) -> str:
        """Signed by its key."""
        return self.of(json.dumps(self.header).encode(), json.dumps(self.claims).encode())

    def of(self, header: bytes, payload: bytes, sign: Callable[[bytes], bytes] | None = None) -> str:
        """Any octets as header and payload, signed by *sign*, or by its key."""
        return self.of_text(f"{b64(header)}.{b64(payload)}", sign)

    def of_text(self, text: str, sign: Callable[[bytes], bytes] | None = None) -> str:
        """Any text as what is signed."""
        return f"{text}.{b64((sign or self.signature)(text.encode()))}"

    def signature(self, message: bytes) -> bytes:
        """ES256 in JOSE form."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def parts(self) -> list[str]:
        """Header, payload and signature, encoded."""
        return self.compact().split(".")


@dataclass(frozen=True)
class Attack:
    """*make* turns a good token into the attack; *fault* has to refuse it.

    *needs*: what a door must have for the attack to be one; *has*, what makes it none.
    """

    name: str
    fault: JoseFault
    make: Callable[[Token], str]
    needs: str = ""
    unless: str = ""


def _changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


def _hmac(token: Token, secret: bytes, name: str = "HS256") -> str:
    header, payload = token.with_header(alg=name).header, token.claims
    return token.of(
        json.dumps(header).encode(),
        json.dumps(payload).encode(),
        lambda message: hmac.digest(secret, message, hashlib.sha256),
    )


def _public(token: Token, encoding: Encoding) -> bytes:
    return token.key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def _unsigned(token: Token, name: str) -> str:
    return token.with_header(alg=name).compact().rpartition(".")[0] + "."


def _signed_as(token: Token, signature: bytes) -> str:
    return token.compact().rpartition(".")[0] + "." + b64(signature)


def _stranger(token: Token, **header: Any) -> str:
    return replace(token.with_header(**header), key=STRANGER).compact()


def _der(token: Token) -> str:
    text = token.compact().rpartition(".")[0]
    signature = token.signature(text.encode())
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return f"{text}.{b64(encode_dss_signature(r, s))}"


def _tampered(token: Token) -> str:
    header, _, signature = token.parts()
    return f"{header}.{token.with_claims(admin=True).parts()[1]}.{signature}"


def _raw(token: Token, *, header: bytes | None = None, payload: bytes | None = None) -> str:
    return token.of(header or json.dumps(token.header).encode(), payload or json.dumps(token.claims).encode())


def _text(token: Token, change: Callable[[str, str], tuple[str, str]]) -> str:
    header, payload, _ = token.parts()
    return token.of_text(".".join(change(header, payload)))


def _twice(members: Mapping[str, Any], name: str) -> bytes:
    """A JSON object with *name* twice, the first with another value."""
    return (json.dumps({name: "other"})[:-1] + ", " + json.dumps(members)[1:]).encode()


def _unused_bits(encoded: str) -> str:
    """Another spelling of the same octets, where the last character has bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return encoded[:-1] + alphabet[alphabet.index(encoded[-1]) + 1]


def _padded_to_unused(token: Token) -> str:
    """A payload of which the last character has unused bits, one of them set."""
    extra = ""
    while len(json.dumps({**token.claims, "x": extra}).encode()) % 3 != 1:
        extra += "a"
    changed = replace(token, claims={**token.claims, "x": extra})
    return _text(changed, lambda header, payload: (header, _unused_bits(payload)))


def _json(token: Token) -> str:
    header, payload, signature = token.parts()
    members = {"protected": header, "payload": payload, "signature": signature}
    return json.dumps(members, separators=(",", ":"))


def _deep(token: Token) -> bytes:
    return json.dumps(token.claims)[:-1].encode() + b', "x": ' + b"[" * 2000 + b"]" * 2000 + b"}"


def _number(token: Token, name: str, literal: str) -> bytes:
    others = {key: value for key, value in token.claims.items() if key != name}
    return (json.dumps(others)[:-1] + f', "{name}": {literal}}}').encode()


def _time(name: str, literal: str, fault: JoseFault = JoseFault.CLAIM_INVALID) -> Attack:
    return Attack(
        f"{name} as {literal[:12]}",
        fault,
        lambda token: _raw(token, payload=_number(token, name, literal)),
        needs=name,
    )


_KEY_OF_STRANGER: Final = dict(public_jwk(STRANGER.public_key()))

ALGORITHMS: Final = (
    *(
        Attack(f"alg {name}", JoseFault.ALG_NONE, lambda token, name=name: _unsigned(token, name))
        for name in ("none", "None", "NONE", "nOnE")
    ),
    Attack("alg none, signed", JoseFault.ALG_NONE, lambda token: token.with_header(alg="none").compact()),
    Attack("no signature", JoseFault.SIGNATURE_MISSING, lambda token: _unsigned(token, "ES256")),
    Attack("no alg", JoseFault.ALG_MISSING, lambda token: token.with_header(alg=None).compact()),
    Attack("alg a list", JoseFault.ALG_MISSING, lambda token: token.with_header(alg=["ES256"]).compact()),
    Attack("alg unknown", JoseFault.ALG_UNSUPPORTED, lambda token: token.with_header(alg="XX").compact()),
    Attack("alg in lower case", JoseFault.ALG_UNSUPPORTED, lambda t: t.with_header(alg="es256").compact()),
    Attack("HS256, public key as PEM", JoseFault.ALG_SYMMETRIC, lambda t: _hmac(t, _public(t, Encoding.PEM))),
    Attack("HS256, public key as DER", JoseFault.ALG_SYMMETRIC, lambda t: _hmac(t, _public(t, Encoding.DER))),
    Attack("HS256, weak key", JoseFault.ALG_SYMMETRIC, lambda token: _hmac(token, b"secret")),
    Attack("hs512, empty key", JoseFault.ALG_SYMMETRIC, lambda token: _hmac(token, b"", "hs512")),
)
SIGNATURES: Final = (
    Attack("another key", JoseFault.SIGNATURE_INVALID, _stranger, unless="embedded key"),
    Attack("claims changed", JoseFault.SIGNATURE_INVALID, _tampered),
    Attack("r = s = 0", JoseFault.SIGNATURE_INVALID, lambda token: _signed_as(token, bytes(64))),
    Attack("r = s = 1", JoseFault.SIGNATURE_INVALID, lambda t: _signed_as(t, (bytes(31) + b"\1") * 2)),
    Attack("r = s = n", JoseFault.SIGNATURE_INVALID, lambda t: _signed_as(t, ORDER.to_bytes(32, "big") * 2)),
    Attack("DER", JoseFault.SIGNATURE_INVALID, _der),
    Attack(
        "63 octets",
        JoseFault.SIGNATURE_INVALID,
        lambda t: t.of_text(".".join(t.parts()[:2]), lambda message: t.signature(message)[:-1]),
    ),
    Attack(
        "65 octets",
        JoseFault.SIGNATURE_INVALID,
        lambda t: t.of_text(".".join(t.parts()[:2]), lambda message: t.signature(message) + b"\0"),
    ),
)
KEYS: Final = (
    Attack(
        "jwk of the attacker",
        JoseFault.SIGNATURE_INVALID,
        lambda t: _stranger(t, jwk=_KEY_OF_STRANGER),
        unless="embedded key",
    ),
    Attack(
        "jku of the attacker",
        JoseFault.SIGNATURE_INVALID,
        lambda t: _stranger(t, jku="https://evil.example/jwks"),
        unless="embedded key",
    ),
    Attack(
        "x5u of the attacker",
        JoseFault.SIGNATURE_INVALID,
        lambda t: _stranger(t, x5u="https://evil.example/x5u"),
        unless="embedded key",
    ),
    Attack(
        "x5c of the attacker",
        JoseFault.SIGNATURE_INVALID,
        lambda t: _stranger(t, x5c=["AAAA"]),
        unless="embedded key",
    ),
    Attack(
        "kid a path",
        JoseFault.KEY_NOT_FOUND,
        lambda t: t.with_header(kid="../../dev/null").compact(),
        needs="kid",
    ),
    Attack(
        "kid SQL", JoseFault.KEY_NOT_FOUND, lambda t: t.with_header(kid="' OR 1=1 --").compact(), needs="kid"
    ),
    Attack(
        "kid empty",
        JoseFault.INVALID_KID,
        lambda token: token.with_header(kid="").compact(),
        unless="kid ignored",
    ),
    Attack(
        "kid a number",
        JoseFault.INVALID_KID,
        lambda token: token.with_header(kid=7).compact(),
        unless="kid ignored",
    ),
    Attack(
        "kid with NUL",
        JoseFault.INVALID_KID,
        lambda token: token.with_header(kid="a\0b").compact(),
        unless="kid ignored",
    ),
    Attack(
        "kid oversized",
        JoseFault.INVALID_KID,
        lambda token: token.with_header(kid="k" * 2000).compact(),
        unless="kid ignored",
    ),
    Attack(
        "a private key",
        JoseFault.PRIVATE_KEY_MEMBER,
        lambda t: t.with_header(jwk={**t.header["jwk"], "d": "AAAA"}).compact(),
        needs="embedded key",
    ),
    Attack(
        "a symmetric key",
        JoseFault.SYMMETRIC_KEY,
        lambda t: t.with_header(jwk={"kty": "oct", "k": "AAAA"}).compact(),
        needs="embedded key",
    ),
    Attack(
        "a point off the curve",
        JoseFault.POINT_NOT_ON_CURVE,
        lambda t: t.with_header(jwk={**t.header["jwk"], "y": t.header["jwk"]["x"]}).compact(),
        needs="embedded key",
    ),
    Attack(
        "somebody else's key",
        JoseFault.SIGNATURE_INVALID,
        lambda t: t.with_header(jwk=_KEY_OF_STRANGER).compact(),
        needs="embedded key",
    ),
    Attack(
        "no key",
        JoseFault.EMBEDDED_KEY_MISSING,
        lambda t: t.with_header(jwk=None).compact(),
        needs="embedded key",
    ),
)
EXTENSIONS: Final = (
    Attack("crit unknown", JoseFault.CRIT_UNSUPPORTED, lambda t: t.with_header(crit=["x"], x=1).compact()),
    Attack("crit empty", JoseFault.CRIT_UNSUPPORTED, lambda t: t.with_header(crit=[]).compact()),
    Attack(
        "crit of a known one", JoseFault.CRIT_UNSUPPORTED, lambda t: t.with_header(crit=["alg"]).compact()
    ),
    Attack("b64 false", JoseFault.B64_UNSUPPORTED, lambda t: t.with_header(b64=False).compact()),
    Attack("zip", JoseFault.ZIP_UNSUPPORTED, lambda t: t.with_header(zip="DEF").compact()),
)
ENCODINGS: Final = (
    Attack(
        "a header member twice", JoseFault.DUPLICATE_MEMBER, lambda t: _raw(t, header=_twice(t.header, "alg"))
    ),
    Attack("a claim twice", JoseFault.DUPLICATE_MEMBER, lambda t: _raw(t, payload=_twice(t.claims, "jti"))),
    Attack(
        "a header not UTF-8",
        JoseFault.INVALID_UTF8,
        lambda t: _raw(t, header=json.dumps(t.header).encode()[:-1] + b', "x": "\xff"}'),
    ),
    Attack(
        "claims not UTF-8",
        JoseFault.INVALID_UTF8,
        lambda t: _raw(t, payload=json.dumps(t.claims).encode()[:-1] + b', "x": "\xff"}'),
    ),
    Attack("a header that is a list", JoseFault.NOT_AN_OBJECT, lambda t: _raw(t, header=b'["ES256"]')),
    Attack("claims that are a list", JoseFault.NOT_AN_OBJECT, lambda t: _raw(t, payload=b"[1]")),
    Attack("claims that are no JSON", JoseFault.INVALID_JSON, lambda t: _raw(t, payload=b"{")),
    Attack("NaN", JoseFault.INVALID_JSON, lambda t: _raw(t, payload=_number(t, "x", "NaN"))),
    Attack("Infinity", JoseFault.INVALID_JSON, lambda t: _raw(t, payload=_number(t, "x", "Infinity"))),
    Attack("nested too deep", JoseFault.JSON_TOO_DEEP, lambda t: _raw(t, payload=_deep(t))),
    Attack("padding", JoseFault.INVALID_BASE64URL, lambda t: _text(t, lambda h, p: (h + "=", p))),
    Attack("padding behind the signature", JoseFault.INVALID_BASE64URL, lambda t: t.compact() + "=="),
    Attack(
        "a line end inside",
        JoseFault.INVALID_BASE64URL,
        lambda t: _text(t, lambda h, p: (h, p + "\n")),
        unless="header",
    ),
    Attack("unused bits", JoseFault.INVALID_BASE64URL, _padded_to_unused),
    Attack(
        "characters of base64",
        JoseFault.INVALID_BASE64URL,
        lambda t: _text(t, lambda h, p: (h, p[:-4] + "+/+/")),
    ),
    Attack("JSON serialization", JoseFault.MALFORMED_COMPACT, _json),
    Attack("a fourth part", JoseFault.MALFORMED_COMPACT, lambda t: t.compact() + ".AAAA"),
    Attack("five parts, as a JWE has", JoseFault.MALFORMED_COMPACT, lambda t: t.compact() + ".AAAA.AAAA"),
    Attack("one part", JoseFault.MALFORMED_COMPACT, lambda t: t.parts()[0]),
    Attack(
        "too large",
        JoseFault.TOKEN_TOO_LARGE,
        lambda t: t.with_claims(x="a" * 20_000).compact(),
        unless="header",
    ),
)
CLAIMS: Final = (
    *(
        _time(name, literal)
        for name in ("exp", "iat")
        for literal in ('"1900000000"', "true", "[1900000000]", "-1", "9" * 30)
    ),
    _time("exp", "1e400", JoseFault.INVALID_JSON),
    _time("iat", "1e400", JoseFault.INVALID_JSON),
    _time("exp", "0", JoseFault.EXPIRED),
    _time("exp", "1000000000", JoseFault.EXPIRED),
    Attack("no exp", JoseFault.CLAIM_MISSING, lambda t: t.with_claims(exp=None).compact(), needs="exp"),
    Attack(
        "another issuer",
        JoseFault.ISSUER_MISMATCH,
        lambda t: t.with_claims(iss="https://evil.example").compact(),
        needs="iss",
    ),
    Attack(
        "an issuer that begins the same",
        JoseFault.ISSUER_MISMATCH,
        lambda t: t.with_claims(iss=t.claims["iss"] + ".evil.example").compact(),
        needs="iss",
    ),
    Attack("no issuer", JoseFault.CLAIM_MISSING, lambda t: t.with_claims(iss=None).compact(), needs="iss"),
    Attack(
        "another audience",
        JoseFault.AUDIENCE_MISMATCH,
        lambda t: t.with_claims(aud="https://evil.example").compact(),
        needs="aud",
        unless="any audience",
    ),
    Attack("no audience", JoseFault.CLAIM_MISSING, lambda t: t.with_claims(aud=None).compact(), needs="aud"),
    Attack("no subject", JoseFault.CLAIM_MISSING, lambda t: t.with_claims(sub=None).compact(), needs="iss"),
    Attack(
        "a subject that is a list",
        JoseFault.CLAIM_INVALID,
        lambda t: t.with_claims(sub=["a"]).compact(),
        needs="iss",
    ),
)
TYPES: Final = tuple(
    Attack(
        f"typ {typ}", JoseFault.TYP_MISMATCH, lambda t, typ=typ: t.with_header(typ=typ).compact(), unless=typ
    )
    for typ in OTHER_JWTS
)
ATTACKS: Final = (
    *ALGORITHMS,
    *SIGNATURES,
    *KEYS,
    *EXTENSIONS,
    *ENCODINGS,
    *CLAIMS,
    *TYPES,
)
