"""Methods with one request and one response."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from gateway.rpc.current import COUNT, PARSE
from gateway.rpc.stages import Method, Progress, Stages, code_name, read_in_time, read_message


class UnaryMethod(Method):
    """One request, one response."""

    def __init__(self, pipeline: Stages, method: str, handler: grpc.RpcMethodHandler) -> None:
        super().__init__(pipeline, method)
        self._behavior: Callable[[Any, Any], Awaitable[Any]] = handler.unary_unary
        if not inspect.iscoroutinefunction(self._behavior):
            raise TypeError(
                f"{method} must be a coroutine function: others would take a thread for each call"
            )
        parse = getattr(self._behavior, PARSE, None)
        self._parse: Callable[[bytes], Any] = parse or handler.request_deserializer or bytes
        self._count: Callable[[Any], int] | None = getattr(self._behavior, COUNT, None)
        self._is_batch = self._count is not None
        self._serialize: Callable[[Any], bytes] = handler.response_serializer or bytes

    async def serve(self, _requests: object, context: grpc.aio.ServicerContext) -> bytes | None:
        """Run the stages. The response is already serialized; a refusal raises `grpc.aio.AbortError`."""
        progress = self._begin(context)
        try:
            if self._always_admitted:
                response = await self._within_deadline(context, progress)
            else:
                admission = self._pipeline.admission
                admission.enter(self._priority)
                try:
                    response = await self._within_deadline(context, progress)
                finally:
                    admission.leave()
        except asyncio.CancelledError:
            self._log(progress, "CANCELLED", "", "")
            raise
        except grpc.aio.AbortError:
            self._log(progress, code_name(context), "", "")
            raise
        except Exception as error:  # noqa: BLE001 - this is the one place that answers for whatever is raised
            await self._refuse(context, progress, error)
            return None
        self._log(progress, "OK", "", "")
        return response

    async def _within_deadline(self, context: grpc.aio.ServicerContext, progress: Progress) -> bytes:
        """`_answer`, canceled when its time is over.

        As with ``asyncio.timeout``, for a task that nobody else gives a timeout, at an eighth of its cost.
        """
        pipeline = self._pipeline
        limits = pipeline.limits
        remaining: float | None = context.time_remaining()
        granted = limits.default_deadline if remaining is None else min(remaining, limits.max_deadline)
        progress.deadline = granted
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task; this tells mypy
        loop = task.get_loop()
        end = loop.time() + granted
        pipeline.deadlines.begin(task, end)
        try:
            return await self._answer(context, progress, task)
        except asyncio.CancelledError:
            # The core cancels at the client's own deadline too, perhaps a moment before.
            if loop.time() >= end or (remaining is not None and context.time_remaining() <= 0):
                task.uncancel()
                raise TimeoutError from None
            raise
        finally:
            pipeline.deadlines.finish(task)

    async def _answer(
        self, context: grpc.aio.ServicerContext, progress: Progress, task: asyncio.Task[object]
    ) -> bytes:
        await self._authorize(context, progress)
        admission, caller = self._pipeline.admission, progress.limited_as
        counted = not self._always_admitted
        if counted:
            admission.enter_caller(caller)
        try:
            if counted:
                request = self._parse(await read_in_time(context, admission, self._priority, caller, task))
            else:
                request = self._parse(await read_message(context))
            if self._limit is not None and self._count is not None:
                self._limit.take(progress.principal, caller, max(1, self._count(request)))
            return self._serialize(await self._behavior(request, context))
        finally:
            if counted:
                admission.leave_caller(caller)
