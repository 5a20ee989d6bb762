"""PgBouncer in front of the tests' PostgreSQL, giving each transaction another server connection.

Of Debian's package `pgbouncer`; like PostgreSQL it refuses to run as root, and runs as the same user.
"""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.support.postgres import PostgresServer

_START_TIMEOUT = 15.0  # seconds
_PORT = 6432


def _configuration(server: PostgresServer, folder: Path) -> str:
    return f"""\
[databases]
* = host={server._folder} user=postgres

[pgbouncer]
pool_mode = transaction
auth_type = any
listen_addr =
listen_port = {_PORT}
unix_socket_dir = {folder}
unix_socket_mode = 0777
max_client_conn = 200
default_pool_size = 6
logfile = {folder}/log
pidfile =
"""


class Pooler:
    """A running PgBouncer. `through` is the URL of a database through it."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def through(self, url: str) -> str:
        """The URL that leads to the same database as *url*, through the pooler."""
        return f"{url.replace(str(self._server._folder), str(self._folder))}&port={_PORT}"


@contextmanager
def running_pooler(server: PostgresServer) -> Iterator[Pooler]:
    """A pooler in front of *server*, in a folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pgb-"))
    try:
        folder.chmod(0o777)
        file = folder / "pgbouncer.ini"
        file.write_text(_configuration(server, folder))
        command = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        process = subprocess.Popen([*server._identity(), command, "-q", str(file)], cwd=folder)
        try:
            pooler = Pooler(server, folder)
            asyncio.run(_wait(pooler.through(server.url()), process))
            yield pooler
        finally:
            process.terminate()
            process.wait(timeout=10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            connection = await asyncpg.connect(url, statement_cache_size=0)
        except (OSError, asyncpg.PostgresError):
            if process.poll() is not None or time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return
