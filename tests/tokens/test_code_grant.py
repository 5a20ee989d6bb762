"""The authorization code grant, rule by rule."""

import asyncio

import pytest

from gateway.errors import AvailabilityError, GatewayError, Reason
from gateway.tokens.binding import DpopBinding
from gateway.tokens.client import GrantType
from signers.errors import SignerUnavailableError
from tests.support.authorizations import (
    AUTHENTICATION,
    CHALLENGE,
    OTHER,
    PKCE,
    REDIRECT,
    USER,
    code_for,
    is_active,
    proven_call,
    public_client,
    redeem,
    refresh,
    tokens_for,
    web_client,
)
from tests.support.dpop import Prover
from tests.support.gateway import ISSUER, RESOURCE


@pytest.fixture
async def web(app):
    """A confidential client and another one."""
    await web_client(app)
    await web_client(app, "other")
    return app


async def refused(attempt):
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.reason, caught.value.cause


def test_the_vector_of_rfc_7636():
    """Verifier and challenge of Appendix B belong together."""
    assert PKCE.challenge == CHALLENGE


async def test_a_code_gives_what_the_user_agreed_to(web):
    """Subject, scope, audience and authentication are those of the authorization, with a refresh token."""
    minted = await redeem(web, await code_for(web, scope=("read",)))
    token = minted.token
    assert (token.subject, token.client_id, token.scope) == (USER, "web", ("read",))
    assert (token.audience, token.authentication) == ((RESOURCE,), AUTHENTICATION)
    assert token.issuer == ISSUER
    assert token.grant_id
    assert minted.refresh_token.value.startswith("cs_rt_")
    assert await is_active(web, minted.value)


async def test_a_client_without_the_grant_gets_no_refresh_token(app):
    """Refresh tokens are for clients that are registered for them."""
    await web_client(app, grant_types=frozenset({GrantType.AUTHORIZATION_CODE}))
    assert (await redeem(app, await code_for(app))).refresh_token is None


async def test_less_than_was_authorized_may_be_asked_for(web):
    """Scope and resource of the token request narrow; more is refused and uses up nothing."""
    code = await code_for(web, scope=("read", "write"), resource=(RESOURCE, OTHER))
    assert (await refused(redeem(web, code, scope=("admin",))))[0] is Reason.INVALID_SCOPE
    assert (await refused(redeem(web, code, resource=(ISSUER,))))[0] is Reason.INVALID_TARGET
    minted = await redeem(web, code, scope=("read",), resource=(OTHER,))
    assert (minted.token.scope, minted.token.audience) == (("read",), (OTHER,))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"client_id": "other"}, "code_of_another_client"),
        ({"redirect_uri": REDIRECT + "/"}, "redirect_uri_mismatch"),
        ({"redirect_uri": ""}, "redirect_uri_mismatch"),
        ({"code_verifier": "x" * 43}, "code_verifier_mismatch"),
        ({"code_verifier": ""}, "code_verifier_mismatch"),
        ({"code_verifier": CHALLENGE}, "code_verifier_mismatch"),
        ({"code_verifier": PKCE.verifier + "\n"}, "code_verifier_mismatch"),
    ],
)
async def test_a_code_is_bound(web, changes, cause):
    """Client, redirect URI and verifier must be the code's; a wrong try neither uses nor revokes anything."""
    code = await code_for(web)
    assert await refused(redeem(web, code, **changes)) == (Reason.INVALID_GRANT, cause)
    minted = await redeem(web, code)
    assert await refused(redeem(web, code, **changes)) == (Reason.INVALID_GRANT, cause)
    assert await is_active(web, minted.value)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("", "code_malformed"),
        ("cs_ac_short", "code_malformed"),
        ("cs_rt_" + "A" * 43, "code_malformed"),
        ("cs_ac_" + "A" * 43, "code_unknown"),
    ],
)
async def test_a_code_that_was_never_issued(web, code, cause):
    """It is not valid, whatever it looks like."""
    assert await refused(redeem(web, code)) == (Reason.INVALID_GRANT, cause)


async def test_a_code_lives_for_a_minute(web, clock):
    """At its end it is expired."""
    code = await code_for(web)
    clock.advance(60)
    assert await refused(redeem(web, code)) == (Reason.INVALID_GRANT, "code_expired")


async def test_a_second_use_revokes_the_first(web, clock):
    """The access token and the refresh token of the first use are dead, long after the code's life too."""
    code = await code_for(web)
    minted = await redeem(web, code)
    clock.advance(300)
    assert await is_active(web, minted.value)
    assert await refused(redeem(web, code)) == (Reason.INVALID_GRANT, "code_replayed")
    assert not await is_active(web, minted.value)
    assert await refused(refresh(web, minted.refresh_token.value)) == (
        Reason.INVALID_GRANT,
        "grant_revoked",
    )


async def test_one_of_many_uses_wins_and_loses(web):
    """Twenty at the same time: at most one token is given out, and it is revoked by the others."""
    code = await code_for(web)
    results = await asyncio.gather(*(redeem(web, code) for _ in range(20)), return_exceptions=True)
    minted = [result for result in results if not isinstance(result, Exception)]
    assert len(minted) == 1
    assert {error.cause for error in results if isinstance(error, Exception)} == {"code_replayed"}
    assert not await is_active(web, minted[0].value)


async def test_a_signer_that_is_away_uses_up_no_code(web, monkeypatch):
    """What could not be signed was not given, so the code is still good."""
    code = await code_for(web)
    (key,) = web.keyring.view.signing_keys.values()

    async def fail(message):
        raise SignerUnavailableError("away", key="tokens")

    with monkeypatch.context() as patch:
        patch.setattr(key.signer, "sign", fail)
        with pytest.raises(SignerUnavailableError):
            await redeem(web, code)
    assert await redeem(web, code)


