"""A PKCS#11 token as a `signers.base.SignerProvider`, and as a `KeyCreator`."""

import logging
from dataclasses import replace

from cryptography import x509

from signers.algorithms import Algorithm
from signers.base import ProviderHealth
from signers.errors import SignerError, SignerUnavailableError
from signers.pkcs11.generate import generate
from signers.pkcs11.health import token_health
from signers.pkcs11.keep_alive import KeepAlive
from signers.pkcs11.module import Module
from signers.pkcs11.module_table import PROCESS_MODULES, ModuleTable
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.pool import SessionPool
from signers.pkcs11.scope import module_path, own_uri, parse, session_count
from signers.pkcs11.session import Session, SessionLease
from signers.pkcs11.signer import Pkcs11Signer
from signers.pkcs11.signing_key import SigningKey, find_signing_key
from signers.pkcs11.threads import call_in_thread
from signers.pkcs11.token import Token
from signers.uri import Pkcs11Uri

logger = logging.getLogger(__name__)


class Pkcs11Provider:
    """The keys of one token, through one pool of sessions. Made by `open`."""

    def __init__(self, module: Module, token: Token, options: Pkcs11Options) -> None:
        self._module = module
        self._token = token
        self._options = options
        self._closed = False
        self._pool = self._make_pool(options.sessions)
        self._keep_alive: KeepAlive | None = None
        if options.keep_alive:
            self._keep_alive = KeepAlive(module, token, options.keep_alive)
            self._keep_alive.start()

    @classmethod
    async def open(
        cls, uri: str, options: Pkcs11Options, modules: ModuleTable = PROCESS_MODULES
    ) -> "Pkcs11Provider":
        """Load the module and log in to the token that *uri* names. Raises `SignerError`."""
        parsed = parse(uri, options)
        path = module_path(parsed, options)

        def attach() -> tuple[Module, Token]:
            module = modules.get(path)
            return module, module.attach(parsed, options.timeout, read_write=options.read_write_sessions)

        def undo(attached: tuple[Module, Token]) -> None:
            attached[0].detach(attached[1], options.timeout)

        module, token = await call_in_thread(
            attach, seconds=options.timeout, key=parsed.token_name, undo=undo
        )
        return cls(module, token, options)

    async def signer(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> Pkcs11Signer:
        parsed = self._own(uri)

        def find(session: Session) -> SigningKey:
            return find_signing_key(
                session, parsed, algorithm, public_key_sha256=public_key_sha256, certificate=certificate
            )

        return Pkcs11Signer(self._pool, await self._pool.submit(find, key=parsed.redacted))

    async def create(self, uri: str, algorithm: Algorithm) -> Pkcs11Signer:
        parsed = self._own(uri)

        def make(_: Session) -> None:
            # A session that may write, for this alone; the pool's own may be read-only.
            generate(self._module, self._token, parsed, algorithm)

        await self._pool.submit(make, key=parsed.redacted)
        return await self.signer(uri, algorithm)

    def health(self) -> ProviderHealth:
        known = token_health(
            self._module,
            self._token,
            size=self._pool.size,
            stuck=self._pool.stuck(),
            timeout=self._options.timeout,
        )
        if self._closed:
            return replace(known, available=False, detail="closed", queued=self._pool.queued)
        return replace(known, queued=self._pool.queued)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._module.require_same_process()
        except SignerUnavailableError:
            return  # The forked child owns neither the threads nor the sessions.
        await self._pool.aclose()
        timeout = self._options.timeout

        def detach() -> None:
            if self._keep_alive is not None:
                self._keep_alive.close()
            self._module.detach(self._token, timeout)

        try:
            await call_in_thread(detach, seconds=timeout, key=self._token.name)
        except SignerError as error:
            logger.warning("%s: not closed cleanly: %s", self._token.name, error)

    def _own(self, uri: str) -> Pkcs11Uri:
        return own_uri(uri, self._token, self._options)

    def _make_pool(self, wanted: int) -> SessionPool:
        size = session_count(self._token, wanted)
        if size < wanted:
            logger.warning(
                "%s: %d sessions sign, not %d: the token allows %s",
                self._token.name,
                size,
                wanted,
                self._token.session_limit,
            )
        leases = [
            SessionLease(self._module, self._token, read_write=self._options.read_write_sessions)
            for _ in range(size)
        ]
        return SessionPool("pkcs11", leases, max_queue=self._options.max_queue, timeout=self._options.timeout)
