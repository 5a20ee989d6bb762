"""The target URI of a request in normal form (RFC 9449 §4.3 check 9, RFC 3986 §6.2.2 and §6.2.3)."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_SIZE: Final = 2048  # characters

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MAX_PORT: Final = 65535
_CHARACTER: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})"
_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9\-._~]+))(?::(?P<port>[0-9]{0,5}))?"
    rf"(?P<path>(?:/{_CHARACTER}*)?)(?:\?(?:{_CHARACTER}|\?)*)?(?:\#(?:{_CHARACTER}|\?)*)?"
)
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9\-._~]")


class TargetUriError(ValueError):
    """The text is not a URI that a request to a resource server could have gone to."""


@dataclass(frozen=True, slots=True)
class TargetUri:
    """An absolute URI without query and fragment; *path* starts with a slash."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"


class Origins:
    """The public origins that requests are addressed to, as clients write them."""

    def __init__(self, origins: Iterable[str], *, allow_http: bool = False) -> None:
        """*origins*: ``https://host`` or ``https://host:port``, at least one. Raises `TargetUriError`."""
        self._allow_http = allow_http
        texts = tuple(origins)
        parsed = [parse_target(each, allow_http=allow_http) for each in texts]
        if not parsed or any(each.path != "/" for each in parsed) or any("?" in t or "#" in t for t in texts):
            raise TargetUriError("origins are at least one, without path, query and fragment")
        self._origins = frozenset((each.scheme, each.host, each.port) for each in parsed)

    def match(self, htu: str, path: str) -> TargetUri | None:
        """The target that *htu* names, where it is *path* at one of the origins; None where it is not.

        *path* is as it was received, without the query. Raises `TargetUriError` where *htu* is not a URI.
        """
        target = parse_target(htu, allow_http=self._allow_http)
        if not path.startswith("/") or "?" in path or "#" in path:
            raise TargetUriError("a path starts with a slash, and has no query and no fragment")
        received = parse_target("https://host" + path).path
        here = target.path == received and (target.scheme, target.host, target.port) in self._origins
        return target if here else None


def parse_target(text: str, *, allow_http: bool = False) -> TargetUri:
    """The normal form of *text*; query and fragment must be well formed and are dropped.

    Refused: userinfo, an empty host, whatever RFC 3986 does not allow, and other schemes than https, or http
    where *allow_http*. Raises `TargetUriError`.
    """
    if len(text) > MAX_SIZE:
        raise TargetUriError(f"the URI exceeds {MAX_SIZE} characters")
    return _parsed(text, allow_http)


@lru_cache(maxsize=512)
def _parsed(text: str, allow_http: bool) -> TargetUri:  # noqa: FBT001 - a cache key, given by position
    match = _URI.fullmatch(text)
    if match is None:
        raise TargetUriError("the text is not an absolute URI with a host")
    scheme = match["scheme"].lower()
    if scheme != "https" and not (allow_http and scheme == "http"):
        raise TargetUriError("the scheme is not https")
    # RFC 3986 §6.2.3: an empty port stands for the default.
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 1 <= port <= _MAX_PORT:
        raise TargetUriError("the port is out of range")
    return TargetUri(scheme, _host(match), port, _normal_path(match["path"]))


def _host(match: re.Match[str]) -> str:
    if match["v6"] is None:
        return match["name"].lower()
    try:
        return f"[{ipaddress.IPv6Address(match['v6'])}]"
    except ValueError as error:
        raise TargetUriError("the host is not an IPv6 address") from error


def _normal_path(path: str) -> str:
    """Unreserved characters decoded, other encodings in upper case, no dot segments (§6.2.2)."""
    kept: list[str] = []
    segments = _ENCODED.sub(_normal_octet, path).split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _normal_octet(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()
