"""What every signer does, whatever holds its key: one suite, run for each backend.

A new backend adds one factory to `BACKENDS`, and what it cannot do as data in its `Lab`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signers import (
    Algorithm,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignatureInvalidError,
    SignerUnavailableError,
)
from signers.jose_form import spki_sha256, thumbprint
from signers.key_files import generate_private_key
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from signers.verification import verify
from tests.support.certificates_for_signers import issued
from tests.support.private_jwk import private_jwk
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["softhsm_all"]

MESSAGE = b"eyJhbGciOiJub25lIn0.e30"


@dataclass
class Lab:
    """A backend ready for the suite: a URI for each algorithm, and one that names nothing."""

    registry: SignerRegistry
    uris: dict[Algorithm, str]
    missing: str
    free: str
    unsupported: frozenset[Algorithm] = field(default_factory=frozenset)
    ambiguous: str | None = None

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


Factory = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[Lab]]
BACKENDS: dict[str, Factory] = {
    "file-pem": file_pem,
    "file-jwk": file_jwk,
    "pkcs11-softhsm": pkcs11_softhsm,
    "pkcs11-softhsm-isolated": pkcs11_isolated,
}
AMBIGUOUS = ["pkcs11-softhsm", "pkcs11-softhsm-isolated"]
"""The backends in which one name can belong to two keys."""


@pytest.fixture(params=BACKENDS)
async def lab(request, tmp_path):
    """Each backend in turn."""
    async with BACKENDS[request.param](request, tmp_path) as made:
        yield made


async def test_signatures_verify_in_jose_form(lab):
    """Every supported algorithm signs, in its JOSE length, and the signature verifies with the public key."""
    for algorithm in lab.supported:
        signer = await lab.registry.open(lab.uris[algorithm], algorithm)
        signature = await signer.sign(MESSAGE)
        size = algorithm.spec.signature_size or signer.public_key.key_size // 8
        assert len(signature) == size
        verify(signer.public_key, algorithm, MESSAGE, signature)
        with pytest.raises(SignatureInvalidError):
            verify(signer.public_key, algorithm, MESSAGE + b".", signature)


async def test_unsupported_algorithms_are_refused_at_opening(lab):
    """What a backend declares unsupported it refuses when the key is opened, not when it signs."""
    for algorithm in lab.unsupported:
        with pytest.raises(KeyUnusableError):
            await lab.registry.open(lab.uris[algorithm], algorithm)


async def test_identity_of_the_key(lab):
    """A signer states its algorithm, and its RFC 7638 thumbprint as the key's identity."""
    signer = await lab.registry.open(lab.uris[Algorithm.ES256], Algorithm.ES256)
    assert signer.algorithm is Algorithm.ES256
    assert signer.key_id == thumbprint(signer.public_key)


async def test_sign_many_keeps_the_order(lab):
    """`sign_many` returns one signature per message, in the messages' order; none for none."""
    for algorithm in (Algorithm.EDDSA, Algorithm.ES256, Algorithm.RS256):
        signer = await lab.registry.open(lab.uris[algorithm], algorithm)
        messages = [b"message %d" % number for number in range(50)]
        signatures = await signer.sign_many(messages)
        assert len(signatures) == len(messages)
        for message, signature in zip(messages, signatures, strict=True):
            verify(signer.public_key, algorithm, message, signature)
        assert list(await signer.sign_many([])) == []


async def test_concurrent_calls_do_not_mix(lab):
    """Of 64 concurrent calls each gets the signature over its own message."""
    signer = await lab.registry.open(lab.uris[Algorithm.ES256], Algorithm.ES256)
    messages = [os.urandom(size) for size in range(64)]
    signatures = await asyncio.gather(*(signer.sign(message) for message in messages))
    for message, signature in zip(messages, signatures, strict=True):
        verify(signer.public_key, Algorithm.ES256, message, signature)


async def test_check_passes_for_a_working_key(lab):
    """`check` returns nothing where the key signs."""
    for algorithm in lab.supported:
        signer = await lab.registry.open(lab.uris[algorithm], algorithm)
        assert await signer.check() is None


