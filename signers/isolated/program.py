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
from collections.abc import Mapping
from functools import partial
from typing import Any

from signers.base import ProviderHealth
from signers.errors import SignerError, SignerUnavailableError
from signers.isolated.crew import Pace
from signers.isolated.frames import (
    FrameError,
    FrameReader,
    Kind,
    SignRequest,
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

READ_SIZE = 256 * 1024

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
        try:
            answer = self._administer(kind, parse_json(payload))
        except SignerError as error:
            # Its state tells of a refused PIN, which must not be tried again.
            self._output.hold(Kind.FAILED, request, failed_payload(error, state=_state(self._health())))
        else:
            self._output.hold(Kind.DONE, request, json_payload(answer))

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
            case Kind.CREATE:
                return self._opened().create(members)
            case _:
                raise FrameError(f"{kind.name} is no request.")

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
        pace = self._paces.setdefault(request.key, Pace())
        job = partial(_signed, key, request, payload, pace)
        if pace.slow and len(host.crew):

            def answer(lease: SessionLease) -> None:
                kind, result = job(lease)
                self._output.send(kind, number, result)

            host.crew.submit(answer)
            return
        kind, result = job(host.lease)
        self._output.hold(kind, number, result)

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


def _signed(
    key: HostedKey, request: SignRequest, payload: bytes, pace: Pace, lease: SessionLease
) -> tuple[Kind, bytes]:
    """The answer to a SIGN request: its kind and payload."""

    def sign(session: Session) -> list[TimedSignature]:
        found = key.in_session(session)
        return [found.sign_timed(message, session) for message in request.messages]

    started = time.monotonic()
    try:
        signed = lease.run(sign, key=key.name)
    except SignerError as error:
        return Kind.FAILED, failed_payload(error)
    except Exception as error:
        logger.exception("%s: signing failed", key.name)
        reason = f"The signer process failed: {type(error).__name__}."
        return Kind.FAILED, failed_payload(SignerUnavailableError(reason, key=key.name))
    pace.add(time.monotonic() - started, len(signed))
    return Kind.SIGNED, signed_payload(payload, signed)


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
    except (FrameError, OSError):
        logger.exception("The signer process ends")
        status = 1
    # Destructors of PKCS#11 libraries are known to crash at exit.
    os._exit(status)


if __name__ == "__main__":
    main()
