"""What both clients share: how they are configured, and everything about a call but the waiting."""

import uuid
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from countersign._multicallable import Metadata
from countersign._operations.operation import Operation
from countersign._status import REQUEST_ID
from countersign.dpop import DpopKey
from countersign.errors import CountersignError
from countersign.retry import Attempts, RetryPolicy
from countersign.tls import TlsConfig

_STREAM_OUTAGE = 3600.0  # seconds; the number of attempts bounds how long an outage is borne
_KEEPALIVE_TIMEOUT = 10.0  # seconds
WATCHED_AT_MOST = 4000.0
"""Seconds. A presentation request lives for an hour at most; what is left is for verifying its answer."""


class ClientNotOpenError(RuntimeError):
    """The client was used before it was opened or after it was closed."""


class BaseClient:
    """The configuration of a client.

    - *target*: ``host:port`` of the TLS listener.
    - *mtls_target*: ``host:port`` of the mutual-TLS listener; every call goes there where *tls* holds a
      certificate (RFC 8705 §5).
    - *tls*: whom the client trusts and who it is.
    - *timeout*: seconds for a call with all its attempts, unless the call names its own.
    - *retry*: when a call that is safe to repeat is repeated.
    - *wait_for_ready*: where True, a call waits for a connection until its deadline instead of failing with
      `UnavailableError`; the reason why there is none is then not reported.
    - *keepalive*: seconds of silence after which the gateway is asked whether the connection still stands;
      where no answer comes within 10 seconds (or within *keepalive*, if that is less) the connection is
      given up, and with it every call on it, with `UnavailableError`. The gateway bears one question in 10
      seconds and ends connections that ask more often.
    - *caller_token*: returns the access token that identifies the caller where there is no certificate;
      called for every attempt, so that it can renew the token.
    - *dpop*: the key that minted tokens are bound to (RFC 9449). A *caller_token* is then one that is
      bound to it, and is sent with a proof.
    - *new_request_id*: returns the id under which the gateway logs a call, sent as ``x-request-id``; a call
      keeps it for all its attempts.
    """

    def __init__(
        self,
        target: str,
        *,
        mtls_target: str | None = None,
        tls: TlsConfig,
        timeout: float = 10.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen.
        wait_for_ready: bool = False,
        keepalive: float = 30.0,
        caller_token: Callable[[], str] | None = None,
        dpop: DpopKey | None = None,
        new_request_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        if timeout <= 0:
            raise ValueError("timeout must be above 0 seconds.")
        if keepalive <= 0:
            raise ValueError("keepalive must be above 0 seconds.")
        self._address = mtls_target if mtls_target is not None and tls.certificate is not None else target
        self._tls = tls
        self._timeout = timeout
        self._retry = retry
        self._wait_for_ready = wait_for_ready
        self._keepalive = keepalive
        self._caller_token = caller_token
        self._dpop = dpop
        self._nonces: dict[bool, str] = {}
        self._new_request_id = new_request_id

    def __repr__(self) -> str:
        """The address and the paths; no secret."""
        return f"{type(self).__name__}({self._address!r}, tls={self._tls!r})"

    def _channel_options(self) -> list[tuple[str, str | int]]:
        patience = int(min(self._keepalive, _KEEPALIVE_TIMEOUT) * 1000)
        options: list[tuple[str, str | int]] = [
            ("grpc.primary_user_agent", f"countersign-python/{version('countersign')}"),
            ("grpc.service_config_disable_resolution", 1),  # DNS must not decide about repetition.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5000),  # gRPC's own two minutes would outlast a restart by far.
            ("grpc.keepalive_time_ms", int(self._keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", patience),
            ("grpc.http2.ping_timeout_ms", patience),  # grpcio 1.85 heeds this one only.
            # An idle connection too: the next call would find out only at its deadline.
            ("grpc.keepalive_permit_without_calls", 1),
            # Who only listens to a stream sends no data, and would stop asking after two questions.
            ("grpc.http2.max_pings_without_data", 0),
        ]
        if self._tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self._tls.server_name))
        return options

    def _attempts(self, operation: Operation[Any], timeout: float | None) -> Attempts:
        seconds = self._timeout if timeout is None else timeout
        if seconds <= 0:
            raise ValueError("timeout must be above 0 seconds.")
        return Attempts(self._retry, seconds, repeatable=operation.repeatable)

    def _stream_attempts(self) -> Attempts:
        """For opening a stream that broke off: counted anew after every response."""
        return Attempts(self._retry, _STREAM_OUTAGE, repeatable=True)

    def _metadata(self, request_id: str, operation: Operation[Any]) -> Metadata:
        token = None if self._caller_token is None else self._caller_token()
        entries: list[tuple[str, str | bytes]] = [(REQUEST_ID, request_id)]
        if token is not None:
            scheme = "Bearer" if self._dpop is None else "DPoP"
            entries.append(("authorization", f"{scheme} {token}"))
        if self._dpop is not None and (token is not None or operation.takes_proof):
            nonce = self._nonces.get(token is not None)
            entries.append(("dpop", self._dpop.proof(operation.path, access_token=token, nonce=nonce)))
        return tuple(entries)

    def _pause_after(self, attempts: Attempts, error: CountersignError) -> float | None:
        """Seconds to wait before the next attempt, or None where *error* is final."""
        if error.dpop_nonce is not None and self._dpop is not None:
            # The two doors of the gateway have nonces of their own (RFC 9449 §8 and §9).
            self._nonces[self._caller_token is not None] = error.dpop_nonce
            if attempts.first_nonce():
                return 0.0
        return attempts.pause_after(error)


def new_mutation_id(given: str | None) -> str:
    """The `request_id` of a mutation: the caller's, or a fresh one for all attempts of this call."""
    return str(uuid.uuid4()) if given is None else given
