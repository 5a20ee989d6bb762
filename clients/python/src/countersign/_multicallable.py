"""Types of what a stub's attributes are: grpcio ships no types of its own."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response", covariant=True)

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class UnaryUnary(Protocol[Request, Response]):
    """A method on a synchronous channel. *timeout* is in seconds; raises `grpc.RpcError`."""

    def __call__(
        self,
        request: Request,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> Response:
        """Call the method and return its response."""
        ...


class AsyncCall(Awaitable[Response], Protocol[Response]):
    """A call under way on an asynchronous channel: awaited, it gives the response or raises `grpc.RpcError`."""

    async def initial_metadata(self) -> Any:
        """The metadata that came before the response."""
        ...

    async def trailing_metadata(self) -> Any:
        """The metadata that came after the response."""
        ...


class AsyncUnaryUnary(Protocol[Request, Response]):
    """A method on an asynchronous channel. *timeout* is in seconds."""

    def __call__(
        self,
        request: Request,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> AsyncCall[Response]:
        """Start the call."""
        ...
