"""What every signer does, whatever holds its key: one suite, for each of `tests.support.signer_labs.LABS`."""

import asyncio
import os

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.keys.keyring import SigningKey
from gateway.pki.signing import sign_certificate, sign_request
from signers import (
    Algorithm,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignatureInvalidError,
    SignerUnavailableError,
    VersionedSigner,
)
from signers.jose_form import spki_sha256, thumbprint
from signers.key_files import generate_private_key
from signers.verification import verify
from tests.support.certificate_tools import openssl
from tests.support.certificates_for_signers import issued, named_request, self_issued
from tests.support.kms_emulators import azure_session, azure_vault, gcp_kms, gcp_session
from tests.support.ministack import aws_environment, aws_keys, aws_user, ministack
from tests.support.openbao import openbao
from tests.support.opencryptoki import opencryptoki
from tests.support.signer_labs import AMBIGUOUS, LABS, VERSIONED, private_keys
from tests.support.softhsm import softhsm_all

__all__ = [
    "aws_environment",
    "aws_keys",
    "aws_user",
    "azure_session",
    "azure_vault",
    "gcp_kms",
    "gcp_session",
    "ministack",
    "openbao",
    "opencryptoki",
    "private_keys",
    "softhsm_all",
]

MESSAGE = b"eyJhbGciOiJub25lIn0.e30"


@pytest.fixture(params=LABS)
async def lab(request, tmp_path):
    """Each backend in turn."""
    async with LABS[request.param](request, tmp_path) as made:
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
    signer = await lab.registry.open(lab.uris[lab.main], lab.main)
    assert signer.algorithm is lab.main
    assert signer.key_id == thumbprint(signer.public_key)


async def test_sign_many_keeps_the_order(lab):
    """`sign_many` returns one signature per message, in the messages' order; none for none."""
    for algorithm in {Algorithm.EDDSA, Algorithm.ES256, Algorithm.RS256} - lab.unsupported:
        signer = await lab.registry.open(lab.uris[algorithm], algorithm)
        messages = [b"message %d" % number for number in range(50)]
        signatures = await signer.sign_many(messages)
        assert len(signatures) == len(messages)
        for message, signature in zip(messages, signatures, strict=True):
            verify(signer.public_key, algorithm, message, signature)
        assert list(await signer.sign_many([])) == []


async def test_concurrent_calls_do_not_mix(lab):
    """Of 64 concurrent calls each gets the signature over its own message."""
    signer = await lab.registry.open(lab.uris[lab.main], lab.main)
    messages = [os.urandom(size) for size in range(64)]
    signatures = await asyncio.gather(*(signer.sign(message) for message in messages))
    for message, signature in zip(messages, signatures, strict=True):
        verify(signer.public_key, lab.main, message, signature)


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
    if key_of in lab.unsupported:
        others = [other for other in lab.supported if other.spec.curve != algorithm.spec.curve]
        if not others:
            return  # All its keys are of one kind.
        key_of = others[0]
    with pytest.raises(KeyUnusableError):
        await lab.registry.open(lab.uris[key_of], algorithm)


async def test_missing_key(lab):
    """A URI that names no key raises `KeyNotFoundError`, with the key's redacted name."""
    with pytest.raises(KeyNotFoundError) as caught:
        await lab.registry.open(lab.missing, lab.main)
    assert "missing" in (caught.value.key or "")


async def test_jwts_and_request_objects(lab):
    """Access tokens and request objects that each key signs are accepted by another implementation of JWS."""
    for algorithm in lab.supported:
        signer = await lab.registry.open(lab.uris[algorithm], algorithm)
        key = SigningKey(signer.key_id, algorithm, signer)
        for typ in ("at+jwt", "oauth-authz-req+jwt"):
            for token in (
                await key.sign_jws(typ, b'{"sub":"a"}'),
                *await key.sign_jws_many(typ, [b'{"sub":"a"}']),
            ):
                assert jwt.get_unverified_header(token)["typ"] == typ
                assert jwt.decode(token, signer.public_key, [algorithm.value]) == {"sub": "a"}


