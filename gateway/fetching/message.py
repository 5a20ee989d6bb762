"""What is asked and what came back, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

# Fields that this package sets itself; a request that names one is a programming error.
_OWN_FIELDS: Final = frozenset(
    {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_METHODS: Final = frozenset({"GET", "POST"})

KEPT_FIELDS: Final = frozenset(
    {
        "age",
        "cache-control",
        "content-type",
        "date",
        "dpop-nonce",
        "etag",
        "expires",
        "last-modified",
        "retry-after",
        "www-authenticate",
    }
)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One request.

    - `method`: GET or POST; only POST carries a body.
    - `accept`: media types in lower case that a successful (2xx) response may have, parameters aside; the
      Accept field is made of them. Empty accepts any, and none.
    - `headers`: further fields; none that the client sets itself. Values may be secrets and are never logged.
    - `body`, `content_type`: octets to send and their media type.
    """

    url: str
    method: str = "GET"
    accept: tuple[str, ...] = ("application/json",)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    content_type: str | None = None

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError("the method is GET or POST")
        if self.method == "GET" and (self.body or self.content_type):
            raise ValueError("GET carries no body")
        for name, _ in self.headers:
            if name.lower() in _OWN_FIELDS:
                raise ValueError(f"the client sets {name} itself")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One response, whole.

    - `status`: 200 to 599, never a redirect that was not followed.
    - `headers`: the fields of `KEPT_FIELDS`, names in lower case, repeated ones joined by ``, ``.
    - `body`: the octets as sent, at most the policy's `max_body`; no content coding is ever undone.
    - `final_url`: where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    final_url: str

    @property
    def media_type(self) -> str | None:
        """The media type without parameters, in lower case; None where the response names none."""
        value = self.headers.get("content-type")
        return value.partition(";")[0].strip().lower() if value is not None else None


def kept_fields(fields: list[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The `KEPT_FIELDS` among *fields*, which h11 gives with names in lower case."""
    kept: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name = raw_name.decode("ascii")
        if name in KEPT_FIELDS:
            value = raw_value.decode("latin-1")
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return MappingProxyType(kept)
