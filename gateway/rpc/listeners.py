"""The two ports, TLS and mutual TLS, and the limits that grpc's core enforces below every call.

There is no third kind: nothing here can listen without TLS. grpcio cannot ask for a client certificate
without requiring one, hence two ports and not one.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import grpc

from gateway.ports import ListenError, Ports
from gateway.settings.server import ServerSettings

__all__ = ["Options", "bind", "server_options"]

Options: TypeAlias = Sequence[tuple[str, int]]

_KEEPALIVE_TIME_MS: Final = 30_000
"""After which a connection on which nothing comes is asked whether it is still there."""
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
"""Within which it must answer, or be closed: so half-open connections end after 40 s."""
_MIN_PING_INTERVAL_MS: Final = 10_000
"""Between the pings of a client; one that sends them faster is a bad client after `_MAX_PING_STRIKES`, and is
sent away (GOAWAY with ``too_many_pings``)."""
_MAX_PING_STRIKES: Final = 2
_HANDSHAKE_TIMEOUT_MS: Final = 10_000
"""Of TCP's accept, TLS and the first HTTP/2 SETTINGS together."""
_SETTINGS_TIMEOUT_MS: Final = 10_000
"""Within which our HTTP/2 SETTINGS must be acknowledged (RFC 9113 §6.5.3)."""
_QUEUES: Final = 8
"""For each call that may be under way so many may wait in each queue of the core."""
_MAX_REQUESTS_PER_READ: Final = 32
"""New streams of one connection that are taken before the others get their turn."""
_IDENTITY_ONLY: Final = 1
"""Bit 0 of the compression algorithms: a message travels as it is. Messages here are small and hold secrets;
compression would tell something about them, and let a small message grow without bound."""


def server_options(settings: ServerSettings) -> Options:
    """Arguments of grpc's core for *settings*.

    Metadata above the soft limit is refused with growing probability by some peers; here both limits are
    the same, so that the answer never depends on chance.
    """
    return (
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes),
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
        # Of calls that nobody has taken yet. Beyond these the core cancels calls without a reason, so that
        # the bound is far above what waits while calls are refused with one. Both are the same, as above.
        ("grpc.server.max_pending_requests", _QUEUES * settings.max_concurrent_calls),
        ("grpc.server.max_pending_requests_hard_limit", _QUEUES * settings.max_concurrent_calls),
        ("grpc.server_max_unrequested_time_in_server", math.ceil(settings.max_deadline)),
        ("grpc.keepalive_time_ms", _KEEPALIVE_TIME_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        # Without it grpcio 1.85 waits a minute: it never begins a timeout of keepalive that is below that.
        ("grpc.http2.ping_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.http2.max_ping_strikes", _MAX_PING_STRIKES),
        ("grpc.http2.settings_timeout", _SETTINGS_TIMEOUT_MS),
        ("grpc.http2.max_requests_per_read", _MAX_REQUESTS_PER_READ),
        # Of each listener; a connection counts from when it is accepted, before its handshake.
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_connection_idle_ms", int(settings.max_connection_idle * 1000)),
        ("grpc.max_connection_age_ms", int(settings.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.max_deadline * 1000)),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_TIMEOUT_MS),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
        ("grpc.so_reuseport", int(settings.workers > 1)),
        # Its count of calls tells how many wait. The service of that name is offered where it is asked for.
        ("grpc.enable_channelz", 1),
        *(() if settings.channelz else (("grpc.max_channel_trace_event_memory_per_node", 0),)),
    )


def bind(
    server: grpc.aio.Server,
    settings: ServerSettings,
    *,
    tls: grpc.ServerCredentials,
    mutual: grpc.ServerCredentials,
) -> Ports:
    """Bind both addresses of *settings*. Raises `ListenError`."""
    return Ports(
        tls=_bind(server, settings.tls_address, tls), mtls=_bind(server, settings.mtls_address, mutual)
    )


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials) -> int:
    try:
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        raise ListenError(
            f"{address} cannot be bound: another process may listen there, or the host has no such address."
        ) from error
