"""The database of a whole gateway goes away, or takes no writes: nothing is issued, nothing is lost."""

import asyncio
import json

import pytest
from countersign import AssertionKey, UnavailableError
from countersign.clients import GrantType, PrivateKeyJwtAuth
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.jose.jwk import public_jwk
from tests.support.gateway import ISSUER, RESOURCE, running_gateway
from tests.support.postgres import running_postgres

KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = json.dumps({"keys": [public_jwk(KEY.public_key(), kid="one")]})


class OneAssertion:
    """A credential that sends the same assertion each time."""

    def __init__(self) -> None:
        made = AssertionKey(KEY, "ES256", ISSUER, key_id="one").authentication("backend")
        self._made = made

    def authentication(self, client_id):
        return self._made


def fresh() -> AssertionKey:
    return AssertionKey(KEY, "ES256", ISSUER, key_id="one")


@pytest.fixture(scope="module")
def postgres():
    """A server that the tests of this module stop and start."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def database(postgres):
    """An empty database of that server."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture
async def gateway(tmp_path, database):
    """A gateway on it, with one client that sends assertions."""
    async with running_gateway(
        tmp_path, database_url=database, health={"interval": 0.2, "timeout": 1.0}, store={"timeout": 1.0}
    ) as running:
        async with running.client(running.admin) as admin:
            await admin.create_client(
                "backend",
                authentication=PrivateKeyJwtAuth(JWKS),
                grant_types=[GrantType.CLIENT_CREDENTIALS],
                audiences=[RESOURCE],
                default_audience=RESOURCE,
            )
        yield running


async def eventually(call):
    """The result of *call* once the gateway has found its database again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await call()
            except UnavailableError:
                await asyncio.sleep(0.05)


async def test_nothing_happens_while_the_database_is_gone(gateway, postgres):
    """Minting, revoking and introspecting say STORE_UNAVAILABLE; afterwards all is as it was before."""
    async with gateway.client() as backend, gateway.client(gateway.api) as api:
        token = (await backend.mint_token("backend", credential=fresh())).value
        unused = OneAssertion()
        await asyncio.to_thread(postgres.stop)
        try:
            reasons = []
            for call in (
                lambda: backend.mint_token("backend", credential=unused),
                lambda: backend.revoke_token(token, client_id="backend", credential=fresh()),
                lambda: api.introspect_token(token),
            ):
                with pytest.raises(UnavailableError) as caught:
                    await call()
                reasons.append(caught.value.reason)
            monitor = gateway.server._health
            async with asyncio.timeout(5):
                while monitor.serves("countersign.v1.IntrospectionService"):
                    await monitor.wait_for_change()
            live = monitor.serves("live")
        finally:
            await asyncio.to_thread(postgres.start)
        still_active = await eventually(lambda: api.introspect_token(token))
        minted = await eventually(lambda: backend.mint_token("backend", credential=unused))

    assert reasons == ["STORE_UNAVAILABLE"] * 3
    assert live is True
    assert still_active is not None
    assert minted.value


async def test_a_database_that_takes_no_writes_issues_nothing(gateway, postgres):
    """Read-only: what needs a write is refused, what needs a read is answered, health says not ready."""
    async with gateway.client() as backend, gateway.client(gateway.api) as api:
        token = (await backend.mint_token("backend", credential=fresh())).value
        await postgres._execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await postgres._execute("SELECT pg_reload_conf()")
        try:
            monitor = gateway.server._health
            async with asyncio.timeout(10):
                while monitor.serves(""):
                    await monitor.wait_for_change()
            with pytest.raises(UnavailableError) as minting:
                await backend.mint_token("backend", credential=fresh())
            with pytest.raises(UnavailableError) as revoking:
                await backend.revoke_token(token, client_id="backend", credential=fresh())
            seen = await api.introspect_token(token)
        finally:
            await postgres._execute("ALTER SYSTEM RESET default_transaction_read_only")
            await postgres._execute("SELECT pg_reload_conf()")
        minted = await eventually(lambda: backend.mint_token("backend", credential=fresh()))

    assert (minting.value.reason, revoking.value.reason) == ("STORE_UNAVAILABLE", "STORE_UNAVAILABLE")
    assert "store_read_only" in {record.cause.split(":")[0] for record in gateway.log.records}
    assert seen is not None
    assert minted.value
