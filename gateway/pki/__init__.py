"""X.509 names, thumbprints and the check of client certificates. Pure: no I/O, no clock, no network.

`CertificateIdentity` says *who* a certificate must name (RFC 8705 §2.1.2), `ClientTrust` whether a chain of
it leads to the configured PKI; a client is authenticated by both together, never by one. Every refusal is
a `PkiError` with a stable `PkiFault`.
"""

from gateway.pki.certificate_identity import CertificateIdentity, IdentityKind
from gateway.pki.client_chain import ClientTrust, PresentedCertificate
from gateway.pki.errors import PkiError, PkiFault
from gateway.pki.names import Attribute, DistinguishedName
from gateway.pki.subject_alternative_names import CertificateNames, SubjectAlternativeNames, names_of
from gateway.pki.thumbprints import x5t_s256
from gateway.pki.validity import require_valid_at

__all__ = [
    "Attribute",
    "CertificateIdentity",
    "CertificateNames",
    "ClientTrust",
    "DistinguishedName",
    "IdentityKind",
    "PkiError",
    "PkiFault",
    "PresentedCertificate",
    "SubjectAlternativeNames",
    "names_of",
    "require_valid_at",
    "x5t_s256",
]
