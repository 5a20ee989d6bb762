"""A key at a service as a `signers.base.Signer`."""

from collections.abc import Sequence

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.durations import StageTimes
from signers.jose_form import thumbprint
from signers.probe import probe
from signers.remote.lane import Lane
from signers.remote.service import RemoteKey


class RemoteSigner:
    """One version of one key, through its service's lane."""

    def __init__(self, key: RemoteKey, lane: Lane) -> None:
        self._key = key
        self._lane = lane
        self._key_id = thumbprint(key.public_key)
        self._stages = StageTimes()

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def algorithm(self) -> Algorithm:
        return self._key.algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._key.public_key

    @property
    def stages(self) -> StageTimes:
        """Where this key's signatures spent their time."""
        return self._stages

    @property
    def key_version(self) -> str:
        """See `signers.base.VersionedSigner`."""
        return self._key.version

    @property
    def pinned_uri(self) -> str:
        """See `signers.base.VersionedSigner`."""
        return self._key.pinned_uri

    async def sign(self, message: bytes) -> bytes:
        return (await self._lane.sign(self._key, (message,), self._stages))[0]

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        if not messages:
            self._lane.require_open(self._key.name)
            return []
        return await self._lane.sign(self._key, messages, self._stages)

    async def check(self) -> None:
        await probe(self)
