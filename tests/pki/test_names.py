"""gateway.pki.names: names compare by distinguishedNameMatch, not as strings."""

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pki import Attribute, DistinguishedName, PkiError, PkiFault

parse = DistinguishedName.parse


def code_of(text):
    with pytest.raises(PkiError) as caught:
        parse(text)
    return caught.value.code


def x509_name(*rdns):
    """A name of RDNs in certificate order, each a list of (OID, value) pairs."""
    return DistinguishedName.from_x509(
        x509.Name(
            [
                x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in rdn])
                for rdn in rdns
            ]
        )
    )


CERTIFICATE_ORDER = x509_name(
    [(NameOID.COUNTRY_NAME, "DE")],
    [(NameOID.ORGANIZATION_NAME, "Example, Inc.")],
    [(NameOID.COMMON_NAME, "device 7")],
)


class TestMatching:
    @pytest.mark.parametrize(
        "text",
        [
            r"CN=device 7,O=Example\, Inc.,C=DE",
            r"CN=device 7, O=Example\, Inc., C=DE",
            r"cn = device 7 , o = Example\2C Inc. , c = DE",
            r"commonName=DEVICE 7,organizationName=EXAMPLE\, INC.,countryName=de",
            r"CN=  device   7  ,O=Example\,  Inc.\ ,C=DE",
            r"2.5.4.3=device 7,2.5.4.10=Example\, Inc.,OID.2.5.4.6=DE",
            r"CN=#0c0864657669636520 37".replace(" ", "") + r",O=Example\, Inc.,C=#13024445",
            r"CN=\64evice 7,O=Example\, Inc.,C=DE",
        ],
    )
    def test_spellings_of_one_name_match(self, text):
        """Space, case, escapes, OIDs, hexadecimal values and the kind of ASN.1 string do not matter."""
        assert parse(text) == CERTIFICATE_ORDER
        assert hash(parse(text)) == hash(CERTIFICATE_ORDER)

    @pytest.mark.parametrize(
        "text",
        [
            r"C=DE,O=Example\, Inc.,CN=device 7",  # the certificate's order is not the string's
            r"CN=device 7,C=DE,O=Example\, Inc.",
            r"CN=device 7,O=Example\, Inc.",
            r"CN=device 7,O=Example\, Inc.,C=DE,DC=x",
            r"CN=device 7+O=Example\, Inc.,C=DE",
            r"CN=device7,O=Example\, Inc.,C=DE",
            r"CN=device 7,OU=Example\, Inc.,C=DE",
            r"CN=device 7,O=Example Inc.,C=DE",
            r"CN=device 7,CN=device 7,O=Example\, Inc.,C=DE",
        ],
    )
    def test_other_names_do_not_match(self, text):
        """Another order, a missing, added, joined or different RDN is another name."""
        assert parse(text) != CERTIFICATE_ORDER

    def test_the_string_order_is_reversed(self):
        """RFC 4514 §2.1 prints the last RDN of a certificate first."""
        assert CERTIFICATE_ORDER.rfc4514 == r"CN=device 7,O=Example\, Inc.,C=DE"
        assert parse("CN=a,C=DE").rdns == ((Attribute("2.5.4.6", "DE"),), (Attribute("2.5.4.3", "a"),))

    def test_a_multi_valued_rdn_is_a_set(self):
        """The order inside one RDN does not matter, its members do."""
        name = x509_name([(NameOID.COMMON_NAME, "a"), (NameOID.SERIAL_NUMBER, "7")])
        assert parse("CN=a+serialNumber=7") == parse("serialNumber=7 + CN=A") == name
        assert parse("CN=a+CN=a") != parse("CN=a")

    @pytest.mark.parametrize("name", ["emailAddress", "E", "EMAIL", "e", "1.2.840.113549.1.9.1"])
    def test_the_email_address_has_many_names(self, name):
        """Tools disagree on how to print the attribute; all of them match."""
        written = x509_name([(NameOID.EMAIL_ADDRESS, "a@example.org")])
        assert parse(f"{name}=a@EXAMPLE.org") == written

    def test_compatibility_and_folded_characters_match(self):
        """RFC 4518: case folds beyond ASCII, and NFKC makes compatibility characters equal."""
        assert parse("O=STRASSE") == parse("O=straße")
        assert parse("O=e\N{COMBINING ACUTE ACCENT}") == parse("O=É") == parse(r"O=\C3\89")
        assert parse("O=a\N{NO-BREAK SPACE}\N{EM SPACE}b") == parse("O=a b")

    def test_the_kind_of_asn1_string_does_not_matter(self):
        """UTF8String, PrintableString, BMPString and TeletexString of one text are one value."""
        kinds = (_ASN1Type.UTF8String, _ASN1Type.PrintableString, _ASN1Type.BMPString, _ASN1Type.T61String)
        for kind in kinds:
            attribute = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ab", kind)
            assert DistinguishedName.from_x509(x509.Name([attribute])) == parse("O=aB")

    def test_an_unknown_type_compares_exactly(self):
        """Without a known matching rule, case and space count (RFC 5280 §7.1)."""
        assert parse("1.2.3.4=Ab") == parse("OID.1.2.3.4=Ab")
        assert parse("1.2.3.4=Ab") != parse("1.2.3.4=ab")
        assert parse("1.2.3.4=a b") != parse("1.2.3.4=a  b")

    def test_a_value_that_is_no_string_compares_by_its_der(self):
        """A BIT STRING in a certificate equals its hexadecimal spelling, and no text."""
        oid = NameOID.X500_UNIQUE_IDENTIFIER
        attribute = x509.NameAttribute(oid, b"\xab\xcd", _ASN1Type.BitString)
        name = DistinguishedName.from_x509(x509.Name([attribute]))
        assert name == parse("2.5.4.45=#030300abcd")
        assert name != parse("2.5.4.45=#030300abce")
        assert name == parse(name.rfc4514)

    def test_a_subtree_holds_the_names_that_start_with_its_base(self):
        """RFC 5280 §4.2.1.10: the base's RDNs are the name's first ones."""
        name = parse("CN=a,O=X,C=DE")
        assert name.is_within(parse("O=x,C=de"))
        assert name.is_within(parse(""))
        assert not name.is_within(parse("CN=a,O=X"))
        assert not name.is_within(parse("CN=b,CN=a,O=X,C=DE"))


