"""Every kind of signer made ready for the contract suite: keys in each, and what each declares it cannot do.

A new backend adds one factory to `LABS`. What it lacks it declares in its `Lab`, as data, and the suite sees
that it is refused.
"""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signers import Algorithm
from signers.key_files import generate_private_key
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from signers.remote.options import RemoteOptions
from tests.support.kms_emulators import AZURE_KEYS, GCP_ALGORITHMS, RING
from tests.support.openbao import KEY_TYPES
from tests.support.opencryptoki import is_usable, labels_made, made
from tests.support.private_jwk import private_jwk
from tests.support.softhsm import LABELS


@dataclass
class Lab:
    """A backend ready for the suite.

    `uris` has a key for each algorithm; for an unsupported one, a key of another kind. `missing` names no
    key, `free` none yet: None where the backend cannot generate keys. `ambiguous` names two keys, where that
    is possible. `unsupported` algorithms have to be refused when a key is opened. `newer_version`, where keys
    have versions, gives the key of a URI another version. `main` is the algorithm of `missing`, `free` and
    whatever is shown with one key.
    """

    registry: SignerRegistry
    uris: dict[Algorithm, str]
    missing: str
    free: str | None
    unsupported: frozenset[Algorithm] = field(default_factory=frozenset)
    ambiguous: str | None = None
    newer_version: Callable[[str], None] | None = None
    main: Algorithm = Algorithm.ES256

    @property
    def supported(self) -> list[Algorithm]:
        return [algorithm for algorithm in Algorithm if algorithm not in self.unsupported]


@pytest.fixture(scope="session")
def private_keys():
    """One key pair per algorithm, for the backends that import keys."""
    return {algorithm: generate_private_key(algorithm) for algorithm in Algorithm}


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


