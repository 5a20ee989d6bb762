"""One HTTPS service: pooled connections, verified certificates, no redirects, no proxies, bounded answers."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from signers.errors import KeyUnusableError, KeyUriError, SignerTimeoutError, SignerUnavailableError

MAX_REPLY = 1024 * 1024
"""Bytes of a reply's body. 64 RSA-8192 signatures in base64 take 90 KiB."""

CONNECT_TIMEOUT = 2.0
IDLE_CONNECTION = 30.0
"""Seconds that an unused connection is kept; below the idle limits of common load balancers (60 s)."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpService:
    """Requests to one base URL. Bound to the event loop; closed by its owner."""

    def __init__(
        self, base_url: str, *, name: str, ca_file: Path | None = None, connections: int = 8
    ) -> None:
        """*base_url* as `require_base_url` returns it; *name* is the redacted name for errors; *ca_file*
        holds PEM certificates that replace the system's roots; *connections* at once.

        Raises `KeyUnusableError` for a *ca_file* that cannot be read.
        """
        self._name = name
        self._client = httpx.AsyncClient(
            base_url=base_url,
            verify=_tls(ca_file, name),
            # Neither proxies nor .netrc: what the environment says must not move credentials elsewhere.
            trust_env=False,
            # The bound on a reply is on what arrives, so nothing is unpacked.
            headers={"Accept-Encoding": "identity", "User-Agent": "countersign"},
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=IDLE_CONNECTION,
            ),
        )

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> HttpReply:
        """Make one request; *path* is relative to the base URL and percent-encoded.

        The time limit is the caller's (`asyncio.timeout`). A reply of any status is returned; a redirect is
        one. Raises `SignerUnavailableError` where no whole reply came, `SignerTimeoutError` where no
        connection came in time.
        """
        try:
            async with self._client.stream(method, path, headers=headers, content=body) as response:
                content = b""
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > MAX_REPLY:
                        raise SignerUnavailableError(
                            f"The service's reply is larger than {MAX_REPLY} bytes.", key=self._name
                        )
                return HttpReply(response.status_code, response.headers, content)
        except httpx.TimeoutException as error:
            raise SignerTimeoutError("No connection to the service came in time.", key=self._name) from error
        except (httpx.TransportError, ssl.SSLError) as error:
            raise SignerUnavailableError(
                f"The service cannot be reached: {str(error) or type(error).__name__}", key=self._name
            ) from error

    async def aclose(self) -> None:
        """Close every connection. Idempotent."""
        await self._client.aclose()


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


def _tls(ca_file: Path | None, name: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise KeyUnusableError(f"{ca_file} holds no CA certificates: {error}", key=name) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
