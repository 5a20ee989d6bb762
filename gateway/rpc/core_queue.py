"""The calls that grpc's core holds because nobody has taken them yet.

grpc.aio takes one call for each turn of the event loop, so that under load calls wait in the core and not in
this process's hands: hardly any are under way, however long the queue. Two things follow.

- The core has one queue for each method that is registered with it by name, and one for all others. What must
  get through a flood has a queue of its own, and is taken in the same turn as whatever waits in the others.
  It costs each call a fraction of a microsecond for each queue, so there are few.
- How many wait is known to channelz alone, whose counts begin when a call arrives.
"""

import math
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2

from gateway.limits.busy_clock import busy_seconds
from gateway.limits.shedding import MIN_QUEUE

APART: Final = frozenset(
    {
        "/countersign.v1.IntrospectionService/IntrospectToken",
        "/countersign.v1.TokenService/RevokeToken",
        "/countersign.v1.KeyService/DisableKey",
        "/grpc.health.v1.Health/Check",
    }
)
"""Methods with a queue of their own: for resource servers, for those who end an attack, for orchestrators."""


_IDLE_BUSY: Final = 0.5
"""Part of the time for which the thread that takes the calls is busy at most, where none waits."""
_IDLE_FOR: Final = 0.5
"""Seconds for which that must go on."""
_ASK_AGAIN: Final = 0.3
"""Seconds between two questions beyond which nothing is known of the time between."""


class CoreQueue:
    """Counts what waits in the core of one server. Make it right after the server.

    *first_id* is what `next_server_id` gave right before; `server_id` is the server's for channelz.
    *clock* and *busy* give seconds: monotonic ones, and those for which the calling thread was busy.
    """

    def __init__(
        self,
        first_id: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = busy_seconds,
    ) -> None:
        found = _servers(first_id)
        if not found:
            raise RuntimeError("the server is not known to channelz: grpc.enable_channelz must be 1")
        self.server_id: int = found[0].ref.server_id
        self._clock = clock
        self._busy = busy
        self._lost = 0
        self._asked = (-math.inf, 0.0)
        self._idle_since = math.inf

    def waiting(self, taken: int) -> int:
        """Calls that arrived and that nobody has taken, of whom *taken* ever were; 0 once the server is gone.

        A call that was taken may stay in the core for long, because its client does not read the reply; it
        waits for nobody here. One that the core itself ended, because too many waited, was never taken, and
        channelz goes on counting it: such are told from a queue by that this thread has nothing to do. Takes
        some 0.3 ms.
        """
        answer = channelz.ChannelzServicer.GetServer(
            channelz_pb2.GetServerRequest(server_id=self.server_id), NOBODY
        )
        if answer is None:
            return 0
        data = answer.server.data
        started = int(data.calls_started)
        return self._count(started - taken, started - int(data.calls_succeeded + data.calls_failed))

    def _count(self, not_taken: int, not_ended: int) -> int:
        found = max(0, min(not_taken, not_ended))
        self._lost = min(self._lost, found)
        if found - self._lost >= MIN_QUEUE and self._is_idle():
            self._lost = found
        return found - self._lost

    def _is_idle(self) -> bool:
        """Whether this thread had hardly anything to do for a while: each of its turns takes a call, if one
        waits, so that then none does. To be asked again and again while there seems to be a queue.
        """
        now, busy = self._clock(), self._busy()
        at, before = self._asked
        self._asked = (now, busy)
        if now - at > _ASK_AGAIN or busy - before > _IDLE_BUSY * (now - at):
            self._idle_since = now
        return now - self._idle_since >= _IDLE_FOR


def next_server_id() -> int:
    """What no server of this process has yet, nor any entity that channelz knows."""
    return max((server.ref.server_id for server in _servers(0)), default=0) + 1


def queue_apart(server: grpc.aio.Server, handler: Callable[[str], grpc.RpcMethodHandler | None]) -> None:
    """Give those methods of `APART` that *handler* has a queue of their own. Before *server* starts."""
    for method in sorted(APART):
        found = handler(method)
        if found is not None:
            _, service, name = method.split("/")
            server.add_registered_method_handlers(service, {name: found})


class _Nobody:
    """Takes what the servicer tells its caller when there is no such server."""

    def set_code(self, code: grpc.StatusCode) -> None:
        """Not needed: the answer is None."""

    def set_details(self, details: str) -> None:
        """Not needed either."""


NOBODY: Final = _Nobody()
"""For the context of a servicer that is asked in this process."""


def _servers(first_id: int) -> list[Any]:
    """The servers of this process from *first_id* on, by id."""
    found: list[Any] = []
    while True:
        page = channelz.ChannelzServicer.GetServers(
            channelz_pb2.GetServersRequest(start_server_id=first_id), NOBODY
        )
        found += [] if page is None else page.server
        if page is None or page.end or not page.server:
            return found
        first_id = page.server[-1].ref.server_id + 1
