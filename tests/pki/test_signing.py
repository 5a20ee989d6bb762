"""X.509 objects signed by real signers, and what is never released."""

import asyncio
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.signing import sign_certificate, sign_crl, sign_request, sign_to_be_signed
from signers import Algorithm, SignatureInvalidError
from signers.jose_form import der_to_raw
from signers.verification import verify
from tests.support.issuing import X509_ALGORITHMS, lab
from tests.support.pki import common_name
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["lab", "softhsm_all"]

NAME = common_name("signing test")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def certificate_builder(public_key):
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(public_key)
        .serial_number(7)
        .not_valid_before(START)
        .not_valid_after(END)
    )


async def require_all_objects_signed(signer):
    public_key = signer.public_key
    certificate = await sign_certificate(certificate_builder(public_key), signer)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.signature_algorithm_oid.dotted_string == signer.algorithm.spec.x509_oid
    crl_builder = x509.CertificateRevocationListBuilder(NAME, START, END)
    assert (await sign_crl(crl_builder, signer)).is_signature_valid(public_key)
    request_builder = x509.CertificateSigningRequestBuilder(NAME)
    assert (await sign_request(request_builder, signer)).is_signature_valid


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
async def test_every_algorithm_signs_from_a_file(lab, algorithm):
    """Certificate, CRL and request verify with the key of a file signer."""
    await require_all_objects_signed(await lab.signer(algorithm))


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
async def test_every_algorithm_signs_in_a_token(lab, softhsm_all, monkeypatch, algorithm):
    """Certificate, CRL and request verify with a key that never leaves SoftHSM."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    await require_all_objects_signed(await lab.registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm))


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
async def test_bytes_are_signed_in_the_form_of_x509(lab, algorithm):
    """A bare signature is DER for ECDSA, and what the signer returned otherwise."""
    signer = await lab.signer(algorithm)
    signature = await sign_to_be_signed(b"data", signer)
    if isinstance(signer.public_key, EllipticCurvePublicKey):
        signature = der_to_raw(signature, algorithm.spec.signature_size)
    verify(signer.public_key, algorithm, b"data", signature)


async def test_secp256k1_signs_no_certificate(lab):
    """ES256K is refused before the signer is asked."""
    signer = await lab.signer(Algorithm.ES256K)
    for call in (
        sign_certificate(certificate_builder(signer.public_key), signer),
        sign_to_be_signed(b"data", signer),
    ):
        with pytest.raises(IssuingError) as refused:
            await call
        assert refused.value.code is IssuingFault.UNSUPPORTED_ALGORITHM


class AlteredSigner:
    """A real signer, whose `sign` is another."""

    def __init__(self, inner, sign):
        self.key_id, self.algorithm, self.public_key = inner.key_id, inner.algorithm, inner.public_key
        self.sign = sign


async def test_a_signature_by_another_key_is_not_released(lab):
    """A signer that signs with another key than it claims yields an error and no certificate."""
    other = await lab.signer(Algorithm.ES256, number=1)
    signer = AlteredSigner(await lab.signer(), other.sign)
    with pytest.raises(SignatureInvalidError):
        await sign_certificate(certificate_builder(signer.public_key), signer)


async def test_a_signature_over_other_bytes_is_not_released(lab):
    """A signer that signs something else than it was given yields an error and no certificate."""
    inner = await lab.signer()

    async def sign(message):
        return await inner.sign(message + b"!")

    with pytest.raises(SignatureInvalidError):
        await sign_certificate(certificate_builder(inner.public_key), AlteredSigner(inner, sign))


async def test_an_object_that_changes_between_its_two_encodings_is_refused(lab):
    """A builder whose second encoding differs is an error, because the signature is for the first."""
    signer = await lab.signer()

    class Changing:
        serial = 0

        def sign(self, *arguments, **keywords):
            self.serial += 1
            return (
                certificate_builder(signer.public_key)
                .add_extension(x509.InhibitAnyPolicy(self.serial), critical=False)
                .sign(*arguments, **keywords)
            )

    with pytest.raises(IssuingError) as refused:
        await sign_certificate(Changing(), signer)
    assert refused.value.code is IssuingFault.NOT_DETERMINISTIC


async def test_the_event_loop_is_free_while_the_signer_waits(lab):
    """Another task runs between the request for a signature and its arrival."""
    inner = await lab.signer()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def sign(message):
        asked.set()
        await answer.wait()
        return await inner.sign(message)

    builder = certificate_builder(inner.public_key)
    task = asyncio.create_task(sign_certificate(builder, AlteredSigner(inner, sign)))
    await asked.wait()
    assert not task.done()
    answer.set()
    assert (await task).serial_number == 7
