"""Health that tells the truth: a service serves only while everything it depends on does.

- the empty name: ready, every probe passes;
- ``live``: the process runs and its loop turns; nothing else turns it off, so that a database that is away
  never makes an orchestrator kill the gateway;
- each full service name: the probes named for it pass.

`gateway.rpc.health` tells it as grpc.health.v1, and the HTTPS edge as ``/healthz`` and ``/readyz``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

logger = logging.getLogger(__name__)

READY: Final = ""
LIVE: Final = "live"
RECHECK: Final = 1.0
"""Seconds between probes while one fails, where the interval is longer: recovery is worth a look."""
MIN_PAUSE: Final = 0.2
"""Seconds between two rounds, however often failing calls ask for one."""

Probe: TypeAlias = Callable[[], Awaitable[None]]
"""Returns where all is well, raises where it is not; the message is for an operator and holds no secret."""


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What a probe last said; *detail* is why it failed."""

    passes: bool
    detail: str


class HealthMonitor:
    """Runs the probes and knows every service's state. `run` is owned by the server.

    *services*: full service name to the names of the probes that it depends on.
    Raises `ValueError` where a service names a probe that does not exist.
    """

    def __init__(
        self,
        *,
        probes: Mapping[str, Probe],
        services: Mapping[str, frozenset[str]],
        interval: float,
        timeout: float,
    ) -> None:
        if missing := frozenset().union(*services.values()) - probes.keys():
            raise ValueError(f"no such probes: {sorted(missing)}")
        self._probes = probes
        self._services: dict[str, frozenset[str]] = {**services, READY: frozenset(probes), LIVE: frozenset()}
        self._interval = interval
        self._timeout = timeout
        self._states = dict.fromkeys(probes, ProbeState(passes=False, detail="not probed yet"))
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self.draining = False

    @property
    def states(self) -> Mapping[str, ProbeState]:
        """Each probe's last word."""
        return self._states

    @property
    def services(self) -> frozenset[str]:
        """Every name that can be asked for."""
        return frozenset(self._services)

    def serves(self, service: str) -> bool | None:
        """Whether *service* serves; None for a name that is not known."""
        needed = self._services.get(service)
        if needed is None:
            return None
        if service == LIVE:
            return True
        return not self.draining and all(self._states[name].passes for name in needed)

    async def wait_for_change(self) -> None:
        """Return after the next change of any probe, or of draining."""
        await self._changed.wait()

    def nudge(self) -> None:
        """Probe now: a call has just failed."""
        self._wake.set()

    def drain(self) -> None:
        """Everything but `LIVE` stops serving, for good."""
        self.draining = True
        self._announce()

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            await self.probe()
            await asyncio.sleep(min(MIN_PAUSE, self._interval))
            failing = not all(state.passes for state in self._states.values())
            try:
                async with asyncio.timeout(min(self._interval, RECHECK) if failing else self._interval):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def probe(self) -> None:
        """One round: all probes side by side, each within the timeout."""
        self._wake.clear()
        names = tuple(self._probes)
        found = await asyncio.gather(*(self._state(self._probes[name]) for name in names))
        changed = False
        for name, state in zip(names, found, strict=True):
            if state == self._states[name]:
                continue
            changed = True
            self._states[name] = state
            if state.passes:
                logger.info("Health: %s passes", name)
            else:
                logger.error("Health: %s fails: %s", name, state.detail)
        if changed:
            self._announce()

    async def _state(self, probe: Probe) -> ProbeState:
        try:
            async with asyncio.timeout(self._timeout):
                await probe()
        except TimeoutError:
            return ProbeState(passes=False, detail=f"no answer within {self._timeout:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a probe raises is its answer
            return ProbeState(passes=False, detail=f"{type(error).__name__}: {error}")
        return ProbeState(passes=True, detail="")

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
