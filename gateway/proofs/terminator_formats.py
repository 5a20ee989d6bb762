"""How TLS terminators write a certificate into a header: RFC 9440, PEM as it comes, and Envoy's XFCC.

Each reader takes one field value, ASCII text, and gives the certificate, or raises `TerminatorHeaderError`.
"""

import binascii
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from gateway.proofs.client_certificate import ClientCertificate, ClientCertificateError
from gateway.proofs.terminator_errors import TerminatorFault, TerminatorHeaderError

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# One key and its value; what is not quoted holds none of the delimiters.
_XFCC_PAIR = re.compile(r'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;=\\]*))')
_XFCC_SINGLE = frozenset({"hash", "cert", "chain", "subject"})
_SHA256_HEX = re.compile(r"[0-9A-Fa-f]{64}")


def read_rfc9440(value: str, chain: str | None) -> ClientCertificate:
    """``Client-Cert``, a byte sequence ``:base64:``; ``Client-Cert-Chain``, a list of them (RFC 9440 §2)."""
    intermediates = [_byte_sequence(item) for item in chain.split(",")] if chain is not None else []
    return _from_der(_byte_sequence(value), intermediates)


def read_pem(value: str) -> ClientCertificate:
    """One PEM certificate that a terminator squeezed into a header.

    Its lines may be joined, or folded with spaces, tabs, CR or LF, or with a backslash and an n. The whole
    may be percent-encoded, also as a form does it with ``+`` for space, or be bare base64 without armor.
    """
    text = value
    if "%" in text:
        # Only where the armor shows that + stands for a space: elsewhere it is a character of base64.
        text = _percent_decoded(text.replace("+", " ") if "BEGIN+CERTIFICATE" in text else text)
    text = text.replace("\\r", "\r").replace("\\n", "\n").strip()
    if text.startswith(_BEGIN):
        if not text.endswith(_END):
            raise _malformed("the PEM has no end")
        text = text[len(_BEGIN) : -len(_END)]
    # Whatever else is armor, such as a second certificate, is not base64 and fails here.
    return _from_der(_base64("".join(text.split())))


def read_xfcc(value: str) -> ClientCertificate:
    """Envoy's ``x-forwarded-client-cert``: one element, its ``Cert`` or ``Chain`` in percent-encoded PEM.

    More than one element means that somebody behind the terminator spoke too. ``By``, ``Hash``, ``Subject``,
    ``URI`` and ``DNS`` must be well formed and are otherwise ignored: the certificate speaks for itself.
    """
    fields = _xfcc_fields(value)
    cert, chain = fields.get("cert"), fields.get("chain")
    if "hash" in fields and _SHA256_HEX.fullmatch(fields["hash"]) is None:
        raise _malformed("Hash is not SHA-256 in hexadecimal")
    if cert is None and chain is None:
        message = "the header names a client but carries no certificate"
        raise TerminatorHeaderError(TerminatorFault.CERTIFICATE_MISSING, message)
    presented = [_from_pem(text) for text in (chain, cert) if text is not None]
    if presented[0].der != presented[-1].der:
        raise TerminatorHeaderError(TerminatorFault.CONFLICT, "Cert is not the first certificate of Chain")
    return presented[0]


def _xfcc_fields(value: str) -> dict[str, str]:
    """The pairs of the only element, keys in lower case; of a key that may repeat, the last value."""
    fields: dict[str, str] = {}
    position = 0
    while True:
        pair = _XFCC_PAIR.match(value, position)
        if pair is None:
            raise _malformed("a part is not key=value")
        key = pair[1].lower()
        if key in fields and key in _XFCC_SINGLE:
            raise _malformed(f"{key} is repeated")
        fields[key] = pair[2] if pair[2] is not None else pair[3]
        position = pair.end()
        if position == len(value):
            return fields
        if value[position] != ";":
            raise _malformed("there is more than one element, or a stray character")
        position += 1


def _byte_sequence(item: str) -> bytes:
    """A byte sequence without parameters (RFC 8941 §3.3.5)."""
    text = item.strip(" \t")
    if len(text) < 2 or text[0] != ":" or text[-1] != ":":  # noqa: PLR2004 - the two colons.
        raise _malformed("the value is not a byte sequence between colons")
    return _base64(text[1:-1])


def _base64(text: str) -> bytes:
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise _malformed("the certificate is not base64") from error
    # The strict decoder still lets some excess padding pass, and unused bits.
    if binascii.b2a_base64(octets, newline=False) != text.encode("ascii"):
        raise _malformed("the certificate is not canonical base64")
    return octets


def _percent_decoded(text: str) -> str:
    if _STRAY_PERCENT.search(text):
        raise _malformed("a percent sign encodes nothing")
    try:
        return unquote_to_bytes(text).decode("ascii")
    except UnicodeDecodeError as error:
        raise _malformed("the decoded certificate is not ASCII") from error


def _from_pem(encoded: str) -> ClientCertificate:
    pem = _percent_decoded(encoded)
    try:
        return ClientCertificate.from_pem(pem.encode("ascii"))
    except ClientCertificateError as error:
        raise _bad_certificate() from error


def _from_der(der: bytes, intermediates: Sequence[bytes] = ()) -> ClientCertificate:
    try:
        return ClientCertificate.from_der(der, intermediates)
    except ClientCertificateError as error:
        raise _bad_certificate() from error


def _bad_certificate() -> TerminatorHeaderError:
    message = "the client certificate header does not hold a certificate"
    return TerminatorHeaderError(TerminatorFault.CERTIFICATE_MALFORMED, message)


def _malformed(detail: str) -> TerminatorHeaderError:
    message = f"the client certificate header is malformed: {detail}"
    return TerminatorHeaderError(TerminatorFault.MALFORMED, message)
