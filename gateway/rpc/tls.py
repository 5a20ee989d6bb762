"""The listeners' certificates as grpc's core takes them."""

from collections import deque

import grpc

from gateway.tls_reload import ListenerTls


class RotatingCredentials:
    """The credentials of one listener. `offer` takes effect with the next connection.

    `handshakes` counts those that the core began.
    """

    def __init__(self, initial: ListenerTls, *, mutual: bool) -> None:
        self._mutual = mutual
        self.handshakes = 0
        # A bounded deque because the core takes from it on threads of its own: one step, no lock.
        self._offered: deque[grpc.ServerCertificateConfiguration] = deque(maxlen=1)
        self.credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
            self._configuration(initial), self._fetch, require_client_authentication=mutual
        )

    def offer(self, current: ListenerTls) -> None:
        """Use *current* from the next handshake on."""
        self._offered.append(self._configuration(current))

    def _configuration(self, tls: ListenerTls) -> grpc.ServerCertificateConfiguration:
        anchors = tls.client_anchors if self._mutual else None
        return grpc.ssl_server_certificate_configuration([(tls.key, tls.chain)], root_certificates=anchors)

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by the core before every handshake; None means that nothing changed."""
        self.handshakes += 1
        try:
            return self._offered.popleft()
        except IndexError:
            return None