async def test_certificates(lab, tmp_path):
    """Requests and certificates that each key signs are accepted by OpenSSL; secp256k1 signs none."""
    for algorithm in set(lab.supported) - {Algorithm.ES256K}:
        signer = await lab.registry.open(lab.uris[algorithm], algorithm)
        request = await sign_request(named_request(), signer)
        certificate = await sign_certificate(self_issued(signer.public_key), signer)
        (tmp_path / "request.pem").write_bytes(request.public_bytes(Encoding.PEM))
        (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        openssl("req", "-verify", "-noout", "-in", tmp_path / "request.pem")
        # A root is trusted as it stands; check_ss_sig has its own signature verified all the same.
        openssl(
            "verify", "-check_ss_sig", "-CAfile", tmp_path / "certificate.pem", tmp_path / "certificate.pem"
        )


@pytest.mark.parametrize("lab", VERSIONED, indirect=True)
async def test_version_is_resolved_once(lab):
    """A signer keeps the version that it was opened with, and a pinned key is found among newer versions."""
    uri = lab.uris[Algorithm.ES256]
    first = await lab.registry.open(uri, Algorithm.ES256)
    assert isinstance(first, VersionedSigner)
    lab.newer_version(uri)
    await first.check()
    latest = await lab.registry.open(uri, Algorithm.ES256)
    assert latest.key_version != first.key_version
    assert latest.key_id != first.key_id
    for again in (
        await lab.registry.open(first.pinned_uri, Algorithm.ES256),
        await lab.registry.open(uri, Algorithm.ES256, public_key_sha256=spki_sha256(first.public_key)),
    ):
        assert (again.key_version, again.key_id) == (first.key_version, first.key_id)
        assert again.pinned_uri == first.pinned_uri
        await again.check()


async def test_signing_is_counted_by_stage(lab):
    """A backend that reports the stages of a signature counts in each of them."""
    signer = await lab.registry.open(lab.uris[lab.main], lab.main)
    await signer.sign_many([MESSAGE] * 5)
    await signer.sign(MESSAGE)
    stages = getattr(signer, "stages", None)
    for stage, histogram in stages.totals().items() if stages is not None else ():
        assert sum(histogram.counts) > 0, stage


@pytest.mark.parametrize("lab", AMBIGUOUS, indirect=True)
async def test_ambiguous_key(lab):
    """A name that two keys share is refused, and none of them is chosen."""
    with pytest.raises(KeyAmbiguousError):
        await lab.registry.open(lab.ambiguous, Algorithm.ES256)


async def test_pinned_hash(lab):
    """The pinned SHA-256 of the public key is accepted in either case, and any other is refused."""
    uri = lab.uris[lab.main]
    signer = await lab.registry.open(uri, lab.main)
    pin = spki_sha256(signer.public_key)
    await lab.registry.open(uri, lab.main, public_key_sha256=pin.upper())
    with pytest.raises(KeyMismatchError):
        await lab.registry.open(uri, lab.main, public_key_sha256="0" * 64)
    with pytest.raises(KeyUriError):
        await lab.registry.open(uri, lab.main, public_key_sha256=pin[:-1])


async def test_pinned_certificate(lab):
    """A key is opened with a certificate over its public half, and refused with any other."""
    for algorithm in {Algorithm.ES256, Algorithm.EDDSA, Algorithm.RS256} - lab.unsupported:
        uri = lab.uris[algorithm]
        signer = await lab.registry.open(uri, algorithm)
        await lab.registry.open(uri, algorithm, certificate=issued(signer.public_key))
        other = issued(generate_private_key(algorithm).public_key())
        with pytest.raises(KeyMismatchError):
            await lab.registry.open(uri, algorithm, certificate=other)


async def test_created_key_signs_and_its_name_is_taken(lab):
    """A created key signs at once, is found again, and its name is never given to another key; a backend that
    generates no keys says so.
    """
    if lab.free is None:
        with pytest.raises(KeyUriError):
            await lab.registry.create(lab.missing, lab.main)
        return
    created = await lab.registry.create(lab.free, lab.main)
    await created.check()
    found = await lab.registry.open(lab.free, lab.main)
    assert found.key_id == created.key_id
    with pytest.raises(KeyAmbiguousError):
        await lab.registry.create(lab.free, lab.main)
    assert (await lab.registry.open(lab.free, lab.main)).key_id == created.key_id


async def test_closed_registry(lab):
    """After closing, signing and opening both raise `SignerUnavailableError`; closing twice is allowed."""
    signers = [await lab.registry.open(lab.uris[name], name) for name in (lab.main, Algorithm.RS256)]
    await lab.registry.aclose()
    await lab.registry.aclose()
    for signer in signers:
        with pytest.raises(SignerUnavailableError):
            await signer.sign(MESSAGE)
        with pytest.raises(SignerUnavailableError):
            await signer.sign_many([MESSAGE])
    with pytest.raises(SignerUnavailableError):
        await lab.registry.open(lab.uris[lab.main], lab.main)


async def test_health_of_an_open_backend(lab):
    """An open backend reports that it is available, with nothing stuck and nothing waiting."""
    await lab.registry.open(lab.uris[lab.main], lab.main)
    (health,) = lab.registry.health().values()
    assert health.available
    assert (health.stuck_threads, health.queued) == (0, 0)
