"""The composition root: what stops a start, what does not, and what is closed again."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from countersign import AssertionKey, CountersignError, GrantType, PrivateKeyJwtAuth
from countersign.v1.client_authentication_pb2 import ClientAuthentication
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.application import load_roots, open_application
from gateway.config import ConfigurationError, load
from gateway.store import SchemaRevisionError
from gateway.wiring.store import store_url
from signers import KeyMismatchError, KeyNotFoundError, KeyUnusableError
from tests.support.assertions import jwks_of
from tests.support.gateway import (
    ISSUER,
    RESOURCE,
    clock,
    make_key,
    opened_application,
    prepare,
    running_gateway,
)
from tests.support.pki import Authority, new_key, self_signed
from tests.support.stores import DATABASES, empty_database
from tests.support.tokens import mint, register_by_secret

__all__ = ["clock"]


def key(uri: str = "file:keys/tokens.pem", **fields) -> list[dict]:
    return [{"purpose": "tokens", "algorithm": "ES256", "uri": uri, **fields}]


async def start(folder: Path, **options) -> None:
    async with opened_application(folder, **options):
        pass


async def test_opens_and_closes(tmp_path):
    """After a start and a stop no task of the gateway's is left."""
    before = asyncio.all_tasks()
    await start(tmp_path)
    await start(tmp_path)
    assert asyncio.all_tasks() == before


async def test_pin_of_another_key(tmp_path):
    """A key that is not the pinned one stops the start."""
    with pytest.raises(KeyMismatchError):
        await start(tmp_path, keys=key(public_key_sha256="0" * 64))


async def test_certificate_of_another_key(tmp_path):
    """A key that does not belong to its certificate stops the start."""
    (tmp_path / "other.pem").write_bytes(self_signed("other").pem)
    with pytest.raises(KeyMismatchError):
        await start(tmp_path, keys=key(certificate="other.pem"))


@pytest.mark.parametrize("content", [None, b"nonsense"])
async def test_certificate_unreadable(tmp_path, content):
    """A certificate file that is missing or no certificate is told by the field's name."""
    if content is not None:
        (tmp_path / "other.pem").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"^keys\.certificate: .*other\.pem"):
        await start(tmp_path, keys=key(certificate="other.pem"))


async def test_key_missing(tmp_path):
    """A key file that is not there stops the start."""
    with pytest.raises(KeyNotFoundError):
        await start(tmp_path, keys=key("file:keys/none.pem"))


async def test_key_that_others_can_read(tmp_path):
    """A key file that others can read stops the start."""
    make_key(tmp_path, "tokens")
    (tmp_path / "keys" / "tokens.pem").chmod(0o644)
    with pytest.raises(KeyUnusableError):
        await start(tmp_path)


@pytest.mark.parametrize("content", [None, b"nonsense", self_signed("no-authority").pem])
async def test_roots_unusable(tmp_path, content):
    """A bundle of client roots that is missing, no PEM or no authority stops the start."""
    prepared = await prepare(tmp_path)
    file = tmp_path / "client-ca.pem"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"^server\.client_ca: .*client-ca\.pem"):
        load_roots(prepared.settings)


async def test_database_not_migrated(tmp_path):
    """A database of another revision stops the start, unless the start may migrate it."""
    prepared = await prepare(tmp_path)
    (tmp_path / "countersign.db").unlink()
    roots = load_roots(prepared.settings)
    with pytest.raises(SchemaRevisionError):
        async with open_application(prepared.settings, roots):
            pass
    async with open_application(prepared.settings, roots, migrate=True) as application:
        await application.store.check_writable()


async def test_relative_database(tmp_path, monkeypatch):
    """A relative database lies beside the configuration, wherever the process runs."""
    prepared = await prepare(tmp_path)
    monkeypatch.chdir("/")
    assert store_url(prepared.settings) == f"sqlite:///{tmp_path}/countersign.db"


async def test_tokens_outlive_a_restart(tmp_path, clock):
    """A token minted before a restart is active after it."""
    async with opened_application(tmp_path, clock=clock) as app:
        await register_by_secret(app, "backend")
        token = await mint(app, "backend")
        prepared = app.prepared
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as app:
        assert await app.callers._verifier.verify(token.value) == token.token


async def status(gateway, service: str = "countersign.v1.TokenService") -> int:
    async with gateway.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)).status


async def test_health_without_a_key(tmp_path):
    """A gateway without a key that signs says so, and serves what needs none."""
    async with running_gateway(tmp_path, key_uri="") as gateway:
        assert await status(gateway) == health_pb2.HealthCheckResponse.NOT_SERVING
        introspection = await status(gateway, "countersign.v1.IntrospectionService")
        assert introspection == health_pb2.HealthCheckResponse.SERVING
        async with gateway.client() as nobody:
            assert (await nobody.get_jwks()).keys == ()


async def test_health_with_a_key(tmp_path):
    """A gateway that can sign and write is serving."""
    async with running_gateway(tmp_path) as gateway:
        assert await status(gateway) == health_pb2.HealthCheckResponse.SERVING
        assert await status(gateway, "") == health_pb2.HealthCheckResponse.SERVING


async def test_other_roots(tmp_path):
    """Two gateways with different roots do not know each other's callers."""
    async with running_gateway(tmp_path) as gateway:
        stranger = Authority.root("Other").leaf("admin", uris=("spiffe://example.org/admin",))
        async with gateway.client(stranger) as client:
            with pytest.raises(CountersignError) as caught:
                await client.get_client("x")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_configuration_of_these_tests(tmp_path):
    """The file that these tests write is one that `load` reads."""
    prepared = asyncio.run(prepare(tmp_path))
    assert load(tmp_path / "countersign.toml") == prepared.settings


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    """The URL of a new database; not asynchronous, because starting a server brings its own event loop."""
    if request.param == "sqlite":
        (tmp_path / "var").mkdir()
    with empty_database(request.param, tmp_path) as url:
        yield url


async def test_two_replicas_on_each_database(tmp_path, database):
    """On either database two gateways share clients, keys, revocations and the single use of assertions."""
    private = new_key()
    async with (
        running_gateway(tmp_path / "gateway", database_url=database) as first,
        running_gateway(tmp_path, prepared=first.prepared) as second,
        first.client(first.admin) as admin,
        first.client() as here,
        second.client() as there,
    ):
        await admin.create_client(
            "backend",
            authentication=PrivateKeyJwtAuth(jwks_of(private).decode()),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )
        credential = AssertionKey(private, "ES256", ISSUER)
        token = await here.mint_token("backend", credential=credential)
        assert await there.introspect_token(token.value, client_id="backend", credential=credential)
        await there.revoke_token(token.value, client_id="backend", credential=credential)
        seen = await here.introspect_token(token.value, client_id="backend", credential=credential)
        assert seen is None
        once = Once(credential.authentication("backend"))
        uses = [client.mint_token("backend", credential=once) for client in (here, there) * 4]
        outcomes = await asyncio.gather(*uses, return_exceptions=True)
        refused = [each for each in outcomes if isinstance(each, CountersignError)]
        assert [each.reason for each in refused] == ["INVALID_CLIENT"] * 7


@dataclass(frozen=True)
class Once:
    """A credential that sends the same assertion every time."""

    proof: ClientAuthentication

    def authentication(self, client_id: str) -> ClientAuthentication:
        return self.proof
