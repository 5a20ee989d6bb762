"""Key URIs: what they mean, and what each mistake is answered with."""

import pytest

from signers import KeyUriError
from signers.uri import FileUri, Pkcs11Uri, SecretSource, parse_file_uri, parse_pkcs11_uri, scheme_of


class TestPkcs11:
    """RFC 7512."""

    def test_every_attribute(self):
        """Path and query attributes are decoded into the value."""
        uri = (
            "pkcs11:token=My%20HSM;object=a%3Bb;id=%01%FFk;serial=0123;manufacturer=Acme;model=X1;slot-id=7;"
            "type=private?module-path=/usr/lib/m.so&pin-source=file:/run/pin"
        )
        assert parse_pkcs11_uri(uri) == Pkcs11Uri(
            token="My HSM",
            object="a;b",
            id=b"\x01\xffk",
            serial="0123",
            manufacturer="Acme",
            model="X1",
            slot_id=7,
            module_path="/usr/lib/m.so",
            pin_source=SecretSource("file", "/run/pin"),
        )

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("file:/run/pin", SecretSource("file", "/run/pin")),
            ("file:///run/pin", SecretSource("file", "/run/pin")),
            ("file:/run/my%20pin", SecretSource("file", "/run/my pin")),
            ("env:HSM_PIN", SecretSource("env", "HSM_PIN")),
        ],
    )
    def test_pin_sources(self, source, expected):
        """A PIN comes from a file or an environment variable."""
        assert parse_pkcs11_uri(f"pkcs11:token=t;object=o?pin-source={source}").pin_source == expected

    @pytest.mark.parametrize(
        ("uri", "reason"),
        [
            ("pkcs11:token=t", "names no key"),
            ("pkcs11:object=o", "names no token"),
            ("pkcs11:", "names no key"),
            ("pkcs11:token=t;object=o;object=p", "object is given twice"),
            ("pkcs11:token=t;object=", "object has no value"),
            ("pkcs11:token=t;object", "object has no value"),
            ("pkcs11:token=t;1234", "an attribute is not known"),
            ("pkcs11:token=t;object=o;colour=red", "'colour' is not known in the path"),
            ("pkcs11:token=t;object=o;pin-value=1", "'pin-value' is not known in the path"),
            ("pkcs11:token=t;object=o?object=o", "'object' is not known in the query"),
            ("pkcs11:token=t;object=o?module-name=m", "'module-name' is not known in the query"),
            ("pkcs11:token=t;object=o;type=cert", "type must be 'private'"),
            ("pkcs11:token=t;object=%zz", "object holds a '%'"),
            ("pkcs11:token=t;id=%1", "id holds a '%'"),
            ("pkcs11:token=%ff;object=o", "token is not UTF-8"),
            ("pkcs11:token=a%00b;object=o", "token holds a NUL"),
            ("pkcs11:token=a b;object=o", "percent-encode"),
            ("pkcs11:token=ä;object=o", "percent-encode"),
            ("pkcs11:token=t;object=o#f", "%23"),
            ("pkcs11:token=" + "t" * 33 + ";object=o", "token is longer than the 32 bytes"),
            ("pkcs11:serial=" + "1" * 17 + ";object=o", "serial is longer than the 16 bytes"),
            ("pkcs11:token=t;object=o;slot-id=0x1", "slot-id must be a decimal"),
            ("pkcs11:token=t;object=o;slot-id=99999999999999999999", "slot-id must be a decimal"),
            ("pkcs11:token=t;object=o?module-path=m.so", "module-path must be absolute"),
            ("pkcs11:token=t;object=o?pin-source=|cat", "pin-source must be"),
            ("pkcs11:token=t;object=o?pin-source=file:pin", "pin-source must be"),
            ("pkcs11:token=t;object=o?pin-source=env:1A", "pin-source must be"),
            ("pkcs11:token=t;object=o?pin-source=file://elsewhere/pin", "pin-source must be"),
            ("pkcs11:token=t;object=o?pin-source=file:///", "pin-source must be"),
            ("pkcs11:token=t;object=o?pin-value=1234", "pin-source=file:/path/to/pin"),
            ("pkcs11:" + "o" * 5000, "longer than"),
            ("file:/a", "not a pkcs11: URI"),
        ],
    )
    def test_each_mistake_has_its_reason(self, uri, reason):
        """Each malformed URI is refused with the attribute's name and the way to mend it."""
        with pytest.raises(KeyUriError, match=reason.replace("|", r"\|")):
            parse_pkcs11_uri(uri)

    def test_pin_value_only_where_allowed(self):
        """`pin-value` is read under the flag alone, and never together with `pin-source`."""
        uri = "pkcs11:token=t;object=o?pin-value=12%2034"
        assert parse_pkcs11_uri(uri, allow_pin_value=True).pin_value == "12 34"
        with pytest.raises(KeyUriError, match="exclude each other"):
            parse_pkcs11_uri(uri + "&pin-source=env:PIN", allow_pin_value=True)

    def test_no_form_shows_the_pin(self):
        """Neither the redacted name nor the representation holds the PIN."""
        uri = parse_pkcs11_uri("pkcs11:token=t;object=o;id=%0a?pin-value=s3cret", allow_pin_value=True)
        assert uri.redacted == "pkcs11:token=t;object=o;id=%0A"
        assert "s3cret" not in repr(uri)

    @pytest.mark.parametrize(
        "uri",
        [
            "pkcs11:token=t;object=o?pin-value=s3cret",
            "pkcs11:token=t;object=o?pin-source=s3cret",
            "pkcs11:token=t;object=o;s3cret",
            "pkcs11:token=t;object=o?pin_value=s3cret",
            "pkcs11:token=t;object=o?s3cret=1",
            "s3cret",
        ],
    )
    def test_no_error_repeats_a_value(self, uri):
        """Wherever a PIN was mistyped into the URI, the error does not show it."""
        with pytest.raises(KeyUriError) as caught:
            parse_pkcs11_uri(uri)
        assert "s3cret" not in str(caught.value).replace("'s3cret' is not known", "")

    def test_keys_of_one_token_have_one_token_name(self):
        """The token's name depends on the token's attributes alone."""
        one = parse_pkcs11_uri("pkcs11:token=t;object=a;serial=1")
        other = parse_pkcs11_uri("pkcs11:serial=1;id=%02;token=t?pin-source=env:PIN")
        assert one.token_name == other.token_name == "pkcs11:token=t;serial=1"


