"""Certificate profiles: everything of a certificate that an operator decides and no client does."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import IssuingError, IssuingFault, RequestError, RequestFault
from gateway.pki.name_policy import NamePolicy
from signers import PublicKey
from signers.jose_form import curve_name

ISSUER_PLACE: Final = "{issuer}"
"""Stands in a URL for the CA's subject key identifier in hex: each CA of a provisioner has its own list."""

LATEST_START: Final = timedelta(minutes=5)
"""How far from now a certificate may begin."""

Window: TypeAlias = tuple[datetime, datetime]
"""A validity period: notBefore and notAfter in UTC, whole seconds, both ends included."""


class KeyType(StrEnum):
    """A subject's kind of key."""

    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"
    ED25519 = "Ed25519"
    RSA = "RSA"

    @classmethod
    def of(cls, key: PublicKey) -> "KeyType":
        """The type of *key*. Raises `RequestError` with `UNSUPPORTED_KEY`."""
        if isinstance(key, Ed25519PublicKey):
            return cls.ED25519
        if isinstance(key, RSAPublicKey):
            return cls.RSA
        try:
            return cls(curve_name(key))
        except ValueError as error:
            raise RequestError(RequestFault.UNSUPPORTED_KEY, "the curve is not certified") from error


class KeyUsageBit(StrEnum):
    """The bits of keyUsage that an end entity may have (RFC 5280 §4.2.1.3), by the library's names."""

    DIGITAL_SIGNATURE = "digital_signature"
    CONTENT_COMMITMENT = "content_commitment"
    KEY_ENCIPHERMENT = "key_encipherment"
    KEY_AGREEMENT = "key_agreement"


@dataclass(frozen=True, slots=True)
class RawExtension:
    """An extension as it goes into the certificate: dotted *oid*, *critical*, and the DER *value*."""

    oid: str
    value: bytes
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Validity:
    """How long a certificate lives.

    Without a wish it starts *backdate* before now, because clocks differ, and ends *default* after it. A wish
    is granted within *minimum* and *maximum* (of the time from notBefore, or from now where that is later, to
    notAfter), if it starts no earlier than *past* ago, for an order may live that long, and not later than
    *future* from now.
    """

    default: timedelta
    minimum: timedelta = timedelta(minutes=5)
    maximum: timedelta = timedelta(days=90)
    backdate: timedelta = timedelta(minutes=1)
    past: timedelta = timedelta(hours=25)
    future: timedelta = LATEST_START

    def __post_init__(self) -> None:
        zero = timedelta(0)
        if not zero < self.minimum <= self.default <= self.maximum or min(self.backdate, self.past) < zero:
            raise IssuingError(
                IssuingFault.INVALID_PROFILE, "the bounds of the validity contradict each other"
            )

    def window(self, now: datetime, not_before: datetime | None, not_after: datetime | None) -> Window:
        """The period of a certificate made at *now*, all in UTC, rounded down to seconds.

        Raises `RequestError` with `VALIDITY_REFUSED`.
        """
        now = now.replace(microsecond=0)
        start = (not_before or now - self.backdate).replace(microsecond=0)
        end = (not_after or max(now, start) + self.default).replace(microsecond=0)
        if not now - max(self.past, self.backdate) <= start <= now + self.future:
            raise RequestError(RequestFault.VALIDITY_REFUSED, "notBefore is too far from now")
        if not self.minimum <= end - max(now, start) <= self.maximum:
            raise RequestError(
                RequestFault.VALIDITY_REFUSED, f"the lifetime is not {self.minimum} to {self.maximum}"
            )
        return start, end


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """What certificates of one kind look like; frozen, and shared by every order of a provisioner.

    *rsa_key_usage* is added for RSA keys, which alone can encipher. *extra_extensions* follow all others, in
    order. URLs are absolute, HTTP, and go into AuthorityInformationAccess and CRLDistributionPoints, with the
    issuing CA's for `ISSUER_PLACE`.
    """

    validity: Validity
    names: NamePolicy
    extended_key_usage: tuple[str, ...]
    key_types: frozenset[KeyType] = frozenset(KeyType)
    key_usage: frozenset[KeyUsageBit] = frozenset({KeyUsageBit.DIGITAL_SIGNATURE})
    rsa_key_usage: frozenset[KeyUsageBit] = frozenset()
    ocsp_urls: tuple[str, ...] = ()
    ca_issuers_urls: tuple[str, ...] = ()
    crl_urls: tuple[str, ...] = ()
    extra_extensions: tuple[RawExtension, ...] = field(default=())

    def require_key(self, key: PublicKey) -> None:
        """The profile certifies keys of this type. Raises `RequestError` with `KEY_TYPE_REFUSED`."""
        if KeyType.of(key) not in self.key_types:
            raise RequestError(RequestFault.KEY_TYPE_REFUSED, "the profile does not certify this type of key")

    def require_request(self, request: CertificateRequest) -> None:
        """*request* asks for no key and no usage that the profile does not give.

        Asking for less is granted in full: a profile is one shape. Raises `RequestError` with
        `KEY_TYPE_REFUSED` or `USAGE_REFUSED`.
        """
        self.require_key(request.public_key)
        usages = {bit.value for bit in self.usages(request.public_key)}
        for extension in request.extensions:
            value = extension.value
            if isinstance(value, x509.KeyUsage) and not usage_names(value) <= usages:
                raise RequestError(RequestFault.USAGE_REFUSED, "the profile does not give the key usage")
            if isinstance(value, x509.ExtendedKeyUsage) and not {
                usage.dotted_string for usage in value
            }.issubset(self.extended_key_usage):
                raise RequestError(RequestFault.USAGE_REFUSED, "the profile does not give the extended usage")

    def usages(self, key: PublicKey) -> frozenset[KeyUsageBit]:
        """The bits of keyUsage for *key*."""
        return self.key_usage | self.rsa_key_usage if isinstance(key, RSAPublicKey) else self.key_usage


def usage_names(usage: x509.KeyUsage) -> set[str]:
    """The names of the bits that are set."""
    bits = {
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    }
    found = {bit for bit in bits if getattr(usage, bit)}
    if usage.key_agreement:  # Without it the library refuses to say.
        found |= {bit for bit in ("encipher_only", "decipher_only") if getattr(usage, bit)}
    return found
