"""Responses, and the octets that they are on the wire: head and body in one piece."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final, Protocol

_LINE_END: Final = "\r\n"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}{_LINE_END}" for status in HTTPStatus
}
_LENGTH: Final = "content-length"


class Fields(Protocol):
    """The headers of a response."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names in lower case, and values; a name may come more than once."""
        ...


class Answer(Protocol):
    """A response as a whole: `Response`, or one of Starlette's."""

    @property
    def status_code(self) -> int:
        """Of HTTP."""
        ...

    @property
    def headers(self) -> Fields:
        """Those of this response; what goes with every one is added when it is sent."""
        ...

    @property
    def body(self) -> bytes | memoryview:
        """The whole body."""
        ...


class Response:
    """What an endpoint answers. *content* is sent as UTF-8 where it is text, under *media_type*."""

    __slots__ = ("body", "headers", "status_code")

    def __init__(
        self,
        content: bytes | str = b"",
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.body = content.encode() if isinstance(content, str) else content
        self.status_code = status_code
        self.headers: dict[str, str] = {} if headers is None else {**headers}
        if media_type is not None:
            self.headers["content-type"] = media_type


def rendered(answer: Answer, further: Mapping[str, str], *, head_only: bool) -> bytes:
    """*answer* as HTTP/1.1 has it, with the headers *further*; to a HEAD request the head only.

    Raises `ValueError` for a header that would not be one line of printable ASCII.
    """
    body = answer.body
    lines = [
        f"{name}: {value}" for name, value in (*answer.headers.items(), *further.items()) if name != _LENGTH
    ]
    lines.append(f"{_LENGTH}: {len(body)}")
    if not "".join(lines).isprintable():
        raise ValueError("a header is not printable")
    head = f"{_STATUS_LINES[answer.status_code]}{_LINE_END.join(lines)}{_LINE_END}{_LINE_END}".encode("ascii")
    return head if head_only else head + body
