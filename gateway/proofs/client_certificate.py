"""The one client certificate of a request: parsed once, whatever it came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import Reason, RequestError
from gateway.pki import require_valid_at, x5t_s256

MAX_SIZE = 64 * 1024  # octets of PEM or DER, the intermediates included
MAX_CERTIFICATES = 9  # The leaf and eight intermediates.
CACHE_ENTRIES = 512


class ClientCertificateError(RequestError):
    """The certificate cannot be read. *cause* is a stable word for our log: why not."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(Reason.CLIENT_CERTIFICATE_MALFORMED, message, cause=cause)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client's certificate as presented. Nothing about it is verified but that it parses.

    *der* is what is hashed, bound and compared; *x5t_s256* is its thumbprint (RFC 8705 §3.1); *intermediates*
    are those presented beside it, in the order given.
    """

    der: bytes
    certificate: x509.Certificate
    x5t_s256: str
    intermediates: tuple[x509.Certificate, ...] = ()

    @classmethod
    def from_pem(cls, pem: bytes) -> "ClientCertificate":
        """The leaf, first, and its intermediates from PEM, as gRPC hands them over on every call.

        Certificates seen lately are not parsed again. Raises `ClientCertificateError`.
        """
        # Checked before the cache, so that an entry's size, and with it the cache, is bounded.
        if len(pem) > MAX_SIZE:
            raise _too_large()
        return _from_pem(pem)

    @classmethod
    def from_der(cls, der: bytes, intermediates: Sequence[bytes] = ()) -> "ClientCertificate":
        """A certificate, and those presented beside it, from DER. Raises `ClientCertificateError`."""
        _check_size(der, *intermediates)
        return _from_der(der, tuple(intermediates))

    def require_valid_at(self, now: float) -> None:
        """The certificate's own dates hold at *now*, in seconds since the epoch.

        For one that is registered itself (RFC 8705 §2.2) and has no chain. Raises `PkiError` with
        `NOT_YET_VALID` or `EXPIRED`.
        """
        require_valid_at(self.certificate, now)


@lru_cache(maxsize=CACHE_ENTRIES)
def _from_pem(pem: bytes) -> ClientCertificate:
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ClientCertificateError("pem_malformed", "the client certificate is not valid PEM") from error
    return _assemble(certificates)


@lru_cache(maxsize=CACHE_ENTRIES)
def _from_der(der: bytes, intermediates: tuple[bytes, ...]) -> ClientCertificate:
    try:
        certificates = [x509.load_der_x509_certificate(item) for item in (der, *intermediates)]
    except ValueError as error:
        raise ClientCertificateError("der_malformed", "the client certificate is not valid DER") from error
    return _assemble(certificates)


def _assemble(certificates: Sequence[x509.Certificate]) -> ClientCertificate:
    if len(certificates) > MAX_CERTIFICATES:
        message = f"more than {MAX_CERTIFICATES} certificates were presented"
        raise ClientCertificateError("too_many_certificates", message)
    leaf, *intermediates = certificates
    der = leaf.public_bytes(Encoding.DER)
    return ClientCertificate(der, leaf, x5t_s256(der), tuple(intermediates))


def _check_size(*parts: bytes) -> None:
    if sum(map(len, parts)) > MAX_SIZE:
        raise _too_large()


def _too_large() -> ClientCertificateError:
    return ClientCertificateError("too_large", f"the client certificate exceeds {MAX_SIZE} octets")
