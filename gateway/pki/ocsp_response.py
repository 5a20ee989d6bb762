"""The octets of OCSP responses (RFC 6960 §4.2).

The library's builder takes `producedAt` from the machine's clock each time that it encodes, so that it cannot
encode one response twice as `signing` does, and it has no RSASSA-PSS. So these few structures are written
here; the tests have them read by the library and by OpenSSL.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from gateway.pki.crl import RevocationReason
from gateway.pki.der import encode
from gateway.pki.ocsp import OcspRequest
from signers import Algorithm

_INTEGER, _BIT_STRING, _OCTET_STRING, _ENUMERATED = 0x02, 0x03, 0x04, 0x0A
_TIME, _SEQUENCE = 0x18, 0x30

# AlgorithmIdentifier. SOURCE: RFC 5758 §3.2, RFC 8410 §3, RFC 4055 §5 and §6 (PSS with SHA-256, MGF1 with
# SHA-256, 32 octets of salt).
_SIGNATURE_ALGORITHMS = {
    Algorithm.ES256: "300a06082a8648ce3d040302",
    Algorithm.ES384: "300a06082a8648ce3d040303",
    Algorithm.ES512: "300a06082a8648ce3d040304",
    Algorithm.EDDSA: "300506032b6570",
    Algorithm.RS256: "300d06092a864886f70d01010b0500",
    Algorithm.PS256: (
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
        "300d06096086480165030402010500a203020120"
    ),
}
# AlgorithmIdentifier of hashes, by the library's names, each with a NULL as in the requests of OpenSSL.
# SOURCE: RFC 3370 §2.1, RFC 5754 §2.
_HASH_ALGORITHMS = {
    "sha1": "300906052b0e03021a0500",
    "sha256": "300d06096086480165030402010500",
    "sha384": "300d06096086480165030402020500",
    "sha512": "300d06096086480165030402030500",
}
_BASIC_RESPONSE = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
_NONCE = bytes.fromhex("06092b0601050507300102")  # id-pkix-ocsp-nonce


class ResponseStatus(IntEnum):
    """The statuses of a response that answers nothing (RFC 6960 §4.2.1)."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True)
class Good:
    """The certificate was issued and is not revoked."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The CA never issued such a certificate."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """The certificate was revoked *at*, UTC, for *reason*."""

    at: datetime
    reason: RevocationReason = RevocationReason.UNSPECIFIED


CertificateStatus = Good | Unknown | Revoked


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """All in UTC, whole seconds: the answer was known *this_update* and is replaced by *next_update*."""

    produced_at: datetime
    this_update: datetime
    next_update: datetime


def unsuccessful(status: ResponseStatus) -> bytes:
    """The DER of a response without an answer, which is not signed."""
    return encode(_SEQUENCE, encode(_ENUMERATED, bytes([status])))


def response_data(
    request: OcspRequest, status: CertificateStatus, times: ResponseTimes, responder_key_hash: bytes
) -> bytes:
    """The to-be-signed ResponseData that answers *request*.

    *responder_key_hash* is the SHA-1 of the responder's public key (RFC 6960 §4.2.1, byKey).
    """
    single = encode(
        _SEQUENCE,
        _certificate_id(request)
        + _status(status)
        + _time(times.this_update)
        + encode(0xA0, _time(times.next_update)),
    )
    content = (
        encode(0xA2, encode(_OCTET_STRING, responder_key_hash))
        + _time(times.produced_at)
        + encode(_SEQUENCE, single)
    )
    if request.nonce is not None:
        value = encode(_OCTET_STRING, encode(_OCTET_STRING, request.nonce))
        content += encode(0xA1, encode(_SEQUENCE, encode(_SEQUENCE, _NONCE + value)))
    return encode(_SEQUENCE, content)


def successful(data: bytes, algorithm: Algorithm, signature: bytes, responder_certificate: bytes) -> bytes:
    """The DER of the response: *data*, *signature* in the form of X.509, and the responder's certificate."""
    basic = encode(
        _SEQUENCE,
        data
        + bytes.fromhex(_SIGNATURE_ALGORITHMS[algorithm])
        + encode(_BIT_STRING, b"\x00" + signature)
        + encode(0xA0, encode(_SEQUENCE, responder_certificate)),
    )
    body = encode(_SEQUENCE, _BASIC_RESPONSE + encode(_OCTET_STRING, basic))
    return encode(_SEQUENCE, encode(_ENUMERATED, b"\x00") + encode(0xA0, body))


def _certificate_id(request: OcspRequest) -> bytes:
    serial = request.serial
    length = (serial if serial >= 0 else ~serial).bit_length() // 8 + 1
    return encode(
        _SEQUENCE,
        bytes.fromhex(_HASH_ALGORITHMS[request.hash_name])
        + encode(_OCTET_STRING, request.issuer_name_hash)
        + encode(_OCTET_STRING, request.issuer_key_hash)
        + encode(_INTEGER, serial.to_bytes(length, "big", signed=True)),
    )


def _status(status: CertificateStatus) -> bytes:
    match status:
        case Good():
            return encode(0x80, b"")
        case Unknown():
            return encode(0x82, b"")
        case Revoked(at, reason):
            content = _time(at)
            if reason is not RevocationReason.UNSPECIFIED:
                content += encode(0xA0, encode(_ENUMERATED, bytes([reason.code])))
            return encode(0xA1, content)


def _time(moment: datetime) -> bytes:
    """GeneralizedTime as RFC 5280 §4.1.2.5.2 writes it: UTC, with seconds and without fractions."""
    return encode(_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode("ascii"))
