"""Refresh tokens: rotation, reuse, grace, expiry, revocation."""

import asyncio

import pytest

from gateway.errors import GatewayError, Reason
from gateway.introspection.refresh_tokens import ActiveRefreshToken
from gateway.principal import Role
from gateway.tokens.client_authentication import ClientSecret
from tests.support.authorizations import (
    OTHER,
    SECRET,
    code_for,
    is_active,
    public_client,
    redeem,
    refresh,
    tokens_for,
    web_client,
)
from tests.support.gateway import RESOURCE, call_of, opened_application

REUSED = (Reason.INVALID_GRANT, "refresh_token_reused")


@pytest.fixture
async def web(app):
    """A client with a secret, whose refresh tokens rotate, and another one."""
    await web_client(app)
    await web_client(app, "other")
    return app


async def refused(attempt):
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.reason, caught.value.cause


async def test_a_refresh_gives_a_new_token_of_the_same_grant(web):
    """Subject, authentication and grant stay; the access token and the refresh token are new."""
    first = await tokens_for(web)
    second = await refresh(web, first.refresh_token.value)
    assert second.token.grant_id == first.token.grant_id
    assert second.token.authentication == first.token.authentication
    assert second.token.token_id != first.token.token_id
    assert second.refresh_token.value != first.refresh_token.value
    assert await is_active(web, first.value)
    assert await is_active(web, second.value)


async def test_scope_and_resource_narrow_once(web):
    """Less may be asked for without losing the rest; more is refused (RFC 6749 §6)."""
    first = await tokens_for(web, scope=("read", "write"), resource=(RESOURCE, OTHER))
    token = first.refresh_token.value
    assert (await refused(refresh(web, token, scope=("admin",))))[0] is Reason.INVALID_SCOPE
    assert (await refused(refresh(web, token, resource=("https://x.example",))))[0] is Reason.INVALID_TARGET
    second = await refresh(web, token, scope=("read",), resource=(OTHER,))
    assert (second.token.scope, second.token.audience) == (("read",), (OTHER,))
    third = await refresh(web, second.refresh_token.value)
    assert third.token.scope == ("read", "write")


async def test_a_scope_that_the_client_lost_is_not_granted_again(web):
    """The registration as it is now bounds what an old authorization gives."""
    first = await tokens_for(web, scope=("read", "write"))
    client = await web.registrar.get("web")
    await web.registrar.update(
        "web",
        lambda present: type(client)(
            **{f: getattr(present, f) for f in client.__dataclass_fields__} | {"scopes": frozenset({"read"})}
        ),
        expected_revision=None,
    )
    assert (await refresh(web, first.refresh_token.value)).token.scope == ("read",)


async def test_a_lost_answer_is_given_again(web):
    """Within the grace the same successor comes back, with another access token."""
    first = await tokens_for(web)
    once = await refresh(web, first.refresh_token.value)
    again = await refresh(web, first.refresh_token.value)
    assert again.refresh_token == once.refresh_token
    assert again.token.token_id != once.token.token_id
    assert await refresh(web, again.refresh_token.value)


async def test_reuse_after_the_grace_revokes_the_family(web, clock):
    """Thief and client cannot be told apart: nothing of the grant is good any more."""
    first = await tokens_for(web)
    second = await refresh(web, first.refresh_token.value)
    clock.advance(10.001)
    assert await refused(refresh(web, first.refresh_token.value)) == REUSED
    assert await refused(refresh(web, second.refresh_token.value)) == (
        Reason.INVALID_GRANT,
        "grant_revoked",
    )
    assert [await is_active(web, each.value) for each in (first, second)] == [False, False]


async def test_reuse_after_the_successor_was_used_revokes_the_family(web):
    """Who uses the successor has got the answer, so the old token comes from somebody else."""
    first = await tokens_for(web)
    second = await refresh(web, first.refresh_token.value)
    third = await refresh(web, second.refresh_token.value)
    assert await refused(refresh(web, first.refresh_token.value)) == REUSED
    assert not await is_active(web, third.value)


async def test_the_grace_has_a_number_of_uses(tmp_path, clock):
    """One more than configured is reuse."""
    async with opened_application(tmp_path, clock=clock, tokens={"refresh_grace_uses": 2}) as app:
        await web_client(app)
        first = await tokens_for(app)
        for _ in range(3):
            await refresh(app, first.refresh_token.value)
        assert await refused(refresh(app, first.refresh_token.value)) == REUSED


async def test_without_grace_a_second_use_is_reuse(tmp_path, clock):
    """The strict setting."""
    async with opened_application(tmp_path, clock=clock, tokens={"refresh_grace": 0}) as app:
        await web_client(app)
        first = await tokens_for(app)
        await refresh(app, first.refresh_token.value)
        clock.advance(0.001)
        assert await refused(refresh(app, first.refresh_token.value)) == REUSED


