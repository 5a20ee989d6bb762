"""Certificate revocation lists (RFC 5280 §5)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.issuing_ca import IssuingCa
from gateway.pki.serials import require_serial
from gateway.pki.signing import sign_crl

MAX_ENTRIES = 20_000
"""More are partitioned: each of two encodings of so many holds the event loop for some 40 ms."""

_MAX_NUMBER = 1 << 159  # RFC 5280 §5.2.3: at most twenty octets.


class RevocationReason(StrEnum):
    """Why a certificate is no longer good (RFC 5280 §5.3.1), by the library's names.

    removeFromCRL is missing because it stands in delta CRLs only, which are not made here.
    """

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def code(self) -> int:
        """The number of CRLReason, as ACME's revokeCert takes it (RFC 8555 §7.6)."""
        return _CODES[self]

    @classmethod
    def of_code(cls, code: int) -> "RevocationReason":
        """The reason of a number. Raises `ValueError` for 7, 8 and numbers above 10."""
        for reason, number in _CODES.items():
            if number == code:
                return reason
        raise ValueError(f"{code} is no reason for which certificates are revoked here")

    @property
    def flag(self) -> x509.ReasonFlags:
        """The library's value."""
        return x509.ReasonFlags(self.value)


_CODES = dict(zip(RevocationReason, (0, 1, 2, 3, 4, 5, 6, 9, 10), strict=True))


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One revoked certificate; times in UTC, whole seconds.

    *invalid_since* is when the key was lost or the certificate became wrong, if that is known (RFC 5280
    §5.3.2).
    """

    serial: int
    revoked_at: datetime
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    invalid_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class CrlHeader:
    """What a CRL says of itself.

    *number* grows with every CRL of its scope. *partition_url* is given for a CRL that covers only the
    certificates whose CRLDistributionPoints name that URL, and stands in a critical
    issuingDistributionPoint (RFC 5280 §5.2.5).
    """

    number: int
    this_update: datetime
    next_update: datetime
    partition_url: str | None = None


async def make_crl(ca: IssuingCa, header: CrlHeader, entries: Sequence[RevokedEntry]) -> bytes:
    """The DER of the CRL of *ca* with *entries*, at most `MAX_ENTRIES`, in their order.

    The entries are built in a thread, because many take seconds. Raises `IssuingError` with
    `CRL_SIGN_MISSING`, `INVALID_UPDATE_TIMES` or `INVALID_ENTRY`, and `SignerError`.
    """
    if not ca.may_sign_crls:
        raise IssuingError(
            IssuingFault.CRL_SIGN_MISSING, "the key usage of the CA does not allow to sign CRLs"
        )
    if header.next_update <= header.this_update:
        raise IssuingError(IssuingFault.INVALID_UPDATE_TIMES, "nextUpdate is not after thisUpdate")
    if not 0 <= header.number < _MAX_NUMBER:
        raise IssuingError(IssuingFault.INVALID_ENTRY, "the number of the CRL is negative or too large")
    if len(entries) > MAX_ENTRIES:
        raise IssuingError(IssuingFault.INVALID_ENTRY, f"more than {MAX_ENTRIES} entries; partition the CRL")
    if len({entry.serial for entry in entries}) != len(entries):
        raise IssuingError(IssuingFault.INVALID_ENTRY, "a serial number stands twice in the CRL")
    for entry in entries:
        require_serial(entry.serial)
    builder = await asyncio.to_thread(_builder, ca, header, entries)
    crl = await sign_crl(builder, ca.signer)
    return crl.public_bytes(Encoding.DER)


def _builder(
    ca: IssuingCa, header: CrlHeader, entries: Sequence[RevokedEntry]
) -> x509.CertificateRevocationListBuilder:
    # The constructor takes the whole list; adding one by one would copy it each time.
    builder = x509.CertificateRevocationListBuilder(
        ca.certificate.subject,
        header.this_update.replace(microsecond=0, tzinfo=None),
        header.next_update.replace(microsecond=0, tzinfo=None),
        [],
        [_entry(entry) for entry in entries],
    )
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier(ca.key_identifier, None, None), critical=False
    )
    builder = builder.add_extension(x509.CRLNumber(header.number), critical=False)
    if header.partition_url is not None:
        point = x509.IssuingDistributionPoint(
            full_name=[x509.UniformResourceIdentifier(header.partition_url)],
            relative_name=None,
            only_contains_user_certs=True,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        builder = builder.add_extension(point, critical=True)
    return builder


def _entry(entry: RevokedEntry) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(entry.serial)
        .revocation_date(entry.revoked_at.replace(microsecond=0))
    )
    if entry.reason is not RevocationReason.UNSPECIFIED:
        # RFC 5280 §5.3.1: unspecified SHOULD be left out.
        builder = builder.add_extension(x509.CRLReason(entry.reason.flag), critical=False)
    if entry.invalid_since is not None:
        invalidity = x509.InvalidityDate(entry.invalid_since.replace(microsecond=0))
        builder = builder.add_extension(invalidity, critical=False)
    return builder.build()
