"""What an endpoint works with: the request, read as a whole, and the response."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.edge.form import Form, require_form
from gateway.edge.oauth_errors import HttpError
from gateway.edge.response import Answer
from gateway.errors import GatewayError
from gateway.principal import Call


class Headers:
    """The headers of a request: names in lower case, values as latin-1, in the order sent."""

    __slots__ = ("_values", "pairs")

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = pairs
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        self._values = values

    def values(self, name: str) -> Sequence[str]:
        """Every value of the header *name* (lower case)."""
        return self._values.get(name, ())

    def without(self, name: str) -> Sequence[tuple[str, str]]:
        """The pairs of all others."""
        return [pair for pair in self.pairs if pair[0] != name]


@dataclass(frozen=True, slots=True)
class EdgeRequest:
    """A request whose caller is known.

    *basic* holds the credentials of an ``Authorization: Basic``; *parameters* the parts of the path that the
    route names.
    """

    call: Call
    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    basic: str | None
    parameters: Mapping[str, str] = field(default_factory=dict)

    def header_values(self, name: str) -> Sequence[str]:
        """Every value of the header *name* (lower case)."""
        return self.headers.values(name)

    def form(self) -> Form:
        """The body, a form. Raises `HttpError` 415, `RequestError` INVALID_REQUEST."""
        if self.query:
            # RFC 6749 §2.3.1: what identifies a client or is a token never travels in a URI.
            raise HttpError(400, "Send parameters in the body, not in the URI.", cause="query_not_allowed")
        require_form(self.header_values("content-type"), self.header_values("content-encoding"))
        return Form.parse(self.body)


Endpoint: TypeAlias = Callable[[EdgeRequest], Awaitable[Answer]]
Refusal: TypeAlias = Callable[[GatewayError], Answer]
"""How a protocol other than OAuth tells an error."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path, or many.

    - *path*: ``{name}`` stands for one segment, and at the end ``{+name}`` for all that follow.
    - *methods*: what it answers to; HEAD goes with GET, its body is not sent.
    - *policy*: the RPC whose row in `gateway.authorization` says who may call; None where everybody may,
      because each request is signed by the key that it is about (ACME), the answer is public, or users come
      who are yet to log in.
    - *max_body*: octets of a request.
    - *always_admitted*: answers under overload and while draining, and is not counted.
    - *refuse*: how errors are told; None for OAuth's way.
    - *deadline*: seconds for an answer; None for the server's default.
    - *like*: the RPC that does the same where *policy* names none, for limits and priority.
    """

    path: str
    methods: frozenset[str]
    endpoint: Endpoint
    policy: str | None
    max_body: int = 0
    always_admitted: bool = False
    refuse: Refusal | None = None
    deadline: float | None = None
    like: str = ""

    @property
    def counts_as(self) -> str:
        """The full name of the RPC whose limits and priority a request has."""
        return self.policy or self.like

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """What the paths look like; None where there is only one."""
        if "{" not in self.path:
            return None
        literal = re.escape(self.path).replace(r"\{", "{").replace(r"\}", "}").replace(r"\+", "+")
        whole = re.sub(r"\{\+(\w+)\}$", r"(?P<\1>.+)", literal)
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", whole))

    @property
    def allow(self) -> str:
        """The value of the ``Allow`` header."""
        return ", ".join(sorted(self.methods))


def get(path: str, endpoint: Endpoint, policy: str | None, *, always_admitted: bool = False) -> Route:
    """A route that is read."""
    return Route(path, frozenset({"GET", "HEAD"}), endpoint, policy, always_admitted=always_admitted)


def post(path: str, endpoint: Endpoint, policy: str | None, *, max_body: int) -> Route:
    """A route that is posted to."""
    return Route(path, frozenset({"POST"}), endpoint, policy, max_body)
