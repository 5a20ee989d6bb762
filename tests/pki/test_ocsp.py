"""OCSP requests and answers, exchanged with OpenSSL and the library; and what is refused."""

import base64
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pki.crl import RevocationReason
from gateway.pki.der import encode
from gateway.pki.issuance_errors import IssuingError, IssuingFault, RevocationError, RevocationFault
from gateway.pki.issue import issue
from gateway.pki.leaf import Leaf
from gateway.pki.name_policy import NamePolicy
from gateway.pki.names import Attribute, DistinguishedName
from gateway.pki.ocsp import MAX_REQUEST, OcspRequest, request_of_path
from gateway.pki.ocsp_responder import OcspResponder, issue_responder_certificate
from gateway.pki.ocsp_response import Good, ResponseStatus, Revoked, Unknown, unsuccessful
from gateway.pki.profile import CertificateProfile, RawExtension, Validity
from gateway.pki.serials import new_serial
from gateway.pki.wire import WireNames, wire_profile
from signers import Algorithm
from signers.jose_form import der_to_raw
from signers.verification import verify
from tests.support.certificate_tools import lint, openssl
from tests.support.issuing import DAY, X509_ALGORITHMS, lab
from tests.support.pki import Authority, pem
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["lab", "softhsm_all"]

SHA1 = hashes.SHA1()  # noqa: S303 - the hash by which most clients name an issuer; it protects nothing.
NAMES = WireNames("A", "wire.com", "wireapp://%40a@wire.com", "wireapp://a!1@wire.com")
NO_CHECK = RawExtension("1.3.6.1.5.5.7.48.1.5", b"\x05\x00")
TLS = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string


async def a_leaf(lab, ca):
    key = (await lab.signer(Algorithm.ES256, 3)).public_key
    der = await issue(wire_profile("wire"), NAMES.leaf(key), ca, serial=new_serial(), now=lab.now)
    return x509.load_der_x509_certificate(der)


async def a_responder(lab, ca, signer=None):
    signer = signer or await lab.signer(Algorithm.ES256, 4)
    der = await issue_responder_certificate(
        ca, signer, common_name="OCSP responder", lifetime=DAY, serial=new_serial(), now=lab.now
    )
    return OcspResponder.open(ca, der, signer, lab.now)


def question(leaf, ca, algorithm=None, nonce=None):
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, ca.certificate, algorithm or SHA1)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


async def answer(lab, responder, der, status):
    return await responder.respond(
        OcspRequest.parse(der), status, this_update=lab.now, next_update=lab.now + DAY, now=lab.now
    )


STATUSES = [
    ("good", lambda lab: Good()),
    ("unknown", lambda lab: Unknown()),
    ("revoked", lambda lab: Revoked(lab.now - timedelta(hours=1), RevocationReason.KEY_COMPROMISE)),
    ("revoked", lambda lab: Revoked(lab.now - timedelta(hours=1))),
]


@pytest.mark.parametrize(("shown", "status"), STATUSES)
async def test_openssl_understands_the_answer(lab, shown, status):
    """OpenSSL asks, verifies the delegated signature and the nonce, and reads the status."""
    ca = await lab.ca()
    leaf, responder = await a_leaf(lab, ca), await a_responder(lab, ca)
    lab.write("root.pem", lab.root.pem)
    issuer, cert = lab.write("issuer.pem", pem(ca.certificate)), lab.write("leaf.pem", pem(leaf))
    asked, answered = lab.folder / "request.der", lab.folder / "response.der"
    openssl("ocsp", "-issuer", issuer, "-cert", cert, "-nonce", "-reqout", asked)
    response = await answer(lab, responder, asked.read_bytes(), status(lab))
    answered.write_bytes(response)
    printed = openssl(
        *("ocsp", "-reqin", asked, "-respin", answered, "-no_nonce", "-issuer", issuer, "-cert", cert),
        *("-CAfile", lab.folder / "root.pem"),
    )
    assert "Response verify OK" in printed
    assert "WARNING" not in printed
    assert f"leaf.pem: {shown}" in printed
    assert lint("lint_ocsp_response", answered) == set()


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
async def test_every_kind_of_key_answers(lab, algorithm):
    """The library reads the answer, whose signature verifies under the algorithm that it names."""
    ca = await lab.ca()
    signer = await lab.signer(algorithm)
    leaf, responder = await a_leaf(lab, ca), await a_responder(lab, ca, signer)
    der = await answer(lab, responder, question(leaf, ca), Good())
    response = ocsp.load_der_ocsp_response(der)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.signature_algorithm_oid.dotted_string == algorithm.spec.x509_oid
    assert [each.public_bytes(Encoding.DER) for each in response.certificates] == [
        responder.certificate.public_bytes(Encoding.DER)
    ]
    issuer, cert = lab.write("issuer.pem", pem(ca.certificate)), lab.write("leaf.pem", pem(leaf))
    lab.write("root.pem", lab.root.pem)
    printed = openssl(
        *("ocsp", "-respin", lab.write("response.der", der), "-no_nonce", "-issuer", issuer, "-cert", cert),
        *("-CAfile", lab.folder / "root.pem"),
    )
    assert "Response verify OK" in printed


