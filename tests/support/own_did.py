"""Keyrings of signers in memory, for tests of the gateway's own DID."""

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.keys.keyring import Keyring, KeyringView
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from signers import Signer
from signers.jose_form import thumbprint


class Keys:
    """A keyring that a test changes key by key: each change makes a new view, as the loader does."""

    def __init__(self) -> None:
        self.keyring = Keyring()
        self._records: dict[str, KeyRecord] = {}
        self._signers: dict[str, Signer] = {}

    def put(self, signer: Signer, purpose: KeyPurpose, state: KeyState = KeyState.ACTIVE) -> str:
        """Add the key of *signer*, or change its state; its id."""
        der = signer.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key_id = thumbprint(signer.public_key)
        self._records[key_id] = KeyRecord(
            key_id, purpose, signer.algorithm, "file:k", der, state, 0.0, None, None, None, "", 1
        )
        self._signers[key_id] = signer
        self.keyring.replace(KeyringView(tuple(self._records.values()), dict(self._signers)))
        return key_id
