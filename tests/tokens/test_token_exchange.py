"""Token exchange: never more than the subject token, and everybody named who acts."""

import json

import pytest

from gateway.errors import GatewayError, Reason
from gateway.tokens.actor import Actor
from gateway.tokens.client import GrantType, TokenExchangePolicy
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import TokenExchangeGrant, TokenRequest
from gateway.tokens.token_exchange import ACCESS_TOKEN
from tests.support.authorizations import OTHER, SECRET, code_for, is_active, proven_call, redeem, web_client
from tests.support.dpop import Prover
from tests.support.gateway import ISSUER, RESOURCE, call_of

EXCHANGE = frozenset({GrantType.TOKEN_EXCHANGE, GrantType.CLIENT_CREDENTIALS})
SERVICE = {"grant_types": EXCHANGE, "resources": frozenset({RESOURCE}), "default_audience": OTHER}


@pytest.fixture
async def web(app):
    """A web application with users, and a service that calls another one on their behalf."""
    await web_client(app)
    await web_client(app, "service", **SERVICE)
    return app


async def exchange(app, token, client_id="service", call=None, scope=(), resource=(), **changes):
    grant = TokenExchangeGrant(**({"subject_token": token, "subject_token_type": ACCESS_TOKEN} | changes))
    request = TokenRequest(grant, scope, resource)
    return await app.minter.mint(call or call_of(), client_id, ClientSecret(SECRET), request)


async def refused(attempt):
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.reason, caught.value.cause


async def user_token(app, **changes):
    return await redeem(app, await code_for(app, **changes))


async def own_token(app, client_id, call=None):
    from gateway.tokens.grants import ClientCredentialsGrant  # noqa: PLC0415 - here only

    request = TokenRequest(ClientCredentialsGrant())
    return await app.minter.mint(call or call_of(), client_id, ClientSecret(SECRET), request)


async def test_the_service_acts_for_the_user(web):
    """Subject, authentication and grant are the user's; the audience is new, the actor the service."""
    subject = await user_token(web, scope=("read",))
    minted = await exchange(web, subject.value)
    token = minted.token
    assert (token.subject, token.client_id, token.audience) == ("alice", "service", (OTHER,))
    assert (token.scope, token.actor) == (("read",), Actor("service"))
    assert (token.authentication, token.grant_id) == (subject.token.authentication, subject.token.grant_id)
    assert minted.refresh_token is None


async def test_nothing_is_widened(web, clock):
    """Neither scope nor time nor resource goes beyond what the subject token, and the client, have."""
    subject = await user_token(web, scope=("read",))
    assert (await refused(exchange(web, subject.value, scope=("write",))))[0] is Reason.INVALID_SCOPE
    assert (await refused(exchange(web, subject.value, resource=(ISSUER,))))[0] is Reason.INVALID_TARGET
    clock.advance(599)
    assert (await exchange(web, subject.value)).token.expire_time == subject.token.expire_time


async def test_a_revoked_grant_ends_what_was_exchanged(web):
    """The user's revocation reaches every service behind the first."""
    subject = await user_token(web)
    minted = await exchange(web, subject.value, resource=(RESOURCE,))
    assert await is_active(web, minted.value)
    await web.store.grants.revoke(subject.token.grant_id, now=0)
    assert not await is_active(web, minted.value)
    assert await refused(exchange(web, subject.value)) == (
        Reason.INVALID_REQUEST,
        "subject_token_revoked",
    )


async def test_actors_follow_each_other(web):
    """Each exchange adds one, and a fifth is refused."""
    chain = ["service"]
    token = (await exchange(web, (await user_token(web)).value, resource=(RESOURCE,))).value
    for number in range(3):
        await web_client(web, f"hop{number}", **SERVICE)
        minted = await exchange(web, token, f"hop{number}", resource=(RESOURCE,))
        token, chain = minted.value, [f"hop{number}", *chain]
    named, actor = [], minted.token.actor
    while actor is not None:
        named.append(actor.subject)
        actor = actor.prior
    assert named == chain
    assert await refused(exchange(web, token)) == (Reason.INVALID_REQUEST, "too_many_actors")