async def test_an_hsm_answers(lab, softhsm_all, monkeypatch):
    """The responder's key may live in SoftHSM."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    signer = await lab.registry.open(softhsm_all.uri(LABELS[Algorithm.ES384]), Algorithm.ES384)
    ca = await lab.ca()
    responder = await a_responder(lab, ca, signer)
    der = await answer(lab, responder, question(await a_leaf(lab, ca), ca), Good())
    assert ocsp.load_der_ocsp_response(der).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("algorithm", [SHA1, hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
async def test_an_answer_says_what_it_was_given(lab, algorithm):
    """The certificate asked about, the times, the reason and the nonce come back."""
    ca = await lab.ca()
    leaf, responder = await a_leaf(lab, ca), await a_responder(lab, ca)
    revoked_at = lab.now - timedelta(hours=1)
    asked = question(leaf, ca, algorithm, nonce=bytes(range(32)))
    der = await answer(lab, responder, asked, Revoked(revoked_at, RevocationReason.SUPERSEDED))
    response, request = ocsp.load_der_ocsp_response(der), ocsp.load_der_ocsp_request(asked)
    for part in ("serial_number", "issuer_name_hash", "issuer_key_hash"):
        assert getattr(response, part) == getattr(request, part)
    assert response.hash_algorithm.name == algorithm.name
    assert response.revocation_time_utc == revoked_at
    assert response.revocation_reason is x509.ReasonFlags.superseded
    assert response.produced_at_utc == response.this_update_utc == lab.now
    assert response.next_update_utc == lab.now + DAY
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == bytes(range(32))
    signature = der_to_raw(response.signature, 64)
    verify(responder.signer.public_key, Algorithm.ES256, response.tbs_response_bytes, signature)


@pytest.mark.parametrize("serial", [0, 1, 127, 128, 255, 256, (1 << 159) - 1])
async def test_any_serial_comes_back(lab, serial):
    """The serial of the answer is that of the request, also where its first bit is set."""
    ca = await lab.ca()
    responder = await a_responder(lab, ca)
    request = ocsp.load_der_ocsp_request(question(await a_leaf(lab, ca), ca))
    asked = OcspRequest("sha1", request.issuer_name_hash, request.issuer_key_hash, serial, None)
    der = await responder.respond(
        asked, Unknown(), this_update=lab.now, next_update=lab.now + DAY, now=lab.now
    )
    assert ocsp.load_der_ocsp_response(der).serial_number == serial


async def test_a_responders_certificate_is_a_delegation(lab):
    """It has OCSPSigning, no-check, its CA's key identifier, and no names."""
    ca = await lab.ca()
    certificate = (await a_responder(lab, ca)).certificate
    certificate.verify_directly_issued_by(ca.certificate)
    extensions = certificate.extensions
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert not extensions.get_extension_for_class(x509.OCSPNoCheck).critical
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert lint("lint_pkix_cert", lab.write("responder.pem", pem(certificate))) == set()


@pytest.mark.parametrize("status", ResponseStatus)
def test_a_failure_is_said_without_a_signature(status):
    """The library reads the status of an unsuccessful response."""
    assert ocsp.load_der_ocsp_response(unsuccessful(status)).response_status.value == status


# Refused questions


def fault(der):
    with pytest.raises(RevocationError) as refused:
        OcspRequest.parse(der)
    return refused.value.code


