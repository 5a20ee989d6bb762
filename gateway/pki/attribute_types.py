"""Attribute types of distinguished names: short names, and how two values compare.

SOURCE: RFC 4514 §3 (the nine names that every implementation knows), RFC 4519, RFC 5280 Appendix A,
RFC 2985 §5.2 (emailAddress), and the names that OpenSSL and Java print.
"""

from collections.abc import Mapping

# The first name of each row is the one printed.
_SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "2.5.4.3": ("CN", "commonName"),
    "2.5.4.4": ("SN", "surname"),
    "2.5.4.5": ("serialNumber",),
    "2.5.4.6": ("C", "countryName"),
    "2.5.4.7": ("L", "localityName"),
    "2.5.4.8": ("ST", "S", "stateOrProvinceName"),
    "2.5.4.9": ("STREET", "streetAddress"),
    "2.5.4.10": ("O", "organizationName"),
    "2.5.4.11": ("OU", "organizationalUnitName"),
    "2.5.4.12": ("title", "T"),
    "2.5.4.15": ("businessCategory",),
    "2.5.4.17": ("postalCode",),
    "2.5.4.41": ("name",),
    "2.5.4.42": ("GN", "givenName"),
    "2.5.4.43": ("initials",),
    "2.5.4.44": ("generationQualifier",),
    "2.5.4.46": ("dnQualifier",),
    "2.5.4.65": ("pseudonym",),
    "2.5.4.97": ("organizationIdentifier",),
    "0.9.2342.19200300.100.1.1": ("UID", "userId"),
    "0.9.2342.19200300.100.1.25": ("DC", "domainComponent"),
    "1.2.840.113549.1.9.1": ("emailAddress", "E", "EMAIL"),
    "1.2.840.113549.1.9.2": ("unstructuredName",),
    "1.3.6.1.4.1.311.60.2.1.1": ("jurisdictionL",),
    "1.3.6.1.4.1.311.60.2.1.2": ("jurisdictionST",),
    "1.3.6.1.4.1.311.60.2.1.3": ("jurisdictionC",),
}
_OIDS: Mapping[str, str] = {name.lower(): oid for oid, names in _SHORT_NAMES.items() for name in names}

EMAIL_ADDRESS = "1.2.840.113549.1.9.1"


def oid_of(short_name: str) -> str | None:
    """The dotted OID of a short name, in any case; None where it is unknown."""
    return _OIDS.get(short_name.lower())


def short_name_of(oid: str) -> str | None:
    """The short name to print for a dotted OID; None where it has none."""
    names = _SHORT_NAMES.get(oid)
    return names[0] if names else None


def ignores_case(oid: str) -> bool:
    """Whether values of this type compare by caseIgnoreMatch or caseIgnoreIA5Match (RFC 4519).

    All types of the table do. A type outside it has an unknown matching rule, so its values must be equal
    character for character (RFC 5280 §7.1).
    """
    return oid in _SHORT_NAMES
