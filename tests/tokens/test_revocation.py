"""Revocation (RFC 7009): by its own client, by an administrator, once and for all replicas."""

import asyncio

import pytest

from gateway.errors import AuthenticationError, AuthorizationError, Reason, RequestError
from gateway.principal import Role
from tests.support.gateway import call_of, opened_application
from tests.support.tokens import SECRET, claims_of_token, forge, mint, register_by_secret

ADMIN = call_of(roles=(Role.ADMIN,))


@pytest.fixture
async def backend(app):
    await register_by_secret(app, "backend")
    await register_by_secret(app, "second")
    return app


async def revoke(app, token: str, client_id: str = "backend"):
    await app.revoker.revoke(call_of(), client_id, SECRET, token)


async def revoked(app, token_id: str) -> bool:
    return await app.store.revocations.is_revoked(token_id)


async def test_own_token(backend):
    """A client revokes its own token, and may do so again."""
    minted = await mint(backend, "backend")
    await revoke(backend, minted.value)
    assert await revoked(backend, minted.token.token_id)
    await revoke(backend, minted.value)


async def test_only_that_token(backend):
    """Another token of the same client stays as it was."""
    first, second = await mint(backend, "backend"), await mint(backend, "backend")
    await revoke(backend, first.value)
    assert not await revoked(backend, second.token.token_id)


async def test_token_of_another_client(backend):
    """A token that was issued to another client is refused, and stays active."""
    minted = await mint(backend, "second")
    with pytest.raises(AuthorizationError) as caught:
        await revoke(backend, minted.value)
    assert caught.value.reason is Reason.UNAUTHORIZED_CLIENT
    assert caught.value.cause == "token_of_another_client"
    assert not await revoked(backend, minted.token.token_id)


async def test_unknown_token(backend, clock):
    """A token that is malformed, of another kind or expired is success: it is not active (RFC 7009 §2.2)."""
    await revoke(backend, "garbage")
    await revoke(backend, await forge(backend, claims_of_token(clock(), jti="a"), "JWT"))
    await revoke(backend, await forge(backend, claims_of_token(clock(), jti="a", exp=1)))
    assert not await revoked(backend, "a")


async def test_unproven_client(backend):
    """Who cannot prove to be the client revokes nothing."""
    minted = await mint(backend, "backend")
    with pytest.raises(AuthenticationError) as caught:
        await backend.revoker.revoke(ADMIN, "backend", None, minted.value)
    assert caught.value.cause == "credential_missing"
    assert not await revoked(backend, minted.token.token_id)


async def test_kept_until_the_token_has_expired(backend, clock):
    """The row is kept while the token would be active, and purged some time after."""
    minted = await mint(backend, "backend")
    await revoke(backend, minted.value)
    clock.advance(600)
    await backend.store.purge.once()
    assert await revoked(backend, minted.token.token_id)
    clock.advance(301)
    await backend.store.purge.once()
    assert not await revoked(backend, minted.token.token_id)


async def test_by_id(backend):
    """An administrator revokes by id, whosever token it is."""
    minted = await mint(backend, "backend")
    await backend.revoker.revoke_id(ADMIN, minted.token.token_id)
    assert await backend.introspector.introspect(call_of(), "backend", SECRET, minted.value) is None


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_by_id_without_the_role(backend, role):
    """Nobody else revokes by id."""
    for call in (call_of(), call_of(roles=(role,)), call_of(client_id="backend")):
        with pytest.raises(AuthorizationError) as caught:
            await backend.revoker.revoke_id(call, "x")
        assert caught.value.reason is Reason.PERMISSION_DENIED
    assert not await revoked(backend, "x")


@pytest.mark.parametrize("token_id", ["", "x" * 257, "a\0b", "a\nb", "ä"])
async def test_id_malformed(backend, token_id):
    """An id that no token of ours can have is refused."""
    with pytest.raises(RequestError) as caught:
        await backend.revoker.revoke_id(ADMIN, token_id)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "token_id")


async def test_by_id_outlives_every_token(backend, clock):
    """A bare id stays revoked for the longest life that a token can have."""
    await backend.revoker.revoke_id(ADMIN, "some-id")
    clock.advance(3_600)
    await backend.store.purge.once()
    assert await revoked(backend, "some-id")


async def test_id_then_token(backend, clock):
    """Revoking by id and then by token keeps the later of both ends."""
    minted = await mint(backend, "backend")
    await revoke(backend, minted.value)
    await backend.revoker.revoke_id(ADMIN, minted.token.token_id)
    clock.advance(3_600)
    await backend.store.purge.once()
    assert await revoked(backend, minted.token.token_id)


async def test_race(tmp_path, clock):
    """Many revocations of one token on two replicas at once all succeed, and it is revoked on both."""
    async with opened_application(tmp_path, clock=clock) as first:
        await register_by_secret(first, "backend")
        async with opened_application(tmp_path, clock=clock, prepared=first.prepared) as second:
            minted = await mint(first, "backend")
            await asyncio.gather(*(revoke(app, minted.value) for app in (first, second) for _ in range(8)))
            for app in (first, second):
                assert await revoked(app, minted.token.token_id)