async def test_who_cannot_show_what_it_takes_revokes_nothing(web, clock):
    """A used token in another client's hands is refused without harm to the family."""
    first = await tokens_for(web)
    second = await refresh(web, first.refresh_token.value)
    clock.advance(60)
    assert await refused(refresh(web, first.refresh_token.value, "other")) == (
        Reason.INVALID_GRANT,
        "refresh_token_of_another_client",
    )
    wrong = web.minter.mint(call_of(), "web", ClientSecret("guess"), _request(first.refresh_token.value))
    assert (await refused(wrong))[0] is Reason.INVALID_CLIENT
    assert await refresh(web, second.refresh_token.value)


def _request(token):
    from gateway.tokens.grants import RefreshTokenGrant, TokenRequest  # noqa: PLC0415 - here only

    return TokenRequest(RefreshTokenGrant(token))


async def test_twenty_at_the_same_time_leave_one_family_alive(tmp_path, clock):
    """On two replicas: all get the same successor, and it works."""
    async with (
        opened_application(tmp_path, clock=clock) as one,
        opened_application(tmp_path, clock=clock, prepared=one.prepared) as two,
    ):
        await web_client(one)
        first = await tokens_for(one)
        minted = await asyncio.gather(
            *(refresh((one, two)[number % 2], first.refresh_token.value) for number in range(20))
        )
        assert len({each.refresh_token.value for each in minted}) == 1
        assert len({each.token.token_id for each in minted}) == 20
        assert all([await is_active(one, each.value) for each in minted])
        assert await refresh(two, minted[0].refresh_token.value)


async def test_a_token_that_is_not_used_expires(web, clock):
    """After the idle time; each use moves it."""
    first = await tokens_for(web)
    clock.advance(14 * 86_400 - 1)
    second = await refresh(web, first.refresh_token.value)
    clock.advance(14 * 86_400)
    assert await refused(refresh(web, second.refresh_token.value)) == (
        Reason.INVALID_GRANT,
        "refresh_token_idle_too_long",
    )


async def test_a_family_expires_in_any_case(web, clock):
    """Rotation does not extend its life."""
    minted = await tokens_for(web)
    end = minted.refresh_token.expire_time
    while clock() + 13 * 86_400 < end:
        clock.advance(13 * 86_400)
        minted = await refresh(web, minted.refresh_token.value)
        assert minted.refresh_token.expire_time == end
    clock.now = end
    assert await refused(refresh(web, minted.refresh_token.value)) == (
        Reason.INVALID_GRANT,
        "refresh_token_expired",
    )


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("", "refresh_token_malformed"),
        ("cs_ac_" + "A" * 43, "refresh_token_malformed"),
        ("cs_rt_" + "A" * 43, "refresh_token_unknown"),
    ],
)
async def test_a_token_that_was_never_issued(web, token, cause):
    """It is not valid, whatever it looks like."""
    assert await refused(refresh(web, token)) == (Reason.INVALID_GRANT, cause)


class TestWithoutRotation:
    """Where a key is proven with every use, tokens stay."""

    @pytest.fixture
    async def by_certificate(self, app):
        """A client that authenticates by certificate, its call, and its tokens."""
        from gateway.tokens.client import ClientAuthenticationMethod  # noqa: PLC0415 - here only
        from tests.support.stores import client  # noqa: PLC0415

        await web_client(
            app,
            authentication_method=ClientAuthenticationMethod.TLS_CLIENT_AUTH,
            identity=client().identity,
            secret_hash=None,
        )
        leaf = app.root.leaf("backend", dns=("backend.example.org",))
        return app, call_of(leaf)

    async def use(self, app, call, token):
        return await app.minter.mint(call, "web", None, _request(token))

    async def start(self, app, call):
        from tests.support.authorizations import code_request  # noqa: PLC0415 - here only

        return await app.minter.mint(call, "web", None, code_request(await code_for(app)))

    async def test_the_token_stays_the_same(self, by_certificate):
        """However often it is used, at the same time too."""
        app, call = by_certificate
        first = await self.start(app, call)
        minted = await asyncio.gather(*(self.use(app, call, first.refresh_token.value) for _ in range(10)))
        assert {each.refresh_token.value for each in minted} == {first.refresh_token.value}

    async def test_use_moves_the_idle_expiry(self, by_certificate, clock):
        """A token in use does not expire before its family does."""
        app, call = by_certificate
        first = await self.start(app, call)
        for _ in range(3):
            clock.advance(10 * 86_400)
            await self.use(app, call, first.refresh_token.value)

    async def test_the_new_token_is_bound_to_the_present_certificate(self, by_certificate):
        """A confidential client may change its certificate between two uses (RFC 8705 §4)."""
        app, call = by_certificate
        first = await self.start(app, call)
        renewed = call_of(app.root.leaf("backend", dns=("backend.example.org",)))
        second = await self.use(app, renewed, first.refresh_token.value)
        assert second.token.x5t_s256 == renewed.certificate.x5t_s256 != first.token.x5t_s256

    async def test_a_public_client_without_a_key_rotates(self, app):
        """Nothing else protects its tokens."""
        await public_client(app)
        minted = await redeem(app, await code_for(app, "app"), "app")
        assert (await refresh(app, minted.refresh_token.value, "app")).refresh_token != minted.refresh_token


