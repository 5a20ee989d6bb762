"""Certification requests: the recorded one, and one for each way to be wrong."""

import math
import secrets
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type  # The constructor needs it for what is no text.
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pki.csr import EXTENSION_REQUEST, MAX_REQUEST, CertificateRequest
from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.key_strength import require_strong_key
from gateway.pki.requested_names import MAX_NAMES

VECTORS = Path(__file__).parent.parent / "vectors"
KEY = ec.generate_private_key(ec.SECP256R1())
ALICE = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
SAN = x509.SubjectAlternativeName([x509.DNSName("a.example.org")])
BIT = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def request(*extensions, subject=ALICE, attributes=(), key=KEY, digest=None):
    """A request in DER. The builder's constructor takes what its methods would refuse, such as duplicates."""
    builder = x509.CertificateSigningRequestBuilder(
        subject,
        [x509.Extension(value.oid, False, value) for value in extensions],
        list(attributes),
    )
    unhashed = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    signed = builder.sign(key, None if unhashed else digest or hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def named(*names):
    return request(x509.SubjectAlternativeName(names))


def fault(der):
    """The code with which *der* is refused."""
    with pytest.raises(RequestError) as refused:
        CertificateRequest.parse(der)
    return refused.value.code


def seed():
    return x509.load_pem_x509_csr((VECTORS / "wire_g1_request.pem").read_bytes()).public_bytes(Encoding.DER)


def test_the_recorded_request_is_read():
    """The walk-through's request yields its key, subject and both URIs."""
    parsed = CertificateRequest.parse(seed())
    assert isinstance(parsed.public_key, ed25519.Ed25519PublicKey)
    assert parsed.subject.values("2.5.4.10") == ("wire.com",)
    assert parsed.subject.values("2.16.840.1.113730.3.1.241") == ("Alice Smith",)
    assert parsed.common_name is None
    assert parsed.names.uri == {
        "im:wireapp=KPrqV67URCOHFKk4yKIXZQ/84cdc209f1eaaa5e@wire.com",
        "im:wireapp=%40alice_wire@wire.com",
    }
    assert parsed.attributes == (EXTENSION_REQUEST,)
    assert [extension.oid.dotted_string for extension in parsed.extensions] == ["2.5.29.17"]


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "P-521", "Ed25519", "RSA"],
)
def test_every_type_of_key_is_read(key):
    """A request of each supported type parses to the public half of its key."""
    parsed = CertificateRequest.parse(request(SAN, key=key))
    assert parsed.public_key == key.public_key()


def test_all_kinds_of_names_are_typed():
    """DNS names, URIs, addresses and mailboxes are kept apart, in their comparable form."""
    parsed = CertificateRequest.parse(
        named(
            x509.DNSName("*.Example.org"),
            x509.DNSName("xn--mnchen-3ya.example"),
            x509.UniformResourceIdentifier("wireapp://%40alice@wire.com"),
            x509.RFC822Name("Alice@Example.org"),
        )
    )
    assert parsed.names.dns == {"*.example.org", "xn--mnchen-3ya.example"}
    assert parsed.names.uri == {"wireapp://%40alice@wire.com"}
    assert parsed.names.email == {"Alice@example.org"}


def test_a_request_without_attributes_is_read():
    """No attribute means no extension and no name."""
    parsed = CertificateRequest.parse(request())
    assert (parsed.attributes, parsed.extensions, parsed.names.dns) == ((), (), frozenset())


# Form and signature


def test_a_huge_request_is_refused():
    """A request above the bound is refused before it is parsed."""
    assert fault(bytes(MAX_REQUEST + 1)) is RequestFault.TOO_LARGE


@pytest.mark.parametrize(
    "der",
    [b"", b"\x30\x00", request(SAN)[:-1], request(SAN) + b"\x00", b"-----BEGIN CERTIFICATE REQUEST-----"],
    ids=["empty", "empty sequence", "truncated", "trailing", "PEM"],
)
def test_what_is_no_request_is_refused(der):
    """Anything but one whole PKCS#10 in DER is malformed."""
    assert fault(der) is RequestFault.MALFORMED


