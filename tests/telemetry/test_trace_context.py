"""The ``traceparent`` field of a caller."""

import pytest

from gateway.telemetry.trace_context import TraceParent, parse_traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
# SOURCE: W3C Trace Context, Recommendation of 23 November 2021, §3.2.3, the examples.
SAMPLED = f"00-{TRACE}-{SPAN}-01"
NOT_SAMPLED = f"00-{TRACE}-{SPAN}-00"


def test_the_examples_of_the_standard():
    """Both ids, and the flag."""
    ids = int(TRACE, 16), int(SPAN, 16)
    assert parse_traceparent(SAMPLED) == TraceParent(*ids, sampled=True)
    assert parse_traceparent(NOT_SAMPLED) == TraceParent(*ids, sampled=False)


@pytest.mark.parametrize(
    ("field", "sampled"),
    [(f"00-{TRACE}-{SPAN}-ff", True), (f"00-{TRACE}-{SPAN}-fe", False), (f"cc-{TRACE}-{SPAN}-01-x-y", True)],
)
def test_later_versions_and_flags(field, sampled):
    """Of the flags one is read, and of a later version what is at its beginning (§3.2.4)."""
    parsed = parse_traceparent(field)
    assert parsed is not None
    assert parsed.sampled is sampled


@pytest.mark.parametrize(
    "field",
    [
        None,
        "",
        "swordfish",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.x",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 512}",
    ],
)
def test_what_is_malformed_is_none(field):
    """The call begins a trace of its own."""
    assert parse_traceparent(field) is None
