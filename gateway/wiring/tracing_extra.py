"""Traces, where the configuration turns them on; what they need comes with the extra ``tracing``."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from gateway.config import ConfigurationError, Settings

if TYPE_CHECKING:
    from gateway.telemetry.otlp import Traces


@asynccontextmanager
async def traces_if_configured(settings: Settings) -> "AsyncIterator[Traces | None]":
    """Where spans go, or None where tracing is off. Raises `ConfigurationError`."""
    if not settings.tracing.enabled:
        yield None
        return
    with _extra():
        from gateway.telemetry.otlp import exporting_traces  # noqa: PLC0415 - behind the extra.
    async with exporting_traces(settings) as traces:
        yield traces


async def collector_takes_spans(settings: Settings) -> bool:
    """Whether the collector of ``[tracing]``, which is on, takes a request. Raises `ConfigurationError`."""
    with _extra():
        from gateway.telemetry.otlp import takes_spans  # noqa: PLC0415 - behind the extra.
    return await takes_spans(settings)


@contextmanager
def _extra() -> Iterator[None]:
    """Around the import of what needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "gateway":
            raise  # A module of ours that is missing is our own fault, which no extra mends.
        raise ConfigurationError(
            "tracing.enabled: it needs an extra: pip install 'countersign-gateway[tracing]'."
        ) from error