def test_another_version_is_refused():
    """A version other than v1 is malformed."""
    der = request(SAN)
    at = der.index(b"\x02\x01\x00")
    assert fault(der[:at] + b"\x02\x01\x01" + der[at + 3 :]) is RequestFault.MALFORMED


def test_a_broken_self_signature_is_refused():
    """One changed bit of the content makes the signature wrong."""
    der = request(SAN)
    assert fault(der.replace(b"a.example.org", b"b.example.org")) is RequestFault.BAD_SIGNATURE


def test_a_signature_by_another_key_is_refused():
    """Somebody else's public key cannot be certified by signing with one's own."""
    mine, other = request(SAN), ec.generate_private_key(ec.SECP256R1())
    forged = mine.replace(
        KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    assert fault(forged) is RequestFault.BAD_SIGNATURE


def test_a_weak_hash_is_refused():
    """A request signed with SHA-224 is refused, whatever it says."""
    assert fault(request(SAN, digest=hashes.SHA224())) is RequestFault.WEAK_SIGNATURE_ALGORITHM


# Keys


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
        ec.generate_private_key(ec.SECP224R1()),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["secp256k1", "brainpool", "P-224", "Ed448"],
)
def test_other_curves_are_refused(key):
    """A key on a curve outside the list is unsupported."""
    assert fault(request(SAN, key=key)) is RequestFault.UNSUPPORTED_KEY


@pytest.mark.parametrize(("exponent", "bits"), [(65537, 1024), (3, 2048)])
def test_small_rsa_keys_and_exponents_are_refused(exponent, bits):
    """RSA needs 2048 bits and an exponent of at least 65537."""
    assert fault(request(SAN, key=rsa.generate_private_key(exponent, bits))) is RequestFault.WEAK_KEY


def refused_key(key):
    with pytest.raises(RequestError) as refused:
        require_strong_key(key)
    assert refused.value.code is RequestFault.WEAK_KEY
    return str(refused.value)


def public_rsa(modulus, exponent=65537):
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def is_prime(number):
    """Miller-Rabin, forty rounds."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(40):
        power = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def roca_prime():
    """A 1024-bit prime as the vulnerable library made them: k*M + (65537^a mod M), M the 126 first primes."""
    primes = [n for n in range(2, 702) if all(n % d for d in range(2, math.isqrt(n) + 1))]
    m = math.prod(primes)
    assert len(primes) == 126
    while True:
        low = pow(65537, secrets.randbits(256), m)
        candidate = ((3 << 1022) // m + secrets.randbits(40)) * m + low
        if candidate.bit_length() == 1024 and pow(2, candidate - 1, candidate) == 1 and is_prime(candidate):
            return candidate


def test_a_roca_key_is_refused():
    """A modulus of two ROCA primes has their mark."""
    assert "ROCA" in refused_key(public_rsa(roca_prime() * roca_prime()))


def test_a_huge_exponent_is_refused():
    """An exponent above 2^256, which would make every verification dear, is refused."""
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    assert "exponent" in refused_key(public_rsa(modulus, (1 << 256) + 1))


def test_an_even_exponent_is_refused():
    """The library refuses an even exponent when the request's key is read, and that has a reason too."""
    key = rsa.generate_private_key(65537, 2048)
    der = request(SAN, key=key)
    assert (
        fault(der.replace(b"\x02\x03\x01\x00\x01", b"\x02\x03\x01\x00\x02")) is RequestFault.UNSUPPORTED_KEY
    )


def test_a_modulus_of_odd_length_is_refused():
    """A modulus whose bits do not fill its octets is refused (Baseline Requirements §6.1.5)."""
    assert "octets" in refused_key(public_rsa((1 << 2048) | 1))


