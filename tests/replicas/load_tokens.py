"""Tokens of machines: minted one by one and in batches, introspected anywhere, revoked; proofs used twice."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from countersign import AccessToken, CountersignError, GatewayClient, TokenRequest
from countersign._operations import tokens as token_calls
from countersign.v1 import client_authentication_pb2 as authentication_pb

from tests.replicas.fleet import ATTEMPT_TIMEOUT, Fleet
from tests.replicas.history import Attempt, Kind, Token
from tests.replicas.registered import ASSERTING, MINTING, OPAQUE, PROVING, Registered
from tests.replicas.rules import ACTIVE, INACTIVE

BATCH: Final = 10
INTROSPECTED_AT_ONCE: Final = 500
_REVOKED_PART: Final = 0.3
_ASKED_PART: Final = 0.5


@dataclass
class TokenValues:
    """The tokens that clients hold, by id."""

    values: dict[str, str] = field(default_factory=dict)

    def keep(self, fleet: Fleet, attempt: Attempt, token: AccessToken) -> str:
        """Write down that *attempt* was told *token*; its id."""
        key_id = jwt.get_unverified_header(token.value)["kid"] if token.value.count(".") == 2 else ""
        fleet.history.add_token(Token(token.token_id, attempt.family, key_id, attempt.began, attempt.ended))
        self.values[token.token_id] = token.value
        return token.token_id


def digest(secret: str) -> str:
    """What stands for a secret in a history: that of opaque values is what the database keeps."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _ids(tokens: Sequence[AccessToken | CountersignError]) -> list[str]:
    return [token.token_id for token in tokens if isinstance(token, AccessToken)]


async def introspect(fleet: Fleet, held: TokenValues, token_id: str, *, replica: int | None = None) -> None:
    """Ask whether a token is active: any replica, or that one."""
    await fleet.attempt(
        Kind.INTROSPECT,
        token_id,
        lambda client: client.introspect_token(held.values[token_id]),
        told=lambda answer: [INACTIVE if answer is None else ACTIVE],
        replica=replica,
    )


async def introspect_everywhere(fleet: Fleet, held: TokenValues, token_id: str) -> None:
    """Ask every replica at once."""
    replicas = range(len(fleet.clients))
    await asyncio.gather(*(introspect(fleet, held, token_id, replica=each) for each in replicas))


async def introspect_many(fleet: Fleet, held: TokenValues, token_ids: Sequence[str], replica: int) -> None:
    """Ask one replica for many tokens; each answer is written down as one of its own."""
    for at in range(0, len(token_ids), INTROSPECTED_AT_ONCE):
        chunk = token_ids[at : at + INTROSPECTED_AT_ONCE]
        began = fleet.now()
        values = [held.values[each] for each in chunk]
        answers = await fleet.clients[replica].batch_introspect_tokens(values, timeout=30)
        ended = fleet.now()
        for token_id, answer in zip(chunk, answers, strict=True):
            told = (INACTIVE if answer is None else ACTIVE,)
            fleet.history.add(Attempt(Kind.INTROSPECT, token_id, replica, began, ended, "ok", told))  # type: ignore[arg-type]  # The member's value.


async def _live(fleet: Fleet, held: TokenValues, token_id: str, client_id: str) -> None:
    """What becomes of a token: some are asked about, some revoked and asked about everywhere."""
    if fleet.random.random() < _ASKED_PART:
        await introspect(fleet, held, token_id)
    if fleet.random.random() < _REVOKED_PART:
        await fleet.persist(
            Kind.REVOKE,
            token_id,
            lambda client: client.revoke_token(held.values[token_id], client_id=client_id),
        )
        await introspect_everywhere(fleet, held, token_id)


async def mint(fleet: Fleet, held: TokenValues) -> None:
    """One token, self-contained or opaque, and its life."""
    client_id = fleet.random.choice((MINTING, MINTING, OPAQUE))
    attempt, token = await fleet.persist(
        Kind.MINT,
        f"mint-{fleet.number()}",
        lambda client: client.mint_token(client_id),
        told=lambda token: [token.token_id],
    )
    if token is not None:
        await _live(fleet, held, held.keep(fleet, attempt, token), client_id)


async def mint_batch(fleet: Fleet, held: TokenValues) -> None:
    """Several at once."""
    attempt, tokens = await fleet.persist(
        Kind.MINT,
        f"batch-{fleet.number()}",
        lambda client: client.batch_mint_tokens(MINTING, [TokenRequest()] * BATCH),
        told=_ids,
    )
    for token in tokens or ():
        if isinstance(token, AccessToken):
            await _live(fleet, held, held.keep(fleet, attempt, token), MINTING)


async def use_proof_twice(fleet: Fleet, held: TokenValues, registered: Registered) -> None:
    """One DPoP proof at two replicas at once."""
    operation = token_calls.mint_token(PROVING, None, (), ())
    proof = registered.dpop.proof(operation.path)

    async def call(client: GatewayClient) -> AccessToken:
        response = await client.tokens.MintToken(
            operation.request(), metadata=(("dpop", proof),), timeout=ATTEMPT_TIMEOUT
        )
        return operation.result(response)

    for attempt, token in await fleet.race(Kind.PROOF, digest(proof), call):
        if token is not None:
            await introspect(fleet, held, held.keep(fleet, attempt, token))


class _OneAssertion:
    """A credential that sends one assertion each time."""

    def __init__(self, registered: Registered) -> None:
        self.assertion = registered.assertion.assertion(ASSERTING)

    def authentication(self, _client_id: str) -> Any:
        made = authentication_pb.PrivateKeyJwt(assertion=self.assertion)
        return authentication_pb.ClientAuthentication(private_key_jwt=made)


async def use_assertion_twice(fleet: Fleet, held: TokenValues, registered: Registered) -> None:
    """One client assertion at three replicas at once."""
    credential = _OneAssertion(registered)
    racing = fleet.race(
        Kind.ASSERTION,
        digest(credential.assertion),
        lambda client: client.mint_token(ASSERTING, credential=credential),
        racers=3,
    )
    for attempt, token in await racing:
        if token is not None:
            held.keep(fleet, attempt, token)
