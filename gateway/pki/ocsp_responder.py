"""An OCSP responder by delegation (RFC 6960 §4.2.2.2): a certificate and key of its own, from the CA."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.pki.issuance_errors import IssuingError, IssuingFault, RevocationError, RevocationFault
from gateway.pki.issue import issue
from gateway.pki.issuing_ca import IssuingCa, extension, require_issued_by, require_key
from gateway.pki.leaf import Leaf
from gateway.pki.name_policy import NamePolicy
from gateway.pki.names import Attribute, DistinguishedName
from gateway.pki.ocsp import HASHES, OcspRequest
from gateway.pki.ocsp_response import CertificateStatus, ResponseTimes, response_data, successful
from gateway.pki.profile import CertificateProfile, RawExtension, Validity
from gateway.pki.signing import require_x509_algorithm, sign_to_be_signed
from signers import Signer

_COMMON_NAME = "2.5.4.3"
_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
_NULL = b"\x05\x00"


async def issue_responder_certificate(
    ca: IssuingCa, signer: Signer, *, common_name: str, lifetime: timedelta, serial: int, now: datetime
) -> bytes:
    """The DER of the certificate by which *ca* delegates its OCSP responses to *signer*'s key.

    It has OCSPSigning and id-pkix-ocsp-nocheck, so nobody can revoke it in effect: keep *lifetime* short
    (RFC 6960 §4.2.2.2.1). Raises as `issue`.
    """
    profile = CertificateProfile(
        validity=Validity(lifetime, minimum=min(lifetime, timedelta(minutes=5)), maximum=lifetime),
        names=NamePolicy(
            subject_types=frozenset({_COMMON_NAME}),
            required_types=frozenset({_COMMON_NAME}),
            minimum_names=0,
            maximum_names=0,
        ),
        extended_key_usage=(ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string,),
        extra_extensions=(RawExtension(_NO_CHECK, _NULL),),
    )
    subject = DistinguishedName.of(((Attribute(_COMMON_NAME, common_name),),))
    return await issue(profile, Leaf(signer.public_key, subject, ()), ca, serial=serial, now=now)


@dataclass(frozen=True, slots=True)
class OcspResponder:
    """Signs the answers about the certificates of one CA."""

    certificate: x509.Certificate
    signer: Signer
    _issuers: frozenset[tuple[str, bytes, bytes]]
    _der: bytes
    _key_hash: bytes

    @classmethod
    def open(cls, ca: IssuingCa, certificate_der: bytes, signer: Signer, now: datetime) -> "OcspResponder":
        """The responder whose certificate, issued by *ca* itself, is for *signer*'s key and valid at *now*.

        Raises `IssuingError` with `UNSUPPORTED_ALGORITHM`, `MALFORMED_CHAIN`, `KEY_MISMATCH`, `BROKEN_CHAIN`,
        `WRONG_USAGE`, `NOT_YET_VALID` or `EXPIRED`.
        """
        require_x509_algorithm(signer.algorithm)
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
        except ValueError as error:
            raise IssuingError(
                IssuingFault.MALFORMED_CHAIN, "the responder's certificate cannot be read"
            ) from error
        require_key(certificate, signer)
        require_issued_by(certificate, ca.certificate)
        _require_responder_usage(certificate)
        key_hash = x509.SubjectKeyIdentifier.from_public_key(signer.public_key).digest
        responder = cls(
            certificate,
            signer,
            issuer_names(ca.certificate),
            certificate.public_bytes(Encoding.DER),
            key_hash,
        )
        responder.require_valid_at(now)
        return responder

    def require_valid_at(self, now: datetime) -> None:
        """The responder's certificate is valid at *now*.

        Raises `IssuingError` with `NOT_YET_VALID` or `EXPIRED`.
        """
        if now < self.certificate.not_valid_before_utc:
            raise IssuingError(IssuingFault.NOT_YET_VALID, "the responder's certificate is not valid yet")
        if now > self.certificate.not_valid_after_utc:
            raise IssuingError(IssuingFault.EXPIRED, "the responder's certificate has expired")

    def require_issuer(self, request: OcspRequest) -> None:
        """*request* asks about a certificate of this responder's CA.

        Raises `RevocationError` with `UNKNOWN_ISSUER`, to be answered ``unauthorized`` (RFC 5019 §2.2.3).
        """
        if request.issuer not in self._issuers:
            raise RevocationError(RevocationFault.UNKNOWN_ISSUER, "the request names another CA")

    async def respond(
        self,
        request: OcspRequest,
        status: CertificateStatus,
        *,
        this_update: datetime,
        next_update: datetime,
        now: datetime,
    ) -> bytes:
        """The DER of the signed answer, with the nonce of *request* and the responder's certificate.

        Times are in UTC. Raises `RevocationError` with `UNKNOWN_ISSUER`; `IssuingError` with `NOT_YET_VALID`,
        `EXPIRED` or `INVALID_UPDATE_TIMES`; and `SignerError`.
        """
        self.require_issuer(request)
        self.require_valid_at(now)
        if not this_update <= now < next_update:
            raise IssuingError(
                IssuingFault.INVALID_UPDATE_TIMES, "now is not within thisUpdate and nextUpdate"
            )
        times = ResponseTimes(now, this_update, next_update)
        data = response_data(request, status, times, self._key_hash)
        signature = await sign_to_be_signed(data, self.signer)
        return successful(data, self.signer.algorithm, signature, self._der)


def _require_responder_usage(certificate: x509.Certificate) -> None:
    extended = extension(certificate, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.OCSP_SIGNING not in extended.value:
        raise IssuingError(IssuingFault.WRONG_USAGE, "the responder's certificate lacks OCSPSigning")
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.value.digital_signature:
        raise IssuingError(IssuingFault.WRONG_USAGE, "the responder's key usage lacks digitalSignature")
    if extension(certificate, x509.OCSPNoCheck) is None:
        raise IssuingError(IssuingFault.WRONG_USAGE, "the responder's certificate lacks id-pkix-ocsp-nocheck")


def issuer_names(certificate: x509.Certificate) -> frozenset[tuple[str, bytes, bytes]]:
    """The CA as `OcspRequest.issuer` may name it: its subject and its key, by each of the hashes."""
    name = certificate.subject.public_bytes()
    found = set()
    for algorithm in (kind() for kind in HASHES):
        # The library hashes the issuer's key as a request names it; the certificate asked about is any.
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, algorithm)
        name_hash = hashlib.new(algorithm.name, name).digest()
        found.add((algorithm.name, name_hash, builder.build().issuer_key_hash))
    return frozenset(found)
