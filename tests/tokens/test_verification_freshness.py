"""A replica that has heard nothing of the keys for long honors none of them before it has looked."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.keys.declared import DeclaredKey
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.model import KeyPurpose
from gateway.store import open_store
from gateway.tokens.access_token import TYP
from gateway.tokens.verification import AccessTokenVerifier, TokenInvalidError
from signers import Algorithm
from signers.registry import SignerRegistry
from tests.support.gateway import ISSUER, make_key
from tests.support.stores import NOW, SettableClock

NEVER = 3600.0  # seconds: nobody looks by the clock
KIND = KeyPurpose.TOKENS, Algorithm.ES256


class Replica:
    """A keyring that nobody brings up to date but who has to, and a verifier over it."""

    def __init__(self, store, keyring, loader, clock) -> None:
        self.store = store
        self.loader = loader
        self.keyring = keyring
        self.verifier = AccessTokenVerifier(
            issuer=ISSUER,
            keyring=keyring,
            refresh_keys=loader.refresh,
            ensure_fresh=loader.ensure_fresh,
            opaque=store.opaque_tokens,
            clock=clock,
        )

    async def token(self) -> str:
        """One that the active key signs."""
        claims = {
            "iss": ISSUER,
            "sub": "backend",
            "client_id": "backend",
            "aud": "https://api.example.org",
            "iat": int(NOW),
            "exp": int(NOW) + 600,
            "jti": "t1",
        }
        return await self.keyring.signing_key(*KIND).sign_jws(TYP, json.dumps(claims).encode())

    def age(self) -> None:
        """What is known of the keys is old now."""
        self.loader._freshness.until = float("-inf")


@pytest.fixture
async def replica(tmp_path):
    """A replica with one key."""
    async with _replica(tmp_path) as made:
        yield made


@asynccontextmanager
async def _replica(folder):
    clock, keyring = SettableClock(), Keyring()
    declared = DeclaredKey(*KIND, make_key(folder, "one"), None, None)
    async with (
        open_store(f"sqlite:///{folder}/keys.db", clock=clock, migrate=True) as store,
        SignerRegistry(base_dir=folder) as signers,
        KeyringLoader(
            keyring=keyring,
            repository=store.keys,
            signers=signers,
            declared=[declared],
            clock=clock,
            interval=NEVER,
            reopen_interval=NEVER,
            max_age=NEVER,
        ) as loader,
    ):
        yield Replica(store, keyring, loader, clock)


@pytest.mark.parametrize("remembered", [False, True])
async def test_a_key_disabled_meanwhile_is_not_honored(replica, remembered):
    """The token of a key that another replica disabled is refused, also where it was accepted before."""
    token = await replica.token()
    if remembered:
        await replica.verifier.verify(token)
    (record,) = replica.keyring.view.records
    await replica.store.keys.disable(record.key_id, reason="stolen", now=NOW)
    replica.age()
    with pytest.raises(TokenInvalidError):
        await replica.verifier.verify(token)


async def test_nothing_is_honored_while_it_cannot_look(replica, monkeypatch):
    """Where the database does not answer, nobody is told that a token is good."""
    token = await replica.token()
    replica.age()

    async def away(_repository) -> int:
        raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away", retry_after=timedelta(seconds=1))

    monkeypatch.setattr("gateway.store.keys.SqlKeyRepository.change_number", away)
    with pytest.raises(AvailabilityError):
        await replica.verifier.verify(token)


async def test_many_share_one_look(replica, monkeypatch):
    """After a pause the first call looks for all that wait."""
    token = await replica.token()
    looks = 0
    change_number = type(replica.store.keys).change_number

    async def counted(repository) -> int:
        nonlocal looks
        looks += 1
        return await change_number(repository)

    monkeypatch.setattr("gateway.store.keys.SqlKeyRepository.change_number", counted)
    replica.age()
    await asyncio.gather(*(replica.verifier.verify(token) for _ in range(20)))
    assert looks == 1
