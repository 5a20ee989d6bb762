"""grpc.health.v1 over the health monitor.

grpcio's own servicer holds a lock while it writes to a watcher; one that does not read would stop every
update. Here a watcher waits for nobody.
"""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.health import HealthMonitor

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # grpcio ships no types
    """grpc.health.v1.Health over a `HealthMonitor`."""

    def __init__(self, monitor: HealthMonitor) -> None:
        self._monitor = monitor

    def _status(self, service: str) -> int:
        serves = self._monitor.serves(service)
        return int(_UNKNOWN if serves is None else _SERVING if serves else _NOT_SERVING)

    async def Check(  # noqa: N802 - the name is the protocol's
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """The state now; NOT_FOUND for a name that is not known, as the protocol has it."""
        if self._monitor.serves(request.service) is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "No service has this name.")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def List(  # noqa: N802 - the name is the protocol's
        self, request: health_pb2.HealthListRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthListResponse:
        """The state of every name."""
        del request, context
        return health_pb2.HealthListResponse(
            statuses={
                service: health_pb2.HealthCheckResponse(status=self._status(service))
                for service in self._monitor.services
            }
        )

    async def Watch(  # noqa: N802 - the name is the protocol's
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """The state now and after every change. Ends when the server drains, after having said so."""
        told: int | None = None
        while True:
            status = self._status(request.service)
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
                continue  # The state may have changed while the client was slow to read.
            if self._monitor.draining:
                return
            await self._monitor.wait_for_change()
