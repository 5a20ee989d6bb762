"""What happens around every call, in this order:

1. **request id**: taken from the client where well-formed, else made; it returns in the trailing metadata;
2. **error mapping**: whatever is raised below becomes one status, here and nowhere else;
3. **access log**: one record for each call, refused ones included;
4. **admission**: refused at once while the server drains, has too many calls under way, or lets calls wait
   too long; what mints, enrolls or verifies is refused first (`gateway.admission`);
5. **deadline**: the client's, or the default, never more than the maximum;
6. **caller**: one certificate, one principal;
7. **limits** of that caller: how often it calls (`gateway.limits.rate_limits`), how much it has under way;
8. **authorize**: by the table in `gateway.authorization`;
9. only then the message is read and parsed, and the servicer runs. While a unary call waits for its message
   it has no place among the calls under way (`gateway.admission`).

It is one function and not a chain of interceptors: grpc.aio looks up the handler and calls every interceptor
anew for each call, while here each method is wrapped once, when its servicer is added. Methods are registered
as streams of requests, because grpc.aio would otherwise wait for the message *before* any of the above, with
no deadline, and parse it before the caller is known. For the wire there is no difference.
"""

from collections.abc import Callable, Mapping, Sequence

import grpc

from gateway.admission import Admission, Limits
from gateway.errors import Reason
from gateway.limits.rate_limits import RateLimits
from gateway.principal import Principal
from gateway.rpc.deadlines import Deadlines
from gateway.rpc.stages import CallerResolver
from gateway.rpc.streams import wrap_stream
from gateway.rpc.tracing import Wrap, untraced
from gateway.rpc.unary import UnaryMethod
from gateway.telemetry.access_log import AccessLog


class Pipeline(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Wraps and finds handlers. Hand it to a generated ``add_XServicer_to_server`` in place of the server.

    *authorize* raises `GatewayError` where the caller may not call the method. *on_server_fault* hears the
    reason of every failure that is the gateway's own, so that health can look at once; it must not block.
    *around* is put around every method, once. *rate_limits* are for both doors.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        callers: CallerResolver,
        authorize: Callable[[str, Principal], None],
        access_log: AccessLog,
        on_server_fault: Callable[[Reason], None] = lambda _: None,
        around: Wrap = untraced,
        rate_limits: RateLimits | None = None,
    ) -> None:
        self.limits = limits
        self.rate_limits = rate_limits or RateLimits()
        self._around = around
        self.admission = Admission(limits)
        self.deadlines = Deadlines()
        self.callers = callers
        self.authorize = authorize
        self.access_log = access_log
        self.on_server_fault = on_server_fault
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}

    @property
    def methods(self) -> frozenset[str]:
        """Full names of the methods served, such as ``/countersign.v1.TokenService/MintToken``."""
        return frozenset(self._handlers)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Part of what generated code calls; the same handlers arrive by name, below."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        """Wrap each method of *service*, once.

        Few of them are registered with the core by name, see `gateway.rpc.core_queue`: grpc.aio waits on one
        future for each, and renews that wait for every call.
        """
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            if handler.request_streaming or handler.response_streaming:
                wrapped = wrap_stream(self, method, handler)
            else:
                wrapped = grpc.stream_unary_rpc_method_handler(UnaryMethod(self, method, handler).serve)
            self._handlers[method] = self._around(method, wrapped)

    def handler(self, method: str) -> grpc.RpcMethodHandler | None:
        """The wrapped handler of *method*, a full name; None where there is none."""
        return self._handlers.get(method)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The wrapped handler of a method; None makes grpc answer UNIMPLEMENTED."""
        handler = self._handlers.get(handler_call_details.method)
        if handler is None:
            self.admission.taken += 1
        return handler
