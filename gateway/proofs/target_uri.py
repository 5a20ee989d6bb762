"""The target URI of a request, normalized so that two spellings of one target are equal (RFC 9449 §4.3).

The normalization is RFC 3986's, syntax-based (§6.2.2) and scheme-based (§6.2.3). What we compare with is
built from configured public origins, never from what a socket or a Host header says: behind a proxy those are
not the origin that a client signed, and an attacker chooses the latter.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_SIZE: Final = 2048  # characters, query and fragment included
CACHE_ENTRIES: Final = 512

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MAX_PORT: Final = 65535

_UNRESERVED: Final = r"A-Za-z0-9\-._~"
_SUB_DELIMS: Final = r"!$&'()*+,;="
_ENCODED: Final = r"%[0-9A-Fa-f]{2}"
_URI: Final = re.compile(
    # ``\Z`` and not ``$``: the latter would let a line feed follow.
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<authority>[^/?#]*)"
    rf"(?P<path>(?:/(?:[{_UNRESERVED}{_SUB_DELIMS}:@]|{_ENCODED})*)*)"
    rf"(?:\?(?:[{_UNRESERVED}{_SUB_DELIMS}:@/?]|{_ENCODED})*)?"
    rf"(?:\#(?:[{_UNRESERVED}{_SUB_DELIMS}:@/?]|{_ENCODED})*)?\Z"
)
_AUTHORITY: Final = re.compile(
    rf"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>(?:[{_UNRESERVED}{_SUB_DELIMS}]|{_ENCODED})+))"
    r"(?::(?P<port>[0-9]{0,5}))?\Z"
)
_ANY_ENCODED: Final = re.compile(_ENCODED)
_UNRESERVED_CHARACTER: Final = re.compile(f"[{_UNRESERVED}]")
# The protocol's path (gRPC over HTTP/2, Path): a service of dotted names, and a method.
_FULL_METHOD: Final = re.compile(
    r"/[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*/[A-Za-z_][A-Za-z0-9_]*"
)


class TargetUriError(ValueError):
    """The text is not an absolute URI that a request of ours could have been sent to."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests arrive, as clients write it (RFC 6454 §4).

    *scheme* and *host* are in lower case, an IPv6 address in brackets and in its RFC 5952 form; *port* is
    None where it is the scheme's default.
    """

    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        return (
            f"{self.scheme}://{self.host}"
            if self.port is None
            else f"{self.scheme}://{self.host}:{self.port}"
        )


@dataclass(frozen=True, slots=True)
class TargetUri:
    """An absolute URI in normal form, without query and fragment. *path* starts with a slash."""

    origin: Origin
    path: str

    @classmethod
    def parse(cls, text: str, *, allow_http: bool = False) -> "TargetUri":
        """The normal form of *text*, an absolute https URI of at most `MAX_SIZE` characters.

        Query and fragment must be well formed and are dropped. Refused: userinfo, an empty host, anything
        outside RFC 3986's grammar (a space, a backslash, a stray percent sign, non-ASCII), a scheme other
        than https unless *allow_http*. Raises `TargetUriError`.
        """
        # Checked before the cache, so that an entry's size, and with it the cache, is bounded.
        if len(text) > MAX_SIZE:
            raise TargetUriError(f"the URI exceeds {MAX_SIZE} characters")
        return _parse(text, allow_http)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


@dataclass(frozen=True, slots=True)
class Origins:
    """The public origins that this gateway answers at, in the order configured; at least one."""

    origins: tuple[Origin, ...]

    def __post_init__(self) -> None:
        if not self.origins:
            raise TargetUriError("no public origin is configured")

    @classmethod
    def parse(cls, texts: Iterable[str], *, allow_http: bool = False) -> "Origins":
        """From configuration: ``https://id.example.org`` or with a port; no path, query or fragment.

        *allow_http* lets plain http origins in, for development. Raises `TargetUriError`.
        """
        return cls(tuple(dict.fromkeys(_parse_origin(text, allow_http) for text in texts)))

    def targets(self, path: str) -> frozenset[TargetUri]:
        """What a request for *path* may have been addressed to; *path* as received, without the query.

        Raises `TargetUriError`.
        """
        if len(path) > MAX_SIZE:
            raise TargetUriError(f"the path exceeds {MAX_SIZE} characters")
        return _targets(self.origins, path)

    def grpc_targets(self, full_method: str) -> frozenset[TargetUri]:
        """What a gRPC call of *full_method* may have been addressed to. Raises `TargetUriError`."""
        _require_full_method(full_method)
        return self.targets(full_method)


def grpc_target(origin: Origin, full_method: str) -> TargetUri:
    """The target URI of a gRPC call, which is ``POST origin/package.Service/Method``.

    *full_method* is as gRPC gives it: ``/package.Service/Method``. Raises `TargetUriError`.
    """
    _require_full_method(full_method)
    return TargetUri(origin, full_method)


def _require_full_method(full_method: str) -> None:
    if len(full_method) > MAX_SIZE or not _FULL_METHOD.fullmatch(full_method):
        raise TargetUriError("the method is not /package.Service/Method")


@lru_cache(maxsize=CACHE_ENTRIES)
def _targets(origins: tuple[Origin, ...], path: str) -> frozenset[TargetUri]:
    # The path is read as part of a URI, so that it gets no other normal form than a client's htu does.
    if "?" in path or "#" in path:
        raise TargetUriError("a path has no query and no fragment")
    if not path.startswith("/"):
        raise TargetUriError("a path starts with a slash")
    normal = _parse(f"https://host{path}", False).path
    return frozenset(TargetUri(origin, normal) for origin in origins)


@lru_cache(maxsize=CACHE_ENTRIES)
def _parse(text: str, allow_http: bool) -> TargetUri:  # noqa: FBT001 - a cache key, given by position
    match = _URI.match(text)
    if match is None:
        raise TargetUriError("the text is not an absolute URI")
    scheme = match["scheme"].lower()
    if scheme != "https" and not (allow_http and scheme == "http"):
        raise TargetUriError("the scheme is not https")
    return TargetUri(_origin(scheme, match["authority"]), _normal_path(match["path"]))


def _parse_origin(text: str, allow_http: bool) -> Origin:  # noqa: FBT001 - passed on
    target = TargetUri.parse(text, allow_http=allow_http)
    if target.path != "/" or "?" in text or "#" in text:
        raise TargetUriError("an origin has no path, query or fragment")
    return target.origin


def _origin(scheme: str, authority: str) -> Origin:
    if "@" in authority:
        raise TargetUriError("the URI carries userinfo")
    match = _AUTHORITY.match(authority)
    if match is None:
        raise TargetUriError("the host is empty or malformed, or the port is")
    # RFC 3986 §6.2.3: an empty port stands for the default.
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
    if not 1 <= port <= _MAX_PORT:
        raise TargetUriError("the port is out of range")
    return Origin(scheme, _host(match), None if port == _DEFAULT_PORTS[scheme] else port)


def _host(match: re.Match[str]) -> str:
    if match["v6"] is None:
        # Lowered twice: once for letters as sent, once for those that were encoded; encodings stay upper.
        return _lowered(_normal_encoding(match["name"]))
    try:
        return f"[{ipaddress.IPv6Address(match['v6'])}]"
    except ValueError as error:
        raise TargetUriError("the host is not an IPv6 address") from error


def _lowered(name: str) -> str:
    return _ANY_ENCODED.sub(lambda match: match[0].upper(), name.lower())


def _normal_path(path: str) -> str:
    # Unreserved octets are decoded first: %2E%2E is a dot segment too.
    normal = _normal_encoding(path)
    return _without_dot_segments(normal) if "/." in normal else normal or "/"


def _normal_encoding(text: str) -> str:
    """RFC 3986 §6.2.2.1 and §6.2.2.2: upper-case hex; unreserved characters are not encoded."""
    return _ANY_ENCODED.sub(_normal_octet, text) if "%" in text else text


def _normal_octet(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if _UNRESERVED_CHARACTER.match(character) else match[0].upper()


def _without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4, for a path that starts with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