async def test_wrong_questions_are_refused(lab):
    """Size, form, hash and nonce each have their reason."""
    ca = await lab.ca()
    leaf = await a_leaf(lab, ca)
    good = question(leaf, ca)
    assert fault(bytes(MAX_REQUEST + 1)) is RevocationFault.TOO_LARGE
    assert fault(b"") is RevocationFault.MALFORMED
    assert fault(good + b"\x00") is RevocationFault.MALFORMED
    assert fault(question(leaf, ca, hashes.SHA224())) is RevocationFault.UNSUPPORTED_HASH
    assert fault(question(leaf, ca, nonce=bytes(129))) is RevocationFault.INVALID_NONCE
    assert fault(question(leaf, ca, nonce=b"")) is RevocationFault.INVALID_NONCE
    assert OcspRequest.parse(question(leaf, ca, nonce=bytes(128))).nonce == bytes(128)
    sha1_as_sha256 = good.replace(
        bytes.fromhex("300906052b0e03021a0500"), bytes.fromhex("300906052b0e03021b0500")
    )
    assert fault(sha1_as_sha256) is RevocationFault.UNSUPPORTED_HASH


async def test_wrong_lengths_and_unknown_critical_extensions_are_refused(lab):
    """Hashes fit their algorithm, serials fit in twenty octets, and critical means critical."""
    ca = await lab.ca()
    asked = ocsp.load_der_ocsp_request(question(await a_leaf(lab, ca), ca))
    name, key = asked.issuer_name_hash, asked.issuer_key_hash
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, 1 << 161, SHA1)
    assert fault(builder.build().public_bytes(Encoding.DER)) is RevocationFault.MALFORMED
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, 1, SHA1)
    optional = builder.add_extension(unknown, critical=False).build().public_bytes(Encoding.DER)
    assert OcspRequest.parse(optional).serial == 1
    critical = builder.add_extension(unknown, critical=True).build().public_bytes(Encoding.DER)
    assert fault(critical) is RevocationFault.MALFORMED
    algorithm = bytes.fromhex("300906052b0e03021a0500")
    for first, second, code in (
        (name, key, None),
        (name + b"!", key, RevocationFault.MALFORMED),
        (name, key[:-1], RevocationFault.MALFORMED),
    ):
        single = algorithm + encode(0x04, first) + encode(0x04, second) + b"\x02\x01\x01"
        for _ in range(5):  # CertID, Request, requestList, TBSRequest, OCSPRequest.
            single = encode(0x30, single)
        if code is None:
            assert OcspRequest.parse(single).serial == 1
        else:
            assert fault(single) is code


async def test_two_questions_in_one_are_refused(lab):
    """RFC 5019 §2.1.1: a request is about one certificate."""
    ca = await lab.ca()
    der = question(await a_leaf(lab, ca), ca)
    single = der[6:]  # Request, inside requestList, inside TBSRequest, inside OCSPRequest.

    def sequence(content):
        return (
            b"\x30" + (bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])) + content
        )

    assert sequence(sequence(sequence(single))) == der
    assert fault(sequence(sequence(sequence(single * 2)))) is RevocationFault.MALFORMED


async def test_a_question_may_come_in_a_path(lab):
    """GET carries base64, with or without percent-encoding."""
    ca = await lab.ca()
    der = question(await a_leaf(lab, ca), ca)
    text = base64.b64encode(der).decode()
    assert request_of_path(text) == request_of_path(quote(text, safe="")) == der
    for wrong, code in (
        ("%%", RevocationFault.MALFORMED),
        ("é", RevocationFault.MALFORMED),
        (text[:-2] + "-_", RevocationFault.MALFORMED),
        ("A" * (4 * MAX_REQUEST + 1), RevocationFault.TOO_LARGE),
    ):
        with pytest.raises(RevocationError) as refused:
            request_of_path(wrong)
        assert refused.value.code is code


async def test_a_question_about_another_ca_is_not_answered(lab):
    """A responder speaks for one CA."""
    ca = await lab.ca()
    responder = await a_responder(lab, ca)
    stranger = Authority.root()
    leaf = stranger.leaf("a").certificate
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, stranger.certificate, SHA1).build()
    with pytest.raises(RevocationError) as refused:
        await answer(lab, responder, asked.public_bytes(Encoding.DER), Good())
    assert refused.value.code is RevocationFault.UNKNOWN_ISSUER


