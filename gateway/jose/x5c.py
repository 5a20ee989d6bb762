"""The certificates of a JWK (RFC 7517 §4.7): DER in standard base64, leaf first, bound to the key."""

import binascii
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.jose.errors import JoseError, JoseFault
from signers import PublicKey

MAX_CERTIFICATES = 10
MAX_CERTIFICATE_SIZE = 16 * 1024  # octets of DER


def parse_x5c(members: Mapping[str, Any], public_key: PublicKey) -> tuple[bytes, ...]:
    """The DER certificates of member ``x5c``; empty where it is absent.

    Every entry is a certificate, and the first one carries *public_key*; nothing else about the chain is
    checked. Raises `JoseError` with `INVALID_X5C` or `X5C_MISMATCH`.
    """
    if "x5c" not in members:
        return ()
    entries = members["x5c"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_CERTIFICATES:
        raise JoseError(
            JoseFault.INVALID_X5C, f"x5c is not an array of 1 to {MAX_CERTIFICATES}", member="x5c"
        )
    chain = tuple(_der(entry) for entry in entries)
    certificates = [_certificate(der) for der in chain]
    if not _carries(certificates[0], public_key):
        raise JoseError(JoseFault.X5C_MISMATCH, "the first certificate carries another key", member="x5c")
    return chain


def _der(entry: object) -> bytes:
    if not isinstance(entry, str) or len(entry) > MAX_CERTIFICATE_SIZE * 4 // 3:
        raise JoseError(JoseFault.INVALID_X5C, "an entry is not a string or is too long", member="x5c")
    try:
        text = entry.encode("ascii")
        der = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise JoseError(JoseFault.INVALID_X5C, "an entry is not base64", member="x5c") from error
    # The strict decoder still lets some excess padding pass, and unused bits.
    if binascii.b2a_base64(der, newline=False) != text:
        raise JoseError(JoseFault.INVALID_X5C, "an entry is not canonical base64", member="x5c")
    return der


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise JoseError(JoseFault.INVALID_X5C, "an entry is not a certificate", member="x5c") from error


def _carries(certificate: x509.Certificate, public_key: PublicKey) -> bool:
    try:
        return certificate.public_key() == public_key
    except (ValueError, UnsupportedAlgorithm):
        return False  # A key that cannot be read is not this one.