async def test_a_code_for_a_dpop_key(web):
    """With `dpop_jkt` only a proof of that key redeems the code (RFC 9449 §10)."""
    prover = Prover.es256()
    code = await code_for(web, dpop_jkt=prover.jkt)
    mismatch = (Reason.INVALID_GRANT, "dpop_jkt_mismatch")
    assert await refused(redeem(web, code)) == mismatch
    assert await refused(redeem(web, code, call=proven_call(Prover.es256()))) == mismatch
    minted = await redeem(web, code, call=proven_call(prover))
    assert minted.token.binding == DpopBinding(prover.jkt)


async def test_a_client_that_is_not_registered_for_codes(app):
    """It has no use for one."""
    await web_client(app)
    code = await code_for(app)
    await web_client(app, "machine", grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}))
    assert (await refused(redeem(app, code, "machine")))[0] is Reason.UNAUTHORIZED_CLIENT


async def test_codes_and_grants_are_no_secrets_of_the_database(web, tmp_path):
    """Neither code nor refresh token is found in what the database wrote."""
    from tests.support.gateway import stored_octets  # noqa: PLC0415 - here only

    code = await code_for(web)
    minted = await redeem(web, code)
    rotated = await refresh(web, minted.refresh_token.value)
    octets = stored_octets(tmp_path)
    for secret in (code, minted.refresh_token.value, rotated.refresh_token.value):
        assert secret.encode() not in octets


class TestPublicClients:
    """Clients that authenticate with nothing."""

    async def test_a_public_client_proves_itself_by_the_code(self, app):
        """PKCE is what ties the code to it."""
        await public_client(app)
        minted = await redeem(app, await code_for(app, "app"), "app")
        assert minted.token.binding is None

    async def test_its_refresh_tokens_are_bound_to_its_key(self, app):
        """Where it proved a key, no other and nothing refreshes (RFC 9449 §5)."""
        await public_client(app)
        prover = Prover.es256()
        call = proven_call(prover)
        minted = await redeem(app, await code_for(app, "app"), "app", call=call)
        token = minted.refresh_token.value
        mismatch = (Reason.INVALID_GRANT, "refresh_token_binding_mismatch")
        assert await refused(refresh(app, token, "app")) == mismatch
        assert await refused(refresh(app, token, "app", call=proven_call(Prover.es256()))) == mismatch
        again = await refresh(app, token, "app", call=proven_call(prover))
        assert again.refresh_token.value == token

    async def test_a_secret_is_no_way_in(self, app):
        """One method is pinned: who sends a secret for a public client is refused."""
        from gateway.tokens.client_authentication import ClientSecret  # noqa: PLC0415 - here only
        from tests.support.authorizations import code_request  # noqa: PLC0415
        from tests.support.gateway import call_of  # noqa: PLC0415

        await public_client(app)
        code = await code_for(app, "app")
        attempt = app.minter.mint(call_of(), "app", ClientSecret("x"), code_request(code))
        assert (await refused(attempt))[0] is Reason.INVALID_CLIENT


class TestOpaqueTokens:
    """Clients whose access tokens are references."""

    @pytest.fixture
    async def opaque(self, app):
        """Such a client."""
        from gateway.tokens.client import AccessTokenFormat  # noqa: PLC0415 - here only

        await web_client(app, access_token_format=AccessTokenFormat.OPAQUE)
        return app

    async def test_an_opaque_token_is_introspected(self, opaque, tmp_path):
        """It says the same as a JWT would, and the database does not hold it."""
        from tests.support.gateway import stored_octets  # noqa: PLC0415 - here only

        minted = await tokens_for(opaque)
        assert minted.value.startswith("cs_at_")
        assert await is_active(opaque, minted.value)
        assert minted.value.encode() not in stored_octets(tmp_path)

    async def test_an_opaque_token_expires_and_is_revoked(self, opaque, clock):
        """By its own end, by its id, and with its grant."""
        from gateway.tokens.client_authentication import ClientSecret  # noqa: PLC0415 - here only
        from tests.support.authorizations import SECRET  # noqa: PLC0415
        from tests.support.gateway import call_of  # noqa: PLC0415

        first, second, third = [await tokens_for(opaque) for _ in range(3)]
        await opaque.revoker.revoke(call_of(), "web", ClientSecret(SECRET), first.value)
        await opaque.revoker.revoke(call_of(), "web", ClientSecret(SECRET), second.refresh_token.value)
        assert [await is_active(opaque, each.value) for each in (first, second, third)] == [
            False,
            False,
            True,
        ]
        clock.advance(600)
        assert not await is_active(opaque, third.value)

    async def test_an_unknown_reference_is_inactive(self, opaque):
        """Whatever it looks like."""
        for value in ("cs_at_", "cs_at_" + "A" * 43, "cs_at_" + "é" * 43, "cs_at_" + "A" * 44):
            assert not await is_active(opaque, value)


async def test_a_database_that_is_away_gives_nothing(web, monkeypatch):
    """A token whose grant could not be recorded is thrown away."""
    code = await code_for(web)

    async def fail(*arguments, **options):
        raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away")

    with monkeypatch.context() as patch:
        patch.setattr(type(web.store.codes), "use", fail)
        assert (await refused(redeem(web, code)))[0] is Reason.STORE_UNAVAILABLE
    assert await redeem(web, code)