@pytest.mark.parametrize("factor", [2, 3, 751])
def test_a_small_factor_is_refused(factor):
    """A modulus that a small prime divides is refused."""
    modulus = factor * (((1 << 2047) // factor) | 1)
    assert "factor" in refused_key(public_rsa(modulus))


def test_close_primes_are_refused():
    """A modulus that Fermat's method splits at once is refused."""
    prime = rsa.generate_private_key(65537, 2048).private_numbers().p
    close = prime + 2
    while not is_prime(close):
        close += 2
    assert "close" in refused_key(public_rsa(prime * close))


# SOURCE: the low-order points of edwards25519, as libsodium's ge25519_has_small_order lists them.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("octets", SMALL_ORDER)
def test_ed25519_points_of_small_order_are_refused(octets):
    """A key for which signatures verify that nobody made is refused."""
    assert "order" in refused_key(ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(octets)))


def test_a_key_in_another_encoding_is_refused():
    """A compressed point is refused: the certificate would carry other octets than the request."""
    point = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    full = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    compressed = full[:1] + bytes([full[1] - 32]) + full[2:23] + b"\x03\x22\x00" + point
    tbs = x509.load_der_x509_csr(request()).tbs_certrequest_bytes
    body = tbs[2:].replace(full, compressed)
    tbs = b"\x30" + bytes([len(body)]) + body
    signature = KEY.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = b"\x03" + bytes([len(signature) + 1]) + b"\x00" + signature
    whole = tbs + algorithm + bits
    assert x509.load_der_x509_csr(b"\x30\x81" + bytes([len(whole)]) + whole).is_signature_valid
    assert fault(b"\x30\x81" + bytes([len(whole)]) + whole) is RequestFault.UNSUPPORTED_KEY


def test_the_key_can_be_required_and_refused():
    """The first generation needs the account's key, RFC 8555 §11.1 any other."""
    parsed, other = CertificateRequest.parse(request(SAN)), ec.generate_private_key(ec.SECP256R1())
    parsed.require_key(KEY.public_key())
    parsed.refuse_key(other.public_key())
    with pytest.raises(RequestError) as refused:
        parsed.require_key(other.public_key())
    assert refused.value.code is RequestFault.KEY_MISMATCH
    with pytest.raises(RequestError) as refused:
        parsed.refuse_key(KEY.public_key())
    assert refused.value.code is RequestFault.ACCOUNT_KEY_REUSED


# Attributes and extensions


def test_a_challenge_password_is_refused():
    """No attribute but the extension request is taken, least of all a secret."""
    der = request(SAN, attributes=[(AttributeOID.CHALLENGE_PASSWORD, b"secret", None)])
    assert fault(der) is RequestFault.UNEXPECTED_ATTRIBUTE


def test_an_attribute_that_stands_twice_is_refused():
    """Two attributes of one type are refused, before it matters which one counts."""
    attribute = (AttributeOID.CHALLENGE_PASSWORD, b"secret", None)
    assert fault(request(attributes=[attribute, attribute])) is RequestFault.DUPLICATE_ATTRIBUTE


def test_an_unknown_extension_is_refused():
    """An extension that is never issued on request is refused, not ignored."""
    assert fault(request(SAN, x509.TLSFeature([x509.TLSFeatureType.status_request]))) is (
        RequestFault.UNKNOWN_EXTENSION
    )
    raw = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.37476.9000.64.1"), b"\x05\x00")
    assert fault(request(SAN, raw)) is RequestFault.UNKNOWN_EXTENSION


def test_an_extension_that_stands_twice_is_refused():
    """Two lists of names are refused."""
    assert fault(request(SAN, SAN)) is RequestFault.DUPLICATE_EXTENSION


def test_an_unreadable_extension_is_refused():
    """A known extension whose content is no DER of its type is malformed."""
    raw = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x04\x00")
    assert fault(request(raw)) is RequestFault.MALFORMED


def test_a_request_for_a_ca_is_refused():
    """A request with cA is refused, and without it is taken."""
    assert fault(request(SAN, x509.BasicConstraints(True, None))) is RequestFault.CA_REQUESTED
    CertificateRequest.parse(request(SAN, x509.BasicConstraints(False, None)))


def test_wishes_for_usages_are_kept():
    """Key usages are handed on for the profile to judge."""
    usage = x509.KeyUsage(**(BIT | {"digital_signature": True}))
    extended = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    parsed = CertificateRequest.parse(request(SAN, usage, extended))
    assert [extension.value for extension in parsed.extensions] == [SAN, usage, extended]


# Subjects


def subject_of(*values):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value) for value in values])