class TestRevocation:
    """A grant ends as a whole."""

    async def test_revoking_a_refresh_token_ends_its_access_tokens(self, web):
        """RFC 7009 §2.1; a token that was rotated away names the grant as well."""
        first = await tokens_for(web)
        second = await refresh(web, first.refresh_token.value)
        await web.revoker.revoke(call_of(), "web", ClientSecret(SECRET), first.refresh_token.value)
        assert [await is_active(web, each.value) for each in (first, second)] == [False, False]
        assert (await refused(refresh(web, second.refresh_token.value)))[1] == "grant_revoked"

    async def test_revoking_an_access_token_ends_nothing_else(self, web):
        """The refresh token gives another one."""
        first = await tokens_for(web)
        await web.revoker.revoke(call_of(), "web", ClientSecret(SECRET), first.value)
        assert not await is_active(web, first.value)
        assert await is_active(web, (await refresh(web, first.refresh_token.value)).value)

    async def test_another_clients_refresh_token_is_not_revoked(self, web):
        """It stays good."""
        first = await tokens_for(web)
        attempt = web.revoker.revoke(call_of(), "other", ClientSecret(SECRET), first.refresh_token.value)
        assert (await refused(attempt))[0] is Reason.UNAUTHORIZED_CLIENT
        assert await refresh(web, first.refresh_token.value)

    async def test_an_unknown_refresh_token_is_success(self, web):
        """What is not valid need not be revoked (RFC 7009 §2.2)."""
        for token in ("cs_rt_" + "A" * 43, "cs_rt_x"):
            await web.revoker.revoke(call_of(), "web", ClientSecret(SECRET), token)

    async def test_a_grant_other_than_the_revoked_one_stays(self, web):
        """The same user and client may have several."""
        first, second = await tokens_for(web), await tokens_for(web)
        await web.revoker.revoke(call_of(), "web", ClientSecret(SECRET), first.refresh_token.value)
        assert await is_active(web, second.value)


class TestIntrospection:
    """Refresh tokens are their client's business alone."""

    async def test_the_owner_sees_its_refresh_token(self, web):
        """With its scope, user and end; a used one is not active."""
        first = await tokens_for(web)
        token = first.refresh_token.value
        seen = await web.introspector.introspect(call_of(), "web", ClientSecret(SECRET), token)
        assert isinstance(seen, ActiveRefreshToken)
        assert (seen.subject, seen.client_id, seen.scope) == ("alice", "web", ("read", "write"))
        await refresh(web, token)
        assert await web.introspector.introspect(call_of(), "web", ClientSecret(SECRET), token) is None

    async def test_nobody_else_does(self, web):
        """Neither another client nor the resource server of its audience, alone or in a batch."""
        token = (await tokens_for(web)).refresh_token.value
        assert await web.introspector.introspect(call_of(), "other", ClientSecret(SECRET), token) is None
        api = call_of(roles=[Role.RESOURCE_SERVER], resources=[RESOURCE])
        assert await web.introspector.introspect(api, None, None, token) is None
        assert await web.introspector.introspect_many(api, None, None, [token]) == [None]

    async def test_a_batch_mixes_kinds(self, web):
        """Each token is answered in its place."""
        minted = await tokens_for(web)
        answers = await web.introspector.introspect_many(
            call_of(), "web", ClientSecret(SECRET), [minted.refresh_token.value, "x", minted.value]
        )
        assert isinstance(answers[0], ActiveRefreshToken)
        assert answers[1] is None
        assert answers[2] == minted.token

    async def test_a_revoked_grant_in_a_batch(self, web):
        """Its tokens are inactive, those of another grant are not."""
        first, second = await tokens_for(web), await tokens_for(web)
        await web.revoker.revoke(call_of(), "web", ClientSecret(SECRET), first.refresh_token.value)
        api = call_of(roles=[Role.RESOURCE_SERVER], resources=[RESOURCE])
        answers = await web.introspector.introspect_many(api, None, None, [first.value, second.value])
        assert answers == [None, second.token]
