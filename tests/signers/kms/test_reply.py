"""A service's JSON is used only where it is what its reference says."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signers import Algorithm, KeyUnusableError, SignatureInvalidError, SignerUnavailableError
from signers.kms.key import digest, jose_form
from signers.kms.reply import JsonReply, public_key_of


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b"[" * 100_000, b"\xff"])
def test_body_that_is_no_object(body):
    """A reply that is no JSON object is refused."""
    with pytest.raises(SignerUnavailableError, match="not a JSON object"):
        JsonReply.parse(body, "k")


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", 1),
        ("text", None),
        ("flag", "true"),
        ("flag", 1),
        ("number", "1x"),
        ("number", True),
        ("number", -1.5),
        ("texts", "text"),
        ("texts", [1]),
        ("base64", "%%%%"),
        ("base64", "YQ"),
        ("base64url", "+/"),
        ("object", []),
        ("objects", {}),
        ("objects", [1]),
        ("text_or", 1),
    ],
)
def test_member_of_another_kind(method, value):
    """A member of another kind than asked for is refused by name."""
    reply = JsonReply({"member": value}, "k")
    arguments = ("member", "") if method == "text_or" else ("member",)
    with pytest.raises(SignerUnavailableError, match="no usable 'member'"):
        getattr(reply, method)(*arguments)


def test_members():
    """Members of the right kind come typed; 64-bit numbers may be in strings, as proto3 writes them."""
    reply = JsonReply.parse(
        b'{"t":"a","f":true,"n":5,"s":"7","l":["x"],"b":"+/8=","u":"-_8","o":{"t":"in"},"os":[{"t":"i"}],"z":null}',
        "k",
    )
    assert (reply.text("t"), reply.flag("f"), reply.flag("none")) == ("a", True, False)
    assert (reply.number("n"), reply.number("s"), reply.number("z"), reply.number("none")) == (
        5,
        7,
        None,
        None,
    )
    assert (reply.texts("l"), reply.texts("none")) == (("x",), ())
    assert reply.base64("b") == reply.base64url("u") == b"\xfb\xff"
    assert (reply.object("o").text("t"), reply.objects("os")[0].text("t")) == ("in", "i")
    assert (reply.text_or("z", "d"), reply.text_or("t", "d")) == ("d", "a")


@pytest.mark.parametrize("encoded", [b"", b"junk", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"])
def test_public_key_that_cannot_be_read(encoded):
    """A public key that cannot be read is refused."""
    with pytest.raises(KeyUnusableError, match="not known here"):
        public_key_of(encoded, Algorithm.ES256, key="k")


@pytest.mark.parametrize(
    "key", [x25519.X25519PrivateKey.generate(), dsa.generate_private_key(2048)], ids=["x25519", "dsa"]
)
def test_public_key_of_another_type(key):
    """A public key of a type that signs no JOSE algorithm is refused."""
    encoded = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyUnusableError):
        public_key_of(encoded, Algorithm.ES256, key="k")


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", bytes(64), bytes.fromhex("300702010102020080ff")])
def test_signature_that_is_no_der(signature):
    """An ECDSA signature that is not DER is refused, and not passed on."""
    with pytest.raises(SignatureInvalidError, match="not DER"):
        jose_form(Algorithm.ES256, signature, key="k")


def test_signature_of_a_larger_curve():
    """An ECDSA signature with numbers larger than the curve's is refused."""
    # SEQUENCE of two INTEGERs of 48 bytes, as of P-384.
    numbers = b"\x02\x30" + b"\x7f" * 48
    with pytest.raises(SignatureInvalidError, match="of this curve"):
        jose_form(Algorithm.ES256, b"\x30\x64" + numbers * 2, key="k")


def test_digest_of_eddsa():
    """EdDSA signs messages: there is no digest of one by mistake."""
    with pytest.raises(ValueError, match="EdDSA has no digest"):
        digest(Algorithm.EDDSA, b"message")
