"""The names of Wire's end-to-end identity, in both generations of the protocol.

    first:   im:wireapp={user}/{device}@{domain}    im:wireapp=%40{handle}@{domain}
    second:  wireapp://{user}!{device}@{domain}     wireapp://%40{handle}@{domain}

*user* is base64url of the user's UUID, 16 octets; *device* is a number in hexadecimal. In the second form the
separator may be written ``%21``. SOURCE: the walk-through behind tests/vectors/wire_g1_exchange.json, and
wireapp/rusty-jwt-tools `identifiers`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.jose import base64url
from gateway.jose.errors import JoseError
from gateway.pki.issuance_errors import RequestError
from gateway.pki.name_text import require_name_text
from gateway.pki.requested_names import dns_name

MAX_DISPLAY_NAME: Final = 64
"""Characters: the upper bound of a common name (RFC 5280 Appendix A.1), where the display name will stand."""

_USER: Final = r"(?P<user>[A-Za-z0-9_-]{22})"
_DEVICE: Final = r"(?P<device>[0-9a-f]{1,16})"
_DOMAIN: Final = r"(?P<domain>[A-Za-z0-9.-]{1,253})"
_HANDLE: Final = re.compile(r"[a-z0-9_.-]{2,256}")


class WireNameError(ValueError):
    """A name is not one of Wire's. The message says which rule was broken, without the name."""


class Generation(StrEnum):
    """Which generation of the protocol a name belongs to; its URIs tell."""

    FIRST = "first"
    SECOND = "second"

    @property
    def handle_prefix(self) -> str:
        """What stands before ``handle@domain`` in the URI of a handle."""
        return f"{_PREFIXES[self]}%40"

    def handle_uri(self, handle: str, domain: str) -> str:
        """The URI of the bare *handle* at *domain*. Raises `WireNameError`."""
        if _HANDLE.fullmatch(handle) is None:
            raise WireNameError("a handle has 2 to 256 characters of a-z, 0-9, '_', '.' and '-'")
        return f"{self.handle_prefix}{handle}@{domain}"


_PREFIXES: Final = {Generation.FIRST: "im:wireapp=", Generation.SECOND: "wireapp://"}
_CLIENTS: Final = {
    Generation.FIRST: re.compile(rf"im:wireapp={_USER}/{_DEVICE}@{_DOMAIN}"),
    Generation.SECOND: re.compile(rf"wireapp://{_USER}(?:!|%21){_DEVICE}@{_DOMAIN}"),
}
_HANDLES: Final = {
    generation: re.compile(rf"{re.escape(prefix)}%40(?P<handle>[a-z0-9_.-]{{2,256}})@{_DOMAIN}")
    for generation, prefix in _PREFIXES.items()
}


@dataclass(frozen=True, slots=True)
class ClientUri:
    """A device: *text* as it was sent, and its parts. *user* is 22 characters of base64url."""

    text: str
    generation: Generation
    user: str
    device: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> "ClientUri":
        """The parts of a client id in either generation's form. Raises `WireNameError`."""
        for generation, pattern in _CLIENTS.items():
            match = pattern.fullmatch(text)
            if match is not None:
                _require_user(match["user"])
                domain = require_domain(match["domain"])
                return cls(text, generation, match["user"], match["device"], domain)
        raise WireNameError("a client id names a user, a device and a domain")

    @property
    def normal(self) -> str:
        """The client id with its separator written plainly, for comparing."""
        return self.text.replace("%21", "!")


@dataclass(frozen=True, slots=True)
class HandleUri:
    """A user by name: *text* as it was sent, the bare *handle*, and the *domain*."""

    text: str
    generation: Generation
    handle: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> "HandleUri":
        """The parts of a qualified handle. Raises `WireNameError`."""
        for generation, pattern in _HANDLES.items():
            match = pattern.fullmatch(text)
            if match is not None:
                return cls(text, generation, match["handle"], require_domain(match["domain"]))
        raise WireNameError("a handle names a user and a domain")


def require_domain(text: str) -> str:
    """*text*, a DNS name in lower case without a wildcard. Raises `WireNameError`."""
    try:
        normal = dns_name(text)
    except RequestError as error:
        raise WireNameError("the domain is not a DNS name") from error
    if normal != text or text.startswith("*"):
        raise WireNameError("the domain is not a DNS name in lower case")
    return text


def require_display_name(text: str) -> str:
    """*text*, which can stand in a certificate and shows what it says. Raises `WireNameError`."""
    try:
        require_name_text(text, maximum=MAX_DISPLAY_NAME)
    except RequestError as error:
        raise WireNameError(f"the display name is refused: {error.code}") from error
    return text


def _require_user(text: str) -> None:
    try:
        base64url.decode(text)
    except JoseError as error:
        raise WireNameError("the user of a client id is not base64url of 16 octets") from error
