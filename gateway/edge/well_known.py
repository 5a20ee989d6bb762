"""What is public: keys, metadata, and health."""

from gateway.edge.exchange import EdgeRequest
from gateway.edge.response import Response
from gateway.health import LIVE, READY, HealthMonitor
from gateway.keys.keyring import Keyring
from gateway.tokens.metadata import ServerMetadata


class JwksEndpoint:
    """RFC 7517 §5. *max_age*: seconds that a verifier may keep the set; a key is published first."""

    def __init__(self, keyring: Keyring, max_age: int) -> None:
        self._keyring = keyring
        self._headers = {"cache-control": f"public, max-age={max_age}"}

    async def __call__(self, request: EdgeRequest) -> Response:
        """The keys as they are now."""
        del request
        return Response(self._keyring.view.jwks_json, 200, self._headers, "application/json")


class MetadataEndpoint:
    """RFC 8414 §3.2. *max_age*: seconds that a client may keep it."""

    def __init__(self, metadata: ServerMetadata, max_age: int) -> None:
        self._document = metadata.to_json()
        self._headers = {"cache-control": f"public, max-age={max_age}"}

    async def __call__(self, request: EdgeRequest) -> Response:
        """The document; it changes only with the configuration."""
        del request
        return Response(self._document, 200, self._headers, "application/json")


class HealthEndpoint:
    """Whether *service* of the monitor serves: 200 or 503, and one word."""

    def __init__(self, monitor: HealthMonitor, service: str) -> None:
        self._monitor = monitor
        self._service = service

    async def __call__(self, request: EdgeRequest) -> Response:
        """The state now."""
        del request
        serves = bool(self._monitor.serves(self._service))
        return Response(
            "serving\n" if serves else "not serving\n",
            200 if serves else 503,
            {"cache-control": "no-store"},
            "text/plain; charset=utf-8",
        )


def health_endpoints(monitor: HealthMonitor) -> tuple[HealthEndpoint, HealthEndpoint]:
    """For ``/healthz`` (the process runs) and ``/readyz`` (everything that it needs is there)."""
    return HealthEndpoint(monitor, LIVE), HealthEndpoint(monitor, READY)
