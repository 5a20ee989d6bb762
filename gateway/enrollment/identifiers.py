"""What an order is for: identifiers parsed strictly, and what they say together (RFC 8555 §7.1.3, RFC 8738).

Wire's identifiers carry JSON in their value. ``wireapp-id`` alone names user and device in the first
generation; ``wireapp-device`` and ``wireapp-user`` together do in the second, and must agree.
``permanent-identifier`` (device-attest-01) is not certified.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509

from gateway.enrollment.wire_names import (
    ClientUri,
    Generation,
    HandleUri,
    WireNameError,
    require_display_name,
    require_domain,
)
from gateway.errors import Reason, RequestError
from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims
from gateway.jose.strict_json import parse_object
from gateway.pki import issuance_errors
from gateway.pki.requested_names import dns_name
from gateway.pki.subject_alternative_names import SubjectAlternativeNames

MAX_IDENTIFIERS: Final = 100
REMEMBERED: Final = 1024
MAX_VALUE: Final = 2048  # characters


class IdentifierType(StrEnum):
    """The types that can be certified here, by their ACME names."""

    WIRE_ID = "wireapp-id"
    WIRE_DEVICE = "wireapp-device"
    WIRE_USER = "wireapp-user"
    DNS = "dns"
    IP = "ip"


_USER: Final = frozenset({"name", "domain", "handle"})
_DEVICE: Final = _USER | {"client-id"}
WIRE_TYPES: Final = frozenset({IdentifierType.WIRE_ID, IdentifierType.WIRE_DEVICE, IdentifierType.WIRE_USER})


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier: its type, and its *value* as it was sent, which is echoed."""

    type: IdentifierType
    value: str

    @property
    def wildcard(self) -> bool:
        """Whether it stands for all hosts of a domain."""
        return self.type is IdentifierType.DNS and self.value.startswith("*.")


@dataclass(frozen=True, slots=True)
class WireIdentity:
    """A user's device, as its order names it."""

    generation: Generation
    display_name: str
    domain: str
    client: ClientUri
    handle: HandleUri


@dataclass(frozen=True, slots=True)
class OrderNames:
    """What all identifiers of an order say together: a Wire identity, or DNS names and addresses."""

    wire: WireIdentity | None
    alternative: SubjectAlternativeNames


def parse_identifiers(pairs: Sequence[tuple[str, str]]) -> tuple[Identifier, ...]:
    """The identifiers of an order from (type, value) *pairs*, 1 to `MAX_IDENTIFIERS`, each once.

    DNS names come in lower case and addresses in their RFC 5952 form, so that each has one spelling. Raises
    `RequestError`: INVALID_FIELD, UNSUPPORTED_IDENTIFIER, REJECTED_IDENTIFIER.
    """
    if not 1 <= len(pairs) <= MAX_IDENTIFIERS:
        raise RequestError(
            Reason.INVALID_FIELD, f"An order names 1 to {MAX_IDENTIFIERS} identifiers.", field="identifiers"
        )
    identifiers = tuple(_identifier(*pair) for pair in pairs)
    if len(set(identifiers)) != len(identifiers):
        raise _rejected("An identifier stands twice in the order.")
    names_of(identifiers)
    return identifiers


@lru_cache(maxsize=REMEMBERED)
def names_of(identifiers: tuple[Identifier, ...]) -> OrderNames:
    """What *identifiers* say together. Raises `RequestError` REJECTED_IDENTIFIER where they contradict.

    Every step of an order asks it, so that what the last orders said is remembered.
    """
    types = sorted(each.type for each in identifiers)
    if not WIRE_TYPES & set(types):
        return OrderNames(None, _alternative(identifiers))
    try:
        match types:
            case [IdentifierType.WIRE_ID]:
                wire = _wire_id(identifiers[0].value)
            case [IdentifierType.WIRE_DEVICE, IdentifierType.WIRE_USER]:
                by_type = {each.type: each.value for each in identifiers}
                wire = _pair(by_type[IdentifierType.WIRE_DEVICE], by_type[IdentifierType.WIRE_USER])
            case _:
                raise _rejected("An order for Wire names one device and its user, and nothing else.")
    except (WireNameError, JoseError) as error:
        raise _rejected("A Wire identifier is malformed.") from error
    return OrderNames(wire, SubjectAlternativeNames())


