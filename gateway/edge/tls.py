"""The listeners' certificates as Python's ``ssl`` takes them, exchangeable between two handshakes."""

import _ssl
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.tls_reload import ListenerTls

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2; those of TLS 1.3 are all sound and not configurable."""
_DER: Final = 2
"""``_ssl.ENCODING_DER``."""


class RotatingContext(ssl.SSLContext):
    """The context of one listener. `offer` takes effect with the next connection.

    The event loop asks its context for an SSL object for each connection; this one passes on to the context
    that is current, which is made anew as a whole: a context can only gain trust anchors, never lose one.
    """

    _mutual: bool
    _current: ssl.SSLContext

    @classmethod
    def of(cls, initial: ListenerTls, *, mutual: bool) -> "RotatingContext":
        """A context that starts with *initial*; *mutual* requires a client certificate.

        Raises `ssl.SSLError` where OpenSSL refuses what the files hold.
        """
        rotating = cls(ssl.PROTOCOL_TLS_SERVER)
        rotating._mutual = mutual
        rotating._current = _context(initial, mutual=mutual)
        return rotating

    def offer(self, current: ListenerTls) -> None:
        """Use *current* from the next handshake on."""
        self._current = _context(current, mutual=self._mutual)

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """What the event loop calls for each connection."""
        return self._current.wrap_bio(*arguments, **options)


def _context(tls: ListenerTls, *, mutual: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    with _file(tls.key + b"\n" + tls.chain) as path:
        context.load_cert_chain(path)
    if mutual:
        _require_client_certificate(context, tls.client_anchors)
    return context


def _require_client_certificate(context: ssl.SSLContext, anchors: bytes) -> None:
    certificates = x509.load_pem_x509_certificates(anchors)
    context.load_verify_locations(cadata=b"".join(each.public_bytes(Encoding.DER) for each in certificates))
    context.verify_mode = ssl.CERT_REQUIRED
    # A leaf that a client registered is an anchor by itself, whoever issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A resumed session knows the leaf and not the intermediates, so that the chain could not be built again
    # in process, and it would outlive the trust that it was made under.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path to *content*: OpenSSL reads keys from files only. In memory where the system can."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:  # Mode 0600.
            file.write(content)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("listener")
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def presented_chain(ssl_object: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the client presented, DER, the leaf first; empty where it was not asked to.

    Python has a public name for this from 3.13 on.
    """
    public = getattr(ssl_object, "get_unverified_chain", None)
    if public is not None:
        return tuple(public() or ())
    inner: Any = ssl_object._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - see the docstring
    certificates: list[_ssl.Certificate] = inner.get_unverified_chain() or []
    return tuple(_der(each) for each in certificates)


def _der(certificate: _ssl.Certificate) -> bytes:
    encoded = certificate.public_bytes(_DER)
    if not isinstance(encoded, bytes):
        raise TypeError("DER is bytes")
    return encoded
