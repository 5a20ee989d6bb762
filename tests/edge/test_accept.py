"""Content negotiation."""

import pytest

from gateway.edge.accept import preferred

JSON, SIGNED = "application/json", "application/token-introspection+jwt"


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ([], JSON),
        ([""], JSON),
        (["*/*"], JSON),
        (["application/*"], JSON),
        ([JSON], JSON),
        ([SIGNED], SIGNED),
        ([SIGNED.upper()], SIGNED),
        ([f"{SIGNED};q=1.000"], SIGNED),
        ([f"{SIGNED}, */*"], SIGNED),
        ([f"{SIGNED}, {JSON}"], SIGNED),
        ([f"{JSON}, {SIGNED}"], JSON),
        ([JSON, SIGNED], JSON),
        ([f"{JSON};q=0.5, {SIGNED};q=0.9"], SIGNED),
        ([f"{JSON};q=0.9, {SIGNED};q=0.5"], JSON),
        ([f"{JSON};q=0, */*"], SIGNED),
        ([f"{SIGNED};q=0, */*"], JSON),
        ([f"{JSON};charset=utf-8"], JSON),
        ([f"text/html, {JSON};q=0.1"], JSON),
    ],
)
def test_what_is_asked_for(values, chosen):
    """Quality first, then the more specific range, then the order; the default where nothing is said."""
    assert preferred(values, (JSON, SIGNED)) == chosen


@pytest.mark.parametrize(
    "value",
    [
        "text/html",
        "text/*",
        f"{JSON};q=0",
        "*/*;q=0",
        f"{SIGNED};q=2",
        f"{SIGNED};q=x",
        "application",
        "*/json",
        ",",
    ],
)
def test_nothing_is_acceptable(value):
    """A quality of 0 forbids, and a range that cannot be read asks for nothing."""
    assert preferred([value], (JSON, SIGNED)) is None
