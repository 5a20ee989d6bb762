"""Whether a certification request names exactly what its order was authorized for (RFC 8555 §7.4)."""

from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address, IPv6Address, ip_address

from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.requested_names import dns_name
from gateway.pki.subject_alternative_names import SubjectAlternativeNames


def require_exact_names(request: CertificateRequest, expected: SubjectAlternativeNames) -> None:
    """The request names all of *expected* and nothing else, in its alternative names or its common name.

    A common name counts as a requested DNS name or address, as RFC 8555 §7.4 allows; so it must be one of
    *expected*. Raises `RequestError` with `COMMON_NAME_MISMATCH`, `MISSING_SAN`, `SAN_KIND` for a name of a
    kind of which none is expected, or `UNEXPECTED_SAN`.
    """
    dns, ip = set(request.names.dns), set(request.names.ip)
    if request.common_name is not None:
        address, name = _common_name(request.common_name)
        if address is not None and address in expected.ip:
            ip.add(address)
        elif name is not None and name in expected.dns:
            dns.add(name)
        else:
            raise RequestError(RequestFault.COMMON_NAME_MISMATCH, "the common name is not in the order")
    _require_equal("DNS name", dns, expected.dns)
    _require_equal("IP address", ip, expected.ip)
    _require_equal("URI", request.names.uri, expected.uri)
    _require_equal("email address", request.names.email, expected.email)


def _common_name(value: str) -> tuple[IPv4Address | IPv6Address | None, str | None]:
    """The common name as an address and as a DNS name; None where it is none."""
    try:
        return ip_address(value), None
    except ValueError:
        pass
    try:
        return None, dns_name(value)
    except RequestError:
        return None, None


def _require_equal(kind: str, requested: AbstractSet[object], expected: AbstractSet[object]) -> None:
    if requested and not expected:
        raise RequestError(RequestFault.SAN_KIND, f"the order has no {kind}, and the request has")
    if expected - requested:
        raise RequestError(RequestFault.MISSING_SAN, f"the request lacks a {kind} of the order")
    if requested - expected:
        raise RequestError(RequestFault.UNEXPECTED_SAN, f"the request has a {kind} that the order has not")
