"""Keys in files: which are refused and why, and how a new one is written."""

import asyncio
import json
import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from signers import (
    Algorithm,
    KeyAmbiguousError,
    KeyNotFoundError,
    KeyUnusableError,
    SignerBusyError,
)
from signers.file import FileProvider
from signers.key_files import generate_private_key
from tests.support.private_jwk import private_jwk


def pem(key, passphrase: bytes | None = None) -> bytes:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def write(path, content: bytes, mode: int = 0o600):
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
async def provider(tmp_path):
    """A provider whose base folder is the test's own."""
    made = FileProvider(tmp_path)
    yield made
    await made.aclose()


@pytest.fixture
def key():
    """A P-256 key."""
    return generate_private_key(Algorithm.ES256)


async def refused(provider, uri: str, algorithm: Algorithm = Algorithm.ES256) -> str:
    """Why *uri* is refused as unusable."""
    with pytest.raises(KeyUnusableError) as caught:
        await provider.signer(uri, algorithm)
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o610, 0o777])
async def test_key_open_to_others(provider, tmp_path, key, mode):
    """A key that group or others can use in any way is refused, with its mode and the mending command."""
    path = write(tmp_path / "key.pem", pem(key), mode)
    assert f"mode {mode:04o}" in (reason := await refused(provider, "file:key.pem"))
    assert f"chmod 600 {path}" in reason


@pytest.mark.parametrize("mode", [0o600, 0o400])
async def test_private_key_is_accepted(provider, tmp_path, key, mode):
    """Mode 0600 or less is accepted."""
    write(tmp_path / "key.pem", pem(key), mode)
    await (await provider.signer("file:key.pem", Algorithm.ES256)).check()


async def test_passphrase_from_file_and_environment(provider, tmp_path, key, monkeypatch):
    """An encrypted key opens with the passphrase from either source, less one line break."""
    write(tmp_path / "key.pem", pem(key, b"open sesame"))
    write(tmp_path / "passphrase", b"open sesame\n")
    monkeypatch.setenv("KEY_PASSPHRASE", "open sesame")
    for source in (f"file:{tmp_path}/passphrase", "env:KEY_PASSPHRASE"):
        signer = await provider.signer(f"file:key.pem?passphrase-source={source}", Algorithm.ES256)
        await signer.check()


async def test_each_passphrase_mistake_has_its_reason(provider, tmp_path, key, monkeypatch):
    """Missing, wrong, needless, empty, unset and open passphrases are told apart, and none is shown."""
    write(tmp_path / "key.pem", pem(key, b"open sesame"))
    write(tmp_path / "plain.pem", pem(key))
    write(tmp_path / "key.jwk", private_jwk(key))
    write(tmp_path / "open", b"open sesame", 0o644)
    write(tmp_path / "empty", b"\n")
    monkeypatch.setenv("WRONG", "wrong s3cret")
    assert "add '?passphrase-source" in await refused(provider, "file:key.pem")
    reason = await refused(provider, "file:key.pem?passphrase-source=env:WRONG")
    assert "passphrase is wrong" in reason
    assert "s3cret" not in reason
    assert "remove passphrase" in await refused(provider, "file:plain.pem?passphrase-source=env:WRONG")
    assert "remove passphrase" in await refused(provider, "file:key.jwk?passphrase-source=env:WRONG")
    assert "chmod 600" in await refused(provider, f"file:key.pem?passphrase-source=file:{tmp_path}/open")
    assert "is empty" in await refused(provider, f"file:key.pem?passphrase-source=file:{tmp_path}/empty")
    with pytest.raises(KeyNotFoundError, match="is not set"):
        await provider.signer("file:key.pem?passphrase-source=env:UNSET_PASSPHRASE", Algorithm.ES256)


async def test_file_that_is_no_key(provider, tmp_path, key):
    """Garbage, a public key, a folder, a FIFO and a huge file are refused with their own reasons."""
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write(tmp_path / "garbage.pem", b"garbage")
    write(tmp_path / "empty.pem", b"")
    write(tmp_path / "public.pem", public)
    write(tmp_path / "huge.pem", b"-" * 70_000)
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("garbage.pem", "empty.pem", "public.pem"):
        assert "no PKCS#8" in await refused(provider, f"file:{name}")
    assert "larger than" in await refused(provider, "file:huge.pem")
    for name in ("folder", "fifo"):
        assert "not a regular file" in await refused(provider, f"file:{name}")


