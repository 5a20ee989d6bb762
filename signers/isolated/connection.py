"""The gateway's end of one signer process: requests by id, their deadlines, and what is done about silence.

All methods run on the event loop. What is requested in one turn of the loop is written in one system call.
"""

import asyncio
import logging
import socket
import subprocess
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from signers.base import ProviderHealth
from signers.errors import SignerError, SignerTimeoutError, SignerUnavailableError
from signers.isolated.frames import (
    FrameError,
    FrameReader,
    Kind,
    frame,
    json_payload,
    parse_failed,
    parse_json,
    parse_signed,
    sign_payload,
)
from signers.pkcs11.signing_key import TimedSignature

logger = logging.getLogger(__name__)

READ_SIZE = 256 * 1024

_REFUSAL = 5
"""Strings that name a token and say why its PIN is not tried again."""


@dataclass(frozen=True, slots=True)
class State:
    """What the signer process says of its token. `refused` are tokens whose PIN must not be tried again."""

    health: ProviderHealth
    refused: Sequence[Sequence[str]]


class Pending:
    """A request under way. `count` signatures of `size` bytes are expected, none for administration."""

    __slots__ = ("count", "crc", "deadline", "future", "key", "size")

    def __init__(
        self, future: "asyncio.Future[Any]", deadline: float, key: str, count: int, size: int, crc: int
    ) -> None:
        self.future = future
        self.deadline = deadline
        self.key = key
        self.count = count
        self.size = size
        self.crc = crc


