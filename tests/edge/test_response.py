"""Responses as octets."""

import pytest
from starlette.responses import Response as StarletteResponse

from gateway.edge.response import Response, rendered


def test_head_and_body():
    """Status line, own headers, further ones, and the length; then the body."""
    octets = rendered(
        Response("{}", 201, {"cache-control": "no-store"}, "application/json"),
        {"date": "now"},
        head_only=False,
    )
    assert octets == (
        b"HTTP/1.1 201 Created\r\ncache-control: no-store\r\ncontent-type: application/json\r\n"
        b"date: now\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_head_only():
    """The answer to HEAD has the length of what it leaves out."""
    octets = rendered(Response(b"abc"), {}, head_only=True)
    assert octets.endswith(b"content-length: 3\r\n\r\n")


def test_a_header_that_comes_twice():
    """A response of Starlette's keeps its repeated headers, and one length."""
    response = StarletteResponse(b"abc", headers={"link": "<a>"})
    response.headers.append("link", "<b>")
    octets = rendered(response, {}, head_only=False)
    assert (octets.count(b"link: "), octets.count(b"content-length: ")) == (2, 1)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\x00", "a\x7f", "\t", "é"])
def test_no_header_breaks_its_line(value):
    """What would begin another header, or is not ASCII, is never sent."""
    with pytest.raises(ValueError, match=r"printable|ascii"):
        rendered(Response(headers={"location": value}), {}, head_only=False)
