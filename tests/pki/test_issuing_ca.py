"""Opening a CA: one test for each fault of its chain."""

import pytest

from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.issuing_ca import IssuingCa
from signers import Algorithm
from tests.support.issuing import DAY, ca_certificate, lab, private_key
from tests.support.pki import Authority, pem
from tests.support.softhsm import softhsm_all

__all__ = ["lab", "softhsm_all"]


async def open_fault(lab, *, chain=None, signer=None, **faults):
    signer = signer or await lab.signer()
    with pytest.raises(IssuingError) as refused:
        IssuingCa.open(chain if chain is not None else lab.chain(signer, **faults), signer, lab.now)
    return refused.value.code


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"ca": False}, IssuingFault.NOT_A_CA),
        ({"ca": None}, IssuingFault.NOT_A_CA),
        ({"critical": False}, IssuingFault.NOT_A_CA),
        ({"key_cert_sign": False}, IssuingFault.NOT_A_CA),
        ({"key_identifier": False}, IssuingFault.MISSING_KEY_IDENTIFIER),
        ({"authority_key": bytes(20)}, IssuingFault.BROKEN_CHAIN),
        ({"life": (-2 * DAY, -DAY)}, IssuingFault.EXPIRED),
        ({"life": (DAY, 2 * DAY)}, IssuingFault.NOT_YET_VALID),
    ],
    ids=str,
)
async def test_a_ca_certificate_with_a_fault_is_not_opened(lab, faults, code):
    """Each fault of the CA's certificate has its reason at load."""
    assert await open_fault(lab, **faults) is code


async def test_a_certificate_of_another_key_is_not_opened(lab):
    """The chain's first certificate is for the signer's key."""
    other = await lab.signer(Algorithm.ES256, number=1)
    assert await open_fault(lab, chain=lab.chain(other)) is IssuingFault.KEY_MISMATCH


async def test_a_signer_that_cannot_sign_certificates_is_not_opened(lab):
    """An ES256K signer is refused at load."""
    signer = await lab.signer(Algorithm.ES256K)
    assert await open_fault(lab, signer=signer) is IssuingFault.UNSUPPORTED_ALGORITHM


async def test_a_chain_whose_links_do_not_fit_is_not_opened(lab):
    """Every certificate is issued by the next, by name and by signature."""
    signer = await lab.signer()
    certificate = ca_certificate(signer.public_key, lab.root, lab.now)
    for stranger in (Authority.root(), Authority.root("Another")):
        chain = pem(certificate, stranger.certificate)
        assert await open_fault(lab, chain=chain) is IssuingFault.BROKEN_CHAIN


async def test_a_path_length_is_kept(lab):
    """A CA above the issuing one that allows no CA below it makes the chain useless."""
    signer = await lab.signer()
    middle_key = private_key(Algorithm.ES256, 2)
    for length, code in ((0, IssuingFault.PATH_LENGTH), (1, None)):
        middle = ca_certificate(middle_key.public_key(), lab.root, lab.now, name="Middle", path_length=length)
        own = ca_certificate(signer.public_key, Authority(middle, middle_key), lab.now)
        chain = pem(own, middle, lab.root.certificate)
        if code is None:
            ca = IssuingCa.open(chain, signer, lab.now)
            assert ca.pem == pem(own, middle)
        else:
            assert await open_fault(lab, chain=chain) is code


@pytest.mark.parametrize("chain", [b"", b"garbage"])
async def test_what_is_no_chain_is_not_opened(lab, chain):
    """A chain is PEM with at least one certificate."""
    assert await open_fault(lab, chain=chain) is IssuingFault.MALFORMED_CHAIN


async def test_a_chain_with_a_private_key_in_it_is_not_opened(lab):
    """A file that holds more than certificates is not a chain, and may hold what should not be served."""
    key = lab.folder / "ES256-0.pem"
    chain = lab.chain(await lab.signer())
    assert await open_fault(lab, chain=chain + key.read_bytes()) is IssuingFault.MALFORMED_CHAIN


async def test_a_long_chain_is_not_opened(lab):
    """The number of certificates and octets is bounded."""
    chain = lab.chain(await lab.signer())
    assert await open_fault(lab, chain=chain + lab.root.pem * 7) is IssuingFault.CHAIN_TOO_LONG
    assert await open_fault(lab, chain=bytes(1 << 20)) is IssuingFault.CHAIN_TOO_LONG