async def test_impersonation_is_a_policy(web):
    """Where it is allowed the token names no actor."""
    await web_client(web, "proxy", **SERVICE, token_exchange=TokenExchangePolicy(impersonation=True))
    assert (await exchange(web, (await user_token(web)).value, "proxy")).token.actor is None


async def test_an_actor_token_names_the_actor(web):
    """Its subject acts; it must be the client's own token."""
    subject = await user_token(web)
    acting = await own_token(web, "service")
    options = {"actor_token": acting.value, "actor_token_type": ACCESS_TOKEN}
    assert (await exchange(web, subject.value, **options)).token.actor == Actor("service")
    options["actor_token"] = subject.value
    assert await refused(exchange(web, subject.value, **options)) == (
        Reason.INVALID_REQUEST,
        "actor_token_of_another_client",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token_type": ""},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": "x", "actor_token_type": ""},
    ],
)
async def test_kinds_of_tokens(web, changes):
    """Access tokens only, and a type beside every token (RFC 8693 §2.1)."""
    subject = await user_token(web)
    assert (await refused(exchange(web, subject.value, **changes)))[0] is Reason.INVALID_REQUEST


@pytest.mark.parametrize("token", ["", "x", "cs_at_" + "A" * 43, "cs_rt_" + "A" * 43])
async def test_what_is_no_token(web, token):
    """It is refused like one that expired."""
    assert (await refused(exchange(web, token)))[0] is Reason.INVALID_REQUEST


async def test_an_expired_token(web, clock):
    """Its time is over for every use."""
    subject = await user_token(web)
    clock.advance(600)
    assert await refused(exchange(web, subject.value)) == (
        Reason.INVALID_REQUEST,
        "subject_token_expired",
    )


async def test_a_token_for_others(web):
    """Neither its client nor its audience may exchange it."""
    await web_client(web, "stranger", **(SERVICE | {"resources": frozenset({ISSUER + "/x"})}))
    subject = await user_token(web)
    assert await refused(exchange(web, subject.value, "stranger")) == (
        Reason.INVALID_REQUEST,
        "subject_token_of_others",
    )


async def test_a_bound_token_needs_its_key_or_a_policy(web):
    """The owner proves the key; a resource server needs the operator's word that it checked the proof."""
    prover = Prover.es256()
    subject = await redeem(web, await code_for(web), call=proven_call(prover))
    assert await refused(exchange(web, subject.value)) == (
        Reason.INVALID_REQUEST,
        "subject_token_bound_to_another",
    )
    await web_client(web, "checked", **SERVICE, token_exchange=TokenExchangePolicy(bound_subject_tokens=True))
    assert (await exchange(web, subject.value, "checked")).token.binding is None
    own = await own_token(web, "service", proven_call(prover))
    assert await refused(exchange(web, own.value)) == (
        Reason.INVALID_REQUEST,
        "subject_token_binding_mismatch",
    )
    assert (await exchange(web, own.value, call=proven_call(prover))).token.binding == own.token.binding


async def test_may_act_is_kept_to(web):
    """A subject token that names who may act is exchanged by no other (RFC 8693 §4.4)."""
    key = next(iter(web.keyring.view.signing_keys.values()))
    subject = await user_token(web)
    for allowed, accepted in (("service", True), ("other", False)):
        claims = json.loads(subject.terms.payload(f"t-{allowed}", subject.issue_time, subject.expire_time))
        marked = claims | {"may_act": Actor(allowed).members()}
        value = await key.sign_jws("at+jwt", json.dumps(marked).encode())
        if accepted:
            assert (await exchange(web, value)).token.actor == Actor("service")
        else:
            assert await refused(exchange(web, value)) == (Reason.INVALID_REQUEST, "may_act_mismatch")


async def test_a_client_without_the_grant(web):
    """It is registered or it is not."""
    subject = await user_token(web)
    assert (await refused(exchange(web, subject.value, "web")))[0] is Reason.UNAUTHORIZED_CLIENT


async def test_the_actor_is_introspected(web):
    """A resource server sees who acts."""
    from gateway.introspection.document import document_of  # noqa: PLC0415 - here only

    minted = await exchange(web, (await user_token(web)).value)
    assert document_of(minted.token)["act"] == {"sub": "service"}
