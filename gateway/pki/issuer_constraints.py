"""The name constraints of a CA's chain, applied before a certificate is signed (RFC 5280 §4.2.1.10).

A certificate outside them would be refused by whoever verifies it; so it is refused to whoever asks for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias
from urllib.parse import urlsplit

from cryptography import x509

from gateway.pki.errors import PkiError
from gateway.pki.issuance_errors import IssuingError, IssuingFault, RequestError, RequestFault
from gateway.pki.names import DistinguishedName

_Subtree: TypeAlias = x509.GeneralName
_KINDS = (x509.DNSName, x509.UniformResourceIdentifier, x509.IPAddress, x509.RFC822Name, x509.DirectoryName)


@dataclass(frozen=True, slots=True)
class IssuerConstraints:
    """*subtrees*: the permitted and the excluded ones of each certificate of the chain that has any."""

    subtrees: tuple[tuple[tuple[_Subtree, ...], tuple[_Subtree, ...]], ...]

    @classmethod
    def of(cls, chain: Iterable[x509.Certificate]) -> "IssuerConstraints":
        """The constraints of *chain*. Raises `IssuingError` with `MALFORMED_CHAIN`.

        A constraint on a kind of name that no profile issues is kept and never met.
        """
        found = []
        for certificate in chain:
            try:
                value = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
            except x509.ExtensionNotFound:
                continue
            except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
                raise IssuingError(
                    IssuingFault.MALFORMED_CHAIN, "the name constraints of the chain cannot be read"
                ) from error
            found.append((tuple(value.permitted_subtrees or ()), tuple(value.excluded_subtrees or ())))
        return cls(tuple(found))

    def require(self, subject: DistinguishedName, names: Iterable[x509.GeneralName]) -> None:
        """*subject* and *names* lie within every certificate's constraints.

        Raises `RequestError` with `NAME_REFUSED`.
        """
        if not self.subtrees:
            return
        listed = list(names)
        for permitted, excluded in self.subtrees:
            for name in listed:
                _require_name(name, permitted, excluded)
            _require_subject(subject, permitted, excluded)


def _require_name(
    name: x509.GeneralName, permitted: tuple[_Subtree, ...], excluded: tuple[_Subtree, ...]
) -> None:
    kind = next((each for each in _KINDS if isinstance(name, each)), None)
    if kind is None:
        raise RequestError(RequestFault.NAME_REFUSED, "a name of this kind is under no known constraint")
    allowed = [base for base in permitted if isinstance(base, kind)]
    if allowed and not any(_is_within(name, base) for base in allowed):
        raise RequestError(RequestFault.NAME_REFUSED, "a name is outside what the CA may name")
    if any(_is_within(name, base) or _covers(name, base) for base in excluded if isinstance(base, kind)):
        raise RequestError(RequestFault.NAME_REFUSED, "a name is excluded by the CA's constraints")


def _require_subject(
    subject: DistinguishedName, permitted: tuple[_Subtree, ...], excluded: tuple[_Subtree, ...]
) -> None:
    if not subject:
        return
    allowed = [base for base in permitted if isinstance(base, x509.DirectoryName)]
    if allowed and not any(_holds(base, subject) for base in allowed):
        raise RequestError(RequestFault.NAME_REFUSED, "the subject is outside what the CA may name")
    if any(_holds(base, subject) for base in excluded if isinstance(base, x509.DirectoryName)):
        raise RequestError(RequestFault.NAME_REFUSED, "the subject is excluded by the CA's constraints")


def _holds(base: x509.DirectoryName, subject: DistinguishedName) -> bool:
    try:
        return subject.is_within(DistinguishedName.from_x509(base.value))
    except PkiError as error:
        raise RequestError(RequestFault.NAME_REFUSED, "a constraint of the CA cannot be compared") from error


def _is_within(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    match name, base:
        case x509.DNSName(), x509.DNSName():
            return _is_domain_within(name.value.removeprefix("*."), base.value)
        case x509.RFC822Name(), x509.RFC822Name():
            return _is_mailbox_within(name.value, base.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _is_host_within(_host(name.value), base.value)
        case x509.IPAddress(), x509.IPAddress():
            network = base.value
            return isinstance(network, IPv4Network | IPv6Network) and name.value in network
        case _:
            return False


def _covers(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Whether *name* is a wildcard that stands for hosts of *base*."""
    if not isinstance(name, x509.DNSName) or not isinstance(base, x509.DNSName):
        return False
    return name.value.startswith("*.") and _is_domain_within(base.value, name.value.removeprefix("*."))


def _is_domain_within(domain: str, base: str) -> bool:
    """Zero or more labels are added to the left; an empty base holds every domain."""
    base = base.lower().removeprefix(".")
    return not base or domain.lower() == base or domain.lower().endswith(f".{base}")


def _is_mailbox_within(address: str, base: str) -> bool:
    """A base with ``@`` is one mailbox, with a leading dot the hosts below a domain, else one host."""
    local, _, host = address.rpartition("@")
    if "@" in base:
        base_local, _, base_host = base.rpartition("@")
        return local == base_local and host.lower() == base_host.lower()
    return _is_host_within(host, base)


def _is_host_within(host: str, base: str) -> bool:
    """A base with a leading dot is the hosts below a domain, else one host; an empty one is every host."""
    folded = base.lower()
    if folded.startswith("."):
        return host.lower().endswith(folded) and len(host) > len(folded)
    return not folded or host.lower() == folded


def _host(uri: str) -> str:
    """The host of a URI. One without a host cannot be constrained, and MUST be refused under a constraint."""
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        host = None
    if not host:
        raise RequestError(RequestFault.NAME_REFUSED, "a URI without a host is under a constraint")
    return host
