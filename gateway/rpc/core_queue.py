"""The calls that grpc's core holds because nobody has taken them yet.

grpc.aio takes one call for each turn of the event loop, so that under load calls wait in the core and not in
this process's hands: hardly any are under way, however long the queue. Two things follow.

- The core has one queue for each method that is registered with it by name, and one for all others. What must
  get through a flood has a queue of its own, and is taken in the same turn as whatever waits in the others.
  It costs each call a fraction of a microsecond for each queue, so there are few.
- How many wait is known to channelz alone, whose counts begin when a call arrives.
"""

from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2

APART: Final = frozenset(
    {
        "/countersign.v1.IntrospectionService/IntrospectToken",
        "/countersign.v1.TokenService/RevokeToken",
        "/countersign.v1.KeyService/DisableKey",
        "/grpc.health.v1.Health/Check",
    }
)
"""Methods with a queue of their own: for resource servers, for those who end an attack, for orchestrators."""


class CoreQueue:
    """Counts what waits in the core of one server. Make it right after the server.

    *first_id* is what `next_server_id` gave right before; `server_id` is the server's for channelz.
    """

    def __init__(self, first_id: int) -> None:
        found = _servers(first_id)
        if not found:
            raise RuntimeError("the server is not known to channelz: grpc.enable_channelz must be 1")
        self.server_id: int = found[0].ref.server_id

    def waiting(self, taken: int) -> int:
        """Calls that arrived and that nobody has taken, of whom *taken* ever were; 0 once the server is gone.

        A call that was taken may stay in the core for long, because its client does not read the reply; it
        waits for nobody here. One that the core itself ended was never taken. Takes some 0.3 ms.
        """
        answer = channelz.ChannelzServicer.GetServer(
            channelz_pb2.GetServerRequest(server_id=self.server_id), NOBODY
        )
        if answer is None:
            return 0
        data = answer.server.data
        started = int(data.calls_started)
        return max(0, min(started - taken, started - int(data.calls_succeeded + data.calls_failed)))


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
