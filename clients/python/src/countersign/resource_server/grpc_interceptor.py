"""Access tokens on the calls of a grpc.aio server.

A gRPC call is ``POST https://authority/package.Service/Method``, so RFC 6750, RFC 8705 and RFC 9449 apply as
they read, with metadata for header fields.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc

from countersign.resource_server.certificate import CertificateUnreadableError, certificate_of_pem
from countersign.resource_server.errors import (
    AccessRefusedError,
    Fault,
    MalformedRequestError,
    ResourceServerError,
)
from countersign.resource_server.token import VerifiedToken
from countersign.resource_server.verifier import AccessTokenVerifier, PresentedRequest

logger = logging.getLogger(__name__)

MethodPolicy: TypeAlias = Callable[[str], Collection[str] | None]
"""From ``/package.Service/Method`` to the scopes that it needs; None opens it to everybody, without a token.

What it raises fails the call, so that a mapping's ``__getitem__`` closes every method that it does not name.
"""

_current: ContextVar[VerifiedToken] = ContextVar("countersign_access_token")


def current_token() -> VerifiedToken:
    """The token of the call under way. Raises `LookupError` outside one, and in one that needs no token."""
    return _current.get()


class AccessTokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio ships no types.
    """Serves calls whose token is good; the others end before the handler begins.

    A refused call has its challenges as ``www-authenticate``, and a nonce as ``dpop-nonce``, in the trailing
    metadata. The certificate is the one of the TLS connection, so that a proxy in between must pass TLS
    through. A stream is checked when it is opened; to end it with its token is the handler's part. Handlers
    must be coroutines or asynchronous generators.
    """

    def __init__(self, verifier: AccessTokenVerifier, policy: MethodPolicy) -> None:
        self._verifier = verifier
        self._policy = policy

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Wrap the handler of a call, because only it has the connection's certificate."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method: str = handler_call_details.method
        scope = self._policy(method)
        return handler if scope is None else self._wrapped(handler, method, scope)

    def _wrapped(self, handler: Any, method: str, scope: Collection[str]) -> Any:
        kind = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
        behavior = getattr(handler, kind)
        if not (inspect.iscoroutinefunction(behavior) or inspect.isasyncgenfunction(behavior)):
            raise TypeError(f"{method} must be a coroutine function or an asynchronous generator function.")

        async def answer(request: Any, context: Any) -> Any:
            _current.set(await self._admit(context, method, scope))
            return await behavior(request, context)

        async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
            _current.set(await self._admit(context, method, scope))
            if inspect.isasyncgenfunction(behavior):
                # Closed with the call, and not when it happens to be collected.
                async with aclosing(behavior(request, context)) as generator:
                    async for each in generator:
                        yield each
            else:
                await behavior(request, context)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            answers if handler.response_streaming else answer,
            handler.request_deserializer,
            handler.response_serializer,
        )

    async def _admit(self, context: Any, method: str, scope: Collection[str]) -> VerifiedToken:
        try:
            return await self._verifier.verify(_presented(context, method), scope=scope)
        except ResourceServerError as error:
            logger.info("%s refused: %s", method, error)
            await context.abort(error.code, error.message, _trailers(error))
            raise


def _presented(context: Any, method: str) -> PresentedRequest:
    metadata = context.invocation_metadata()
    certificates = context.auth_context().get("x509_pem_cert", ())
    try:
        certificate = certificate_of_pem(certificates[0]) if certificates else None
    except CertificateUnreadableError as error:
        raise MalformedRequestError(Fault.MALFORMED, "The client certificate cannot be read.") from error
    return PresentedRequest(
        method="POST",
        path=method,
        authorization=tuple(value for name, value in metadata if name == "authorization"),
        dpop=tuple(value for name, value in metadata if name == "dpop"),
        certificate=certificate,
    )


def _trailers(error: ResourceServerError) -> tuple[tuple[str, str], ...]:
    trailers = [("www-authenticate", challenge) for challenge in error.challenges]
    if isinstance(error, AccessRefusedError) and error.dpop_nonce is not None:
        trailers.append(("dpop-nonce", error.dpop_nonce))
    return tuple(trailers)


def _arity(streaming: bool) -> str:  # noqa: FBT001 - grpc's own flag, passed on.
    return "stream" if streaming else "unary"
