"""The guard of one gRPC server, from its settings."""

from collections.abc import Callable

from gateway.guard.guard import Guard, GuardLimits
from gateway.guard.sockets import OwnSockets
from gateway.limits.peers import AddressSet
from gateway.ports import Ports
from gateway.rpc.core_connections import StreamCounts
from gateway.settings.server import ServerSettings


def guard_of(settings: ServerSettings, ports: Ports, server_id: int, *, begun: Callable[[], int]) -> Guard:
    """For both listeners of the server that channelz knows as *server_id*."""
    limits = GuardLimits(
        connections=settings.max_connections_per_address,
        new_connections=settings.new_connections_per_address,
        message=settings.max_message_bytes,
        exempt=AddressSet(settings.unlimited_addresses),
    )
    return Guard(limits, OwnSockets((ports.tls, ports.mtls)), StreamCounts(server_id), begun=begun)
