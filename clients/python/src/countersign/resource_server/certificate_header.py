"""The client's certificate from a proxy that ends TLS: in one header, from one set of peers."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from countersign.resource_server.certificate import (
    MAX_SIZE,
    CertificateUnreadableError,
    certificate_of_der,
    certificate_of_pem,
)
from countersign.resource_server.errors import Fault, MalformedRequestError

_BINARY: Final = re.compile(r":(?P<base64>[A-Za-z0-9+/]+=*):")


class CertificateForm(StrEnum):
    """How the header spells the certificate."""

    RFC9440 = "rfc9440"
    """DER as a structured field's byte sequence, ``:base64:`` (RFC 9440 §2.1)."""
    URL_ENCODED_PEM = "url-encoded-pem"
    """PEM, percent-encoded, as nginx gives it (``$ssl_client_escaped_cert``)."""


@dataclass(frozen=True, slots=True)
class CertificateHeader:
    """Which header holds the certificate, and who may send it.

    - `trusted_peers`: addresses or networks of the proxies (``10.1.0.0/16``). The proxy must authenticate
      the client's connection and remove the header from what clients send. The peer is what ASGI says in
      `client`: do not let the server rewrite it from X-Forwarded-For.
    - `name`: of the header, in any case.

    A request of another peer that has the header is refused, as is one where it is repeated.
    """

    trusted_peers: tuple[str, ...]
    name: str = "Client-Cert"
    form: CertificateForm = CertificateForm.RFC9440
    _networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.trusted_peers or not self.name:
            raise ValueError("trusted_peers and name must not be empty.")
        networks = tuple(ipaddress.ip_network(each) for each in self.trusted_peers)
        object.__setattr__(self, "_networks", networks)

    def certificate(self, fields: Iterable[tuple[bytes, str]], peer: str | None) -> bytes | None:
        """The certificate in *fields*, names in lower case, that *peer* sent; DER; None where it is absent.

        Raises `MalformedRequestError`.
        """
        name = self.name.lower().encode("ascii")
        values = [value for each, value in fields if each == name]
        if not values:
            return None
        if not self._trusts(peer):
            raise MalformedRequestError(
                Fault.UNTRUSTED_SENDER, "This peer may not send a client certificate header."
            )
        if len(values) > 1:
            raise MalformedRequestError(Fault.REPEATED, "The client certificate header is repeated.")
        try:
            return self._read(values[0])
        except CertificateUnreadableError as error:
            raise MalformedRequestError(
                Fault.MALFORMED, "The client certificate header cannot be read."
            ) from error

    def _trusts(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        # A socket for both families names an IPv4 peer so (RFC 4291 §2.5.5.2).
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def _read(self, value: str) -> bytes:
        if len(value) > MAX_SIZE:
            raise CertificateUnreadableError("the header is too large")
        if self.form is CertificateForm.URL_ENCODED_PEM:
            return certificate_of_pem(unquote(value).encode())
        match = _BINARY.fullmatch(value.strip(" \t"))
        if match is None:
            raise CertificateUnreadableError("the value is not a byte sequence")
        try:
            return certificate_of_der(base64.b64decode(match["base64"], validate=True))
        except binascii.Error as error:
            raise CertificateUnreadableError("the value is not base64") from error
