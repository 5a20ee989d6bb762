"""Judging http-01, dns-01 and tls-alpn-01 (RFC 8555 §8.3, §8.4; RFC 8737; RFC 8738).

Each looks at what a stranger named, so every connection goes through `gateway.fetching`, which leads to
public addresses only, with one deadline over all. A validation that is cancelled leaves nothing behind.
"""

import asyncio
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from gateway.enrollment.device_proof import same
from gateway.enrollment.identifiers import Identifier, IdentifierType
from gateway.enrollment.model import ChallengeType, Problem
from gateway.enrollment.transitions import Verdict
from gateway.errors import AvailabilityError, Reason
from gateway.fetching import (
    AcmeHttpPolicy,
    DnsResolver,
    FetchError,
    FetchFault,
    FetchRequest,
    GuardedClient,
)
from gateway.jose import base64url

DEADLINE: Final = 10.0
"""Seconds for one validation."""

_ALPN: Final = "acme-tls/1"
_TLS_PORT: Final = 443
_OK: Final = 200
_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OURS: Final = frozenset({FetchFault.BUSY, FetchFault.CLOSED})
_DNS_FAULTS: Final = frozenset(
    {FetchFault.NAME_NOT_FOUND, FetchFault.DNS_FAILED, FetchFault.DNS_ANSWER_TOO_LARGE}
)


@dataclass(frozen=True, slots=True)
class DomainValidator:
    """Looks for what the holder of an identifier put there."""

    client: GuardedClient
    resolver: DnsResolver

    async def judge(
        self, kind: ChallengeType, identifier: Identifier, token: str, key_authorization: str
    ) -> Verdict:
        """The verdict on *identifier*; whatever the other side does or does not do is one.

        Raises `AvailabilityError` OVERLOADED where too many validations are under way, which is none.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                match kind:
                    case ChallengeType.HTTP:
                        return await self._http(identifier, token, key_authorization)
                    case ChallengeType.DNS:
                        return await self._dns(identifier, key_authorization)
                    case _:
                        return await self._tls_alpn(identifier, key_authorization)
        except FetchError as error:
            if error.fault in _OURS:
                raise AvailabilityError(
                    Reason.OVERLOADED, "Too many validations are under way.", cause=error.fault.value
                ) from error
            return Verdict(Problem(_type_of(error), f"The validation ended as {error.fault}."))
        except TimeoutError:
            return Verdict(Problem("connection", f"The validation took more than {DEADLINE:g} seconds."))

    async def _http(self, identifier: Identifier, token: str, key_authorization: str) -> Verdict:
        host = identifier.value
        if identifier.type is IdentifierType.IP and ":" in host:
            host = f"[{host}]"
        url = f"http://{host}/.well-known/acme-challenge/{token}"
        fetched = await self.client.fetch(FetchRequest(url, accept=()), AcmeHttpPolicy())
        if fetched.status != _OK:
            return Verdict(Problem("unauthorized", f"The host answered with the status {fetched.status}."))
        # RFC 8555 §8.3: whitespace after the body is to be ignored.
        body = fetched.body.rstrip(b" \t\r\n").decode("latin-1")
        if not same(body, key_authorization):
            return Verdict(Problem("unauthorized", "The host has another key authorization."))
        return Verdict(evidence={"method": ChallengeType.HTTP})

    async def _dns(self, identifier: Identifier, key_authorization: str) -> Verdict:
        expected = base64url.encode(hashlib.sha256(key_authorization.encode()).digest())
        name = f"_acme-challenge.{identifier.value.removeprefix('*.')}"
        records = await self.resolver.txt(name)
        if not any(same(record.decode("latin-1"), expected) for record in records):
            return Verdict(
                Problem("unauthorized", f"None of {len(records)} TXT records is the one expected.")
            )
        return Verdict(evidence={"method": ChallengeType.DNS})

    async def _tls_alpn(self, identifier: Identifier, key_authorization: str) -> Verdict:
        connection = await self.client.dialer.dial(identifier.value, _TLS_PORT)
        try:
            _, writer = await asyncio.open_connection(
                sock=connection, ssl=_alpn_context(), server_hostname=_server_name(identifier)
            )
        except (ssl.SSLError, OSError) as error:
            connection.close()
            return Verdict(Problem("tls", f"The handshake failed: {type(error).__name__}."))
        try:
            tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
            protocol, der = tls.selected_alpn_protocol(), tls.getpeercert(binary_form=True)
        finally:
            writer.transport.abort()
        if protocol != _ALPN or der is None:
            return Verdict(Problem("unauthorized", f"The host does not speak {_ALPN}."))
        return _judge_certificate(der, identifier, key_authorization)


def _alpn_context() -> ssl.SSLContext:
    # RFC 8737 §3: the certificate is self-signed, and what it says is compared below.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([_ALPN])
    return context


def _server_name(identifier: Identifier) -> str:
    """RFC 8738 §6: SNI for an address is its name in the reverse tree."""
    if identifier.type is IdentifierType.IP:
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value


def _judge_certificate(der: bytes, identifier: Identifier, key_authorization: str) -> Verdict:
    """RFC 8737 §3: one name, and the critical acmeIdentifier with the digest of the key authorization."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        shown = certificate.extensions.get_extension_for_oid(_ACME_IDENTIFIER)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Verdict(Problem("unauthorized", "The certificate lacks what is to be shown, or is malformed."))
    expected: x509.GeneralName = (
        x509.IPAddress(ipaddress.ip_address(identifier.value))
        if identifier.type is IdentifierType.IP
        else x509.DNSName(identifier.value)
    )
    if names != [expected]:
        return Verdict(Problem("unauthorized", "The certificate is for another name, or for several."))
    digest = b"\x04\x20" + hashlib.sha256(key_authorization.encode()).digest()
    value = shown.value
    if not shown.critical or not isinstance(value, x509.UnrecognizedExtension) or value.value != digest:
        return Verdict(Problem("unauthorized", "The certificate shows another key authorization."))
    return Verdict(evidence={"method": ChallengeType.TLS_ALPN})


def _type_of(error: FetchError) -> str:
    return "dns" if error.fault in _DNS_FAULTS else "connection"
