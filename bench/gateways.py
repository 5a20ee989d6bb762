"""Starts gateways the way a user does, `countersign serve --config FILE`, and fills them over gRPC."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from countersign import (
    CertificateName,
    ClientSecretBasicAuth,
    CountersignError,
    GatewayClient,
    GrantType,
    TlsClientAuth,
    TlsConfig,
    TokenRequest,
)
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2

from bench import cases
from bench.certificates import ADMIN, CLIENT, RESOURCE, Identity, spiffe_id, write_private_key
from bench.facts import (
    AUDIENCE,
    CLIENT_ID,
    DPOP_CLIENT_ID,
    ISSUER,
    SCOPES,
    SECRET_CLIENT_ID,
    Facts,
    keys_of,
)
from bench.servers import GrpcReadiness, Server, free_port
from signers import Algorithm
from softhsm.provision import Provisioned, provision

MINT_BATCH = 1_000
"""The most items that BatchMintTokens takes."""

READY = GrpcReadiness(
    "/grpc.health.v1.Health/Check",
    health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString(),
)


@dataclass(frozen=True, slots=True)
class Site:
    """What the gateways of a run share."""

    folder: Path
    identities: Mapping[str, Identity]
    workers: int
    access_log: bool


def provision_softhsm(folder: Path) -> Provisioned:
    """One token with a key of each algorithm, labelled by its JOSE name."""
    keys = [f"{source.algorithm}:{source.algorithm}" for source in cases.GATEWAYS.values() if source.softhsm]
    return provision(folder, token="bench", keys=keys)  # noqa: S106 - the name of a token


def describe(name: str, site: Site, hsm: Provisioned | None) -> Server:
    """Write the configuration and key of the gateway *name*. *hsm* is needed where its key lies there."""
    source = cases.GATEWAYS[name]
    folder = site.folder / name.replace(" ", "-").lower()
    folder.mkdir()
    if source.softhsm:
        if hsm is None:
            raise ValueError(f"{name} needs a provisioned SoftHSM.")
        uri, environment = hsm.uri(source.algorithm), hsm.environment
    else:
        uri, environment = file_key(folder, source.algorithm), {}
    return hosted(name, folder, site, source.algorithm, uri, environment, https=source.https)


def hosted(
    name: str,
    folder: Path,
    site: Site,
    algorithm: Algorithm,
    uri: str,
    environment: Mapping[str, str],
    *,
    https: bool = False,
    sections: str = "",
    database_url: str = "",
    address: str = "",
) -> Server:
    """A gateway in *folder* whose only key is *uri*; *sections* are appended to its configuration.

    Its data are in SQLite, unless there is a *database_url*. *address*: of the mutual-TLS listener.
    """
    address = address or f"localhost:{free_port()}"
    https_address = f"localhost:{free_port()}" if https else ""
    config = folder / "countersign.toml"
    database_url = database_url or "sqlite:///countersign.db"
    config.write_text(_config(site, algorithm, uri, address, https_address, database_url) + sections)
    command = (
        sys.executable,
        "-m",
        "gateway.cli",
        "serve",
        "--migrate",
        "--config",
        str(config),
    )
    return Server(name, address, (command,), folder / "log", environment, https_address)


def file_key(folder: Path, algorithm: Algorithm) -> str:
    """Make a key in *folder*; its URI."""
    key = (
        Ed25519PrivateKey.generate()
        if algorithm is Algorithm.EDDSA
        else ec.generate_private_key(ec.SECP256R1())
    )
    write_private_key(folder / "tokens.pem", key)
    return "file:tokens.pem"


def _config(
    site: Site, algorithm: Algorithm, uri: str, address: str, https_address: str, database_url: str
) -> str:
    server = site.identities["server"]
    quote = json.dumps  # A JSON string is a TOML basic string.
    return f"""\
[server]
tls_address = "127.0.0.1:{free_port()}"
mtls_address = {quote(address.replace("localhost", "127.0.0.1"))}
https_address = {quote(https_address.replace("localhost", "127.0.0.1"))}
https_mtls_address = ""
certificate = {quote(str(server.certificate))}
private_key = {quote(str(server.private_key))}
client_ca = {quote(str(server.authority))}
workers = {site.workers}

[store]
url = {quote(database_url)}

[tokens]
issuer = {quote(ISSUER)}
algorithm = {quote(algorithm)}
lifetime = 3600

[log]
access = {"true" if site.access_log else "false"}

[[keys]]
purpose = "tokens"
algorithm = {quote(algorithm)}
uri = {quote(uri)}

[[callers]]
san_uri = {quote(spiffe_id(ADMIN))}
roles = ["admin"]

[[callers]]
san_uri = {quote(spiffe_id(RESOURCE))}
roles = ["resource-server"]
resources = [{quote(AUDIENCE)}]
"""


async def fill(server: Server, identities: Mapping[str, Identity], *, tokens: int) -> Facts:
    """Register the clients, fetch the key set and mint as many *tokens* as will be introspected."""
    async with _client(server.address, identities[ADMIN]) as admin:
        secret = await _register(admin)
    async with _client(server.address, identities[CLIENT]) as client:
        jwks = await client.get_jwks()
        minted: list[str] = []
        while len(minted) < tokens:
            minted += await _mint(client, min(MINT_BATCH, tokens - len(minted)))
    return Facts(minted, keys_of(jwks.document), secret=secret)


async def _register(admin: GatewayClient) -> str:
    """Register the clients; the secret of `SECRET_CLIENT_ID`."""
    secret = ""
    for client_id in (CLIENT_ID, DPOP_CLIENT_ID, SECRET_CLIENT_ID):
        by_certificate = TlsClientAuth(CertificateName.SAN_URI, spiffe_id(CLIENT))
        created = await admin.create_client(
            client_id,
            authentication=ClientSecretBasicAuth() if client_id == SECRET_CLIENT_ID else by_certificate,
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes=SCOPES,
            audiences=[AUDIENCE],
            certificate_bound_access_tokens=client_id == CLIENT_ID,
            dpop_bound_access_tokens=client_id == DPOP_CLIENT_ID,
        )
        secret = created.client_secret or secret
    return secret


async def _mint(client: GatewayClient, count: int) -> list[str]:
    wanted = TokenRequest(scope=SCOPES, resource=(AUDIENCE,))
    tokens = []
    for token in await client.batch_mint_tokens(CLIENT_ID, [wanted] * count, timeout=30):
        if isinstance(token, CountersignError):
            raise token
        tokens.append(token.value)
    return tokens


def _client(address: str, identity: Identity) -> GatewayClient:
    tls = TlsConfig(ca=identity.authority, certificate=identity.certificate, private_key=identity.private_key)
    return GatewayClient(address, tls=tls)