async def test_key_types_that_do_not_sign(provider, tmp_path):
    """An X25519 key, and an RSA key of 1024 bits, are refused."""
    write(tmp_path / "x.pem", pem(X25519PrivateKey.generate()))
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # To be refused.
    write(tmp_path / "rsa.pem", pem(weak))
    assert "signs no JOSE" in await refused(provider, "file:x.pem")
    assert "1024 bits" in await refused(provider, "file:rsa.pem", Algorithm.RS256)


async def test_symbolic_links(provider, tmp_path, key):
    """A link of one's own is followed, to a file that must be private itself; a dangling one is missing."""
    target = write(tmp_path / "target.pem", pem(key))
    (tmp_path / "link.pem").symlink_to(target)
    (tmp_path / "dangling.pem").symlink_to(tmp_path / "nowhere")
    await (await provider.signer("file:link.pem", Algorithm.ES256)).check()
    target.chmod(0o644)
    assert "mode 0644" in await refused(provider, "file:link.pem")
    with pytest.raises(KeyNotFoundError):
        await provider.signer("file:dangling.pem", Algorithm.ES256)


async def test_folder_open_to_everybody(provider, tmp_path, key):
    """A key in a folder where everybody may replace it is refused; with the sticky bit it is not."""
    folder = tmp_path / "open"
    folder.mkdir()
    write(folder / "key.pem", pem(key))
    folder.chmod(0o777)
    assert "chmod o-w" in await refused(provider, "file:open/key.pem")
    (tmp_path / "link.pem").symlink_to(folder / "key.pem")
    assert "chmod o-w" in await refused(provider, "file:link.pem")
    folder.chmod(0o1777)
    await provider.signer("file:open/key.pem", Algorithm.ES256)


async def test_folder_further_up_open_to_everybody(provider, tmp_path, key):
    """Everybody who can replace a folder on the way, or a link in it, chooses the key; so it is refused."""
    outer = tmp_path / "outer"
    (outer / "inner").mkdir(parents=True)
    write(outer / "inner" / "key.pem", pem(key))
    (tmp_path / "private").symlink_to(outer / "inner")
    (tmp_path / "twice.pem").symlink_to(tmp_path / "private" / "key.pem")
    await (await provider.signer("file:twice.pem", Algorithm.ES256)).check()
    outer.chmod(0o777)
    for name in ("outer/inner/key.pem", "private/key.pem", "twice.pem"):
        assert f"chmod o-w {outer}" in await refused(provider, f"file:{name}")


