"""A PKCS#11 token behind a signer process, as a `signers.base.SignerProvider` and a `KeyCreator`.

The process does everything that touches the vendor's library: login, sessions, recovery, verification before
release. What is done here is what it cannot do for itself: start it, give it up when it dies or hangs, start
the next one, and never let a PIN be tried again that was refused.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from signers.algorithms import Algorithm
from signers.base import ProviderHealth
from signers.errors import (
    PinError,
    SignerBusyError,
    SignerError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.isolated import process
from signers.isolated.connection import Connection
from signers.isolated.frames import Kind
from signers.isolated.signer import IsolatedSigner, key_members, spki_hex
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.scope import parse
from signers.pkcs11.signing_key import TimedSignature
from signers.verification import require_fit

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
"""How long a signer process may take to come up before it is given up."""

FIRST_DELAY = 0.02
MAX_DELAY = 0.5
"""Seconds between two attempts to open the token, and between the ends of processes that live briefly."""

STABLE_SECONDS = 5.0
"""A process that served for so long is replaced at once."""

POLL_SECONDS = 0.05
"""How often a process whose token is away is asked for it."""

_refused: dict[tuple[str, ...], Sequence[str]] = {}
"""The tokens that refused a PIN while this process lives, by what names them, as the next one is told."""


class IsolatedProvider:
    """The keys of one token, through one signer process at a time. Made by `open`."""

    def __init__(self, uri: str, options: Pkcs11Options) -> None:
        self._uri = uri
        self._options = options
        self._name = parse(uri, options).token_name
        self._pid = os.getpid()
        self._numbers = count(1)
        self._keys: dict[int, dict[str, Any]] = {}
        self._connection: Connection | None = None
        self._changed = asyncio.Event()
        self._cause = "it has not started yet"
        self._refusal: str | None = None
        self._closed = False
        self._restarts = 0
        self._supervisor: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, uri: str, options: Pkcs11Options) -> "IsolatedProvider":
        """Start the process and log in to the token that *uri* names. Raises `SignerError`."""
        provider = cls(uri, options)
        connection = await provider._start()
        try:
            await provider._log_in(connection)
        except BaseException:
            await provider._end(connection, "its token could not be opened")
            raise
        provider._connection = connection
        provider._supervisor = asyncio.get_running_loop().create_task(provider._supervise(connection))
        provider._supervisor.add_done_callback(_report)
        return provider

    @property
    def process_id(self) -> int | None:
        """The signer process that serves now, or None while it is being replaced."""
        return None if self._connection is None else self._connection.process.pid

    async def signer(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> IsolatedSigner:
        number = next(self._numbers)
        members = key_members(number, uri, algorithm, certificate)
        name = parse(uri, self._options).redacted
        answer = await self._request(Kind.FIND, {**members, "public_key_sha256": public_key_sha256}, name)
        try:
            public_key = load_der_public_key(bytes.fromhex(answer["spki"]))
        except (KeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise SignerUnavailableError("The signer process sent no public key.", key=name) from error
        fit = require_fit(public_key, algorithm, key=name)
        self._keys[number] = {**members, "spki": spki_hex(fit)}
        return IsolatedSigner(self, number, name, algorithm, fit)

    async def create(self, uri: str, algorithm: Algorithm) -> IsolatedSigner:
        name = parse(uri, self._options).redacted
        await self._request(Kind.CREATE, key_members(0, uri, algorithm, None), name)
        return await self.signer(uri, algorithm)

    def sign(
        self, number: int, messages: Sequence[bytes], size: int, key: str, places: int
    ) -> "asyncio.Future[list[TimedSignature]]":
        """For `IsolatedSigner`: all of *places* are admitted or none. Raises `SignerError`."""
        connection = self._ready(key)
        if len(connection.pending) + places > self._options.max_queue:
            raise SignerBusyError("Too many signatures are under way.", key=key)
        return connection.sign(number, messages, size, key)

    def health(self) -> ProviderHealth:
        connection = self._connection
        if self._closed:
            return ProviderHealth(available=False, detail="closed")
        if self._refusal is not None:
            return ProviderHealth(available=False, detail=self._refusal)
        if connection is None or connection.state is None:
            return ProviderHealth(
                available=False, detail=f"the signer process is being replaced: {self._cause}"
            )
        known = connection.state.health
        restarts = f", signer process restarted {self._restarts} times" if self._restarts else ""
        return replace(known, queued=len(connection.pending), detail=known.detail + restarts)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        supervisor, connection = self._supervisor, self._connection
        self._connection = None
        if os.getpid() != self._pid:
            return  # The forked child owns neither the process nor the socket.
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait([supervisor])
        if connection is None or connection.lost is not None:
            return
        # What was admitted is signed; the process ends when it has read everything.
        connection.end_input()
        self._changed.clear()
        try:
            async with asyncio.timeout(self._options.timeout):
                while connection.lost is None:
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            logger.warning("%s: the signer process hangs and is killed", self._name)
        await self._end(connection, "the signer was closed")

    def _ready(self, key: str) -> Connection:
        if self._closed:
            raise SignerUnavailableError("The signer is closed.", key=key)
        if self._refusal is not None:
            raise PinError(self._refusal, key=key)
        if os.getpid() != self._pid:
            raise SignerUnavailableError(
                "This process was forked after the signer was opened; open signers after the fork.", key=key
            )
        connection = self._connection
        if connection is None or connection.lost is not None:
            raise SignerUnavailableError(f"The signer process is being replaced: {self._cause}", key=key)
        return connection

    async def _request(self, kind: Kind, members: Mapping[str, Any], key: str) -> dict[str, Any]:
        return await self._ready(key).request(kind, members, key)

    async def _start(self) -> Connection:
        """A process that has come up and has not been told anything. Raises `SignerUnavailableError`."""
        try:
            started, connected = process.start()
        except OSError as error:
            raise SignerUnavailableError(f"No signer process starts: {error.strerror}.") from error
        connection = Connection(started, connected, timeout=self._options.timeout, changed=self._changed.set)
        try:
            async with asyncio.timeout(START_SECONDS):
                while connection.state is None and connection.lost is None:
                    await self._changed.wait()
                    self._changed.clear()
        except BaseException as error:
            await self._end(connection, "it did not come up")
            if isinstance(error, TimeoutError):
                raise SignerTimeoutError("The signer process does not come up.", key=self._name) from error
            raise
        if connection.lost is not None:
            await self._end(connection, connection.lost)
            raise SignerUnavailableError(f"The signer process did not come up: {connection.lost}.")
        return connection

    async def _log_in(self, connection: Connection) -> None:
        """Have the token opened, and the keys known that were found before. Raises `SignerError`."""
        members = {
            "uri": self._uri,
            "options": asdict(self._options),
            "refused": [list(entry) for entry in _refused.values()],
        }
        try:
            await connection.request(Kind.OPEN, members, self._name)
        except PinError as error:
            self._note_refusals(connection, str(error))
            raise
        keys = self._keys.values()
        await asyncio.gather(*(connection.request(Kind.ADOPT, key, self._name) for key in keys))

    async def _supervise(self, connection: Connection) -> None:
        """Watch one process after the other, until a PIN is refused."""
        delay = 0.0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await self._watch(connection)
            self._connection, self._cause = None, connection.lost or self._cause
            await process.kill(connection.process)
            if self._refusal is not None:
                return
            logger.error("%s: the signer process was lost and is replaced: %s", self._name, self._cause)
            if loop.time() - started > STABLE_SECONDS:
                delay = 0.0
            self._restarts += 1
            replacement = await self._replacement(delay)
            delay = _longer(delay)
            if replacement is None:
                return
            connection = self._connection = replacement
            logger.warning("%s: signing again, by process %d", self._name, connection.process.pid)

    async def _watch(self, connection: Connection) -> None:
        """Return when *connection* is lost."""
        while connection.lost is None:
            self._changed.clear()
            state = connection.state
            if state is not None and state.health.stuck_threads:
                connection.lose("a call hangs in the device")
                return
            if state is not None and not state.health.available:
                self._note_refusals(connection, state.health.detail)
                if self._refusal is not None:
                    # Nothing that the process could do is left, and a restart would not change that.
                    connection.lose(self._refusal)
                    return
            try:
                available = state is not None and state.health.available
                async with asyncio.timeout(None if available else POLL_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                if connection.lost is None:
                    connection.ask_health()

    async def _replacement(self, pause: float) -> Connection | None:
        """The next process, once its token is open; None after a refused PIN. Tries for ever.

        The first login is tried *pause* seconds from now. A process comes up during the pause before its
        login, so that a device that has returned waits for the pause alone.
        """
        loop = asyncio.get_running_loop()
        delay, log_in_at = pause, loop.time() + pause
        connection: Connection | None = None
        try:
            while True:
                try:
                    if connection is None or connection.lost is not None:
                        former, connection = connection, None
                        connection = await self._renew(former)
                    await asyncio.sleep(log_in_at - loop.time())
                    await self._log_in(connection)
                except SignerError as error:
                    self._cause = str(error)
                    logger.info("%s: not back: %s", self._name, error)
                    if self._refusal is not None:
                        return None
                    if connection is None:
                        # None came up, and the next is not started at once.
                        await asyncio.sleep(_longer(delay))
                else:
                    opened, connection = connection, None
                    return opened
                delay = _longer(delay)
                log_in_at = loop.time() + delay
        finally:
            if connection is not None:
                await self._end(connection, "its token could not be opened")

    async def _renew(self, former: Connection | None) -> Connection:
        if former is not None:
            await process.kill(former.process)
        return await self._start()

    def _note_refusals(self, connection: Connection, reason: str) -> None:
        state = connection.state
        for entry in () if state is None else state.refused:
            _refused[tuple(entry[:4])] = entry
            if entry[4] == reason:
                self._refusal = reason

    async def _end(self, connection: Connection, reason: str) -> None:
        """Kill the process behind *connection*, unless it has ended, and wait for it."""
        had_ended = connection.lost is not None
        connection.lose(reason)
        if had_ended:
            await process.wait(connection.process, process.REAP_SECONDS)
        else:
            await process.kill(connection.process)


def _report(supervisor: "asyncio.Task[None]") -> None:
    if not supervisor.cancelled() and supervisor.exception() is not None:
        logger.critical("Nobody replaces signer processes any more", exc_info=supervisor.exception())


def _longer(delay: float) -> float:
    return min(MAX_DELAY, max(FIRST_DELAY, delay * 2))