@asynccontextmanager
async def file_pem(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    for algorithm, key in request.getfixturevalue("private_keys").items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(folder / f"{algorithm}.pem", pem)
    async with SignerRegistry(base_dir=folder) as registry:
        uris = {algorithm: f"file:{algorithm}.pem" for algorithm in Algorithm}
        yield Lab(registry, uris, "file:missing.pem", "file:new.pem")


@asynccontextmanager
async def file_jwk(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    for algorithm, key in request.getfixturevalue("private_keys").items():
        _write(folder / f"{algorithm}.jwk", private_jwk(key))
    async with SignerRegistry() as registry:
        uris = {algorithm: f"file:{folder}/{algorithm}.jwk" for algorithm in Algorithm}
        yield Lab(registry, uris, f"file:{folder}/missing.jwk", f"file:{folder}/new.pem")


@asynccontextmanager
async def pkcs11_softhsm(
    request: pytest.FixtureRequest, folder: Path, *, isolation: bool = False
) -> AsyncIterator[Lab]:
    token = request.getfixturevalue("softhsm_all")
    request.getfixturevalue("monkeypatch").setenv("SOFTHSM2_CONF", str(token.softhsm2_conf))
    async with SignerRegistry(pkcs11=Pkcs11Options(isolation=isolation)) as registry:
        uris = {algorithm: token.uri(LABELS[algorithm]) for algorithm in Algorithm}
        name = f"free-{os.urandom(4).hex()}"
        twin = token.uri(f"twin-{name}")
        for key_id in ("%01", "%02"):
            await registry.create(twin.replace(";type=", f";id={key_id};type="), Algorithm.ES256)
        yield Lab(registry, uris, token.uri("missing"), token.uri(name), ambiguous=twin)


def pkcs11_isolated(request: pytest.FixtureRequest, folder: Path) -> AbstractAsyncContextManager[Lab]:
    return pkcs11_softhsm(request, folder, isolation=True)


@asynccontextmanager
async def pkcs11_opencryptoki(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    """RSA alone: the token of Debian's openCryptoki makes no other key that signs."""
    token = request.getfixturevalue("opencryptoki")
    async with SignerRegistry() as registry:
        # One for the whole test run, as generating takes seconds; another run on this machine has its own.
        label = f"rsa-{hashlib.sha256(bytes(token.pin_file)).hexdigest()[:12]}"
        if label not in labels_made(token):
            await registry.create(token.uri(made(token, label)), Algorithm.RS256)
        yield Lab(
            registry,
            dict.fromkeys(Algorithm, token.uri(label)),
            token.uri("missing"),
            token.uri(made(token, f"free-{os.urandom(4).hex()}")),
            unsupported=frozenset(Algorithm) - {Algorithm.RS256, Algorithm.PS256},
            main=Algorithm.RS256,
        )


@asynccontextmanager
async def vault_openbao(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    server = request.getfixturevalue("openbao")
    login = server.app_role(f"secret-id-{os.urandom(4).hex()}")
    name = f"p256-{os.urandom(4).hex()}"
    server.create_key(name)
    keys = {**KEY_TYPES, Algorithm.ES256: name, Algorithm.ES256K: name}
    async with SignerRegistry() as registry:
        yield Lab(
            registry,
            {algorithm: server.uri(key, **login) for algorithm, key in keys.items()},
            server.uri("missing", **login),
            server.uri(f"free-{name}", **login),
            unsupported=frozenset({Algorithm.ES256K}),
            newer_version=lambda uri: server.rotate(uri.partition("key=")[2].partition("?")[0]),
        )


# The budgets of the cloud services would hold back the suite; they have tests of their own.
_UNLIMITED = RemoteOptions(concurrency=16)


@asynccontextmanager
async def awskms_ministack(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    server = request.getfixturevalue("ministack")
    request.getfixturevalue("aws_environment")
    arns = request.getfixturevalue("aws_keys")
    uris = {algorithm: server.uri(arns[algorithm.value]) for algorithm in Algorithm}
    free = server.uri(f"alias/free-{os.urandom(4).hex()}")
    async with SignerRegistry(remote={"awskms": _UNLIMITED}) as registry:
        yield Lab(registry, uris, server.uri("alias/missing"), free)


@asynccontextmanager
async def gcpkms_server(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    server = request.getfixturevalue("gcp_kms")
    name = os.urandom(4).hex()
    keys = {algorithm: f"{RING}/cryptoKeys/contract-{algorithm}" for algorithm in Algorithm}
    keys[Algorithm.ES256] = server.create_key(f"p256-{name}", GCP_ALGORITHMS["ES256"])
    keys[Algorithm.ES512] = keys[Algorithm.ES384]
    async with SignerRegistry(remote={"gcpkms": _UNLIMITED}) as registry:
        yield Lab(
            registry,
            {algorithm: server.uri(key) for algorithm, key in keys.items()},
            server.uri(f"{RING}/cryptoKeys/missing"),
            server.uri(f"{RING}/cryptoKeys/free-{name}"),
            unsupported=frozenset({Algorithm.ES512}),
            newer_version=lambda uri: server.newer_version(uri.partition("key=")[2].partition("?")[0]),
        )


@asynccontextmanager
async def azurekms_server(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Lab]:
    server = request.getfixturevalue("azure_vault")
    name = os.urandom(4).hex()
    keys = {algorithm: f"contract-{algorithm}" for algorithm in Algorithm}
    keys[Algorithm.ES256] = f"p256-{name}"
    keys[Algorithm.EDDSA] = keys[Algorithm.ES384]
    server.create_key(keys[Algorithm.ES256], **AZURE_KEYS["ES256"])
    async with SignerRegistry(remote={"azurekms": _UNLIMITED}) as registry:
        yield Lab(
            registry,
            {algorithm: server.uri(key) for algorithm, key in keys.items()},
            server.uri("missing"),
            server.uri(f"free-{name}"),
            unsupported=frozenset({Algorithm.EDDSA}),
            newer_version=lambda uri: server.create_key(
                uri.partition("key=")[2].partition("?")[0], **AZURE_KEYS["ES256"]
            ),
        )


Factory = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[Lab]]
LABS: Mapping[str, Factory] = {
    "file-pem": file_pem,
    "file-jwk": file_jwk,
    "pkcs11-softhsm": pkcs11_softhsm,
    "pkcs11-softhsm-isolated": pkcs11_isolated,
    "vault-openbao": vault_openbao,
    "awskms-ministack": awskms_ministack,
    "gcpkms-server": gcpkms_server,
    "azurekms-server": azurekms_server,
}
if is_usable():
    LABS = {**LABS, "pkcs11-opencryptoki": pkcs11_opencryptoki}

AMBIGUOUS = ["pkcs11-softhsm", "pkcs11-softhsm-isolated"]
"""The backends in which one name can belong to two keys."""

VERSIONED = ["vault-openbao", "gcpkms-server", "azurekms-server"]
"""The backends whose keys have versions."""
