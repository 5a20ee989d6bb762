"""What a kind of request may do: named policies, so that the permissive one is visible where it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final

from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.urls import Target

_MAX_DEADLINE: Final = 60.0  # seconds
_MAX_BODY: Final = 16 * 1024 * 1024  # octets
_MAX_REDIRECTS: Final = 10


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """The rules of one kind of request. ``https`` only, to names only, whatever the fields say.

    - `deadline`: seconds for everything: waiting for a slot, DNS, connecting, TLS, redirects and the body.
    - `connect_timeout`: seconds for the TCP connection to one address.
    - `max_body`: octets of the response body.
    - `max_redirects`: redirects followed for GET, within the same origin; 0 refuses the first.
    - `ports`: ports that a URL may name.
    """

    schemes: ClassVar[frozenset[str]] = frozenset({"https"})
    ip_literals: ClassVar[bool] = False

    deadline: float = 5.0
    connect_timeout: float = 3.0
    max_body: int = 256 * 1024
    max_redirects: int = 0
    ports: frozenset[int] = frozenset({443})

    def __post_init__(self) -> None:
        if not 0 < self.deadline <= _MAX_DEADLINE or not 0 < self.connect_timeout <= _MAX_DEADLINE:
            raise ValueError(f"deadline and connect_timeout are above 0 and at most {_MAX_DEADLINE} seconds")
        if not 0 <= self.max_body <= _MAX_BODY:
            raise ValueError(f"max_body is at most {_MAX_BODY} octets")
        if not 0 <= self.max_redirects <= _MAX_REDIRECTS:
            raise ValueError(f"max_redirects is at most {_MAX_REDIRECTS}")

    def check(self, target: Target, *, any_port: bool = False) -> None:
        """Refuse a *target* that this policy does not cover; *any_port* is for hosts of the test door.

        Raises `FetchError` with `SCHEME_REFUSED`, `IP_LITERAL_REFUSED` or `PORT_REFUSED`.
        """
        if target.scheme not in self.schemes:
            raise FetchError(FetchFault.SCHEME_REFUSED, "the scheme is not allowed", host=target.host)
        if target.address is not None and not self.ip_literals:
            raise FetchError(FetchFault.IP_LITERAL_REFUSED, "the host is an IP address", host=target.host)
        allowed = frozenset({80}) if target.scheme == "http" else self.ports
        if target.port not in allowed and not any_port:
            raise FetchError(FetchFault.PORT_REFUSED, "the port is not allowed", host=target.host)


@dataclass(frozen=True, slots=True)
class AcmeHttpPolicy(FetchPolicy):
    """For the validation of ACME http-01 challenges alone (RFC 8555 §8.3, RFC 8738 §4).

    Plain ``http`` on port 80 to a checked address, also to an IP literal; redirects (the RFC asks to follow
    them) within the host and to its ``https`` on port 443, where the certificate is verified as ever. What
    comes back proves control over the host and is otherwise not to be trusted.
    """

    schemes: ClassVar[frozenset[str]] = frozenset({"http", "https"})
    ip_literals: ClassVar[bool] = True

    deadline: float = 10.0
    max_body: int = 4 * 1024
    max_redirects: int = 5


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bounds of one client.

    `total` and `per_host`: requests under way; `waiting`: requests that may wait for one of those slots, in
    all; one more is refused as BUSY.
    """

    total: int = 64
    per_host: int = 8
    waiting: int = 256


@dataclass(frozen=True, slots=True)
class DangerousLoopbackDoor:
    """For tests and development only: lets the names in *names* lead to 127.0.0.1, without DNS.

    An object of this type is made by a composition root that was told to, and by nothing else; there is no
    default. It opens no other address than 127.0.0.1 and no other host than those named. TLS is verified
    against *ca_pem* alone for them, never against the system's roots, and *ca_pem* is trusted for no other
    host.

    - `names`: hosts as a URL spells them, in lower case; an IP literal counts as a name.
    - `ca_pem`: PEM certificates of the roots behind those names; None allows no ``https`` to them.
    - `port_map`: where a port of a URL is really found (``{80: 5002}``); a port not listed stays as it is.
    """

    names: frozenset[str]
    ca_pem: str | None = None
    port_map: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
