"""Keys that are replaced while they sign, and taken out; watchers of revocations."""

import asyncio
import uuid
from contextlib import aclosing
from typing import Final

from countersign import CountersignError, GatewayClient, Key, KeyPurpose, KeyState, SignatureAlgorithm

from tests.replicas.fleet import Fleet
from tests.replicas.history import Kind, Outcome, Sight
from tests.replicas.load_tokens import TokenValues, introspect_everywhere
from tests.replicas.verdict import KEY_LAG

_PUBLISHED: Final = 1.2
"""Seconds until a prepared key may sign: a little more than `tokens.jwks_max_age` of the run."""
_OBSERVED: Final = 6
_ASKED: Final = 5
_ALGORITHM: Final = SignatureAlgorithm.ES256


async def replace_key(fleet: Fleet, held: TokenValues, number: int) -> None:
    """Prepare a key, make it active, and look; take every third one out that signed before it, and ask every
    replica about what it signed.
    """
    uri, request_id = f"file:keys/rotated-{number}.pem", str(uuid.uuid4())
    before = await _active(fleet)
    call = f"key-{fleet.number()}"
    attempt, key = await fleet.persist(
        Kind.PREPARE_KEY,
        call,
        lambda client: client.create_key(
            KeyPurpose.TOKENS, _ALGORITHM, create_uri=uri, request_id=request_id
        ),
        told=lambda key: [key.key_id],
    )
    if attempt.reason == "KEY_ALREADY_EXISTS":
        # The replica that made the file did not come to registering it.
        _, key = await fleet.persist(
            Kind.PREPARE_KEY,
            call,
            lambda client: client.create_key(KeyPurpose.TOKENS, _ALGORITHM, existing_uri=uri),
            told=lambda key: [key.key_id],
        )
    if key is None:
        return
    await asyncio.sleep(_PUBLISHED)
    rotation = str(uuid.uuid4())
    await fleet.persist(
        Kind.ROTATE_KEY,
        key.key_id,
        lambda client: client.rotate_key(
            KeyPurpose.TOKENS, _ALGORITHM, key_id=key.key_id, request_id=rotation
        ),
    )
    for _ in range(_OBSERVED):
        await _active(fleet)
        await asyncio.sleep(0.2)
    if before is not None and number % 3 == 2:
        await fleet.persist(
            Kind.DISABLE_KEY, before, lambda client: client.disable_key(before, "the run takes it out")
        )
        await asyncio.sleep(KEY_LAG)
        signed = [token.token_id for token in fleet.history.tokens.values() if token.key_id == before]
        for token_id in signed[-_ASKED:]:
            await introspect_everywhere(fleet, held, token_id)


async def _active(fleet: Fleet) -> str | None:
    """The key that signs tokens, as some replica says; None where it does not answer."""
    attempt, _ = await observe_active(fleet)
    return attempt.told[0] if attempt.outcome is Outcome.OK else None


async def observe_active(fleet: Fleet, *, replica: int | None = None):  # type: ignore[no-untyped-def]  # As `Fleet.attempt`.
    """Ask which key signs tokens."""

    async def call(client: GatewayClient) -> list[Key]:
        return [key async for key in client.list_keys(purpose=KeyPurpose.TOKENS, state=KeyState.ACTIVE)]

    return await fleet.attempt(
        Kind.ACTIVE_KEY,
        KeyPurpose.TOKENS,
        call,
        told=lambda keys: [key.key_id for key in keys],
        replica=replica,
    )


class Watcher:
    """Follows the revocations, at one replica after another, from its cursor on."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self._fleet = fleet
        self._number = number
        self._cursor = ""
        self._replica = number
        self.seen: set[str] = set()
        self.breaks = 0
        self.connected_since: float | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._follow(self._fleet.clients[self._replica % len(self._fleet.clients)])
            except CountersignError:
                self.breaks += 1
            self.connected_since = None
            self._replica += 1
            await asyncio.sleep(0.1)

    async def _follow(self, client: GatewayClient) -> None:
        async with aclosing(client.watch_revocations(self._cursor)) as batches:
            async for batch in batches:
                self.connected_since = self.connected_since or self._fleet.now()
                self._cursor = batch.cursor
                for revocation in batch.revocations:
                    subject = revocation.token_id or revocation.grant_id
                    self.seen.add(subject)
                    self._fleet.history.sights.append(Sight(self._number, subject, self._fleet.now()))

    async def until_seen(self, wanted: set[str]) -> None:
        """Return when it was told of all *wanted*, or nothing more comes; and vouch for what it has seen."""
        for _ in range(200):
            if wanted <= self.seen:
                break
            await asyncio.sleep(0.1)
        self._fleet.history.watchers.add(self._number)
