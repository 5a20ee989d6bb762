"""Presentations, where verifiers are configured; what they need comes with the extra ``presentations``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.fetching import Resolver
from gateway.keys.keyring import Keyring
from gateway.store import Store

if TYPE_CHECKING:
    from gateway.presentations.core import Presentations


@asynccontextmanager
async def presentations_if_configured(
    settings: Settings,
    store: Store,
    keyring: Keyring,
    resolver: Resolver,
    *,
    clock: Clock,
    trail: AuditTrail = NO_TRAIL,
) -> "AsyncIterator[Presentations | None]":
    """The use cases, or None where no verifier is configured. Raises `ConfigurationError`."""
    if not settings.verifiers:
        yield None
        return
    try:
        from gateway.wiring.presentations import open_presentations  # noqa: PLC0415 - behind the extra.
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "gateway":
            raise  # A module of ours that is missing is our own fault, which no extra mends.
        raise ConfigurationError(
            "verifiers: they need an extra: pip install 'countersign-gateway[presentations]'."
        ) from error
    async with open_presentations(
        settings, store, keyring, resolver, clock=clock, trail=trail
    ) as presentations:
        yield presentations
