"""Name constraints that the chain verifier leaves out: those on the leaf's subject (RFC 5280 §4.2.1.10).

The verifier checks the alternative names and refuses a *critical* constraint that it does not know. It does
not compare directory names, so a sub-CA under a non-critical one could otherwise name any subject.
"""

from collections.abc import Iterable

from cryptography import x509

from gateway.pki.attribute_types import EMAIL_ADDRESS
from gateway.pki.errors import PkiError, PkiFault
from gateway.pki.names import DistinguishedName
from gateway.pki.subject_alternative_names import names_of


def require_permitted_subject(leaf: x509.Certificate, issuers: Iterable[x509.Certificate]) -> None:
    """The subject of *leaf* lies within what each of its *issuers* may name.

    Raises `PkiError` with `NAME_CONSTRAINT`, or `INVALID_NAME` or `MALFORMED_CERTIFICATE`.
    """
    for issuer in issuers:
        constraints = _constraints(issuer)
        if constraints is not None:
            _check_subject(names_of(leaf).subject, constraints)


def _constraints(issuer: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise PkiError(PkiFault.MALFORMED_CERTIFICATE, "an issuer's extensions cannot be read") from error


def _check_subject(subject: DistinguishedName, constraints: x509.NameConstraints) -> None:
    permitted = list(constraints.permitted_subtrees or ())
    excluded = list(constraints.excluded_subtrees or ())
    # Addresses in the subject fall under rfc822Name constraints, which the verifier applies to the SAN only.
    if subject.values(EMAIL_ADDRESS) and any(
        isinstance(base, x509.RFC822Name) for base in permitted + excluded
    ):
        raise PkiError(PkiFault.NAME_CONSTRAINT, "an address in the subject is under a constraint")
    if not subject:
        return
    directories = _directory_names(permitted)
    if directories and not any(subject.is_within(base) for base in directories):
        raise PkiError(PkiFault.NAME_CONSTRAINT, "the subject is outside what its CA may name")
    if any(subject.is_within(base) for base in _directory_names(excluded)):
        raise PkiError(PkiFault.NAME_CONSTRAINT, "the subject is excluded by its CA")


def _directory_names(bases: Iterable[x509.GeneralName]) -> list[DistinguishedName]:
    return [DistinguishedName.from_x509(base.value) for base in bases if isinstance(base, x509.DirectoryName)]