async def test_links_of_others_and_in_circles(provider, tmp_path, key, monkeypatch):
    """A link of another user is refused wherever it is on the way, and so is one that leads nowhere."""
    (tmp_path / "real").mkdir()
    write(tmp_path / "real" / "key.pem", pem(key))
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "link.pem").symlink_to(tmp_path / "folder" / "key.pem")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert "symbolic links" in await refused(provider, "file:one")
    if os.geteuid() == 0:
        os.lchown(tmp_path / "folder", 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    for name in ("folder/key.pem", "link.pem"):
        assert "link of another user" in await refused(provider, f"file:{name}")


async def test_relative_path_stays_below_the_base(provider, tmp_path, key):
    """A relative path with '..', or without a base folder, is refused."""
    write(tmp_path / "key.pem", pem(key))
    assert "below the configured" in await refused(provider, f"file:../{tmp_path.name}/key.pem")
    assert "below the configured" in await refused(FileProvider(), "file:key.pem")


JWK_MISTAKES = {
    "not json": lambda jwk: b"{",
    "no d": lambda jwk: {name: value for name, value in jwk.items() if name != "d"},
    "another curve": lambda jwk: {**jwk, "crv": "P-384"},
    "another type": lambda jwk: {**jwk, "kty": "OKP"},
    "padded": lambda jwk: {**jwk, "d": jwk["d"] + "="},
    "short d": lambda jwk: {**jwk, "d": jwk["d"][:-4]},
    "d not text": lambda jwk: {**jwk, "d": 5},
    "zero d": lambda jwk: {**jwk, "d": "A" * 43},
    "for another algorithm": lambda jwk: {**jwk, "alg": "ES384"},
    "for encryption": lambda jwk: {**jwk, "use": "enc"},
    "for verifying": lambda jwk: {**jwk, "key_ops": ["verify"]},
    "an array": lambda jwk: b" [1]",
}


@pytest.mark.parametrize("mistake", JWK_MISTAKES)
async def test_malformed_jwk(provider, tmp_path, key, mistake):
    """A JWK that is malformed, or states another use, is refused without showing it."""
    jwk = json.loads(private_jwk(key))
    broken = JWK_MISTAKES[mistake](jwk)
    write(tmp_path / "key.jwk", broken if isinstance(broken, bytes) else json.dumps(broken).encode())
    reason = await refused(provider, "file:key.jwk")
    assert "no private JWK for ES256" in reason or "no PKCS#8" in reason
    assert jwk["d"] not in reason


async def test_jwk_whose_halves_differ(provider, tmp_path, key):
    """A JWK with another key's public members is refused."""
    other = json.loads(private_jwk(generate_private_key(Algorithm.ES256)))
    mixed = {**json.loads(private_jwk(key)), "x": other["x"], "y": other["y"]}
    write(tmp_path / "key.jwk", json.dumps(mixed).encode())
    assert "do not belong" in await refused(provider, "file:key.jwk")


async def test_jwk_with_a_member_twice(provider, tmp_path, key):
    """A JWK that repeats a member is refused (RFC 7517 §4)."""
    text = private_jwk(key).decode()
    write(tmp_path / "key.jwk", (text[:-1] + ', "kty": "EC"}').encode())
    assert "no private JWK" in await refused(provider, "file:key.jwk")


async def test_rsa_jwk_without_factors(provider, tmp_path):
    """An RSA JWK with d alone (RFC 7518 §6.3.2.1) signs like one with its factors."""
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = json.loads(private_jwk(rsa_key))
    for name in ("p", "q", "dp", "dq", "qi"):
        del jwk[name]
    write(tmp_path / "key.jwk", json.dumps(jwk).encode())
    await (await provider.signer("file:key.jwk", Algorithm.PS256)).check()


async def test_created_file(provider, tmp_path):
    """A new key is a PKCS#8 PEM of mode 0600 whatever the umask, with nothing left beside it."""
    before = os.umask(0)
    try:
        await provider.create("file:new.pem", Algorithm.EDDSA)
    finally:
        os.umask(before)
    (made,) = tmp_path.iterdir()
    assert made.name == "new.pem"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert made.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


async def test_created_file_is_encrypted(provider, tmp_path, monkeypatch):
    """With a passphrase source a new key is written encrypted."""
    monkeypatch.setenv("KEY_PASSPHRASE", "open sesame")
    uri = "file:new.pem?passphrase-source=env:KEY_PASSPHRASE"
    await (await provider.create(uri, Algorithm.ES256)).check()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (tmp_path / "new.pem").read_bytes()


async def test_creation_never_overwrites(provider, tmp_path):
    """Of many creations of one name exactly one succeeds, and its key stays."""
    attempts = await asyncio.gather(
        *(provider.create("file:new.pem", Algorithm.ES256) for _ in range(8)), return_exceptions=True
    )
    winners = [attempt for attempt in attempts if not isinstance(attempt, KeyAmbiguousError)]
    (winner,) = winners
    assert (await provider.signer("file:new.pem", Algorithm.ES256)).key_id == winner.key_id
    assert [path.name for path in tmp_path.iterdir()] == ["new.pem"]


async def test_creation_in_a_missing_folder(provider):
    """A folder that does not exist is named in the error."""
    with pytest.raises(KeyUnusableError, match="cannot be written"):
        await provider.create("file:missing/new.pem", Algorithm.ES256)
    with pytest.raises(KeyUnusableError, match=r"name it '\.pem'"):
        await provider.create("file:new.jwk", Algorithm.ES256)


async def test_ec_and_ed25519_sign_without_suspending(provider, tmp_path):
    """A signature that takes microseconds is there at the coroutine's first step."""
    for algorithm in (Algorithm.EDDSA, Algorithm.ES256):
        signer = await provider.create(f"file:{algorithm}.pem", algorithm)
        with pytest.raises(StopIteration) as done:
            signer.sign(b"message").send(None)
        assert len(done.value.value) == 64


async def test_rsa_queue_is_bounded(tmp_path):
    """Beyond the queue's bound an RSA signature is refused at once, and the others are made."""
    provider = FileProvider(tmp_path, threads=1, max_queue=2)
    signer = await provider.create("file:rsa.pem", Algorithm.RS256)
    results = await asyncio.gather(*(signer.sign(b"m") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, SignerBusyError) for result in results) == 5
    assert sum(isinstance(result, bytes) for result in results) == 3
    await provider.aclose()
