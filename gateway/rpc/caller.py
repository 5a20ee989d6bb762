"""Who calls over gRPC: `gateway.request_callers`, with the certificate that grpc's core saw."""

from collections.abc import Mapping, Sequence

from gateway.errors import GatewayError
from gateway.limits.peers import site_of_peer
from gateway.principal import Principal
from gateway.proofs.client_certificate import ClientCertificate
from gateway.request_callers import Metadata, RequestCallers


class CallerResolver:
    """Stage 6 of the pipeline."""

    def __init__(self, callers: RequestCallers) -> None:
        self._callers = callers

    async def resolve(
        self, connection: Mapping[str, Sequence[bytes]], metadata: Metadata, method: str
    ) -> tuple[Principal, ClientCertificate | None]:
        """As `RequestCallers.resolve`; raises `ClientCertificateError` beside what that does."""
        return await self._callers.resolve(_transport(connection), metadata, path=method)

    def site(self, connection: Mapping[str, Sequence[bytes]], metadata: Metadata, peer: str) -> str:
        """As `RequestCallers.site`; a certificate that cannot be read makes no terminator."""
        if not self._callers.forwards_addresses:
            return site_of_peer(peer)
        try:
            transport = _transport(connection)
        except GatewayError:
            transport = None
        return self._callers.site(transport, metadata, peer)


def _transport(connection: Mapping[str, Sequence[bytes]]) -> ClientCertificate | None:
    """The certificate of the TLS connection; none on the listener that asks for none."""
    leaf = connection.get("x509_pem_cert")
    if not leaf:
        return None
    intermediates = connection.get("x509_pem_cert_chain")
    return ClientCertificate.from_pem(b"".join((*leaf, *intermediates)) if intermediates else leaf[0])
