"""A key on a token as a `signers.base.Signer`."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from cryptography import x509

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyMismatchError, KeyNotFoundError, SignatureInvalidError
from signers.jose_form import thumbprint
from signers.pinning import same_key
from signers.pkcs11.mechanisms import MechanismSpec
from signers.pkcs11.objects import TokenKey, find_key
from signers.pkcs11.pool import SessionPool
from signers.pkcs11.session import Session
from signers.probe import probe
from signers.uri import Pkcs11Uri
from signers.verification import verify

logger = logging.getLogger(__name__)

CHUNK = 16
"""Messages of `sign_many` that one thread signs in one job."""


class Pkcs11Signer:
    """One private key under one algorithm, in any session of its token's pool."""

    def __init__(
        self,
        pool: SessionPool,
        uri: Pkcs11Uri,
        algorithm: Algorithm,
        mechanism: MechanismSpec,
        public_key: PublicKey,
        certificate: x509.Certificate | None,
    ) -> None:
        self._pool = pool
        self._uri = uri
        self._name = uri.redacted
        self._algorithm = algorithm
        self._mechanism = mechanism
        self._public_key = public_key
        self._certificate = certificate
        self._key_id = thumbprint(public_key)
        # An RSA signature is as long as the modulus.
        self._size = algorithm.spec.signature_size or (getattr(public_key, "key_size", 0) + 7) // 8

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
        return await self._pool.submit(partial(self._sign, message), key=self._name)

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        chunks = [messages[start : start + CHUNK] for start in range(0, len(messages), CHUNK)]
        jobs: list[asyncio.Future[list[bytes]]] = []
        try:
            for number, chunk in enumerate(chunks):
                call = partial(self._sign_chunk, chunk)
                jobs.append(self._pool.submit(call, key=self._name, places=len(chunks) - number))
            signed = await asyncio.gather(*jobs)
        finally:
            # All or nothing: once one has failed, the others are not worth the token's time.
            for job in jobs:
                job.cancel()
        return [signature for chunk in signed for signature in chunk]

    async def check(self) -> None:
        await probe(self)

    def _sign_chunk(self, messages: Sequence[bytes], session: Session) -> list[bytes]:
        return [self._sign(message, session) for message in messages]

    def _sign(self, message: bytes, session: Session) -> bytes:
        """Sign and verify, on a worker thread. Raises `SignerError` or `CryptokiError`."""
        key = session.keys.get(self) or self._find(session)
        mechanism = self._mechanism
        data = mechanism.input_for(message)
        signature = session.cryptoki.sign(session.handle, key.handle, mechanism.call, data, self._size)
        try:
            verify(self._public_key, self._algorithm, message, signature)
        except SignatureInvalidError as error:
            session.keys.pop(self, None)
            logger.exception("%s: the token returned a wrong signature; it was not released", self._name)
            raise SignatureInvalidError(str(error), key=self._name) from error
        return signature

    def _find(self, session: Session) -> TokenKey:
        """Find the key in *session*, and make sure that it is still the one that was opened."""
        key = find_in_session(session, self._uri, self._algorithm, self._certificate)
        if not same_key(key.public_key, self._public_key):
            raise KeyMismatchError("The key on the token was replaced; restart to use it.", key=self._name)
        session.keys[self] = key
        return key


def find_in_session(
    session: Session, uri: Pkcs11Uri, algorithm: Algorithm, certificate: x509.Certificate | None
) -> TokenKey:
    """`find_key`, but a key that is invisible for want of a login is reported as that, not as missing."""
    try:
        return find_key(session.cryptoki, session.handle, uri, algorithm, certificate)
    except KeyNotFoundError:
        session.require_login()
        raise
