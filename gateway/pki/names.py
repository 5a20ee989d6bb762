"""Distinguished names compared as RFC 4517 §4.2.15 (distinguishedNameMatch) asks, not as strings."""

from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography import x509

from gateway.pki import der, rfc4514
from gateway.pki.attribute_types import ignores_case
from gateway.pki.errors import PkiError, PkiFault
from gateway.pki.string_preparation import prepare

# One attribute in normal form: its OID, whether the value is text or DER, and that value.
_NormalAttribute: TypeAlias = tuple[str, bool, str | bytes]

# Universal tags of ASN.1 string types (X.680 §8.6) and the codec of their octets.
_STRING_CODECS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as every implementation reads it
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


@dataclass(frozen=True, slots=True, order=True)
class Attribute:
    """One attribute of a name: a dotted *oid*, and its *value*: text, or the DER of what is not a string."""

    oid: str
    value: str | bytes


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A name as an RDNSequence: *rdns* in the order of a certificate, which RFC 4514 prints reversed.

    Two names are equal if they have the same number of RDNs, in the same order, whose attributes match as
    sets: text of the types of RFC 4519 without regard to case, to the kind of ASN.1 string or to the amount
    of space; anything else exactly.
    """

    rdns: tuple[tuple[Attribute, ...], ...] = field(compare=False)
    _normal: tuple[tuple[_NormalAttribute, ...], ...] = field(repr=False)

    @classmethod
    def of(cls, rdns: tuple[tuple[Attribute, ...], ...]) -> "DistinguishedName":
        """A name from its RDNs in certificate order. Raises `PkiError` with `INVALID_NAME`."""
        # Sorted by type, kind and value; within one kind the values have one type, so they can be ordered.
        normal = tuple(tuple(sorted(_normal_attribute(attribute) for attribute in rdn)) for rdn in rdns)
        return cls(rdns, normal)

    @classmethod
    def parse(cls, text: str) -> "DistinguishedName":
        """A name from its RFC 4514 string, such as ``CN=device-7,O=Example,C=DE``.

        Raises `PkiError` with `INVALID_NAME`.
        """
        parsed = rfc4514.parse(text)
        return cls.of(
            tuple(
                tuple(Attribute(item.oid, _value_of(item.value)) for item in rdn) for rdn in reversed(parsed)
            )
        )

    @classmethod
    def from_x509(cls, name: x509.Name) -> "DistinguishedName":
        """A certificate's subject or issuer. Raises `PkiError` with `INVALID_NAME`."""
        return cls.of(
            tuple(
                tuple(Attribute(item.oid.dotted_string, _x509_value(item.value)) for item in rdn)
                for rdn in name.rdns
            )
        )

    @property
    def rfc4514(self) -> str:
        """The RFC 4514 string. Parsing it yields an equal name."""
        return ",".join(
            "+".join(rfc4514.write_attribute(item.oid, item.value) for item in rdn)
            for rdn in reversed(self.rdns)
        )

    def values(self, oid: str) -> tuple[str | bytes, ...]:
        """The values of every attribute of type *oid*, in certificate order."""
        return tuple(item.value for rdn in self.rdns for item in rdn if item.oid == oid)

    def is_within(self, base: "DistinguishedName") -> bool:
        """Whether *base*'s RDNs are this name's first ones: the subtree rule of RFC 5280 §4.2.1.10."""
        mine, theirs = self._normal, base._normal  # noqa: SLF001 - the same class.
        return mine[: len(theirs)] == theirs

    def __bool__(self) -> bool:
        return bool(self.rdns)


def _normal_attribute(attribute: Attribute) -> _NormalAttribute:
    value = attribute.value
    if isinstance(value, bytes):
        return attribute.oid, False, value
    return attribute.oid, True, prepare(value) if ignores_case(attribute.oid) else value


def _value_of(value: str | bytes) -> str | bytes:
    """Text stays text; BER of a string type becomes its text, and any other BER is kept as it is."""
    if isinstance(value, str):
        return value
    tag, content = der.decode(value)
    codec = _STRING_CODECS.get(tag)
    if codec is None:
        return value
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        raise PkiError(PkiFault.INVALID_NAME, "a hexadecimal value does not hold its string type") from error


def _x509_value(value: str | bytes) -> str | bytes:
    """The certificate parser gives text, and only for a BIT STRING its octets, which have no unused bits."""
    if isinstance(value, str):
        return value
    return der.encode(der.BIT_STRING, b"\x00" + value)
