"""Web origins (RFC 6454 §4) as DID documents and Domain Linkage Credentials spell them."""

from dataclasses import dataclass
from typing import Final

from gateway.fetching import FetchError
from gateway.fetching.urls import DEFAULT_PORTS, parse_url
from gateway.presentations.linkage_errors import LinkageError, LinkageFault

LOCALHOST: Final = frozenset({"localhost"})
"""A name like any other for an origin: the guarded client refuses it, but in development."""
_HTTPS_PORT: Final = DEFAULT_PORTS["https"]


@dataclass(frozen=True, slots=True)
class Origin:
    """An HTTPS origin: *host* in lower case, *port* 1 to 65535. Equal origins compare equal."""

    host: str
    port: int = _HTTPS_PORT

    def __str__(self) -> str:
        return f"https://{self.host}" if self.port == _HTTPS_PORT else f"https://{self.host}:{self.port}"


def parse_origin(text: str) -> Origin:
    """The origin that *text* spells: ``https://host[:port]``, with at most a slash after it.

    Raises `LinkageError` with `INVALID_ORIGIN`, also for a path, another scheme or an IP literal.
    """
    try:
        target = parse_url(text, named_hosts=LOCALHOST)
    except FetchError as error:
        raise LinkageError(LinkageFault.INVALID_ORIGIN, f"not an origin: {error.fault}") from error
    if target.scheme != "https" or target.resource != "/" or target.address is not None:
        raise LinkageError(LinkageFault.INVALID_ORIGIN, "not an HTTPS origin of a named host")
    return Origin(target.host, target.port)
