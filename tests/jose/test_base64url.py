"""gateway.jose.base64url: one octet string, one spelling."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jose import JoseError, JoseFault, base64url


@pytest.mark.parametrize(
    "text",
    [
        "QQ==",  # padding
        "QQ=",
        "Q",  # an impossible length
        "QUJDR",
        "QR",  # unused bits that are not zero
        "QUJ",
        "QUJD\n",
        "QU JD",
        "QU+D",  # the standard alphabet
        "QU/D",
        "QÜJD",
        "QU!D",
    ],
)
def test_any_second_spelling_is_refused(text):
    """Padding, garbage, foreign alphabets, impossible lengths and unused bits are invalid_base64url."""
    with pytest.raises(JoseError) as caught:
        base64url.decode(text)
    assert caught.value.code is JoseFault.INVALID_BASE64URL


@settings(derandomize=True, max_examples=200)
@given(st.binary(max_size=80))
def test_encoding_and_decoding_are_inverse(octets):
    """Every octet string survives, and is spelled as the standard library spells it without padding."""
    text = base64url.encode(octets)
    assert text == base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
    assert base64url.decode(text) == octets


@settings(derandomize=True, max_examples=300)
@given(st.text(alphabet="AQgwEIM-_+/=. \n", max_size=9))
def test_a_text_that_decodes_is_the_only_spelling(text):
    """Whatever is accepted encodes back to the very same text."""
    try:
        octets = base64url.decode(text)
    except JoseError:
        return
    assert base64url.encode(octets) == text
