"""One version of a Transit key, and the request that signs with it."""

import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import SignatureInvalidError, SignerError
from signers.jose_form import der_to_raw
from signers.vault.algorithms import TRANSIT
from signers.vault.client import VaultClient
from signers.vault.replies import parse_signatures


@dataclass(frozen=True, slots=True, eq=False)
class VaultKey:
    """See `signers.remote.service.RemoteKey`."""

    client: VaultClient = field(repr=False)
    mount: str
    key: str
    key_version: int
    name: str
    pinned_uri: str
    algorithm: Algorithm
    public_key: PublicKey
    max_batch: int

    @property
    def version(self) -> str:
        return str(self.key_version)

    async def request_signatures(self, messages: Sequence[bytes]) -> Sequence[bytes | SignerError]:
        row = TRANSIT[self.algorithm]
        body = {
            **row.parameters,
            "key_version": self.key_version,
            "batch_input": [{"input": self._input(message)} for message in messages],
        }
        members = await self.client.call("POST", f"{self.mount}/sign/{self.key}", body, key=self.name)
        items = parse_signatures(members, len(messages), self.key_version, self.name)
        return [item if isinstance(item, SignerError) else self._jose(item) for item in items]

    def _input(self, message: bytes) -> str:
        digest = self.algorithm.spec.hash_algorithm
        if digest is not None:
            message = hashlib.new(digest.name, message).digest()
        return binascii.b2a_base64(message, newline=False).decode()

    def _jose(self, signature: bytes) -> bytes | SignerError:
        if self.algorithm.spec.ec_curve is None:
            return signature
        try:
            return der_to_raw(signature, self.algorithm.spec.signature_size or 0)
        except (ValueError, OverflowError):
            return SignatureInvalidError("The server's signature is no ECDSA signature.", key=self.name)
