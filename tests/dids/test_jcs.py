"""The JSON Canonicalization Scheme, by the vectors of RFC 8785 and of its author."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids.jcs import MAX_DEPTH, CanonicalizationError, canonicalize

# SOURCE: RFC 8785, Appendix B, IEEE 754 value in hexadecimal and its ECMAScript form.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_written_as_ecmascript_writes_them(bits, text):
    """Each double of Appendix B has the spelling given there."""
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert canonicalize(value).decode() == text


def test_the_sample_of_the_rfc():
    """The input of RFC 8785 §3.2.2 has the canonical form of §3.2.3, octet for octet."""
    value = json.loads(
        r'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        r'"string":"\u20ac$\u000F\u000aA' + "'" + r'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}'
    )
    # SOURCE: RFC 8785 §3.2.4.
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonicalize(value) == expected.encode()


def test_members_are_sorted_by_utf16_code_units():
    """A smiley, whose code point is the largest, sorts before a Hebrew letter (RFC 8785 §3.2.3)."""
    # SOURCE: RFC 8785 §3.2.3.
    value = json.loads(
        r'{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",'
        r'"\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With '
        r'Diaeresis"}'
    )
    order = ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]
    assert list(json.loads(canonicalize(value))) == order


def test_the_authors_weird_names():
    """Names of every length in UTF-16, and texts with controls, have the author's canonical form."""
    # SOURCE: cyberphone/json-canonicalization, testdata/input/weird.json and output/weird.json.
    value = json.loads(
        r'{"\u20ac":"Euro Sign","1":"One","\u0080":"Control\u007f","\ud83d\ude02":"Smiley","\u00f6":'
        r'"Latin Small Letter O With Diaeresis","\ufb33":"Hebrew Letter Dalet With Dagesh","</script>":'
        r'"Browser Challenge"}'
    )
    expected = (
        '{"1":"One","</script>":"Browser Challenge","\x80":"Control\x7f","\xf6":"Latin Small Letter O With '
        'Diaeresis","\u20ac":"Euro Sign","\U0001f602":"Smiley","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
    )
    assert canonicalize(value).decode() == expected


def test_the_authors_structures():
    """Nested objects and arrays are sorted at every level, and arrays keep their order."""
    # SOURCE: cyberphone/json-canonicalization, testdata/input/structures.json and its output.
    value = json.loads('{"1":{"f":{"f":"hi","F":5},"\\n":56.0},"10":{},"":"empty","a":{},"111":[{}],"A":{}}')
    expected = b'{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}'
    assert canonicalize(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        2**53 + 1,
        10**400,
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        object(),
        b"octets",
    ],
)
def test_what_has_no_canonical_form_is_refused(value):
    """Values outside of I-JSON have no canonical form, and nothing is rounded in silence."""
    with pytest.raises(CanonicalizationError):
        canonicalize(value)


def test_nesting_is_bounded():
    """A value nested deeper than the bound is refused, not followed."""
    value: list = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(CanonicalizationError):
        canonicalize(value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(json_values.filter(lambda value: "\ud800" not in repr(value)))
def test_the_canonical_form_is_stable_and_says_the_same(value):
    """Parsing a canonical form and canonicalizing again changes nothing, and the value is the same."""
    try:
        once = canonicalize(value)
    except CanonicalizationError:
        return
    assert json.loads(once, parse_int=float) == value
    assert canonicalize(json.loads(once)) == once
