"""Renewal identifiers and windows (RFC 9773)."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pki.issuance_errors import RevocationError, RevocationFault
from gateway.pki.renewal import RenewalIdentifier, suggested_window
from tests.support.pki import Authority, common_name, issue, new_key

# SOURCE: RFC 9773 §4.1, whose example has this key identifier and the serial 00:87:65:43:21.
TEXT = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
KEY_IDENTIFIER = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_example_of_the_standard():
    """The RFC's example is built and parsed."""
    identifier = RenewalIdentifier(KEY_IDENTIFIER, 0x87654321)
    assert identifier.text == TEXT
    assert RenewalIdentifier.parse(TEXT) == identifier


def test_a_certificate_is_named_by_its_issuers_key_and_its_serial():
    """The identifier of a certificate leads back to it."""
    authority = Authority.root()
    leaf = authority.leaf("a").certificate
    identifier = RenewalIdentifier.parse(RenewalIdentifier.of(leaf).text)
    assert identifier.serial == leaf.serial_number
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier.key_identifier == own.digest


def test_a_certificate_without_a_key_identifier_has_no_name():
    """A certificate that names its issuer's key by issuer and serial only cannot be identified."""
    key = new_key()
    certificate = issue(common_name("a"), common_name("a"), key, key)
    bare = (
        x509.CertificateBuilder()
        .issuer_name(certificate.issuer)
        .subject_name(certificate.subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=1))
    )
    point = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(common_name("a"))], 5)
    for builder in (bare, bare.add_extension(point, critical=False)):
        with pytest.raises(RevocationError) as refused:
            RenewalIdentifier.of(builder.sign(key, certificate.signature_hash_algorithm))
        assert refused.value.code is RevocationFault.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ",
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.",
        ".AIdlQyE",
        TEXT + "=",
        TEXT + ".AA",
        TEXT.replace("Q.", "R."),  # The same octets with trailing bits.
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AACHZUMh",  # A second leading zero.
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ",  # Negative.
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AA",  # Zero.
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.A",
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ." + "A" * 28,
        "A" * 87 + ".AIdlQyE",
        "aYhba4dGQEHhs3uEe6CuLN4ByN+.AIdlQyE",
    ],
)
def test_another_text_is_refused(text):
    """An identifier has one form, so that a certificate has one URL."""
    with pytest.raises(RevocationError) as refused:
        RenewalIdentifier.parse(text)
    assert refused.value.code is RevocationFault.MALFORMED


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=2, max_size=64), st.integers(1, (1 << 159) - 1))
def test_every_identifier_comes_back(key_identifier, serial):
    """Building and parsing are inverse."""
    identifier = RenewalIdentifier(key_identifier, serial)
    assert RenewalIdentifier.parse(identifier.text) == identifier


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_raises_the_documented_error_only(text):
    """No text brings down the parser."""
    with suppress(RevocationError):
        assert RenewalIdentifier.parse(text).text == text


def test_the_window_lies_in_the_last_third():
    """A certificate of ninety days is renewed between its 60th and its 75th."""
    window = suggested_window(START, START + timedelta(days=90))
    assert window.start == START + timedelta(days=60)
    assert window.end == START + timedelta(days=75)


def test_the_window_of_a_revoked_certificate_is_over():
    """A window in the past has clients renew at once."""
    revoked_at = START + timedelta(days=1, microseconds=5)
    window = suggested_window(START, START + timedelta(days=90), revoked_at=revoked_at)
    assert window.start < window.end == START + timedelta(days=1)


def test_the_shortest_window_is_a_window():
    """Start is before end however short the life."""
    window = suggested_window(START, START + timedelta(seconds=2))
    assert window.start < window.end
