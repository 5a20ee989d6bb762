"""Forms, rule by rule."""

import pytest

from gateway.edge.form import MAX_PARAMETERS, MEDIA_TYPE, Form, require_form
from gateway.edge.oauth_errors import HttpError
from gateway.errors import Reason, RequestError


def test_values_are_decoded():
    """Plus is a space, percent encodes UTF-8, and everything behind the first equals sign is the value."""
    form = Form.parse(b"a=x+y&b=%C3%A9%2B&c=1=2&d=caf%c3%a9")
    assert [form.get(name) for name in "abcd"] == ["x y", "é+", "1=2", "café"]


def test_a_parameter_without_a_value_is_left_out():
    """RFC 6749 §3.2: it is treated as if it were omitted."""
    form = Form.parse(b"a=&b&c=1&&")
    assert (form.get("a"), form.get("b"), form.get("c")) == (None, None, "1")
    with pytest.raises(RequestError) as caught:
        form.require("a")
    assert caught.value.reason is Reason.MISSING_FIELD


def test_repeatable_parameters():
    """Resource and audience may repeat, in order."""
    form = Form.parse(b"resource=b&audience=x&resource=a")
    assert (form.all("resource"), form.all("audience"), form.all("scope")) == (("b", "a"), ("x",), ())


def test_an_empty_body_has_no_parameters():
    """Nothing is nothing."""
    assert Form.parse(b"").values == {}


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"a=1&a=1", "parameter_repeated"),
        (b"a=1&%61=2", "parameter_repeated"),
        (b"a=&a=1", "parameter_repeated"),
        (b"a=%", "stray_percent"),
        (b"a=%4", "stray_percent"),
        (b"%zz=1", "stray_percent"),
        (b"a=%ff", "not_utf8"),
        (b"a=\xff", "not_utf8"),
        (b"a=%ed%a0%80", "not_utf8"),
        (b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS + 1)), "too_many_parameters"),
        (b"&" * MAX_PARAMETERS, "too_many_parameters"),
    ],
)
def test_malformed(body, cause):
    """Each fault is an invalid_request, told apart in our log."""
    with pytest.raises(RequestError) as caught:
        Form.parse(body)
    assert (caught.value.reason, caught.value.cause) == (Reason.INVALID_REQUEST, cause)


@pytest.mark.parametrize(
    "content_type",
    [MEDIA_TYPE, MEDIA_TYPE.upper(), f"{MEDIA_TYPE};charset=UTF-8", f'{MEDIA_TYPE} ; charset="utf-8"'],
)
def test_media_type_accepted(content_type):
    """The media type in any letter case, with UTF-8 or no charset."""
    require_form([content_type], [])


@pytest.mark.parametrize(
    ("content_types", "encodings"),
    [
        ([], []),
        (["application/json"], []),
        (["multipart/form-data; boundary=x"], []),
        ([f"{MEDIA_TYPE}; charset=latin1"], []),
        ([f"{MEDIA_TYPE}; boundary=x"], []),
        ([MEDIA_TYPE, MEDIA_TYPE], []),
        ([MEDIA_TYPE], ["gzip"]),
        ([MEDIA_TYPE], ["identity", "br"]),
    ],
)
def test_media_type_refused(content_types, encodings):
    """Any other body is 415, before it is parsed."""
    with pytest.raises(HttpError) as caught:
        require_form(content_types, encodings)
    assert caught.value.status == 415
