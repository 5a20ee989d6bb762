"""The signer process: ``python -m signers.isolated.program FD``, started by the gateway and by nobody else.

FD is one end of a pair of connected Unix sockets that only the gateway can have made, so its peer is known.
One thread reads requests and answers them in turn; where a key is slow, `Crew` signs. The process ends when
the gateway closes the socket, however the gateway ended, even if the device hangs.
"""

import contextlib
import faulthandler
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from signers.base import ProviderHealth
from signers.errors import SignerError, SignerUnavailableError
from signers.isolated.batch import Batch, reported
from signers.isolated.crew import Pace
from signers.isolated.frames import (
    FrameError,
    FrameReader,
    Kind,
    failed_payload,
    json_payload,
    parse_json,
    parse_sign,
    signed_payload,
)
from signers.isolated.host import HostedKey, TokenHost, parse_refused, refused_members
from signers.isolated.output import LogToGateway, Output
from signers.pkcs11.module_table import PROCESS_MODULES
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.session import Session, SessionLease
from signers.pkcs11.signing_key import TimedSignature

logger = logging.getLogger(__name__)

_UNOPENED = ProviderHealth(available=False, detail="the token is not opened yet")

READ_SIZE = 64 * 1024
"""Octets; as much as the allocator has at hand, where more would be mapped and unmapped for each read."""

GRACE = 2.0
"""Seconds between the gateway's end and this process's, in which the module is finalized if it can be."""


class Program:
    """Requests in, answers out."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._output = Output(connection)
        self._host: TokenHost | None = None
        self._paces: dict[int, Pace] = {}
        self._told: ProviderHealth | None = None

    def run(self) -> None:
        """Serve until the gateway closes its end. Raises `FrameError`."""
        logging.getLogger().addHandler(LogToGateway(self._output))
        logging.getLogger().setLevel(logging.INFO)
        reader = FrameReader()
        self._tell_state()
        while data := self._connection.recv(READ_SIZE):
            for kind, request, payload in reader.feed(data):
                self._answer(kind, request, payload)
            self._output.flush()
            self._tell_state()
        if self._host is not None:
            try:
                self._host.close()
            except SignerError as error:
                logger.warning("Not closed cleanly: %s", error)

    def _answer(self, kind: Kind, request: int, payload: bytes) -> None:
        if kind is Kind.SIGN:
            self._sign(request, payload)
            return
        if kind >= Kind.DONE:
            raise FrameError(f"{kind.name} is no request.")
        # What is held was answered already, and need not wait for what may take the device long.
        self._output.flush()
        members = parse_json(payload)
        host = self._host
        if kind is Kind.CREATE and host is not None and len(host.crew):
            # An RSA key takes seconds, in which the thread that reads goes on signing.

            def create(lease: SessionLease) -> bool:
                self._complete(request, partial(host.create, members, lease))
                return False

            host.crew.submit(create)
            return
        self._complete(request, lambda: self._administer(kind, members))

    def _complete(self, request: int, call: Callable[[], dict[str, Any]]) -> None:
        """Make an administrative *call*, and answer; on any thread."""
        try:
            answer = call()
        except SignerError as error:
            # Its state tells of a refused PIN, which must not be tried again.
            self._output.send(Kind.FAILED, request, failed_payload(error, state=_state(self._health())))
        except Exception as error:
            logger.exception("A request to the signer process failed")
            reason = SignerUnavailableError(f"The signer process failed: {type(error).__name__}.")
            self._output.send(Kind.FAILED, request, failed_payload(reason))
        else:
            self._output.send(Kind.DONE, request, json_payload(answer))

    def _administer(self, kind: Kind, members: Mapping[str, Any]) -> dict[str, Any]:
        match kind:
            case Kind.OPEN:
                self._open(members)
                return {}
            case Kind.HEALTH:
                return _state(self._health())
            case Kind.FIND:
                return self._opened().find(members)
            case Kind.ADOPT:
                return self._opened().adopt(members)
            case _:
                host = self._opened()
                return host.create(members, host.lease)

    def _open(self, members: Mapping[str, Any]) -> None:
        if self._host is None:
            options = Pkcs11Options(**members["options"])
            refused = parse_refused(members["refused"])
            self._host = TokenHost.open(members["uri"], options, refused)
            self._tell_state()

    def _opened(self) -> TokenHost:
        if self._host is None:
            raise SignerUnavailableError("The signer process has not opened its token.")
        return self._host

    def _sign(self, number: int, payload: bytes) -> None:
        request = parse_sign(payload)
        try:
            host = self._opened()
            key = host.key(request.key)
        except SignerError as error:
            self._output.hold(Kind.FAILED, number, failed_payload(error))
            return
        pace = self._paces.get(request.key)
        if pace is None:
            pace = self._paces[request.key] = Pace()
        if pace.slow and len(host.crew):
            answer = partial(self._send_signed, number, payload)
            batch = Batch(key, request, pace, host.crew.verify, answer)
            # More threads than are free would only compete with each other.
            for _ in range(min(len(request.messages), max(1, host.crew.free))):
                host.crew.submit(batch.sign)
            return
        try:
            signed = host.lease.run(partial(_sign_all, key, request.messages, pace), key=key.name)
        except Exception as error:  # noqa: BLE001  # Whatever it is, it belongs to who asked.
            self._output.hold(Kind.FAILED, number, failed_payload(reported(error, key.name)))
        else:
            self._output.hold(Kind.SIGNED, number, signed_payload(payload, signed))

    def _send_signed(self, number: int, payload: bytes, outcome: list[TimedSignature] | SignerError) -> None:
        """Answer a SIGN request; on any thread."""
        if isinstance(outcome, SignerError):
            self._output.send(Kind.FAILED, number, failed_payload(outcome))
        else:
            self._output.send(Kind.SIGNED, number, signed_payload(payload, outcome))

    def _tell_state(self) -> None:
        """Tell the gateway how the token is, where that has changed."""
        health = self._health()
        if health != self._told:
            self._told = health
            self._output.send(Kind.STATE, 0, json_payload(_state(health)))

    def _health(self) -> ProviderHealth:
        return _UNOPENED if self._host is None else self._host.health()


def _state(health: ProviderHealth) -> dict[str, Any]:
    return {
        "available": health.available,
        "stuck": health.stuck_threads,
        "detail": health.detail,
        "refused": refused_members(PROCESS_MODULES.refused()),
    }


def _sign_all(
    key: HostedKey, messages: Sequence[bytes], pace: Pace, session: Session
) -> list[TimedSignature]:
    found = key.in_session(session)
    signed = [found.sign_timed(message, session) for message in messages]
    for each in signed:
        pace.add(each.signing)
    return signed


def _end_with(connection: socket.socket) -> None:
    """Wait until the gateway has closed the socket, and end the process even if it hangs in the device."""
    poll = select.poll()
    # Without an event to ask for, only the peer's end is reported.
    poll.register(connection, 0)
    with contextlib.suppress(OSError):
        poll.poll()
    time.sleep(GRACE)
    os._exit(0)


def main() -> None:
    """Serve the gateway on the socket that the command line names."""
    faulthandler.enable()
    # Sent to the whole group by a terminal or a service manager; the gateway still needs signatures to drain.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_end_with, args=(connection,), name="signer-lifeline", daemon=True).start()
    status = 0
    try:
        Program(connection).run()
    except Exception:
        logger.exception("The signer process ends")
        status = 1
    # Destructors of PKCS#11 libraries are known to crash at exit.
    os._exit(status)


if __name__ == "__main__":
    main()