def test_two_common_names_are_refused():
    """Only one common name can be checked, so only one may stand."""
    assert fault(request(SAN, subject=subject_of("a", "b"))) is RequestFault.MULTIPLE_COMMON_NAMES


def test_a_part_of_several_attributes_is_refused():
    """A multi-valued RDN is refused."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.SURNAME, "b")]
    name = x509.Name([x509.RelativeDistinguishedName(attributes)])
    assert fault(request(SAN, subject=name)) is RequestFault.INVALID_SUBJECT


def test_a_subject_that_is_no_text_is_refused():
    """A BIT STRING, as x500UniqueIdentifier has it, cannot be compared as a name."""
    value = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x01", _ASN1Type.BitString)
    assert fault(request(SAN, subject=x509.Name([value]))) is RequestFault.INVALID_SUBJECT


def test_a_subject_of_many_parts_is_refused():
    """More than sixteen parts are refused."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(n)) for n in range(17)])
    assert fault(request(SAN, subject=name)) is RequestFault.INVALID_SUBJECT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("\N{SPACE}", RequestFault.EMPTY_TEXT),
        ("a\nb", RequestFault.CONTROL_CHARACTER),
        ("a\0b", RequestFault.CONTROL_CHARACTER),
        ("a\u202eb", RequestFault.BIDIRECTIONAL_CHARACTER),
        ("a\u2066b", RequestFault.BIDIRECTIONAL_CHARACTER),
        ("ad\u200bmin", RequestFault.INVISIBLE_CHARACTER),
        ("ad\u2060min", RequestFault.INVISIBLE_CHARACTER),
        ("\u3164", RequestFault.INVISIBLE_CHARACTER),
        ("a\ufe0f", RequestFault.INVISIBLE_CHARACTER),
        ("a\ue000", RequestFault.PROHIBITED_CHARACTER),
        ("a\ufffd", RequestFault.PROHIBITED_CHARACTER),
        ("a\u2028b", RequestFault.PROHIBITED_CHARACTER),
        ("e\u0301", RequestFault.NOT_NORMALIZED),
        (" alice", RequestFault.NOT_NORMALIZED),
        ("\u0430lice", RequestFault.LOOK_ALIKE),
        ("\U0001d41alice", RequestFault.LOOK_ALIKE),
        ("\uff41lice", RequestFault.LOOK_ALIKE),
        ("alice\u00a0smith", RequestFault.LOOK_ALIKE),
        ("1\u0661", RequestFault.LOOK_ALIKE),
        ("q\u0323\u0331\u0332\u0333\u0308", RequestFault.LOOK_ALIKE),
        ("a" * 257, RequestFault.TEXT_TOO_LONG),
    ],
)
def test_deceptive_text_is_refused(text, code):
    """Text that does not show what it is has its own reason."""
    name = x509.Name([x509.NameAttribute(NameOID.PSEUDONYM, text)])
    assert fault(request(SAN, subject=name)) is code


@pytest.mark.parametrize(
    "text",
    ["Alice Smith", "Zoë O’Neill", "Алиса Smith", "山田 タロウさん", "Дарʼя", "محمد", "김민수", "Ngọc Anh 2"],
)
def test_names_of_the_world_are_taken(text):
    """Honest names in any script are taken as they are."""
    parsed = CertificateRequest.parse(request(SAN, subject=subject_of(text)))
    assert parsed.common_name == text


# Subject alternative names


@pytest.mark.parametrize(
    "name",
    [
        x509.DirectoryName(ALICE),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
    ],
    ids=["directory", "registered", "other"],
)
def test_other_kinds_of_names_are_refused(name):
    """Only DNS names, URIs, addresses and mailboxes are issued."""
    assert fault(named(name)) is RequestFault.SAN_KIND


