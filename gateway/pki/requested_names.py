"""The subject alternative names of a certification request: four kinds, each in its own grammar.

A name that is written loosely is compared loosely by somebody, so every one must be in the only form that
its kind admits: a DNS name in A-labels (RFC 5890), an absolute URI (RFC 3986), an address, or an ASCII
mailbox.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes

from cryptography import x509

from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.name_text import require_name_text, require_visible_text
from gateway.pki.subject_alternative_names import SubjectAlternativeNames, normal_email

MAX_NAMES = 100
MAX_URI = 1024  # characters

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
# RFC 3986 Appendix A: unreserved, reserved and whole percent-encoded octets.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
# RFC 5321 §4.1.2, Dot-string only.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")


def requested_names(names: Iterable[x509.GeneralName]) -> SubjectAlternativeNames:
    """The names of a request's extension, typed.

    Raises `RequestError` with `SAN_KIND` for a kind other than DNS, URI, IP and email, `INVALID_SAN`,
    `DUPLICATE_SAN`, `TOO_MANY_NAMES`, or a fault of `require_name_text` for what a label or a URI encodes.
    """
    dns: list[str] = []
    uri: list[str] = []
    ip: list[IPv4Address | IPv6Address] = []
    email: list[str] = []
    for count, name in enumerate(names, start=1):
        if count > MAX_NAMES:
            raise RequestError(RequestFault.TOO_MANY_NAMES, f"more than {MAX_NAMES} names are requested")
        match name:
            case x509.DNSName():
                dns.append(dns_name(name.value))
            case x509.UniformResourceIdentifier():
                uri.append(_absolute_uri(name.value))
            case x509.IPAddress(value=IPv4Address() | IPv6Address() as address):
                ip.append(address)
            case x509.RFC822Name():
                email.append(_mailbox(name.value))
            case _:
                raise RequestError(RequestFault.SAN_KIND, "a requested name is no DNS name, URI, IP or email")
    typed = SubjectAlternativeNames(frozenset(dns), frozenset(uri), frozenset(ip), frozenset(email))
    if len(dns) + len(uri) + len(ip) + len(email) != name_count(typed):
        raise RequestError(RequestFault.DUPLICATE_SAN, "a name is requested twice")
    return typed


def name_count(names: SubjectAlternativeNames) -> int:
    """How many names of all kinds there are."""
    return len(names.dns) + len(names.uri) + len(names.ip) + len(names.email)


def dns_name(value: str) -> str:
    """*value* in lower case: letters, digits, hyphens, A-labels that decode; a wildcard comes first.

    Raises `RequestError` with `INVALID_SAN`, or a fault of `require_name_text` for what a label encodes.
    """
    folded = value.lower()
    if _DNS_NAME.fullmatch(folded) is None:
        raise RequestError(RequestFault.INVALID_SAN, "a requested DNS name is not one")
    labels = folded.removeprefix("*.").split(".")
    if labels[-1].isdigit():
        raise RequestError(RequestFault.INVALID_SAN, "a requested DNS name looks like an address")
    for label in labels:
        if label[2:4] == "--":
            _require_a_label(label)
    return folded


def _require_a_label(label: str) -> None:
    """RFC 5890 §2.3.2.1: hyphens in the third and fourth place are reserved, and ``xn--`` must decode."""
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        again = decoded.encode("punycode").decode("ascii")
    except UnicodeError as error:
        raise RequestError(
            RequestFault.INVALID_SAN, "a label of a requested DNS name does not decode"
        ) from error
    # Python decodes a superfluous hyphen, which would make two spellings of one label.
    if not label.startswith("xn--") or again != label[4:]:
        raise RequestError(RequestFault.INVALID_SAN, "a label of a requested DNS name is no A-label")
    require_name_text(decoded)


def _absolute_uri(value: str) -> str:
    if len(value) > MAX_URI or _URI.fullmatch(value) is None:
        raise RequestError(RequestFault.INVALID_SAN, "a requested URI is not one")
    try:
        decoded = unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(RequestFault.INVALID_SAN, "a requested URI does not encode UTF-8") from error
    require_visible_text(decoded)
    return value


def _mailbox(value: str) -> str:
    local, _, domain = value.rpartition("@")
    if _LOCAL_PART.fullmatch(local) is None or dns_name(domain).startswith("*"):
        raise RequestError(RequestFault.INVALID_SAN, "a requested email address is not one")
    return normal_email(value)