def shown_names(identifier: Identifier) -> frozenset[x509.GeneralName]:
    """The names in a certificate that control over *identifier*, which is well-formed, stands for.

    Of a Wire user that is the handle, of a device its client id in its normal form.
    """
    match identifier.type:
        case IdentifierType.DNS:
            return frozenset({x509.DNSName(identifier.value)})
        case IdentifierType.IP:
            return frozenset({x509.IPAddress(ip_address(identifier.value))})
        case IdentifierType.WIRE_ID:
            wire = _wire_id(identifier.value)
            return _uris(wire.client.normal, wire.handle.text)
        case IdentifierType.WIRE_DEVICE:
            return _uris(ClientUri.parse(_members(identifier.value, _DEVICE).string("client-id")).normal)
        case IdentifierType.WIRE_USER:
            return _uris(_members(identifier.value, _USER).string("handle"))


def _uris(*texts: str) -> frozenset[x509.GeneralName]:
    return frozenset(x509.UniformResourceIdentifier(text) for text in texts)


def _identifier(type_name: str, value: str) -> Identifier:
    try:
        kind = IdentifierType(type_name)
    except ValueError as error:
        raise RequestError(
            Reason.UNSUPPORTED_IDENTIFIER, "The type of an identifier is not certified.", field="identifiers"
        ) from error
    if not 1 <= len(value) <= MAX_VALUE:
        raise _rejected(f"An identifier has 1 to {MAX_VALUE} characters.")
    if kind is IdentifierType.DNS:
        try:
            return Identifier(kind, dns_name(value))
        except issuance_errors.RequestError as error:
            raise _rejected("A DNS identifier is not a DNS name in A-labels.") from error
    if kind is IdentifierType.IP:
        return Identifier(kind, str(_address(value)))
    return Identifier(kind, value)


def _address(value: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(value)
    except ValueError as error:
        raise _rejected("An IP identifier is not an address.") from error
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise _rejected("An IP identifier has no zone.")
    return address


def _alternative(identifiers: Sequence[Identifier]) -> SubjectAlternativeNames:
    return SubjectAlternativeNames(
        dns=frozenset(each.value for each in identifiers if each.type is IdentifierType.DNS),
        ip=frozenset(ip_address(each.value) for each in identifiers if each.type is IdentifierType.IP),
    )


def _wire_id(value: str) -> WireIdentity:
    members = _members(value, _DEVICE)
    return _identity(members, Generation.FIRST)


def _pair(device: str, user: str) -> WireIdentity:
    of_device, of_user = _members(device, _DEVICE), _members(user, _USER)
    if any(of_device.string(name) != of_user.string(name) for name in _USER):
        raise _rejected("The device and the user of the order are not of one person.")
    return _identity(of_device, Generation.SECOND)


def _members(value: str, expected: frozenset[str]) -> Claims:
    members = parse_object(value.encode("utf-8", "surrogatepass"), max_size=4 * MAX_VALUE, max_depth=1)
    if set(members) != expected:
        raise _rejected(f"A Wire identifier has the members {', '.join(sorted(expected))}.")
    return Claims(members)


def _identity(members: Claims, generation: Generation) -> WireIdentity:
    domain = require_domain(members.string("domain"))
    client = ClientUri.parse(members.string("client-id"))
    handle = HandleUri.parse(members.string("handle"))
    if {client.generation, handle.generation} != {generation}:
        raise _rejected("The URIs of a Wire identifier are of another generation than its type.")
    if {client.domain, handle.domain} != {domain}:
        raise _rejected("The URIs of a Wire identifier are of another domain.")
    return WireIdentity(generation, require_display_name(members.string("name")), domain, client, handle)


def _rejected(message: str) -> RequestError:
    return RequestError(Reason.REJECTED_IDENTIFIER, message, field="identifiers")