def test_a_kind_that_the_library_cannot_read_is_refused():
    """An x400Address is a kind like any other, and refused as one."""
    raw = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x02\xa3\x00")
    assert fault(request(raw)) is RequestFault.SAN_KIND


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("a_b.example.org"),
        x509.DNSName("-a.example.org"),
        x509.DNSName("a..example.org"),
        x509.DNSName("a.example.org."),
        x509.DNSName("a.*.example.org"),
        x509.DNSName("*"),
        x509.DNSName("a\0.example.org"),
        x509.DNSName("1.2.3.4"),
        x509.DNSName("ab--cd.example.org"),
        x509.DNSName("xn--9.example.org"),
        x509.DNSName("ab--mnchen-3ya.example.org"),
        x509.DNSName("xn---pbkb.example.org"),
        x509.DNSName("a" * 64 + ".example.org"),
        x509.UniformResourceIdentifier("no-scheme"),
        x509.UniformResourceIdentifier("https://example.org/a b"),
        x509.UniformResourceIdentifier("https://example.org/%4"),
        x509.UniformResourceIdentifier("https://example.org/%ff"),
        x509.UniformResourceIdentifier("https://example.org/" + "a" * 1024),
        x509.RFC822Name("alice"),
        x509.RFC822Name("a b@example.org"),
        x509.RFC822Name("alice@*.example.org"),
        x509.RFC822Name("@example.org"),
    ],
    ids=lambda name: repr(name.value)[:30],
)
def test_loosely_written_names_are_refused(name):
    """A name outside the grammar of its kind is refused."""
    assert fault(named(name)) is RequestFault.INVALID_SAN


def test_deceptive_text_is_found_behind_an_encoding():
    """Percent-encoding and Punycode hide nothing."""
    hidden = x509.UniformResourceIdentifier("https://example.org/%E2%80%AEgpj")
    assert fault(named(hidden)) is RequestFault.BIDIRECTIONAL_CHARACTER
    mixed = "xn--" + "\u0430pple".encode("punycode").decode()
    assert fault(named(x509.DNSName(f"{mixed}.com"))) is RequestFault.LOOK_ALIKE


def test_a_name_that_stands_twice_is_refused():
    """The same DNS name in another case is the same name."""
    assert fault(named(x509.DNSName("a.org"), x509.DNSName("A.org"))) is RequestFault.DUPLICATE_SAN


def test_too_many_names_are_refused():
    """One name above the bound is refused."""
    names = [x509.DNSName(f"n{n}.example.org") for n in range(MAX_NAMES + 1)]
    assert fault(named(*names)) is RequestFault.TOO_MANY_NAMES
    assert len(CertificateRequest.parse(named(*names[:-1])).names.dns) == MAX_NAMES


# Fuzzing

BASES = [request(SAN), seed(), request(SAN, x509.BasicConstraints(False, None))]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(-3, 3),
)
def test_mutated_requests_raise_the_documented_error_only(base, changes, cut):
    """Whatever octets change, the parser answers with a value or a `RequestError`."""
    octets = bytearray(base)
    for position, value in changes:
        octets[position % len(octets)] = value
    mutated = bytes(octets[:cut]) if cut < 0 else bytes(octets) + bytes(cut)
    with suppress(RequestError):
        CertificateRequest.parse(mutated)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_octets_raise_the_documented_error_only(octets):
    """No octets bring down the parser."""
    with pytest.raises(RequestError):
        CertificateRequest.parse(octets)


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=40), st.binary(min_size=1, max_size=40))
def test_signed_requests_of_any_text_raise_the_documented_error_only(text, octets):
    """A valid signature over hostile names and extensions leads to a value or a `RequestError`."""
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.PSEUDONYM, text)])
        der = request(x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, octets), subject=subject)
    except ValueError:
        return  # The library cannot encode half of a surrogate pair.
    with suppress(RequestError):
        CertificateRequest.parse(der)
