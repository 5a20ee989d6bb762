"""Traces, where the configuration turns them on; what they need comes with the extra ``tracing``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    try:
        from gateway.telemetry.otlp import exporting_traces  # noqa: PLC0415 - behind the extra.
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "gateway":
            raise  # A module of ours that is missing is our own fault, which no extra mends.
        raise ConfigurationError(
            "tracing.enabled: it needs an extra: pip install 'countersign-gateway[tracing]'."
        ) from error
    async with exporting_traces(settings) as traces:
        yield traces
