"""The life of the gRPC server: bind, serve, drain, close."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2_grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from gateway.guard.guard import Guard, GuardCounts
from gateway.health import HealthMonitor
from gateway.limits.shedding import watch
from gateway.ports import Ports
from gateway.rpc.connection_guard import guard_of
from gateway.rpc.core_queue import CoreQueue, next_server_id, queue_apart
from gateway.rpc.health import HealthServicer
from gateway.rpc.listeners import bind, server_options
from gateway.rpc.pipeline import Pipeline
from gateway.rpc.tls import RotatingCredentials
from gateway.settings.server import ServerSettings
from gateway.telemetry.load import Load
from gateway.tls_files import TlsMaterial
from gateway.tls_reload import ListenerTls, TlsReloader

logger = logging.getLogger(__name__)

STREAM_GRACE: Final = 1.0
"""Seconds that streams get to end by themselves when the server drains; they have no end of their own."""


class Edge(Protocol):
    """The HTTPS listeners, which share certificates, health and drain: `gateway.edge.server.EdgeServer`."""

    @property
    def connections(self) -> int:
        """Connections open now."""
        ...

    async def open(self, tls: ListenerTls) -> tuple[int | None, int | None]:
        """Bind and serve; the ports without and with client certificate. Raises `ListenError`."""
        ...

    def offer(self, tls: ListenerTls) -> None:
        """Use these certificates from the next handshake on."""
        ...

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - it bounds several waits together
        """Take nothing new, and let what is under way finish within *timeout* seconds. Idempotent."""
        ...


class GrpcServer:
    """Both listeners with everything that runs beside them. An async context manager, used once.

    *pipeline* holds the servicers of the gateway's own API; health, reflection and channelz are added here.
    *edge* serves HTTPS from the same process. *resources* are closed in order, after the last call has ended.
    """

    def __init__(
        self,
        *,
        settings: ServerSettings,
        pipeline: Pipeline,
        health: HealthMonitor,
        tls: TlsReloader,
        edge: Edge | None = None,
        resources: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._health = health
        self._tls = tls
        self._edge = edge
        self._resources = resources
        self._server: grpc.aio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ports: Ports | None = None
        self._guard: Guard | None = None

    @property
    def ports(self) -> Ports:
        """Where it listens. Raises `RuntimeError` before `start`."""
        if self._ports is None:
            raise RuntimeError("the server has not started")
        return self._ports

    @property
    def load(self) -> Load:
        """What is under way now."""
        admission = self._pipeline.admission
        guarded = GuardCounts() if self._guard is None else self._guard.counts
        return Load(
            calls=admission.calls,
            calls_limit=self._pipeline.limits.calls,
            streams=admission.streams,
            https_connections=0 if self._edge is None else self._edge.connections,
            draining=admission.draining,
            wait=admission.shedder.delay,
            admitted=admission.shedder.share,
            closed=guarded.closed,
            blocks=guarded.blocks,
            blocked=guarded.blocked,
        )

    @property
    def material(self) -> TlsMaterial | None:
        """The certificates of the listeners; None before `start`."""
        return self._tls.material

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.drain()

    async def start(self) -> None:
        """Bind and serve. Raises `TlsFileError`, `ListenError`."""
        self._add_services()
        current = await self._tls.open()
        tls, mutual = (RotatingCredentials(current, mutual=mutual) for mutual in (False, True))
        self._tls.on_change(tls.offer)
        self._tls.on_change(mutual.offer)
        first_id = next_server_id()
        self._server = grpc.aio.server(handlers=[self._pipeline], options=server_options(self._settings))
        queue = CoreQueue(first_id)
        queue_apart(self._server, self._pipeline.handler)
        self._ports = bind(self._server, self._settings, tls=tls.credentials, mutual=mutual.credentials)
        await self._health.probe()
        if self._edge is not None:
            https, https_mtls = await self._edge.open(current)
            self._tls.on_change(self._edge.offer)
            self._ports = replace(self._ports, https=https, https_mtls=https_mtls)
        await self._server.start()
        self._tasks = [
            asyncio.create_task(self._health.run(), name="health"),
            asyncio.create_task(self._tls.run(self._settings.tls_reload_interval), name="tls-reload"),
            asyncio.create_task(self._watch(queue), name="overload"),
        ]
        if sys.platform == "linux":
            self._guard = guard_of(
                self._settings,
                self._ports,
                queue.server_id,
                begun=lambda: tls.handshakes + mutual.handshakes,
            )
            self._tasks.append(asyncio.create_task(self._guard.run(), name="guard"))
        logger.info("Serving on %s", self._ports)

    def reload(self) -> None:
        """Look for changed certificates now."""
        self._tls.nudge()

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Serve until *stop* is set, then drain. Raises what ended a task that never should have ended."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        for task in self._tasks:
            if task.done():
                task.result()
                raise RuntimeError(f"the {task.get_name()} task ended")
        await self.drain()

    async def drain(self) -> None:
        """Say NOT_SERVING, take nothing new, let calls under way finish within the drain timeout, and close.

        Listening ends at once: with several workers on one port the others take new connections.
        Idempotent.
        """
        if self._server is not None:
            logger.info("Draining: %d calls under way", self._pipeline.admission.calls)
            self._health.drain()
            self._pipeline.admission.draining = True
            timeout = self._settings.drain_timeout
            stopped = [asyncio.create_task(self._server.stop(timeout), name="stop-grpc")]
            if self._edge is not None:
                stopped.append(asyncio.create_task(self._edge.drain(timeout), name="stop-https"))
            try:
                await asyncio.wait(stopped, timeout=min(STREAM_GRACE, timeout))
                self._pipeline.admission.drain()
                await asyncio.gather(*stopped)
            finally:
                self._server = None
        await self._close()

    def _add_services(self) -> None:
        names = {method.split("/")[1] for method in self._pipeline.methods}
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(self._health), self._pipeline)
        if self._settings.channelz:
            channelz_pb2_grpc.add_ChannelzServicer_to_server(channelz.aio.ChannelzServicer(), self._pipeline)
        if self._settings.reflection:
            names |= {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
                reflection.aio.ReflectionServicer(service_names=sorted(names)), self._pipeline
            )

    async def _watch(self, queue: CoreQueue) -> None:
        admission = self._pipeline.admission
        await watch(
            admission.shedder,
            taken=lambda: admission.taken,
            waiting=lambda: queue.waiting(admission.taken),
        )

    async def _close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        resources, self._resources = self._resources, ()
        for close in resources:
            try:
                await close()
            except Exception:
                # One that cannot be closed must not keep the others open.
                logger.exception("A resource could not be closed")
