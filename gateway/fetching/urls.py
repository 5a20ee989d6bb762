"""URLs, parsed once and strictly: whatever two parsers could read differently is refused.

Only this parse decides where a request goes. The request line and the Host field are rebuilt from its parts,
so there is no second reading by another library.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urljoin

from gateway.fetching.addresses import Address, parse_literal
from gateway.fetching.errors import FetchError, FetchFault

MAX_URL: Final = 4096  # characters
MAX_HOST: Final = 253  # characters, RFC 1035 §2.3.4
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::(?P<port>[0-9]{1,5}))?")
_PATH: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?")
_LAST_LABEL: Final = re.compile(r"[a-z](?:[a-z0-9\-]{0,61}[a-z0-9])")
# Names that never leave a host or that DNS does not serve: RFC 6761 §6.3 and §6.4, RFC 6762, RFC 7686, RFC
# 9476.
_SPECIAL: Final = frozenset({"localhost", "local", "invalid", "onion", "alt"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    - `scheme`: ``http`` or ``https``.
    - `host`: lower case ASCII, or a canonical IP literal without brackets; `address` is that literal.
    - `port`: 1 to 65535.
    - `resource`: path and query as in the request line, starting with a slash.
    """

    scheme: str
    host: str
    port: int
    resource: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """The Host field (RFC 9110 §7.2): no port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The normal form of the URL."""
        return f"{self.scheme}://{self.authority}{self.resource}"


def parse_url(url: str, *, named_hosts: frozenset[str] = frozenset()) -> Target:
    """Parse an absolute ``http`` or ``https`` URL of at most `MAX_URL` printable ASCII characters.

    Refused: any other scheme; user information; a fragment; backslashes, spaces, controls and non-ASCII
    characters anywhere (an internationalized name is written in its ``xn--`` form); invalid percent escapes;
    a port of 0 or above 65535; and every host that `canonical_host` refuses. *named_hosts* are the names that
    configuration itself spells out and which may therefore be single labels or special. Raises `FetchError`.
    """
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise FetchError(FetchFault.URL_MALFORMED, "not a URL of bounded printable ASCII")
    match = _URL.fullmatch(url)
    if match is None:
        raise FetchError(FetchFault.URL_MALFORMED, "not an absolute URL without fragment")
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise FetchError(FetchFault.SCHEME_REFUSED, "neither http nor https")
    if "@" in match["authority"]:
        raise FetchError(FetchFault.USERINFO_REFUSED, "the URL carries user information")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None:
        raise FetchError(FetchFault.HOST_REFUSED, "the authority is malformed")
    host, address = canonical_host(authority["host"], named_hosts=named_hosts)
    port = int(authority["port"]) if authority["port"] else DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65_535:  # noqa: PLR2004 - the range of TCP ports.
        raise FetchError(FetchFault.PORT_REFUSED, "the port is out of range", host=host)
    path, query = match["path"] or "/", match["query"]
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query or ""):
        raise FetchError(FetchFault.URL_MALFORMED, "a character or an escape is not allowed", host=host)
    return Target(scheme, host, port, path if query is None else f"{path}?{query}", address)


def canonical_host(text: str, *, named_hosts: frozenset[str] = frozenset()) -> tuple[str, Address | None]:
    """The canonical spelling of *text* and, for an IP literal, its address.

    A name has at least two labels of letters, digits and inner hyphens (RFC 1123 §2.1), at most 253
    characters, no trailing dot, and a last label that starts with a letter; so ``0x7f.1``, ``2130706433`` and
    ``127.1`` are no names. It is not one of the special names that DNS does not serve. A literal is accepted
    in its one canonical spelling only; whether it may be used is the policy's decision. Raises `FetchError`
    with `HOST_REFUSED`.
    """
    host = text.lower()
    if host.startswith("["):
        address = parse_literal(host[1:-1])
        # A mapped address has two usual spellings, and neither is anybody's host.
        if not isinstance(address, IPv6Address) or address.ipv4_mapped is not None:
            raise FetchError(FetchFault.HOST_REFUSED, "not a canonical IPv6 literal")
        return str(address), address
    address = parse_literal(host)
    if isinstance(address, IPv4Address):  # Version 6 is written in brackets.
        return host, address
    labels = host.split(".")
    if len(host) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchError(FetchFault.HOST_REFUSED, "not a host name")
    if host in named_hosts:
        return host, None
    # A last label that starts with a digit makes some parsers read the whole as a number (WHATWG URL:
    # "ends in a number").
    top = labels[-1]
    if len(labels) == 1 or not _LAST_LABEL.fullmatch(top) or top in _SPECIAL:
        raise FetchError(FetchFault.HOST_REFUSED, "not a name below a public top level")
    return host, None


def redirect_target(current: Target, location: str, *, named_hosts: frozenset[str] = frozenset()) -> Target:
    """The target of a redirect from *current* (RFC 9110 §10.2.2), which stays on its host.

    The scheme and port stay as well, except for the step from ``http`` on port 80 to ``https`` on port 443. A
    fragment is dropped. Raises `FetchError`: `REDIRECT_REFUSED` for another origin, else what `parse_url`
    does.
    """
    if len(location) > MAX_URL or not _PRINTABLE.fullmatch(location) or "\\" in location:
        raise FetchError(FetchFault.REDIRECT_REFUSED, "the location is malformed", host=current.host)
    try:
        joined = urljoin(current.url, location.partition("#")[0])
    except ValueError as error:
        raise FetchError(
            FetchFault.REDIRECT_REFUSED, "the location is malformed", host=current.host
        ) from error
    target = parse_url(joined, named_hosts=named_hosts)
    same_origin = (target.scheme, target.port) == (current.scheme, current.port)
    upgrade = (current.scheme, current.port, target.scheme, target.port) == ("http", 80, "https", 443)
    if target.host != current.host or not (same_origin or upgrade):
        raise FetchError(FetchFault.REDIRECT_REFUSED, "the redirect leaves its origin", host=current.host)
    return target