class TestFile:
    """`file:` URIs."""

    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("file:/etc/key.pem", FileUri("/etc/key.pem")),
            ("FILE:/etc/key.pem", FileUri("/etc/key.pem")),
            ("file:///etc/key.pem", FileUri("/etc/key.pem")),
            ("file://localhost/etc/key.pem", FileUri("/etc/key.pem")),
            ("file:keys/a%20b.pem", FileUri("keys/a b.pem")),
            ("file:k.pem?passphrase-source=env:P", FileUri("k.pem", SecretSource("env", "P"))),
        ],
    )
    def test_accepted(self, uri, expected):
        """Absolute and relative paths, with and without a passphrase."""
        assert parse_file_uri(uri) == expected

    @pytest.mark.parametrize(
        ("uri", "reason"),
        [
            ("file:", "names no file"),
            ("file:/etc/", "names no file"),
            ("file://host/etc/key.pem", "names no host"),
            ("file:k.pem?passphrase=x", "'passphrase' is not known"),
            ("file:k.pem?passphrase-source=x", "passphrase-source must be"),
            ("file:k%00.pem", "NUL"),
        ],
    )
    def test_each_mistake_has_its_reason(self, uri, reason):
        """Each malformed URI is refused with the way to mend it."""
        with pytest.raises(KeyUriError, match=reason):
            parse_file_uri(uri)


@pytest.mark.parametrize("uri", ["", "key.pem", ":x", "1a:b", "a b:c"])
def test_scheme_is_needed(uri):
    """Text without a scheme is refused with two examples."""
    with pytest.raises(KeyUriError, match="has no scheme"):
        scheme_of(uri)
