"""Methods whose requests or responses are streams."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import grpc

from gateway.admission import shutting_down
from gateway.rpc.stages import Method, Progress, Stages, code_name, read_message


class StreamMethod(Method):
    """Streams run until one side ends them: no deadline but the client's, and a bound of their own."""

    def __init__(self, pipeline: Stages, method: str, handler: grpc.RpcMethodHandler) -> None:
        super().__init__(pipeline, method)
        self._parse: Callable[[bytes], Any] | None = None
        if not handler.request_streaming:
            self._parse = handler.request_deserializer or bytes
        self._behavior: Callable[[Any, Any], Any] = (
            handler.stream_stream or handler.unary_stream or handler.stream_unary
        )
        self._generates = inspect.isasyncgenfunction(self._behavior)
        if not self._generates and not inspect.iscoroutinefunction(self._behavior):
            raise TypeError(f"{method} must be asynchronous: others would take a thread for each stream")

    async def serve(self, requests: object, context: grpc.aio.ServicerContext) -> Any:
        """Run the stages, then the servicer until it ends, the client leaves, or the server drains."""
        progress = self._begin(context)
        progress.deadline = context.time_remaining()
        admission = self._pipeline.admission
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task; this tells mypy
        try:
            admission.enter_stream(task)
            try:
                response = await self._run(requests, context, progress)
            finally:
                admission.leave_stream(task)
        except asyncio.CancelledError:
            if not admission.streams_ended:
                self._log(progress, "CANCELLED", "", "")
                raise
            task.uncancel()
            await self._refuse(context, progress, shutting_down())
            return None
        except grpc.aio.AbortError:
            self._log(progress, code_name(context), "", "")
            raise
        except Exception as error:  # noqa: BLE001 - this is the one place that answers for whatever is raised
            await self._refuse(context, progress, error)
            return None
        self._log(progress, "OK", "", "")
        return response

    async def _run(self, requests: object, context: grpc.aio.ServicerContext, progress: Progress) -> Any:
        async with asyncio.timeout(self._pipeline.limits.default_deadline):
            await self._authorize(context, progress)
        admission, caller = self._pipeline.admission, progress.limited_as
        admission.enter_stream_of(caller)
        try:
            return await self._behave(requests, context)
        finally:
            admission.leave_stream_of(caller)

    async def _behave(self, requests: object, context: grpc.aio.ServicerContext) -> Any:
        request = requests
        if self._parse is not None:
            async with asyncio.timeout(self._pipeline.limits.default_deadline):
                request = self._parse(await read_message(context))
        if not self._generates:
            return await self._behavior(request, context)
        async for response in self._behavior(request, context):
            await context.write(response)
        return None


def wrap_stream(pipeline: Stages, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    serve = StreamMethod(pipeline, method, handler).serve
    parse = handler.request_deserializer if handler.request_streaming else None
    wrap = (
        grpc.stream_stream_rpc_method_handler
        if handler.response_streaming
        else grpc.stream_unary_rpc_method_handler
    )
    return wrap(serve, parse, handler.response_serializer)