@pytest.mark.parametrize(
    ("algorithm", "key_of"),
    [
        (Algorithm.ES256, Algorithm.ES384),
        (Algorithm.ES256, Algorithm.ES256K),
        (Algorithm.EDDSA, Algorithm.ES256),
        (Algorithm.ES512, Algorithm.EDDSA),
        (Algorithm.RS256, Algorithm.ES256),
        (Algorithm.ES256, Algorithm.RS256),
    ],
)
async def test_key_of_another_algorithm_is_refused(lab, algorithm, key_of):
    """A key of another type or curve is refused when it is opened."""
    with pytest.raises(KeyUnusableError):
        await lab.registry.open(lab.uris[key_of], algorithm)


async def test_missing_key(lab):
    """A URI that names no key raises `KeyNotFoundError`, with the key's redacted name."""
    with pytest.raises(KeyNotFoundError) as caught:
        await lab.registry.open(lab.missing, Algorithm.ES256)
    assert "missing" in (caught.value.key or "")


@pytest.mark.parametrize("lab", AMBIGUOUS, indirect=True)
async def test_ambiguous_key(lab):
    """A name that two keys share is refused, and none of them is chosen."""
    with pytest.raises(KeyAmbiguousError):
        await lab.registry.open(lab.ambiguous, Algorithm.ES256)


async def test_pinned_hash(lab):
    """The pinned SHA-256 of the public key is accepted in either case, and any other is refused."""
    uri = lab.uris[Algorithm.ES256]
    signer = await lab.registry.open(uri, Algorithm.ES256)
    pin = spki_sha256(signer.public_key)
    await lab.registry.open(uri, Algorithm.ES256, public_key_sha256=pin.upper())
    with pytest.raises(KeyMismatchError):
        await lab.registry.open(uri, Algorithm.ES256, public_key_sha256="0" * 64)
    with pytest.raises(KeyUriError):
        await lab.registry.open(uri, Algorithm.ES256, public_key_sha256=pin[:-1])


async def test_pinned_certificate(lab):
    """A key is opened with a certificate over its public half, and refused with any other."""
    for algorithm in (Algorithm.ES256, Algorithm.EDDSA, Algorithm.RS256):
        uri = lab.uris[algorithm]
        signer = await lab.registry.open(uri, algorithm)
        await lab.registry.open(uri, algorithm, certificate=issued(signer.public_key))
        other = issued(generate_private_key(algorithm).public_key())
        with pytest.raises(KeyMismatchError):
            await lab.registry.open(uri, algorithm, certificate=other)


async def test_created_key_signs_and_its_name_is_taken(lab):
    """A created key signs at once, is found again, and its name is never given to another key."""
    created = await lab.registry.create(lab.free, Algorithm.ES256)
    await created.check()
    found = await lab.registry.open(lab.free, Algorithm.ES256)
    assert found.key_id == created.key_id
    with pytest.raises(KeyAmbiguousError):
        await lab.registry.create(lab.free, Algorithm.ES256)
    assert (await lab.registry.open(lab.free, Algorithm.ES256)).key_id == created.key_id


async def test_closed_registry(lab):
    """After closing, signing and opening both raise `SignerUnavailableError`; closing twice is allowed."""
    signers = [await lab.registry.open(lab.uris[name], name) for name in (Algorithm.ES256, Algorithm.RS256)]
    await lab.registry.aclose()
    await lab.registry.aclose()
    for signer in signers:
        with pytest.raises(SignerUnavailableError):
            await signer.sign(MESSAGE)
        with pytest.raises(SignerUnavailableError):
            await signer.sign_many([MESSAGE])
    with pytest.raises(SignerUnavailableError):
        await lab.registry.open(lab.uris[Algorithm.ES256], Algorithm.ES256)


async def test_health_of_an_open_backend(lab):
    """An open backend reports that it is available, with nothing stuck and nothing waiting."""
    await lab.registry.open(lab.uris[Algorithm.ES256], Algorithm.ES256)
    (health,) = lab.registry.health().values()
    assert health.available
    assert (health.stuck_threads, health.queued) == (0, 0)