class TestRefused:
    @pytest.mark.parametrize(
        "text",
        [
            "CN",
            "=a",
            "CN=a,",
            ",CN=a",
            "CN=a,,O=b",
            "CN=a+",
            "CN=a;O=b",
            'O="Example, Inc."',
            "CN=a<b",
            "CN=a>b",
            'CN=a"b',
            "CN=a\\",
            "CN=a\\zb",
            "CN=a\\4",
            r"CN=\FF",
            r"CN=\C3",
            "CN=#",
            "CN=#0",
            "CN=#zz",
            "CN=#0c01",
            "CN=#0c0161ff",
            "CN=#0c810161",  # a length that is not the shortest
            "CN=#1f0161",
            "CN=#0c01ff",  # a UTF8String that is not UTF-8
            "CN=a\0b",
            "XX=a",
            "1=a",
            "1.=a",
            "01.2=a",
            "CN.1=a",
            "CN=\ud800",
            "CN=" + "a" * 5000,
            ",".join(["CN=a"] * 65),
            "+".join(["CN=a"] * 17),
        ],
    )
    def test_a_malformed_string_is_refused(self, text):
        """Bad syntax, bad escapes, bad DER and excess are invalid_name."""
        assert code_of(text) is PkiFault.INVALID_NAME

    @pytest.mark.parametrize(
        "character", [r"\00", "\x01", "\x7f", "\u200b", "\u00ad", "\u202e", "\ufffd", "\ue000"]
    )
    def test_an_invisible_character_is_refused(self, character):
        """A name that looks like another but differs, or would compare as equal to it, is invalid_name."""
        assert code_of(f"CN=ad{character}min") is PkiFault.INVALID_NAME

    def test_a_certificate_with_an_invisible_character_has_no_comparable_name(self):
        """The same rule holds for what a certificate says: the NUL-prefix trick does not match."""
        with pytest.raises(PkiError) as caught:
            x509_name([(NameOID.COMMON_NAME, "admin\0.attacker")])
        assert caught.value.code is PkiFault.INVALID_NAME


TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from(' ,+="<>;#\\ab7'), st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn"])
    ),
    max_size=12,
).filter(lambda text: "\ufffd" not in text)
ATTRIBUTE = st.builds(
    Attribute, st.sampled_from(["2.5.4.3", "2.5.4.10", "1.2.840.113549.1.9.1", "1.2.3.4", "2.5.4.45"]), TEXT
)
NAME = st.lists(st.lists(ATTRIBUTE, min_size=1, max_size=3).map(tuple), max_size=4).map(
    lambda rdns: DistinguishedName.of(tuple(rdns))
)


@settings(derandomize=True, max_examples=250, deadline=None)
@given(NAME)
def test_a_written_name_reads_back(name):
    """Every name survives its own RFC 4514 string, value for value."""
    again = parse(name.rfc4514)
    assert again == name
    assert again.rdns == name.rdns


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.text(alphabet='CNO=,+\\#"; 0aF.1', max_size=30))
def test_only_the_documented_error_escapes(text):
    """Whatever text arrives, parsing gives a name that reads back, or a PkiError."""
    try:
        name = parse(text)
    except PkiError:
        return
    assert parse(name.rfc4514) == name
