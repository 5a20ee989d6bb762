"""The keyring: for each purpose, the key that signs now and the keys that verifiers may still meet.

What callers see is an immutable `KeyringView`, replaced as a whole when anything changed, so that a request
never sees half of a rotation. Signing reads it without a lock and without a call to the database.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.errors import AvailabilityError, Reason
from gateway.jose.jwk import public_jwk
from gateway.jose.jws import assemble, encode_header, signing_input
from gateway.keys.certificates import x5c
from gateway.keys.guarded import GuardedSigner
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from signers import Algorithm, PublicKey, Signer

_RETRY_AFTER: Final = timedelta(seconds=1)
_PUBLISHED: Final = frozenset({KeyState.PREPARED, KeyState.ACTIVE, KeyState.RETIRING})


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """The public half of a key whose signatures are still honored."""

    key_id: str
    algorithm: Algorithm
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The active key of a purpose, with everything about it that does not change between signatures."""

    key_id: str
    algorithm: Algorithm
    signer: Signer
    headers: dict[str, str] = field(default_factory=dict)

    async def sign_jws(self, typ: str, payload: bytes) -> str:
        """A compact JWS over *payload* (RFC 7515 §3.1), header alg, kid and *typ*. Raises `SignerError`."""
        message = signing_input(self.headers.get(typ) or self._header(typ), payload)
        return assemble(message, await self.signer.sign(message))

    async def sign_jws_many(self, typ: str, payloads: Sequence[bytes]) -> list[str]:
        """One compact JWS for each of *payloads*, in order; all or none. Raises `SignerError`."""
        header = self.headers.get(typ) or self._header(typ)
        messages = [signing_input(header, payload) for payload in payloads]
        signatures = await self.signer.sign_many(messages)
        return [assemble(*pair) for pair in zip(messages, signatures, strict=True)]

    def _header(self, typ: str) -> str:
        header = self.headers[typ] = encode_header(self.algorithm, self.key_id, typ)
        return header


@dataclass(frozen=True)
class KeyringView:
    """All keys as of one moment: `signers` holds those that opened, `faults` why others did not."""

    records: tuple[KeyRecord, ...] = ()
    signers: Mapping[str, GuardedSigner] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def signing_keys(self) -> Mapping[tuple[KeyPurpose, Algorithm], SigningKey]:
        """The active key of each purpose and algorithm, where its signer is open."""
        return {
            (record.purpose, record.algorithm): SigningKey(
                record.key_id, record.algorithm, self.signers[record.key_id]
            )
            for record in self.records
            if record.state is KeyState.ACTIVE and record.key_id in self.signers
        }

    @cached_property
    def verification_keys(self) -> Mapping[tuple[KeyPurpose, str], VerificationKey]:
        """Keys whose signatures are honored, by purpose and key id.

        A prepared key is among them: another replica may have activated it a moment ago.
        """
        return {
            (record.purpose, record.key_id): VerificationKey(
                record.key_id, record.algorithm, public_key_of(record)
            )
            for record in self.records
            if record.state in _PUBLISHED
        }

    @cached_property
    def jwks_json(self) -> bytes:
        """The JWK Set (RFC 7517 §5) of what a verifier of tokens or responses may meet, now or soon."""
        keys = [
            _published(record)
            for record in self.records
            if record.state in _PUBLISHED and record.purpose in {KeyPurpose.TOKENS, KeyPurpose.INTROSPECTION}
        ]
        return json.dumps({"keys": keys}, separators=(",", ":")).encode()


class Keyring:
    """Holds the current view. `gateway.keys.loading.KeyringLoader` keeps it current."""

    def __init__(self) -> None:
        self.view = KeyringView()

    def replace(self, view: KeyringView) -> None:
        """Make *view* the current one."""
        self.view = view

    def signing_key(self, purpose: KeyPurpose, algorithm: Algorithm) -> SigningKey:
        """The key that signs now. Raises `AvailabilityError`: NO_ACTIVE_KEY."""
        key = self.view.signing_keys.get((purpose, algorithm))
        if key is None:
            raise AvailabilityError(
                Reason.NO_ACTIVE_KEY,
                "No key that can sign is active for this purpose.",
                metadata={"purpose": purpose.value, "algorithm": algorithm.value},
                retry_after=_RETRY_AFTER,
            )
        return key

    def verification_key(self, purpose: KeyPurpose, key_id: str) -> VerificationKey | None:
        """The key named *key_id*, where what it signed for *purpose* is still honored."""
        return self.view.verification_keys.get((purpose, key_id))


def _published(record: KeyRecord) -> dict[str, str | list[str]]:
    """A JWK, with its certificates where it has some (RFC 7517 §4.7)."""
    members = public_jwk(public_key_of(record), kid=record.key_id, algorithm=record.algorithm, use="sig")
    return {**members, "x5c": x5c(record.chain_pem)} if record.chain_pem else {**members}


def public_key_of(record: KeyRecord) -> PublicKey:
    """The record's public key, as a key object."""
    key = load_der_public_key(record.public_key_der)
    if not isinstance(key, PublicKey):
        raise TypeError(f"key {record.key_id} is of a kind that no algorithm of the table uses")
    return key
