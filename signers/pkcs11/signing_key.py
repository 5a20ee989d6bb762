"""A key on a token under one algorithm: signing in a given session, and verifying before release."""

import logging
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import NamedTuple

from cryptography import x509

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.durations import StageTimes
from signers.errors import KeyMismatchError, KeyNotFoundError, SignatureInvalidError
from signers.pinning import require_pinned, same_key
from signers.pkcs11.mechanisms import MechanismSpec, select
from signers.pkcs11.objects import TokenKey, find_key
from signers.pkcs11.session import Session
from signers.uri import Pkcs11Uri
from signers.verification import verifier

logger = logging.getLogger(__name__)


class TimedSignature(NamedTuple):
    """A signature in JOSE form, and the seconds that it took to make and to verify it."""

    signature: bytes
    signing: float
    verifying: float


class SigningKey:
    """One private key under one algorithm, usable in any session of its token, on any thread."""

    def __init__(
        self,
        uri: Pkcs11Uri,
        algorithm: Algorithm,
        mechanism: MechanismSpec,
        public_key: PublicKey,
        certificate: x509.Certificate | None,
    ) -> None:
        self.name = uri.redacted
        self.algorithm = algorithm
        self.public_key = public_key
        self.stages = StageTimes()
        self._uri = uri
        self._mechanism = mechanism
        self._certificate = certificate
        self._size = signature_size(algorithm, public_key)
        self._verify = verifier(public_key, algorithm)

    def sign_queued(
        self, messages: Sequence[bytes], queued_at: float, traced: StageTimes | None, session: Session
    ) -> list[bytes]:
        """`sign_all` of a job that was queued at *queued_at* (`time.perf_counter`).

        *traced*: where the stages are counted besides, see `signers.durations.call_stages`.
        """
        waited = perf_counter() - queued_at
        self.stages.of_this_thread.queue.add(waited)
        if traced is not None:
            traced.of_this_thread.queue.add(waited)
        return self.sign_all(messages, session, traced)

    def sign_all(
        self, messages: Sequence[bytes], session: Session, traced: StageTimes | None = None
    ) -> list[bytes]:
        """`sign` for each of *messages*."""
        return [self.sign(message, session, traced) for message in messages]

    def sign(self, message: bytes, session: Session, traced: StageTimes | None = None) -> bytes:
        """Sign and verify; returns the JOSE form. Blocks. Raises `SignerError` or `CryptokiError`."""
        timed = self.sign_timed(message, session)
        for stages in (self.stages,) if traced is None else (self.stages, traced):
            times = stages.of_this_thread
            times.sign.add(timed.signing)
            times.verify.add(timed.verifying)
        return timed.signature

    def sign_timed(self, message: bytes, session: Session) -> TimedSignature:
        """`sign` for a caller that keeps the times."""
        return self.sign_unverified(message, session).verified()

    def sign_unverified(self, message: bytes, session: Session) -> "UnverifiedSignature":
        """The token's part of `sign`: what it made can be had by verifying it alone. Raises as `sign`."""
        key = session.keys.get(self) or self._find(session)
        mechanism = self._mechanism
        data = mechanism.input_for(message)
        started = perf_counter()
        signature = session.cryptoki.sign(session.handle, key.handle, mechanism.call, data, self._size)
        return UnverifiedSignature(self, message, session, signature, perf_counter() - started)

    def require_verified(self, message: bytes, signature: bytes, session: Session) -> None:
        """Raise `SignatureInvalidError` for a wrong *signature* that *session* made; on any thread.

        The session then looks for the key anew before it signs again.
        """
        try:
            self._verify(message, signature)
        except SignatureInvalidError as error:
            session.keys.pop(self, None)
            logger.exception("%s: the token returned a wrong signature; it was not released", self.name)
            raise SignatureInvalidError(str(error), key=self.name) from error

    def _find(self, session: Session) -> TokenKey:
        """Find the key in *session*, and make sure that it is still the one that was opened."""
        key = find_in_session(session, self._uri, self.algorithm, self._certificate)
        if not same_key(key.public_key, self.public_key):
            raise KeyMismatchError("The key on the token was replaced; restart to use it.", key=self.name)
        session.keys[self] = key
        return key


class UnverifiedSignature:
    """What a token made of a message. `signing`: the seconds that it took."""

    __slots__ = ("_key", "_message", "_session", "_signature", "signing")

    def __init__(
        self, key: SigningKey, message: bytes, session: Session, signature: bytes, signing: float
    ) -> None:
        self.signing = signing
        self._key = key
        self._message = message
        self._session = session
        self._signature = signature

    def verified(self) -> TimedSignature:
        """The signature, which may be released now; on any thread. Raises `SignatureInvalidError`."""
        started = perf_counter()
        self._key.require_verified(self._message, self._signature, self._session)
        return TimedSignature(self._signature, self.signing, perf_counter() - started)


def find_signing_key(
    session: Session,
    uri: Pkcs11Uri,
    algorithm: Algorithm,
    *,
    public_key_sha256: str | None,
    certificate: x509.Certificate | None,
) -> SigningKey:
    """Find the one key that *uri* names, which must be the pinned one. Raises as `SignerProvider.signer`."""
    mechanism = mechanism_in(session, algorithm, key=uri.redacted)
    key = find_in_session(session, uri, algorithm, certificate)
    require_pinned(
        key.public_key, public_key_sha256=public_key_sha256, certificate=certificate, key=uri.redacted
    )
    return SigningKey(uri, algorithm, mechanism, key.public_key, certificate)


def mechanism_in(session: Session, algorithm: Algorithm, *, key: str) -> MechanismSpec:
    """The mechanism for *algorithm* on the token of *session*. Raises `KeyUnusableError`, `CryptokiError`."""
    cryptoki, slot = session.cryptoki, session.slot
    flags_of = partial(cryptoki.mechanism_flags, slot)
    return select(algorithm, cryptoki.mechanisms(slot), key=key, flags_of=flags_of)


def signature_size(algorithm: Algorithm, public_key: PublicKey) -> int:
    """Bytes of a signature in JOSE form; an RSA signature is as long as the modulus."""
    return algorithm.spec.signature_size or (getattr(public_key, "key_size", 0) + 7) // 8


def find_in_session(
    session: Session, uri: Pkcs11Uri, algorithm: Algorithm, certificate: x509.Certificate | None
) -> TokenKey:
    """`find_key`, but a key that is invisible for want of a login is reported as that, not as missing."""
    try:
        return find_key(session.cryptoki, session.handle, uri, algorithm, certificate)
    except KeyNotFoundError:
        session.require_login()
        raise
