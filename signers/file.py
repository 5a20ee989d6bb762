"""Keys in files, for development and for those whose disk is their HSM: `file:` URIs.

    file:/etc/countersign/tokens.pem
    file:tokens.pem?passphrase-source=file:/run/secrets/passphrase     (or env:NAME)

EC and Ed25519 signatures take microseconds and are made on the calling thread, without suspending. RSA takes
milliseconds and goes to the provider's own few threads.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from signers.algorithms import Algorithm
from signers.base import ProviderHealth, PublicKey
from signers.errors import KeyUnusableError, SignerBusyError, SignerTimeoutError, SignerUnavailableError
from signers.jose_form import der_to_raw, thumbprint
from signers.key_files import PrivateKey, generate_private_key, parse_private_key, write_private_key
from signers.pinning import require_pinned
from signers.probe import probe
from signers.secret_files import read_secret, read_secret_file
from signers.uri import FileUri, SecretSource, parse_file_uri
from signers.verification import ecdsa_scheme, require_fit, rsa_padding

T = TypeVar("T")

YIELD_EVERY = 16
"""Signatures of `sign_many` made on the calling thread before other tasks get their turn."""


class FileProvider:
    """The keys below one folder, and any named by an absolute path."""

    def __init__(
        self,
        base_dir: Path | None = None,
        *,
        threads: int = 2,
        max_queue: int = 256,
        timeout: float = 10.0,
    ) -> None:
        """Relative URIs are resolved against *base_dir*; without it they are refused.

        *threads* make RSA signatures, of which *max_queue* may wait, each for at most *timeout* seconds.
        """
        self._base_dir = base_dir
        self._workers = _Workers(threads, max_queue, timeout)

    async def signer(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> "FileSigner":
        parsed = parse_file_uri(uri)
        # The disk and the passphrase's key derivation both take their time.
        private_key = await self._workers.run(partial(self._load, parsed, algorithm), key=parsed.redacted)
        public_key = require_fit(private_key.public_key(), algorithm, key=parsed.redacted)
        require_pinned(
            public_key, public_key_sha256=public_key_sha256, certificate=certificate, key=parsed.redacted
        )
        return FileSigner(parsed.redacted, private_key, public_key, algorithm, self._workers)

    async def create(self, uri: str, algorithm: Algorithm) -> "FileSigner":
        parsed = parse_file_uri(uri)
        await self._workers.run(partial(self._write, parsed, algorithm), key=parsed.redacted)
        return await self.signer(uri, algorithm)

    def health(self) -> ProviderHealth:
        closed = self._workers.closed
        return ProviderHealth(
            available=not closed, queued=self._workers.waiting, detail="closed" if closed else ""
        )

    async def aclose(self) -> None:
        await self._workers.aclose()

    def _load(self, uri: FileUri, algorithm: Algorithm) -> PrivateKey:
        content = read_secret_file(self._resolve(uri), key=uri.redacted)
        passphrase = _passphrase(uri.passphrase_source, uri.redacted)
        return parse_private_key(content, passphrase, algorithm, key=uri.redacted)

    def _write(self, uri: FileUri, algorithm: Algorithm) -> None:
        path = self._resolve(uri)
        if path.suffix in {".jwk", ".json"}:
            raise KeyUnusableError("A new key is written as PEM; name it '.pem'.", key=uri.redacted)
        passphrase = _passphrase(uri.passphrase_source, uri.redacted)
        write_private_key(path, generate_private_key(algorithm), passphrase, key=uri.redacted)

    def _resolve(self, uri: FileUri) -> Path:
        path = Path(uri.path)
        if path.is_absolute():
            return path
        if self._base_dir is None or ".." in path.parts:
            raise KeyUnusableError(
                "A relative path must lie below the configured key folder.", key=uri.redacted
            )
        return self._base_dir / path


class FileSigner:
    """One private key in this process's memory, under one algorithm."""

    def __init__(
        self,
        name: str,
        private_key: PrivateKey,
        public_key: PublicKey,
        algorithm: Algorithm,
        workers: "_Workers",
    ) -> None:
        self._name = name
        self._algorithm = algorithm
        self._public_key = public_key
        self._key_id = thumbprint(public_key)
        self._workers = workers
        self._on_thread = algorithm.spec.key_type == "RSA"
        self._compute = _signature_function(private_key, algorithm)

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def algorithm(self) -> Algorithm:
        return self._algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._public_key

    async def sign(self, message: bytes) -> bytes:
        if self._on_thread:
            return await self._workers.run(partial(self._compute, message), key=self._name)
        if self._workers.closed:
            raise _closed(self._name)
        return self._compute(message)

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        if self._on_thread:
            return await self._workers.run(lambda: [self._compute(item) for item in messages], key=self._name)
        signatures = []
        for number, message in enumerate(messages, start=1):
            if self._workers.closed:
                raise _closed(self._name)
            signatures.append(self._compute(message))
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return signatures

    async def check(self) -> None:
        await probe(self)


def _closed(key: str) -> SignerUnavailableError:
    return SignerUnavailableError("The signer is closed.", key=key)


class _Workers:
    """A few threads behind a bounded queue, and whether the provider is still open."""

    def __init__(self, threads: int, max_queue: int, timeout: float) -> None:
        self.closed = False
        self.waiting = 0
        self._idle = asyncio.Event()
        self._threads = threads
        self._max_queue = max_queue
        self._timeout = timeout
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="file-signer")
        self._pid = os.getpid()

    async def run(self, call: Callable[[], T], *, key: str) -> T:
        if self.closed:
            raise _closed(key)
        if os.getpid() != self._pid:
            raise SignerUnavailableError(
                "This process was forked after the signer was opened; open signers after the fork.", key=key
            )
        if self.waiting >= self._max_queue + self._threads:
            raise SignerBusyError("Every thread is in use, and the queue is full.", key=key)
        self.waiting += 1
        self._idle.clear()
        future = self._executor.submit(call)
        loop = asyncio.get_running_loop()
        # Counted until the thread is done with it, not until the waiter has gone.
        future.add_done_callback(lambda _: self._done(loop))
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise SignerTimeoutError(
                f"No signature came within {self._timeout:g} seconds.", key=key
            ) from error

    async def aclose(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.waiting:
            await self._idle.wait()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self._forget)
        except RuntimeError:
            return  # The loop has ended, and with it everything that asks for the count.

    def _forget(self) -> None:
        self.waiting -= 1
        if not self.waiting:
            self._idle.set()


def _signature_function(private_key: PrivateKey, algorithm: Algorithm) -> Callable[[bytes], bytes]:
    """The function that signs, with everything decided that does not depend on the message."""
    spec = algorithm.spec
    if isinstance(private_key, Ed25519PrivateKey):
        return private_key.sign
    if isinstance(private_key, EllipticCurvePrivateKey):
        scheme, size = ecdsa_scheme(algorithm), spec.signature_size or 0
        sign = private_key.sign
        return lambda message: der_to_raw(sign(message, scheme), size)
    digest: HashAlgorithm | None = spec.hash_algorithm
    if digest is None:
        raise KeyUnusableError(f"{algorithm} is not an RSA algorithm.")
    padding, sign_rsa = rsa_padding(algorithm), private_key.sign
    return lambda message: sign_rsa(message, padding, digest)


def _passphrase(source: SecretSource | None, key: str) -> bytes | None:
    return None if source is None else read_secret(source, key=key)
