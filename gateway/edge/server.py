"""The life of the HTTPS listeners: bind, serve, drain, close."""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress

from gateway.edge.body_budget import BodyBudget
from gateway.edge.connection_limits import ConnectionLimits
from gateway.edge.handshakes import Handshakes
from gateway.edge.listener import SHUTDOWN_TIMEOUT, Listener
from gateway.edge.protocol import Application, EdgeProtocol
from gateway.edge.tls import RotatingContext
from gateway.errors import GatewayError
from gateway.limits.peers import AddressSet
from gateway.ports import ListenError
from gateway.proofs.client_certificate import ClientCertificate
from gateway.request_callers import RequestCallers
from gateway.settings.server import ServerSettings
from gateway.tls_files import TlsFileError
from gateway.tls_reload import ListenerTls

logger = logging.getLogger(__name__)


class EdgeServer:
    """Serves one *application* on the addresses of *settings* that are not empty.

    *callers* know which peers are trusted terminators.
    """

    def __init__(
        self, *, settings: ServerSettings, application: Application, callers: RequestCallers
    ) -> None:
        self._settings = settings
        self._application = application
        self._limits = ConnectionLimits(
            head_bytes=settings.max_metadata_bytes,
            request_timeout=settings.https_request_timeout,
            keep_alive=settings.https_keep_alive,
            max_age=settings.max_connection_age,
            max_connections=settings.https_max_connections,
            max_per_site=settings.https_max_connections_per_peer,
            bodies=BodyBudget(settings.https_max_body_bytes),
            is_terminator=lambda chain: _is_terminator(callers, chain),
        )
        self._contexts: list[RotatingContext] = []
        self._handshakes = Handshakes(
            per_second=settings.https_handshakes_per_second,
            per_site=settings.https_max_connections_per_peer,
            exempt=AddressSet(settings.unlimited_addresses),
        )
        self._listeners: list[Listener] = []

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._limits.connections)

    async def open(self, tls: ListenerTls) -> tuple[int | None, int | None]:
        """Bind and serve: the ports without and with client certificate, None where that is off.

        Raises `ListenError`, `TlsFileError`.
        """
        settings = self._settings
        return (
            self._listen(settings.https_address, tls, mutual=False),
            self._listen(settings.https_mtls_address, tls, mutual=True),
        )

    def offer(self, tls: ListenerTls) -> None:
        """Use these certificates from the next handshake on."""
        for context in self._contexts:
            try:
                context.offer(tls)
            except ssl.SSLError:
                # OpenSSL may be pickier than the check of the files; what was in use stays in use.
                logger.exception("The HTTPS listeners keep their certificates")

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - it bounds several waits together
        """Take no new connection, end idle ones, and let requests under way finish within *timeout* seconds.

        Idempotent.
        """
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        self._handshakes.cancel()
        for connection in tuple(self._limits.connections):
            connection.shutdown()
        if self._limits.tasks:
            await asyncio.wait(tuple(self._limits.tasks), timeout=timeout)
        late = tuple(self._limits.tasks)
        for task in late:
            task.cancel()  # The pipeline answers that the gateway is shutting down.
        if late:
            await asyncio.wait(late, timeout=SHUTDOWN_TIMEOUT)
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT):
                while self._limits.connections:
                    self._limits.idle.clear()
                    await self._limits.idle.wait()
        for connection in tuple(self._limits.connections):
            # Responses are written; a peer that does not take its own is not waited for any longer.
            connection.abort()

    def _listen(self, address: str, tls: ListenerTls, *, mutual: bool) -> int | None:
        if not address:
            return None
        try:
            context = RotatingContext.of(tls, mutual=mutual)
        except ssl.SSLError as error:
            raise TlsFileError(f"The certificate files cannot be used for HTTPS: {error.reason}.") from error
        self._contexts.append(context)
        host, _, port = address.rpartition(":")
        listener = Listener(context, self._handshakes, lambda: EdgeProtocol(self._application, self._limits))
        try:
            taken = listener.open(host.strip("[]"), int(port), shared=self._settings.workers > 1)
        except OSError as error:
            raise ListenError(
                f"{address} cannot be bound: another process may listen there, or the host has no such "
                "address."
            ) from error
        self._listeners.append(listener)
        return taken


def _is_terminator(callers: RequestCallers, chain: Sequence[bytes]) -> bool:
    try:
        return callers.is_terminator(ClientCertificate.from_der(chain[0], chain[1:]))
    except GatewayError:
        return False  # Each request of the connection will tell what is wrong with the certificate.
