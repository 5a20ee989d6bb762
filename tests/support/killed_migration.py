"""Migrate, and be killed before every single statement; go on; until it is done.

    python -m tests.support.killed_migration URL

Each attempt is a fork that kills itself with SIGKILL before its Nth statement. N begins anew with each
revision that was reached. Prints ``REVISION N`` after each attempt; the last line is ``done``.
"""

import asyncio
import itertools
import os
import signal
import sqlite3
import sys
from typing import Any

import asyncpg

from gateway.store import upgrade
from gateway.store.migrations import schema_state
from tests.support.future import future


class _Fuse:
    """Kills this process when it has been lit *length* times."""

    def __init__(self, length: int) -> None:
        self._left = length

    def burn(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def _attempt(url: str, fuse: _Fuse) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            fuse.burn()
            return super().execute(*arguments)

    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **named: connect(*given, **named, factory=Connection)  # type: ignore[assignment]  # For this fork only.
    execute = asyncpg.Connection.execute

    async def counted(self: Any, *given: Any, **named: Any) -> Any:
        fuse.burn()
        return await execute(self, *given, **named)

    asyncpg.Connection.execute = counted
    asyncio.run(upgrade(url, to=future("9002")))


def main(url: str) -> None:
    """Attempt until an attempt ends by itself."""
    reached, numbers = None, itertools.count()
    while True:
        number = next(numbers)
        child = os.fork()
        if child == 0:
            _attempt(url, _Fuse(number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        revision = asyncio.run(schema_state(url)).revision
        _say(f"{revision} {number}")
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            _say("done")
            return
        if not os.WIFSIGNALED(status):
            raise SystemExit("the migration failed by itself")
        if revision != reached:
            reached, numbers = revision, itertools.count()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
