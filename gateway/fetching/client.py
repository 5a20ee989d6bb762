"""The one HTTP client of the gateway. Every request that leaves the process is made here.

A URL may come from a stranger: a DID, a status list, a ``jwks_uri``. So, in this order:

1.  The URL is parsed strictly (`urls.parse_url`): no user information, fragment, odd spelling of a host,
    trailing dot, single label, special name or non-ASCII character.
2.  The policy is asked: ``https`` only, no IP literals, port 443 unless the policy lists another.
3.  A slot is awaited: so many requests at once, so many to one host, so many that wait.
4.  The name is resolved by us, once; every address is checked; one that is not public refuses the host, and
    the connection goes to a checked address (`dialer.GuardedDialer`). Rebinding finds no second lookup.
5.  TLS 1.2 or later; the certificate chains to a trusted root and carries the *name*; SNI is the name.
6.  One HTTP/1.1 request on a connection of its own, closed after it. Headers, interim responses and the body
    are bounded while they arrive; a content coding is refused, so nothing is ever decompressed.
7.  A redirect is followed only for GET, only where the policy allows some, only within the same origin, and
    from step 1 on anew.
8.  A successful response must have one of the media types asked for.

One deadline covers all of it. The environment names no proxy; there are no cookies, no credentials of our own
and no cache; SSLKEYLOGFILE is not honored.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.fetching.addresses import Network
from gateway.fetching.admission import Admission
from gateway.fetching.dialer import GuardedDialer
from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.exchange import Exchange, Head
from gateway.fetching.message import Fetched, FetchRequest, kept_fields
from gateway.fetching.policy import ClientLimits, DangerousLoopbackDoor, FetchPolicy
from gateway.fetching.resolver import Resolver
from gateway.fetching.urls import Target, parse_url, redirect_target
from gateway.telemetry.fetch_spans import fetch_span

logger = logging.getLogger(__name__)

DEFAULT_POLICY: Final = FetchPolicy()
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class GuardedClient:
    """Fetches what a URL names, or says by a `FetchFault` why not. Belongs to one event loop.

    - *resolver*, *inner_hosts*, *door*: see `GuardedDialer`.
    - *ca_pem*: PEM certificates of further roots (a company's own), trusted for *inner_hosts* and nobody
      else; the system's roots are always trusted.
    - *limits*: see `ClientLimits`.

    It owns no task and no idle connection; `close` refuses further requests.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        limits: ClientLimits | None = None,
        inner_hosts: Mapping[str, Sequence[Network]] | None = None,
        ca_pem: str | None = None,
        door: DangerousLoopbackDoor | None = None,
    ) -> None:
        self.dialer = GuardedDialer(resolver, inner_hosts=inner_hosts, door=door)
        self._admission = Admission(limits or ClientLimits())
        self._inner_hosts = frozenset(name.lower() for name in inner_hosts or {})
        self._public_trust = _trust(system=True)
        self._inner_trust = _trust(system=True, ca_pem=ca_pem)
        self._door_trust = _trust(system=False, ca_pem=door.ca_pem if door is not None else None)
        self._closed = False

    def close(self) -> None:
        """Refuse further requests with `CLOSED`; those under way end by their deadline."""
        self._closed = True

    def parse(self, url: str, policy: FetchPolicy = DEFAULT_POLICY) -> Target:
        """Steps 1 and 2 alone: whether *url* could be fetched under *policy*. Raises `FetchError`."""
        target = parse_url(url, named_hosts=self.dialer.named_hosts)
        policy.check(target, any_port=self.dialer.uses_door(target.host))
        return target

    async def fetch(self, request: FetchRequest, policy: FetchPolicy = DEFAULT_POLICY) -> Fetched:
        """Make *request* under *policy*; any status but a redirect is a result. Raises `FetchError`."""
        if self._closed:
            raise FetchError(FetchFault.CLOSED, "the client is closed")
        target = self.parse(request.url, policy)
        try:
            with fetch_span(request.method, target.host):
                async with asyncio.timeout(policy.deadline), self._admission.slot(target.host):
                    return await self._follow(request, target, policy)
        except TimeoutError as error:
            raise FetchError(
                FetchFault.DEADLINE_EXCEEDED, f"not done in {policy.deadline:g} s", host=target.host
            ) from error

    async def _follow(self, request: FetchRequest, target: Target, policy: FetchPolicy) -> Fetched:
        for _ in range(policy.max_redirects + 1):
            outcome = await self._once(request, target, policy)
            if isinstance(outcome, Fetched):
                return outcome
            if request.method != "GET":
                raise FetchError(FetchFault.REDIRECT_REFUSED, "only GET is redirected", host=target.host)
            location = outcome.first(b"location")
            if location is None:
                raise FetchError(FetchFault.REDIRECT_REFUSED, "a redirect to nowhere", host=target.host)
            target = redirect_target(target, location, named_hosts=self.dialer.named_hosts)
            policy.check(target, any_port=self.dialer.uses_door(target.host))
        message = f"more than {policy.max_redirects} redirects"
        raise FetchError(FetchFault.REDIRECT_REFUSED, message, host=target.host)

    async def _once(self, request: FetchRequest, target: Target, policy: FetchPolicy) -> Fetched | Head:
        """One exchange: the response, or the head of a redirect."""
        reader, writer = await self._connect(target, policy)
        try:
            exchange = Exchange(reader, writer, target)
            head = await exchange.send(request)
            if head.status in _REDIRECTS:
                return head
            fetched = Fetched(head.status, kept_fields(head.fields), b"", target.url)
            _check_media_type(request, fetched, target.host)
            return Fetched(head.status, fetched.headers, await exchange.body(policy.max_body), target.url)
        finally:
            # The response is whole or worthless: nothing is left that a polite goodbye could save.
            writer.transport.abort()

    async def _connect(
        self, target: Target, policy: FetchPolicy
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = await self.dialer.dial(target.host, target.port, connect_timeout=policy.connect_timeout)
        try:
            if target.scheme == "http":
                return await asyncio.open_connection(sock=connection)
            return await asyncio.open_connection(
                sock=connection, ssl=self._trust_for(target.host), server_hostname=target.host
            )
        except BaseException as error:
            connection.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                message = "the certificate is not this host's or not trusted"
                raise FetchError(FetchFault.CERTIFICATE_REFUSED, message, host=target.host) from error
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                message = "the TLS handshake failed"
                raise FetchError(FetchFault.TLS_FAILED, message, host=target.host) from error
            raise

    def _trust_for(self, host: str) -> ssl.SSLContext:
        if self.dialer.uses_door(host):
            return self._door_trust
        return self._inner_trust if host in self._inner_hosts else self._public_trust


def _check_media_type(request: FetchRequest, fetched: Fetched, host: str) -> None:
    successful = 200 <= fetched.status < 300  # noqa: PLR2004 - RFC 9110 §15.3.
    if successful and request.accept and fetched.media_type not in request.accept:
        raise FetchError(FetchFault.CONTENT_TYPE_REFUSED, "the media type is another one", host=host)


def _trust(*, system: bool, ca_pem: str | None = None) -> ssl.SSLContext:
    # PROTOCOL_TLS_CLIENT checks the chain and the name; create_default_context would honor SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if system:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_pem is not None:
        context.load_verify_locations(cadata=ca_pem)
    return context