class Connection:
    """One signer process, from its start to its end; the next one has another connection."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        connection: socket.socket,
        *,
        timeout: float,
        changed: Callable[[], None],
    ) -> None:
        """*timeout* in seconds bounds every request; *changed* is called for news and at the end."""
        self.process = process
        self.state: State | None = None
        self.lost: str | None = None
        self.pending: dict[int, Pending] = {}
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._timeout = timeout
        self._changed = changed
        self._reader = FrameReader()
        self._out: list[bytes] = []
        self._flushing = False
        self._blocked = b""
        self._next = 0
        self._heard = self._loop.time()
        self._deadlines: deque[Pending] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(connection.fileno(), self._readable)

    def request(self, kind: Kind, members: Mapping[str, Any], key: str) -> "asyncio.Future[dict[str, Any]]":
        """An administrative request; the future yields the answer or a `SignerError`."""
        return self._request(kind, json_payload(members), key, 0, 0)

    def sign(
        self, number: int, messages: Sequence[bytes], size: int, key: str
    ) -> "asyncio.Future[list[TimedSignature]]":
        """Ask for a signature of *size* bytes over each of *messages*, by the key *number*."""
        return self._request(Kind.SIGN, sign_payload(number, messages), key, len(messages), size)

    def ask_health(self) -> None:
        """Have the state told anew."""
        self.request(Kind.HEALTH, {}, "").add_done_callback(self._take_health)

    def end_input(self) -> None:
        """Let the process end once it has answered everything."""
        if self.lost is None and not self._out and not self._blocked:
            self._socket.shutdown(socket.SHUT_WR)
        elif self.lost is None:
            self._loop.call_later(0.001, self.end_input)

    def lose(self, reason: str) -> None:
        """Give the process up: nothing that it says from now on counts. Idempotent."""
        if self.lost is not None:
            return
        self.lost = reason
        self._loop.remove_reader(self._socket.fileno())
        if self._blocked:
            self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        # SIGKILL is safe: the process holds nothing but sessions. One that has ended already does not mind.
        self.process.kill()
        if self._timer is not None:
            self._timer.cancel()
        for pending in self.pending.values():
            if not pending.future.done():
                pending.future.set_exception(
                    SignerUnavailableError(f"The signer process was lost: {reason}", key=pending.key)
                )
        self.pending.clear()
        self._deadlines.clear()
        self._changed()

    def _request(self, kind: Kind, payload: bytes, key: str, count: int, size: int) -> "asyncio.Future[Any]":
        if self.lost is not None:
            raise SignerUnavailableError(f"The signer process was lost: {self.lost}", key=key)
        number = self._next = self._next % 0xFFFF_FFFF + 1
        framed = frame(kind, number, payload)
        crc = zlib.crc32(payload) if count else 0
        pending = Pending(
            self._loop.create_future(), self._loop.time() + self._timeout, key, count, size, crc
        )
        self.pending[number] = pending
        self._out.append(framed)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        self._watch(pending)
        return pending.future

    def _flush(self) -> None:
        self._flushing = False
        if self.lost is None and self._out and not self._blocked:
            data = b"".join(self._out)
            self._out.clear()
            self._write(data)

    def _write(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.lose(_ended(self.process, str(error)))
            return
        if sent == len(data):
            return
        self._blocked = data[sent:]
        self._loop.add_writer(self._socket.fileno(), self._writable)

    def _writable(self) -> None:
        data, self._blocked = self._blocked, b""
        self._loop.remove_writer(self._socket.fileno())
        self._write(data)
        self._flush()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(_ended(self.process, str(error)))
            return
        if not data:
            self.lose(_ended(self.process, "it closed its socket"))
            return
        self._heard = self._loop.time()
        try:
            for kind, number, payload in self._reader.feed(data):
                self._receive(kind, number, payload)
        except FrameError as error:
            logger.error("The signer process does not keep to the protocol: %s", error)  # noqa: TRY400  # Its own.
            self.lose("it did not keep to the protocol")

    def _receive(self, kind: Kind, number: int, payload: bytes) -> None:
        if kind is Kind.STATE:
            self._take_state(parse_json(payload))
            return
        if kind is Kind.LOG:
            _log(parse_json(payload))
            return
        pending = self.pending.pop(number, None)
        if pending is None:
            raise FrameError("An answer came that belongs to no request.")
        result, error = self._outcome(kind, payload, pending)
        if pending.future.done():
            return
        if error is not None:
            pending.future.set_exception(error)
        else:
            pending.future.set_result(result)

    def _outcome(self, kind: Kind, payload: bytes, pending: Pending) -> tuple[Any, SignerError | None]:
        if kind is Kind.SIGNED and pending.count:
            return parse_signed(payload, pending.crc, pending.count, pending.size), None
        if kind is Kind.DONE and not pending.count:
            return parse_json(payload), None
        if kind is Kind.FAILED:
            members = parse_json(payload)
            if "state" in members:
                self._take_state(members["state"])
            return None, parse_failed(members)
        raise FrameError(f"A {kind.name} came that answers another kind of request.")

    def _take_state(self, members: Any) -> None:
        match members:
            case {
                "available": bool(available),
                "stuck": int(stuck),
                "detail": str(detail),
                "refused": [*refused],
            } if all(_is_refusal(entry) for entry in refused):
                self.state = State(ProviderHealth(available, stuck, 0, detail), refused)
            case _:
                raise FrameError("A state came that cannot be read.")
        self._changed()

    def _watch(self, pending: Pending) -> None:
        # All requests have the same timeout, so they expire in the order in which they came.
        deadlines = self._deadlines
        while deadlines and deadlines[0].future.done():
            deadlines.popleft()
        if len(deadlines) > 2 * len(self.pending) + 64:
            self._deadlines = deadlines = deque(entry for entry in deadlines if not entry.future.done())
        deadlines.append(pending)
        if self._timer is None:
            self._timer = self._loop.call_at(pending.deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        deadlines = self._deadlines
        late = False
        while deadlines and (deadlines[0].future.done() or deadlines[0].deadline <= now):
            pending = deadlines.popleft()
            if not pending.future.done():
                late = True
                message = f"No signature came within {self._timeout:g} seconds."
                pending.future.set_exception(SignerTimeoutError(message, key=pending.key))
        if late and now - self._heard > self._timeout / 2:
            # A process that is merely slow answers something.
            self.lose("it hung")
            return
        if deadlines:
            self._timer = self._loop.call_at(deadlines[0].deadline, self._expire)
        if late:
            # One that has a hung session says so.
            self.ask_health()

    def _take_health(self, answer: "asyncio.Future[dict[str, Any]]") -> None:
        if answer.cancelled() or answer.exception() is not None or self.lost is not None:
            return
        try:
            self._take_state(answer.result())
        except FrameError:
            self.lose("it did not keep to the protocol")


def _is_refusal(entry: object) -> bool:
    """Whether *entry* is as `signers.isolated.host.refused_members` makes it."""
    return isinstance(entry, list) and len(entry) == _REFUSAL and all(isinstance(each, str) for each in entry)


def _ended(process: "subprocess.Popen[bytes]", otherwise: str) -> str:
    code = process.poll()
    return otherwise if code is None else f"it ended with {code}"


def _log(members: Mapping[str, Any]) -> None:
    match members:
        case {"name": str(name), "level": int(level), "text": str(text)}:
            logging.getLogger(name).log(level, "signer process: %s", text)
        case _:
            raise FrameError("A log record came that cannot be read.")
