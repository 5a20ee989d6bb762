"""Users' authorizations: codes redeemed once or raced, families of refresh tokens, and their abuse."""

from dataclasses import dataclass, field
from typing import Final

from countersign import AuthorizationRequest, GrantedTokens, Pkce
from countersign.authorizations import AuthorizationCode

from tests.replicas.cluster import REDIRECT
from tests.replicas.fleet import Fleet
from tests.replicas.history import Attempt, Kind, Outcome
from tests.replicas.load_tokens import TokenValues, digest, introspect, introspect_everywhere
from tests.replicas.registered import WEB, Registered

ROTATIONS: Final = 6
_PUSHED_PART: Final = 0.4
_RACED_PART: Final = 0.3
_ABUSED_PART: Final = 0.2


@dataclass
class Family:
    """What a client holds of one authorization: every refresh token that it was told, the last is good."""

    name: str
    refresh_tokens: list[str]
    abused: bool = False


@dataclass
class Families:
    """Those that were not abused, to be used once more in the end."""

    alive: list[Family] = field(default_factory=list)


def _refresh_digest(granted: GrantedTokens) -> list[str]:
    return [] if granted.refresh_token is None else [digest(granted.refresh_token)]


async def authorize(fleet: Fleet, held: TokenValues, families: Families, registered: Registered) -> None:
    """A code, its redemption, and what follows from it."""
    pkce = Pkce()
    code = await _code(fleet, AuthorizationRequest(REDIRECT, pkce.challenge), registered)
    if code is None:
        return
    name = digest(code.code)
    raced = fleet.random.random() < _RACED_PART
    redeemed = await fleet.race(
        Kind.REDEEM,
        name,
        lambda client: client.redeem_code(
            WEB, code.code, redirect_uri=REDIRECT, code_verifier=pkce.verifier, credential=registered.web
        ),
        racers=3 if raced else 1,
        told=_refresh_digest,
        family=name,
    )
    for attempt, granted in redeemed:
        if granted is None or granted.refresh_token is None:
            continue
        token_id = held.keep(fleet, attempt, granted.access_token)
        if raced:
            # The others were a replay, which ends what the first one got.
            await introspect_everywhere(fleet, held, token_id)
        else:
            await _rotate(fleet, held, Family(name, [granted.refresh_token]), families, registered)


async def _code(
    fleet: Fleet, request: AuthorizationRequest, registered: Registered
) -> AuthorizationCode | None:
    """A code, sometimes for a request that was pushed and is then used at two replicas at once."""
    if fleet.random.random() >= _PUSHED_PART:
        _, code = await fleet.persist(
            Kind.STEP,
            f"code-{fleet.number()}",
            lambda client: client.create_authorization_code(WEB, request, subject="alice"),
        )
        return code
    _, pushed = await fleet.persist(
        Kind.STEP,
        f"push-{fleet.number()}",
        lambda client: client.push_authorization_request(WEB, request, credential=registered.web),
    )
    if pushed is None:
        return None
    raced = await fleet.race(
        Kind.PUSHED,
        digest(pushed.request_uri),
        lambda client: client.create_authorization_code(WEB, pushed.request_uri, subject="alice"),
        told=lambda code: [digest(code.code)],
    )
    return next((code for _, code in raced if code is not None), None)


async def _rotate(
    fleet: Fleet, held: TokenValues, family: Family, families: Families, registered: Registered
) -> None:
    """Use the refresh token again and again, sometimes twice at once, and in some families one too often."""
    for _ in range(ROTATIONS):
        if fleet.random.random() < _RACED_PART:
            raced = await fleet.race(
                Kind.REFRESH,
                digest(family.refresh_tokens[-1]),
                _refreshing(family.refresh_tokens[-1], registered),
                told=_refresh_digest,
                family=family.name,
            )
            answered = [each for each in raced if each[1] is not None]
            if answered:
                _keep(fleet, held, family, *answered[0])
                continue
        if not await refresh(fleet, held, family, registered):
            return
    if fleet.random.random() < _ABUSED_PART:
        await _abuse(fleet, held, family, registered)
    else:
        families.alive.append(family)


def _refreshing(token: str, registered: Registered):  # type: ignore[no-untyped-def]  # A call of a client.
    return lambda client: client.refresh_token(WEB, token, credential=registered.web)


async def refresh(fleet: Fleet, held: TokenValues, family: Family, registered: Registered) -> bool:
    """Use the last token, until there is an answer; False where the family is over."""
    token = family.refresh_tokens[-1]
    attempt, granted = await fleet.persist(
        Kind.REFRESH,
        digest(token),
        _refreshing(token, registered),
        told=_refresh_digest,
        family=family.name,
    )
    if granted is None:
        return False
    _keep(fleet, held, family, attempt, granted)
    return True


def _keep(
    fleet: Fleet, held: TokenValues, family: Family, attempt: Attempt, granted: GrantedTokens | None
) -> None:
    if granted is not None and granted.refresh_token is not None:
        held.keep(fleet, attempt, granted.access_token)
        family.refresh_tokens.append(granted.refresh_token)


async def _abuse(fleet: Fleet, held: TokenValues, family: Family, registered: Registered) -> None:
    """Use the first token of the family, whose successor was used long ago: the family ends."""
    stolen = family.refresh_tokens[0]
    attempt, _ = await fleet.persist(
        Kind.REUSE, digest(stolen), _refreshing(stolen, registered), family=family.name
    )
    family.abused = attempt.outcome is Outcome.REFUSED
    for token_id, token in list(fleet.history.tokens.items())[-50:]:
        if token.family == family.name:
            await introspect(fleet, held, token_id)
