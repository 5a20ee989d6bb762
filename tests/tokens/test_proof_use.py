"""When a DPoP proof is used up: after the client was authenticated, before anything is done for it, once."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from gateway.errors import Reason
from gateway.principal import Principal
from gateway.store.statement import Statement
from gateway.store.tables import replays
from gateway.tokens.client import GrantType
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import ClientCredentialsGrant, RefreshTokenGrant, TokenRequest
from tests.support.authorizations import (
    SECRET,
    code_for,
    code_request,
    draft,
    is_active,
    proven_call,
    tokens_for,
    web_client,
)
from tests.support.dpop import Prover

PROVER = Prover.es256()
OWN, WRONG = ClientSecret(SECRET), ClientSecret("guessed")
CREDENTIALS = TokenRequest(ClientCredentialsGrant())
_COUNT = Statement(lambda _: sa.select(sa.func.count()).select_from(replays))

DOORS = {
    "mint": lambda app, call, client_id, secret: app.minter.mint(call, client_id, secret, CREDENTIALS),
    "batch": lambda app, call, client_id, secret: app.minter.mint_many(
        call, client_id, secret, [CREDENTIALS]
    ),
    "another grant": lambda app, call, client_id, secret: app.minter.mint(
        call, client_id, secret, code_request("none")
    ),
    "push": lambda app, call, client_id, secret: app.authorizations.push(call, client_id, secret, draft()),
}


@pytest.fixture
async def web(app):
    """A client for every door."""
    grants = {GrantType.CLIENT_CREDENTIALS, GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN}
    await web_client(app, grant_types=frozenset(grants))
    return app


async def used(app) -> int:
    """How many rows the table of used proofs has."""
    (count,) = await app.store.database.fetch_one(_COUNT)
    return count


async def reason(attempt) -> Reason | None:
    """Why *attempt* was refused; None where it was not."""
    from gateway.errors import GatewayError  # noqa: PLC0415 - here only

    try:
        await attempt
    except GatewayError as error:
        return error.reason
    return None


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("client_id", "secret"), [("web", WRONG), ("web", None), ("nobody", OWN), ("", OWN)])
async def test_a_stranger_takes_no_room(web, door, client_id, secret):
    """Whoever is no client is told so, however good his proof; nothing was written."""
    attempt = DOORS[door](web, proven_call(PROVER), client_id, secret)
    assert await reason(attempt) is Reason.INVALID_CLIENT
    assert await used(web) == 0


@pytest.mark.parametrize("door", DOORS)
async def test_a_proof_counts_once_at_every_door(web, door):
    """The first use is one row, the second is refused at whichever door, before the request is looked at."""
    call = proven_call(PROVER)
    first = await reason(DOORS[door](web, call, "web", OWN))
    assert first is (Reason.INVALID_GRANT if door == "another grant" else None)
    assert await used(web) == 1
    for other in DOORS.values():
        assert await reason(other(web, call, "web", OWN)) is Reason.INVALID_DPOP_PROOF
    assert await used(web) == 1


async def test_what_a_stranger_found_stays_good(web):
    """A proof that somebody else sent first is still its owner's."""
    call = proven_call(PROVER)
    assert await reason(DOORS["mint"](web, call, "web", WRONG)) is Reason.INVALID_CLIENT
    assert await reason(DOORS["mint"](web, call, "web", OWN)) is None


async def test_a_used_code_is_no_matter_to_a_replayed_proof(web):
    """A whole request that comes again is refused for its proof: the grant of its code is not revoked."""
    request = code_request(await code_for(web))
    call = proven_call(PROVER)
    minted = await web.minter.mint(call, "web", OWN, request)
    assert await reason(web.minter.mint(call, "web", OWN, request)) is Reason.INVALID_DPOP_PROOF
    assert await is_active(web, minted.value)


async def test_a_used_refresh_token_is_no_matter_to_a_replayed_proof(web):
    """As for a code: its family is not revoked."""
    first = await tokens_for(web)
    request = TokenRequest(RefreshTokenGrant(first.refresh_token.value))
    call = proven_call(PROVER)
    minted = await web.minter.mint(call, "web", OWN, request)
    assert await reason(web.minter.mint(call, "web", OWN, request)) is Reason.INVALID_DPOP_PROOF
    assert await is_active(web, minted.value)


async def test_a_refusal_of_the_rules_uses_the_proof_up(web):
    """What is asked for does not matter: a client's proof is for one request."""
    call = proven_call(PROVER)
    other = TokenRequest(ClientCredentialsGrant(), scope=("unheard",))
    assert await reason(web.minter.mint(call, "web", OWN, other)) is Reason.INVALID_SCOPE
    assert await reason(DOORS["mint"](web, call, "web", OWN)) is Reason.INVALID_DPOP_PROOF
    assert await used(web) == 1


async def test_a_proof_of_the_callers_token_was_used_with_that(web):
    """It is not used a second time, which would refuse it."""
    call = proven_call(PROVER)
    caller = Principal("caller", proof=call.proof)
    assert await reason(DOORS["mint"](web, replace(call, principal=caller), "web", OWN)) is None
    assert await used(web) == 0
