"""A key that changes elsewhere is read as soon as the database tells of it."""

import asyncio
from collections.abc import Callable

from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.store import open_store
from signers.registry import SignerRegistry
from tests.support.softhsm import eventually
from tests.support.stores import SettableClock, key_record

NEVER = 3600.0  # seconds: only news ends such a wait


class Told:
    """Certain news that a test makes."""

    certain = True

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def tell(self) -> None:
        """Something was committed."""
        for listener in self._listeners:
            listener()


async def test_a_change_that_is_told_is_read_at_once(tmp_path):
    """The keyring has the key of another replica, though the next look by the clock is an hour away."""
    clock, news, keyring = SettableClock(), Told(), Keyring()
    url = f"sqlite:///{tmp_path}/keys.db"
    async with (
        open_store(url, clock=clock, migrate=True) as store,
        open_store(url, clock=clock) as elsewhere,
        SignerRegistry(base_dir=tmp_path) as signers,
        KeyringLoader(
            keyring=keyring,
            repository=store.keys,
            signers=signers,
            declared=(),
            clock=clock,
            interval=NEVER,
            news=news,
        ),
        asyncio.timeout(10),
    ):
        await elsewhere.keys.insert(key_record("k1"), None)
        assert keyring.view.records == ()
        news.tell()
        await eventually(lambda: bool(keyring.view.records), 5)
        assert [record.key_id for record in keyring.view.records] == ["k1"]
