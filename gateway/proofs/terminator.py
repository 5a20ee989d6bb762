"""One client certificate per request, from the TLS layer or from a TLS terminator's header, never from both.

Whatever is resolved here is the certificate that authenticates, that is bound and that is compared: taking it
twice from two places is how certificate A authenticates while certificate B gets bound. The header is off
unless configured, and believed only from a peer that the caller established to be the terminator (RFC 9440
§4, RFC 9700 §4.13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gateway.proofs.client_certificate import ClientCertificate
from gateway.proofs.terminator_errors import TerminatorFault, TerminatorHeaderError
from gateway.proofs.terminator_formats import read_pem, read_rfc9440, read_xfcc

MAX_HEADER_SIZE = 16 * 1024  # octets of a field value, lines of one list header counted together

Headers: TypeAlias = Sequence[tuple[str, bytes | str]]


class HeaderFormat(StrEnum):
    """How a terminator writes the certificate into its header."""

    RFC9440 = "rfc9440"  # ``:base64:``, with intermediates in the header of the same name and ``-chain``
    PEM = "pem"  # PEM in one line, folded or percent-encoded, or bare base64 (nginx, HAProxy, WSO2)
    XFCC = "xfcc"  # Envoy's x-forwarded-client-cert


@dataclass(frozen=True, slots=True)
class TerminatorHeader:
    """One header that the terminator may set: its *name*, compared without regard to case, and its format."""

    name: str
    format: HeaderFormat


@dataclass(frozen=True, slots=True)
class TerminatorPolicy:
    """The headers that are looked at; none by default, so that certificates come from the TLS layer only."""

    headers: tuple[TerminatorHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sent:
    """The values of one configured header as sent, and those of the chain header that goes with it."""

    header: TerminatorHeader
    values: list[bytes | str]
    chain: list[bytes | str]


def resolve_client_certificate(
    transport: ClientCertificate | None, headers: Headers, *, trusted: bool, policy: TerminatorPolicy
) -> ClientCertificate | None:
    """The client's certificate, or None where the client presented none.

    *transport* is the peer certificate of the TLS connection; *headers* are the request's, in order;
    *trusted* says that the peer is the configured terminator. From the terminator the header alone counts:
    the connection's certificate is the terminator's own, so that no header means no client certificate. A
    peer that is not the terminator and still sends the header is refused. Raises `TerminatorHeaderError`.
    """
    if not policy.headers:
        return transport
    sent = [found for header in policy.headers if (found := _find(header, headers)) is not None]
    if not trusted:
        if sent:
            message = "a client certificate header is accepted from the TLS terminator only"
            raise TerminatorHeaderError(TerminatorFault.UNTRUSTED_SENDER, message)
        return transport
    if not sent:
        return None
    if len(sent) > 1:
        message = "more than one kind of client certificate header was sent"
        raise TerminatorHeaderError(TerminatorFault.CONFLICT, message)
    return _read(sent[0])


def _find(header: TerminatorHeader, headers: Headers) -> _Sent | None:
    name = header.name.lower()
    values = [value for sent, value in headers if sent.lower() == name]
    chain: list[bytes | str] = []
    if header.format is HeaderFormat.RFC9440:
        chain = [value for sent, value in headers if sent.lower() == f"{name}-chain"]
    return _Sent(header, values, chain) if values or chain else None


def _read(sent: _Sent) -> ClientCertificate:
    if not sent.values:
        # RFC 9440 §2.3: the chain header is only sent beside the certificate.
        message = "a chain was sent without the client certificate"
        raise TerminatorHeaderError(TerminatorFault.CERTIFICATE_MISSING, message)
    if len(sent.values) > 1:
        message = "the client certificate header was sent more than once"
        raise TerminatorHeaderError(TerminatorFault.DUPLICATE, message)
    value = _text(sent.values)
    match sent.header.format:
        case HeaderFormat.RFC9440:
            return read_rfc9440(value, _text(sent.chain) if sent.chain else None)
        case HeaderFormat.PEM:
            return read_pem(value)
        case HeaderFormat.XFCC:
            return read_xfcc(value)


def _text(values: Sequence[bytes | str]) -> str:
    """The field value as text; the lines of a list are one list (RFC 9110 §5.3)."""
    if sum(map(len, values)) > MAX_HEADER_SIZE:
        message = f"the client certificate header exceeds {MAX_HEADER_SIZE} octets"
        raise TerminatorHeaderError(TerminatorFault.TOO_LARGE, message)
    text = ",".join(value if isinstance(value, str) else value.decode("latin-1") for value in values)
    if not text.isascii():
        message = "the client certificate header is not ASCII"
        raise TerminatorHeaderError(TerminatorFault.MALFORMED, message)
    return text
