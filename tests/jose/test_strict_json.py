"""gateway.jose.strict_json: what two parsers could read differently is refused."""

import pytest

from gateway.jose import JoseError, JoseFault
from gateway.jose.strict_json import parse_object


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"a":1,"a":2}', JoseFault.DUPLICATE_MEMBER),
        (b'{"a":{"b":1,"b":1}}', JoseFault.DUPLICATE_MEMBER),
        (b'{"a":1,"\\u0061":2}', JoseFault.DUPLICATE_MEMBER),
        (b'{"a":"\xff"}', JoseFault.INVALID_UTF8),
        (b'{"a":"\xed\xa0\x80"}', JoseFault.INVALID_UTF8),
        (b'\xef\xbb\xbf{"a":1}', JoseFault.INVALID_JSON),
        (b'{"a":NaN}', JoseFault.INVALID_JSON),
        (b'{"a":-Infinity}', JoseFault.INVALID_JSON),
        (b'{"a":1e999}', JoseFault.INVALID_JSON),
        (b'{"a":1}{"a":1}', JoseFault.INVALID_JSON),
        (b'{"a":01}', JoseFault.INVALID_JSON),
        (b'{"a":"\n"}', JoseFault.INVALID_JSON),
        (b'{"a":"\\ud800"}', JoseFault.INVALID_JSON),
        (b'{"\\uDC00":1}', JoseFault.INVALID_JSON),
        (b"{'a':1}", JoseFault.INVALID_JSON),
        (b'{"a":1,}', JoseFault.INVALID_JSON),
        (b"", JoseFault.INVALID_JSON),
        (b'{"a":' + b"9" * 5000 + b"}", JoseFault.INVALID_JSON),
        (b"[]", JoseFault.NOT_AN_OBJECT),
        (b'"text"', JoseFault.NOT_AN_OBJECT),
        (b"null", JoseFault.NOT_AN_OBJECT),
        (nested(17), JoseFault.JSON_TOO_DEEP),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", JoseFault.JSON_TOO_DEEP),
        (nested(9000), JoseFault.JSON_TOO_DEEP),
        (b'{"a":"' + b"x" * 65536 + b'"}', JoseFault.JSON_TOO_LARGE),
    ],
)
def test_ambiguous_or_oversized_text_is_refused(data, code):
    """Each kind of bad text is refused with its own code."""
    with pytest.raises(JoseError) as caught:
        parse_object(data)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a": [1, 2.5, true, null, "x"]} ', {"a": [1, 2.5, True, None, "x"]}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'{"a":"{[{[{[{[{[{[{[{[{[{[{["}', {"a": "{[" * 11}),
        (b'{"a":' + b"[{}," * 12 + b"1" + b"]" * 12 + b"}", None),
    ],
)
def test_unambiguous_text_is_read(data, value):
    """Whole surrogate pairs, brackets inside strings and siblings do not trip the bounds."""
    parsed = parse_object(data)
    assert value is None or parsed == value


def test_the_greatest_depth_is_accepted():
    """Sixteen levels are within the bound that seventeen exceed."""
    assert parse_object(nested(16))


def test_the_message_does_not_carry_the_document():
    """The refusal and its cause name a position, never the text: it may be a credential."""
    with pytest.raises(JoseError) as caught:
        parse_object(b'{"secret-value": tru}')
    cause = caught.value.__cause__
    assert "secret-value" not in str(caught.value)
    assert cause is not None
    assert not hasattr(cause, "doc")
