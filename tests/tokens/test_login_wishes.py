"""How a client wants its user logged in."""

import pytest

from gateway.errors import Reason, RequestError
from gateway.tokens.login_wishes import max_age_of, prompt_of


@pytest.mark.parametrize("text", ["none", "login", "consent select_account", "login consent select_account"])
def test_a_prompt(text):
    """It is passed on as it came."""
    assert prompt_of(text) == text


@pytest.mark.parametrize(
    "text", ["x", "None", "none login", "login login", "login  consent", " login", "create"]
)
def test_a_prompt_refused(text):
    """An unknown value, `none` beside another (Core §3.1.2.1), a repetition, a stray space."""
    with pytest.raises(RequestError) as caught:
        prompt_of(text)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_REQUEST, "prompt")


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("300", 300), ("999999999", 999_999_999)])
def test_an_age(text, seconds):
    """Seconds."""
    assert max_age_of(text) == seconds


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", " 1", "٣", "9999999999"])
def test_an_age_refused(text):
    """Only ASCII digits, and not without end."""
    with pytest.raises(RequestError) as caught:
        max_age_of(text)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_REQUEST, "max_age")


def test_neither():
    """Both may be left out."""
    assert prompt_of("") is None
    assert max_age_of("") is None
