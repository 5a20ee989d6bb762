"""Certificate revocation lists, read back by the library, OpenSSL and pkilint; and what is refused."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki.crl import MAX_ENTRIES, CrlHeader, RevocationReason, RevokedEntry, make_crl
from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.issue import issue
from gateway.pki.serials import new_serial
from gateway.pki.wire import WireNames, wire_profile
from tests.support.certificate_tools import lint, openssl
from tests.support.issuing import DAY, X509_ALGORITHMS, lab
from tests.support.pki import pem
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["lab", "softhsm_all"]


def header(lab, number=1, **changed):
    return CrlHeader(**{"number": number, "this_update": lab.now, "next_update": lab.now + DAY} | changed)


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
async def test_a_crl_of_every_kind_of_key_is_accepted(lab, algorithm):
    """OpenSSL verifies the CRL with the CA's certificate, and pkilint finds nothing."""
    ca = await lab.ca(algorithm)
    der = await make_crl(ca, header(lab), [RevokedEntry(new_serial(), lab.now)])
    path, chain = lab.write("list.crl", der), lab.write("chain.pem", ca.pem)
    assert "verify OK" in openssl("crl", "-in", path, "-inform", "DER", "-CAfile", chain, "-noout")
    assert lint("lint_crl", path, "-t", "CRL", "-p", "PKIX") == set()


async def test_an_hsm_signs_a_crl(lab, softhsm_all, monkeypatch):
    """A CRL signed in SoftHSM verifies."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    algorithm = X509_ALGORITHMS[0]
    ca = lab.open(await lab.registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm))
    crl = x509.load_der_x509_crl(await make_crl(ca, header(lab), []))
    assert crl.is_signature_valid(ca.signer.public_key)


async def test_openssl_refuses_a_revoked_certificate(lab):
    """Of two leaves OpenSSL accepts the one that the CRL does not list."""
    ca, key = await lab.ca(), (await lab.signer(X509_ALGORITHMS[0], 3)).public_key
    names = WireNames("A", "wire.com", "wireapp://%40a@wire.com", "wireapp://a!1@wire.com")
    good, bad = new_serial(), new_serial()
    entry = RevokedEntry(bad, lab.now, RevocationReason.KEY_COMPROMISE)
    crl = x509.load_der_x509_crl(await make_crl(ca, header(lab), [entry]))
    lab.write("root.pem", lab.root.pem)
    lab.write("chain.pem", ca.pem)
    lab.write("list.pem", crl.public_bytes(Encoding.PEM))
    for serial, accepted in ((good, True), (bad, False)):
        der = await issue(wire_profile("wire"), names.leaf(key), ca, serial=serial, now=lab.now)
        leaf = lab.write(f"{serial}.pem", pem(x509.load_der_x509_certificate(der)))
        arguments = ["verify", "-crl_check", "-CAfile", lab.folder / "root.pem", "-untrusted"]
        arguments += [lab.folder / "chain.pem", "-CRLfile", lab.folder / "list.pem", leaf]
        if accepted:
            assert "OK" in openssl(*arguments)
        else:
            with pytest.raises(AssertionError, match="certificate revoked"):
                openssl(*arguments)


async def test_a_crl_says_what_it_was_given(lab):
    """Number, times, serials, reasons, dates and the issuer's key are in the CRL; unspecified is left out."""
    ca = await lab.ca()
    lost = lab.now - 2 * DAY
    entries = [
        RevokedEntry(7, lab.now - DAY, RevocationReason.KEY_COMPROMISE, invalid_since=lost),
        RevokedEntry((1 << 159) - 1, lab.now),
    ]
    crl = x509.load_der_x509_crl(await make_crl(ca, header(lab, number=300), entries))
    assert crl.issuer == ca.certificate.subject
    assert (crl.last_update_utc, crl.next_update_utc) == (lab.now, lab.now + DAY)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 300
    authority = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == ca.key_identifier
    first, second = crl
    assert (first.serial_number, first.revocation_date_utc) == (7, lab.now - DAY)
    assert first.extensions.get_extension_for_class(x509.CRLReason).value.reason is (
        x509.ReasonFlags.key_compromise
    )
    assert first.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc == lost
    assert second.serial_number == (1 << 159) - 1
    assert list(second.extensions) == []


async def test_a_partition_says_so_critically(lab):
    """A partitioned CRL names its URL, so that nobody takes it for the whole."""
    ca = await lab.ca()
    url = "http://ca.example.org/7.crl"
    crl = x509.load_der_x509_crl(await make_crl(ca, header(lab, partition_url=url), []))
    point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert point.critical
    assert point.value.only_contains_user_certs
    assert point.value.full_name == [x509.UniformResourceIdentifier(url)]


def test_reasons_have_the_numbers_of_the_standard():
    """CRLReason's numbers are those of RFC 5280 §5.3.1; 7 is unused, and 8 is for delta CRLs."""
    assert {reason.code for reason in RevocationReason} == {0, 1, 2, 3, 4, 5, 6, 9, 10}
    for reason in RevocationReason:
        assert RevocationReason.of_code(reason.code) is reason
    assert RevocationReason.of_code(9) is RevocationReason.PRIVILEGE_WITHDRAWN
    for code in (-1, 7, 8, 11):
        with pytest.raises(ValueError, match="no reason"):
            RevocationReason.of_code(code)


async def refusal(lab, ca, header, entries=()):
    with pytest.raises(IssuingError) as refused:
        await make_crl(ca, header, entries)
    return refused.value.code


async def test_a_ca_without_crl_sign_makes_no_crl(lab):
    """The CA's key usage must allow it; else every verifier would refuse the list."""
    ca = await lab.ca(crl_sign=False)
    assert await refusal(lab, ca, header(lab)) is IssuingFault.CRL_SIGN_MISSING


async def test_wrong_headers_are_refused(lab):
    """Times in the wrong order and numbers out of range make no CRL."""
    ca = await lab.ca()
    for changed in ({"next_update": lab.now}, {"next_update": lab.now - timedelta(seconds=1)}):
        assert await refusal(lab, ca, header(lab, **changed)) is IssuingFault.INVALID_UPDATE_TIMES
    for number in (-1, 1 << 159):
        assert await refusal(lab, ca, header(lab, number)) is IssuingFault.INVALID_ENTRY


async def test_wrong_entries_are_refused(lab):
    """Duplicates, impossible serials and endless lists make no CRL."""
    ca, entry = await lab.ca(), RevokedEntry(7, lab.now)
    assert await refusal(lab, ca, header(lab), [entry, entry]) is IssuingFault.INVALID_ENTRY
    assert await refusal(lab, ca, header(lab), [RevokedEntry(0, lab.now)]) is IssuingFault.INVALID_SERIAL
    many = [RevokedEntry(serial, lab.now) for serial in range(1, MAX_ENTRIES + 2)]
    with pytest.raises(IssuingError, match="partition"):
        await make_crl(ca, header(lab), many)
