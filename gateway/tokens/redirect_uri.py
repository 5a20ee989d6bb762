"""Redirect URIs: what may be registered, and what may be asked for (RFC 9700 §2.1, RFC 8252 §7)."""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.errors import Reason, RequestError

MAX_SIZE: Final = 2048  # characters
_LOCALHOST: Final = "localhost"
_PRIVATE_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")


def is_registrable(uri: str) -> bool:
    """Whether a client may register *uri*.

    An https URI, an http URI of the loopback interface, or one of a private scheme that is a reversed domain
    name (RFC 8252 §7.1); absolute, ASCII, without fragment and without userinfo.
    """
    parts = _split(uri)
    if parts is None:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":
        return _is_loopback(parts) or parts.hostname == _LOCALHOST
    return _PRIVATE_SCHEME.fullmatch(parts.scheme) is not None


def require_registered(uri: str, registered: frozenset[str]) -> str:
    """*uri* as sent, where it is one of *registered*, character for character.

    Only the port of an http URI of a loopback address is free: a native application takes the one that it
    gets (RFC 8252 §7.3). Raises `RequestError` INVALID_REQUEST with the field ``redirect_uri``: whoever gets
    that must not redirect.
    """
    if uri in registered:
        return uri
    portless = _without_loopback_port(uri)
    if portless is None or all(_without_loopback_port(each) != portless for each in registered):
        raise RequestError(
            Reason.INVALID_REQUEST,
            "The redirect URI is not one that the client is registered with.",
            field="redirect_uri",
        )
    return uri


def _without_loopback_port(uri: str) -> str | None:
    """*uri* with its port left out; None where it is no http URI of a loopback address."""
    parts = _split(uri)
    if parts is None or parts.scheme != "http" or not _is_loopback(parts):
        return None
    host, _, after = uri.removeprefix("http://").partition(parts.netloc)
    if host:
        return None
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"http://{name}{after}"


def _split(uri: str) -> SplitResult | None:
    if not uri.isascii() or not uri.isprintable() or " " in uri or "#" in uri or len(uri) > MAX_SIZE:
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port  # Read, because only that refuses a malformed one.
    except ValueError:
        return None
    if not parts.scheme or "@" in parts.netloc or "\\" in uri:
        return None
    return parts


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
