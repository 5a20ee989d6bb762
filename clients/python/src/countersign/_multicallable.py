"""Types of what a stub's attributes are: grpcio ships no types of its own."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class UnaryUnary(Protocol[Request_contra, Response_co]):
    """A method on a synchronous channel. *timeout* is in seconds; raises `grpc.RpcError`."""

    def __call__(
        self,
        request: Request_contra,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> Response_co:
        """Call the method and return its response."""
        ...


class AsyncCall(Awaitable[Response_co], Protocol[Response_co]):
    """A call under way: awaited, it gives the response or raises `grpc.RpcError`."""

    async def initial_metadata(self) -> Any:
        """The metadata that came before the response."""
        ...

    async def trailing_metadata(self) -> Any:
        """The metadata that came after the response."""
        ...


class AsyncUnaryUnary(Protocol[Request_contra, Response_co]):
    """A method on an asynchronous channel. *timeout* is in seconds."""

    def __call__(
        self,
        request: Request_contra,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> AsyncCall[Response_co]:
        """Start the call."""
        ...


class UnaryStream(Protocol[Request_contra, Response_co]):
    """A method that answers with a stream, on a synchronous channel."""

    def __call__(
        self,
        request: Request_contra,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> Iterator[Response_co]:
        """Start the call; iterating gives its responses or raises `grpc.RpcError`."""
        ...


class AsyncUnaryStream(Protocol[Request_contra, Response_co]):
    """A method that answers with a stream, on an asynchronous channel."""

    def __call__(
        self,
        request: Request_contra,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> AsyncIterator[Response_co]:
        """Start the call; iterating gives its responses or raises `grpc.RpcError`."""
        ...
