"""The span of a gRPC call, around all of its stages."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc

from gateway.telemetry.spans import Tracer, current_span
from gateway.telemetry.trace_context import TRACEPARENT

Wrap: TypeAlias = Callable[[str, grpc.RpcMethodHandler], grpc.RpcMethodHandler]
"""Gives the handler to serve a method with, for the one that would serve it."""

_HEALTH: Final = "/grpc.health.v1.Health/"
_BEHAVIORS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def untraced(_method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    """*handler* as it is."""
    return handler


def traced(tracer: Tracer) -> Wrap:
    """A `Wrap` that gives every call that *tracer* samples its span; health is asked too often for one.

    How the call ended is told by its access record, see `gateway.telemetry.traced_log`.
    """

    def wrap(method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        if method.startswith(_HEALTH):
            return handler
        changes = {
            name: _around(tracer, method, behavior)
            for name in _BEHAVIORS
            if (behavior := getattr(handler, name)) is not None
        }
        return handler._replace(**changes)

    return wrap


def _around(
    tracer: Tracer, method: str, behavior: Callable[[Any, Any], Awaitable[Any]]
) -> Callable[[Any, Any], Awaitable[Any]]:
    name = method.removeprefix("/")
    service, _, called = name.partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": called}

    async def serve(requests: object, context: grpc.aio.ServicerContext) -> Any:
        span = tracer.begin(name, _traceparent(context), attributes)
        if span is None:
            return await behavior(requests, context)
        token = current_span.set(span)
        try:
            return await behavior(requests, context)
        finally:
            current_span.reset(token)
            span.end()

    return serve


def _traceparent(context: grpc.aio.ServicerContext) -> str | None:
    """The caller's field; None where it sent none, or several, of which none can be chosen."""
    values = [value for key, value in context.invocation_metadata() if key == TRACEPARENT]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None
