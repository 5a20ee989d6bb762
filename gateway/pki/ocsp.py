"""OCSP requests (RFC 6960 §4.1, RFC 5019 §2.1), parsed once into a frozen value."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from gateway.pki.issuance_errors import RevocationError, RevocationFault

MAX_REQUEST = 4096  # octets of DER
MAX_NONCE = 128  # octets; RFC 9654 §2.1.
_MAX_SERIAL_BITS = 160

HASHES = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""The hashes by which a request may name an issuer; SHA-1 is what RFC 5019 and most clients use."""


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """A question about one certificate.

    *hash_name* is the library's name of the hash, such as ``sha1``, by which the issuer is named in
    *issuer_name_hash* and *issuer_key_hash*. *nonce* has 1 to `MAX_NONCE` octets, or is None.
    """

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    nonce: bytes | None

    @property
    def issuer(self) -> tuple[str, bytes, bytes]:
        """The issuer as the request names it: the hash, and that of its name and of its key."""
        return self.hash_name, self.issuer_name_hash, self.issuer_key_hash

    @classmethod
    def parse(cls, der: bytes) -> "OcspRequest":
        """Parse the DER of a request of at most `MAX_REQUEST` octets about exactly one certificate.

        A signature is not looked at. Raises `RevocationError` with `TOO_LARGE`, `MALFORMED`,
        `UNSUPPORTED_HASH` or `INVALID_NONCE`.
        """
        if len(der) > MAX_REQUEST:
            raise RevocationError(RevocationFault.TOO_LARGE, f"the request exceeds {MAX_REQUEST} octets")
        try:
            request = ocsp.load_der_ocsp_request(der)
            serial = request.serial_number
            name_hash, key_hash = request.issuer_name_hash, request.issuer_key_hash
        except (ValueError, NotImplementedError) as error:
            raise RevocationError(RevocationFault.MALFORMED, "no OCSP request for one certificate") from error
        try:
            algorithm = request.hash_algorithm
        except (ValueError, UnsupportedAlgorithm) as error:
            raise RevocationError(RevocationFault.UNSUPPORTED_HASH, "the hash is unknown") from error
        if not isinstance(algorithm, HASHES):
            raise RevocationError(RevocationFault.UNSUPPORTED_HASH, f"{algorithm.name} names no issuer here")
        if {len(name_hash), len(key_hash)} != {algorithm.digest_size}:
            raise RevocationError(
                RevocationFault.MALFORMED, "a hash is not as long as its algorithm makes it"
            )
        if serial.bit_length() > _MAX_SERIAL_BITS:
            raise RevocationError(RevocationFault.MALFORMED, "the serial number exceeds twenty octets")
        return cls(algorithm.name, name_hash, key_hash, serial, _nonce(request))


def request_of_path(segment: str) -> bytes:
    """The DER of a request that was sent by GET (RFC 6960 Appendix A.1).

    *segment* is the rest of the path, with or without its percent-encoding. Raises `RevocationError` with
    `TOO_LARGE` or `MALFORMED`.
    """
    if len(segment) > MAX_REQUEST * 4:  # Every character of base64 may be percent-encoded.
        raise RevocationError(RevocationFault.TOO_LARGE, f"the request exceeds {MAX_REQUEST} octets")
    try:
        return base64.b64decode(unquote(segment).encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise RevocationError(RevocationFault.MALFORMED, "the path is no base64") from error


def _nonce(request: ocsp.OCSPRequest) -> bytes | None:
    try:
        extensions = request.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise RevocationError(RevocationFault.MALFORMED, "the extensions cannot be read") from error
    nonce = None
    for extension in extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
            if not 1 <= len(nonce) <= MAX_NONCE:
                raise RevocationError(
                    RevocationFault.INVALID_NONCE, f"the nonce is not 1 to {MAX_NONCE} octets"
                )
        elif extension.critical:
            raise RevocationError(RevocationFault.MALFORMED, "a critical extension is unknown")
    return nonce