async def test_answers_outside_their_time_are_refused(lab):
    """Now lies within the update times and the responder's own life."""
    ca = await lab.ca()
    responder = await a_responder(lab, ca)
    request = OcspRequest.parse(question(await a_leaf(lab, ca), ca))
    for this, following, now, code in (
        (lab.now, lab.now, lab.now, IssuingFault.INVALID_UPDATE_TIMES),
        (lab.now + DAY, lab.now + 2 * DAY, lab.now, IssuingFault.INVALID_UPDATE_TIMES),
        (lab.now, lab.now + 3 * DAY, lab.now + 2 * DAY, IssuingFault.EXPIRED),
        (lab.now - 3 * DAY, lab.now, lab.now - 2 * DAY, IssuingFault.NOT_YET_VALID),
    ):
        with pytest.raises(IssuingError) as refused:
            await responder.respond(request, Good(), this_update=this, next_update=following, now=now)
        assert refused.value.code is code


# Opening a responder


async def responder_certificate(lab, ca, signer, *, usages=(OCSP_SIGNING,), extra=(NO_CHECK,), bits=None):
    profile = CertificateProfile(
        validity=Validity(DAY),
        names=NamePolicy(subject_types=frozenset({"2.5.4.3"}), minimum_names=0),
        extended_key_usage=tuple(usages),
        extra_extensions=tuple(extra),
        **({} if bits is None else {"key_usage": frozenset(bits)}),
    )
    subject = DistinguishedName.of(((Attribute("2.5.4.3", "responder"),),))
    return await issue(profile, Leaf(signer.public_key, subject, ()), ca, serial=9, now=lab.now)


async def test_a_responder_with_a_fault_is_not_opened(lab):
    """Usage, no-check, key, issuer, form and period are checked at load."""
    ca, signer = await lab.ca(), await lab.signer(Algorithm.ES256, 4)
    other = await lab.signer(Algorithm.ES256, 5)
    other_ca = lab.open(other, name="Another")
    good = await responder_certificate(lab, ca, signer)
    OcspResponder.open(ca, good, signer, lab.now)
    for der, key, now, code in (
        (await responder_certificate(lab, ca, signer, usages=()), signer, lab.now, IssuingFault.WRONG_USAGE),
        (
            await responder_certificate(lab, ca, signer, usages=[TLS]),
            signer,
            lab.now,
            IssuingFault.WRONG_USAGE,
        ),
        (await responder_certificate(lab, ca, signer, extra=()), signer, lab.now, IssuingFault.WRONG_USAGE),
        (await responder_certificate(lab, ca, signer, bits=()), signer, lab.now, IssuingFault.WRONG_USAGE),
        (good, other, lab.now, IssuingFault.KEY_MISMATCH),
        (await responder_certificate(lab, other_ca, signer), signer, lab.now, IssuingFault.BROKEN_CHAIN),
        (good[:-1], signer, lab.now, IssuingFault.MALFORMED_CHAIN),
        (good, signer, lab.now + 2 * DAY, IssuingFault.EXPIRED),
        (good, signer, lab.now - DAY, IssuingFault.NOT_YET_VALID),
    ):
        with pytest.raises(IssuingError) as refused:
            OcspResponder.open(ca, der, key, now)
        assert refused.value.code is code


# Fuzzing

_STRANGER = Authority.root()
_ASKED = (
    ocsp.OCSPRequestBuilder()
    .add_certificate(_STRANGER.leaf("a").certificate, _STRANGER.certificate, SHA1)
    .add_extension(x509.OCSPNonce(bytes(32)), critical=False)
    .build()
    .public_bytes(Encoding.DER)
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4), st.integers(-3, 3)
)
def test_mutated_requests_raise_the_documented_error_only(changes, cut):
    """Whatever octets change, the parser answers with a value or a `RevocationError`."""
    octets = bytearray(_ASKED)
    for position, value in changes:
        octets[position % len(octets)] = value
    mutated = bytes(octets[:cut]) if cut < 0 else bytes(octets) + bytes(cut)
    with suppress(RevocationError):
        OcspRequest.parse(mutated)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_octets_raise_the_documented_error_only(octets):
    """No octets bring down the parser."""
    with pytest.raises(RevocationError):
        OcspRequest.parse(octets)
