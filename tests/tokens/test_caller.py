"""Callers by access token: which token of ours opens the gateway's own API."""

from dataclasses import replace

import pytest

from gateway.errors import AuthenticationError, Reason
from gateway.principal import Role
from tests.support.gateway import CALLERS, ISSUER, RESOURCE, call_of, opened_application
from tests.support.tokens import claims_of_token, forge, mint, register_by_secret


@pytest.fixture
async def backend(tmp_path, clock):
    """A gateway where the client `backend` may ask for tokens for the gateway itself."""
    callers = (*CALLERS, {"client_id": "ops", "roles": ["admin"]})
    async with opened_application(tmp_path, clock=clock, callers=callers) as app:
        for name in ("backend", "ops"):
            await register_by_secret(app, name, audiences=frozenset({ISSUER, RESOURCE}))
        yield app


async def authenticate(app, token: str, scheme: str = "bearer", certificate=None):
    return await app.callers.authenticate(token, scheme, call_of(certificate).certificate)


async def refused(app, *arguments) -> str:
    with pytest.raises(AuthenticationError) as caught:
        await authenticate(app, *arguments)
    assert caught.value.reason is Reason.INVALID_TOKEN
    assert str(caught.value) == "The access token is not accepted."
    return caught.value.cause


async def test_accepted(backend):
    """A token whose audience is the gateway makes its client a caller, with no role but client."""
    minted = await mint(backend, "backend", resource=ISSUER)
    principal = await authenticate(backend, minted.value)
    assert principal.name == "client:backend"
    assert principal.client_id == "backend"
    assert principal.roles == {Role.CLIENT}
    assert not principal.resources


async def test_roles_by_configuration(backend):
    """A client that configuration names has the roles that it gives."""
    minted = await mint(backend, "ops", resource=ISSUER)
    assert (await authenticate(backend, minted.value)).roles == {Role.CLIENT, Role.ADMIN}


async def test_resources_of_the_registration(backend):
    """A client's registered identifiers are those of the caller."""
    await register_by_secret(backend, "api", audiences=frozenset({ISSUER}), resources=frozenset({RESOURCE}))
    minted = await mint(backend, "api", resource=ISSUER)
    assert (await authenticate(backend, minted.value)).resources == {RESOURCE}


async def test_scheme_in_any_case(backend):
    """The scheme is compared without regard to case (RFC 9110 §11.1)."""
    minted = await mint(backend, "backend", resource=ISSUER)
    assert await authenticate(backend, minted.value, "BEARER")


@pytest.mark.parametrize("scheme", ["dpop", "basic", "", "bearer2"])
async def test_another_scheme(backend, scheme):
    """A token under another scheme is refused, DPoP without a proof included."""
    minted = await mint(backend, "backend", resource=ISSUER)
    assert await refused(backend, minted.value, scheme) == "scheme_not_supported"


async def test_for_another_audience(backend):
    """A token that is meant for an API of others does not open the gateway's own."""
    minted = await mint(backend, "backend", resource=RESOURCE)
    assert await refused(backend, minted.value) == "audience_is_not_the_gateway"


async def test_expired(backend, clock):
    """An expired token is refused."""
    minted = await mint(backend, "backend", resource=ISSUER)
    clock.advance(600)
    assert await refused(backend, minted.value) == "expired"


async def test_not_an_access_token(backend, clock):
    """Garbage, and what our key signed as something else, is refused."""
    assert await refused(backend, "garbage") == "malformed_compact"
    assert (
        await refused(backend, await forge(backend, claims_of_token(clock(), aud=ISSUER), "JWT"))
        == "typ_mismatch"
    )


async def test_bound(backend):
    """A bound token needs its certificate on the same request: none and another one are refused."""
    leaf, other = backend.root.leaf("a"), backend.root.leaf("a")
    minted = await mint(backend, "backend", certificate=leaf, resource=ISSUER)
    assert await authenticate(backend, minted.value, "bearer", leaf)
    assert await refused(backend, minted.value, "bearer", None) == "certificate_binding_mismatch"
    assert await refused(backend, minted.value, "bearer", other) == "certificate_binding_mismatch"


async def test_unbound_beside_a_certificate(backend):
    """A token that is bound to nothing may come beside any certificate."""
    minted = await mint(backend, "backend", resource=ISSUER)
    assert await authenticate(backend, minted.value, "bearer", backend.root.leaf("a"))


async def test_revoked(backend):
    """A revoked token is refused."""
    minted = await mint(backend, "backend", resource=ISSUER)
    await backend.revoker.revoke_id(call_of(roles=(Role.ADMIN,)), minted.token.token_id)
    assert await refused(backend, minted.value) == "revoked"


async def test_client_disabled_or_deleted(backend):
    """The tokens of a disabled and of a deleted client are refused."""
    minted = await mint(backend, "backend", resource=ISSUER)
    await backend.registrar.update(
        "backend", lambda client: replace(client, disabled=True), expected_revision=None
    )
    assert await refused(backend, minted.value) == "client_unknown_or_disabled"
    await backend.registrar.delete("backend", expected_revision=None)
    assert await refused(backend, minted.value) == "client_unknown_or_disabled"


async def test_key_disabled(backend):
    """What a disabled key signed opens nothing any more."""
    minted = await mint(backend, "backend", resource=ISSUER)
    await authenticate(backend, minted.value)
    (record,) = backend.keyring.view.records
    await backend.keys.disable(record.key_id, reason="stolen")
    assert await refused(backend, minted.value) == "key_not_honored"
