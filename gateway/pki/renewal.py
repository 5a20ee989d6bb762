"""ACME renewal information (RFC 9773): naming a certificate, and when to renew it."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from gateway.pki.issuance_errors import RevocationError, RevocationFault
from gateway.pki.issuing_ca import extension
from signers.jose_form import base64url

# A key identifier of at most 64 octets, and a serial number of at most twenty (RFC 5280 §4.1.2.2).
_IDENTIFIER = re.compile(r"([A-Za-z0-9_-]{2,86})\.([A-Za-z0-9_-]{2,27})")


@dataclass(frozen=True, slots=True)
class RenewalIdentifier:
    """A certificate by its issuer's key and its serial number (RFC 9773 §4.1)."""

    key_identifier: bytes
    serial: int

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "RenewalIdentifier":
        """The identifier of *certificate*.

        Raises `RevocationError` with `MALFORMED` where it has no authority key identifier, and `IssuingError`
        with `MALFORMED_CHAIN` where its extensions cannot be read.
        """
        authority = extension(certificate, x509.AuthorityKeyIdentifier)
        if authority is None or authority.value.key_identifier is None:
            raise RevocationError(RevocationFault.MALFORMED, "the certificate names no key of its issuer")
        return cls(authority.value.key_identifier, certificate.serial_number)

    @classmethod
    def parse(cls, text: str) -> "RenewalIdentifier":
        """An identifier from its one text form. Raises `RevocationError` with `MALFORMED`."""
        match = _IDENTIFIER.fullmatch(text)
        if match is None:
            raise RevocationError(
                RevocationFault.MALFORMED, "the renewal identifier is not two base64url parts"
            )
        key_identifier, octets = _decode(match[1]), _decode(match[2])
        serial = int.from_bytes(octets, "big", signed=True)
        parsed = cls(key_identifier, serial)
        # Trailing bits, or a serial with leading zeros, would be a second name of one certificate.
        if serial <= 0 or parsed.text != text:
            raise RevocationError(RevocationFault.MALFORMED, "the renewal identifier is not in its only form")
        return parsed

    @property
    def text(self) -> str:
        """base64url of the key identifier, a dot, and base64url of the content of the serial's INTEGER."""
        octets = self.serial.to_bytes(self.serial.bit_length() // 8 + 1, "big")
        return f"{base64url(self.key_identifier)}.{base64url(octets)}"


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When a client should renew, in UTC; *start* is before *end* (RFC 9773 §4.2)."""

    start: datetime
    end: datetime


def suggested_window(
    not_before: datetime, not_after: datetime, *, revoked_at: datetime | None = None
) -> RenewalWindow:
    """The window of a certificate: from two thirds to five sixths of its life, in whole seconds.

    Clients choose a random time in it, which spreads them. A revoked certificate should be replaced at once:
    its window ended when it was revoked, and RFC 9773 §4.2 has clients then renew immediately.
    """
    if revoked_at is not None:
        end = revoked_at.replace(microsecond=0)
        return RenewalWindow(end - timedelta(seconds=1), end)
    life = not_after - not_before
    start = (not_before + life * 2 / 3).replace(microsecond=0)
    end = (not_before + life * 5 / 6).replace(microsecond=0)
    return RenewalWindow(start, max(end, start + timedelta(seconds=1)))


def _decode(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (ValueError, binascii.Error) as error:
        raise RevocationError(
            RevocationFault.MALFORMED, "a part of the identifier is no base64url"
        ) from error
