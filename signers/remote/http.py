"""One HTTPS service: pooled connections, verified certificates, no redirects, no proxies, bounded replies."""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from signers.errors import KeyUnusableError, KeyUriError, SignerTimeoutError, SignerUnavailableError
from signers.remote.connection import Connection, HttpReply, ReplyError, connect

__all__ = ["HttpReply", "HttpService", "require_base_url"]

CONNECT_TIMEOUT = 2.0
IDLE_CONNECTION = 30.0
"""Seconds that an unused connection is kept; below the idle limits of common load balancers (60 s)."""

# RFC 9110 §5.1 and §5.5, RFC 9112 §3: what could end a line is in no part of a request.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?\Z")
_TARGET = re.compile(r"/[\x21-\x7e]*\Z")


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a base URL points: `prefix` goes before every path, `authority` is the Host field."""

    host: str
    port: int
    authority: str
    prefix: str
    tls: ssl.SSLContext | None


class HttpService:
    """Requests to one base URL, over HTTP/1.1. Bound to the event loop; closed by its owner."""

    def __init__(
        self, base_url: str, *, name: str, ca_file: Path | None = None, connections: int = 8
    ) -> None:
        """*base_url* as `require_base_url` returns it; *name* is the redacted name for errors; *ca_file*
        holds PEM certificates that replace the system's roots; *connections* at once.

        Raises `KeyUnusableError` for a *ca_file* that cannot be read.
        """
        self._name = name
        self._origin = _origin(base_url, ca_file, name)
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []
        self._closed = False

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> HttpReply:
        """Make one request; *path* is relative to the base URL and percent-encoded.

        The time limit is the caller's (`asyncio.timeout`). A reply of any status is returned; a redirect is
        one. Raises `SignerUnavailableError` where no whole reply came, `SignerTimeoutError` where no
        connection came in time, and `KeyUnusableError` for a header that cannot be sent.
        """
        request = self._encode(method, path, headers or {}, body or b"")
        async with self._slots:
            try:
                connection = self._unused() or await self._connect()
            except TimeoutError as error:
                raise SignerTimeoutError(
                    "No connection to the service came in time.", key=self._name
                ) from error
            except OSError as error:
                raise self._unreachable(error) from error
            try:
                reply = await connection.exchange(request)
            except (OSError, ReplyError) as error:
                raise self._unreachable(error) from error
            finally:
                self._put_back(connection)
            return reply

    async def aclose(self) -> None:
        """Close every connection. Idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _unused(self) -> Connection | None:
        """The connection that was used last, since it is the least likely to have been forgotten."""
        oldest = asyncio.get_running_loop().time() - IDLE_CONNECTION
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    def _put_back(self, connection: Connection) -> None:
        if connection.is_usable and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> Connection:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await connect(self._origin.host, self._origin.port, self._origin.tls)

    def _encode(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        target = self._origin.prefix + path
        # The bound on a reply is on what arrives, so nothing is unpacked.
        fields = {"Host": self._origin.authority, "User-Agent": "countersign", "Accept-Encoding": "identity"}
        given = {name.lower() for name in headers}
        fields = {name: value for name, value in fields.items() if name.lower() not in given} | dict(headers)
        fields["Content-Length"] = str(len(body))
        sound = all(_HEADER_NAME.match(name) and _HEADER_VALUE.match(value) for name, value in fields.items())
        if not sound or not _TARGET.match(target):
            raise KeyUnusableError(
                "A header or the path of the request holds characters that HTTP cannot send.", key=self._name
            )
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body

    def _unreachable(self, error: Exception) -> SignerUnavailableError:
        return SignerUnavailableError(
            f"The service cannot be reached: {str(error) or type(error).__name__}", key=self._name
        )


def require_base_url(text: str, name: str) -> str:
    """*text* as a base URL without a slash at its end.

    https, or http to a loopback address (an agent or an emulator on this machine); no user, query or
    fragment. *name* is the attribute that holds it. Raises `KeyUriError`.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise KeyUriError(f"{name} is not a URL.") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or not host:
        raise KeyUriError(f"{name} must be 'https://host:port', without user, query or fragment.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise KeyUriError(f"{name} must be an https URL; http is for a loopback address only.")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(base_url: str, ca_file: Path | None, name: str) -> _Origin:
    parts = urlsplit(base_url)
    secure = parts.scheme == "https"
    return _Origin(
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        authority=parts.netloc,
        prefix=parts.path,
        tls=_tls(ca_file, name) if secure else None,
    )


def _tls(ca_file: Path | None, name: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise KeyUnusableError(f"{ca_file} holds no CA certificates: {error}", key=name) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
