"""How the names of an order stand in its certificate, and how they are read from it."""

from typing import Final

from cryptography import x509

from gateway.enrollment.identifiers import OrderNames, WireIdentity
from gateway.pki.issuing_ca import extension
from gateway.pki.names import DistinguishedName
from gateway.pki.wire import WireNames

_NO_SUBJECT: Final = DistinguishedName.of(())


def certified_names(names: OrderNames) -> tuple[DistinguishedName, tuple[x509.GeneralName, ...]]:
    """The subject and the alternative names of the certificate for an order of *names*.

    DNS names and addresses leave the subject empty (CA/Browser Forum Baseline Requirements §7.1.2.7.2).
    """
    if names.wire is not None:
        wire = wire_names(names.wire)
        return wire.subject, wire.uris
    alternative: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names.alternative.dns)]
    alternative += [x509.IPAddress(ip) for ip in sorted(names.alternative.ip, key=str)]
    return _NO_SUBJECT, tuple(alternative)


def names_in(der: bytes) -> frozenset[x509.GeneralName]:
    """The alternative names in one of our certificates, written as `shown_names` writes them; maybe none."""
    found = extension(x509.load_der_x509_certificate(der), x509.SubjectAlternativeName)
    return frozenset() if found is None else frozenset(map(_plain, found.value))


def _plain(name: x509.GeneralName) -> x509.GeneralName:
    if isinstance(name, x509.UniformResourceIdentifier):
        return x509.UniformResourceIdentifier(name.value.replace("%21", "!"))
    return name


def wire_names(identity: WireIdentity) -> WireNames:
    """The names of a Wire device, as its request and its certificate carry them."""
    return WireNames(
        display_name=identity.display_name,
        domain=identity.domain,
        handle=identity.handle.text,
        client_id=identity.client.text,
    )
