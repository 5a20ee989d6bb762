"""gateway.jose.jwt: registered claims and the comparison of typ."""

import json

import pytest

from gateway.jose import Claims, JoseError, JoseFault, media_type_matches, parse_compact, require_typ

NOW = 1_700_000_000


def claims(**members):
    return Claims.parse(json.dumps(members).encode())


def code_of(function):
    with pytest.raises(JoseError) as caught:
        function()
    return caught.value.code


class TestNumericDate:
    @pytest.mark.parametrize(("text", "value"), [("0", 0), ("1700000000", NOW), ("1.7e9", NOW), ("17.0", 17)])
    def test_an_integral_number_is_read(self, text, value):
        """Any notation of a whole number of seconds is accepted."""
        assert Claims.parse(b'{"exp":%s}' % text.encode()).numeric_date("exp") == value

    @pytest.mark.parametrize(
        "text",
        ['"1700000000"', "true", "null", "1.5", "1e300", "-1", "253402300800", "9" * 400, "[1]", "{}"],
    )
    def test_anything_else_is_refused(self, text):
        """Strings, booleans, null, fractions, negative and huge numbers are claim_invalid."""
        parsed = Claims.parse(b'{"exp":%s}' % text.encode())
        assert code_of(lambda: parsed.numeric_date("exp")) is JoseFault.CLAIM_INVALID

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_a_number_that_is_not_finite_is_refused(self, text):
        """NaN and infinities never get as far as a claim."""
        assert code_of(lambda: Claims.parse(b'{"exp":%s}' % text.encode())) is JoseFault.INVALID_JSON


class TestStrings:
    @pytest.mark.parametrize("value", [1, True, None, [], {}, "", "x" * 2049, "a\0b", "a\nb"])
    def test_what_is_not_a_bounded_string_is_refused(self, value):
        """Other types, the empty string, overlong ones and control characters are claim_invalid."""
        parsed = claims(sub=value)
        assert code_of(lambda: parsed.string("sub")) is JoseFault.CLAIM_INVALID

    def test_a_missing_claim_is_said_by_name(self):
        """The error names the claim; the optional getter gives None instead."""
        parsed = claims()
        with pytest.raises(JoseError) as caught:
            parsed.string("sub")
        assert (caught.value.code, caught.value.member) == (JoseFault.CLAIM_MISSING, "sub")
        assert parsed.optional_string("sub") is None
        assert parsed.optional_numeric_date("nbf") is None

    def test_null_is_not_absence(self):
        """A claim that is null is present, and invalid, for the optional getter too."""
        parsed = claims(sub=None, nbf=None)
        assert code_of(lambda: parsed.optional_string("sub")) is JoseFault.CLAIM_INVALID
        assert code_of(lambda: parsed.optional_numeric_date("nbf")) is JoseFault.CLAIM_INVALID

    def test_booleans_and_objects_have_their_getters(self):
        """Typed getters read the other JSON types, and refuse what merely resembles them."""
        parsed = claims(active=True, cnf={"jkt": "x"}, fake=1)
        assert parsed.boolean("active") is True
        assert parsed.nested("cnf").string("jkt") == "x"
        assert parsed.names() == {"active", "cnf", "fake"}
        assert "cnf" in parsed
        assert code_of(lambda: parsed.boolean("fake")) is JoseFault.CLAIM_INVALID
        assert code_of(lambda: parsed.nested("active")) is JoseFault.CLAIM_INVALID


class TestAudience:
    @pytest.mark.parametrize(("value", "read"), [("a", ("a",)), (["a"], ("a",)), (["a", "b"], ("a", "b"))])
    def test_one_string_or_an_array_is_read(self, value, read):
        """RFC 7519 §4.1.3 allows both forms."""
        assert claims(aud=value).audience() == read

    @pytest.mark.parametrize("value", [[], [1], ["a", None], [["a"]], 1, {}, "", ["x"] * 33])
    def test_other_forms_are_refused(self, value):
        """Empty, nested, mixed and oversized audiences are claim_invalid."""
        assert code_of(claims(aud=value).audience) is JoseFault.CLAIM_INVALID

    def test_a_single_audience_is_not_an_array(self):
        """FAPI 2.0: even an array of one is refused where one string is asked for."""
        assert claims(aud="a").single_audience() == "a"
        assert code_of(claims(aud=["a"]).single_audience) is JoseFault.CLAIM_INVALID

    def test_a_token_for_others_is_refused(self):
        """An audience that does not hold the expected value exactly is audience_mismatch."""
        for value in ("https://rs.example/", ["https://RS.example"], "https://rs.example.evil"):
            parsed = claims(aud=value)
            assert (
                code_of(lambda p=parsed: p.require_audience("https://rs.example"))
                is JoseFault.AUDIENCE_MISMATCH
            )
        claims(aud=["x", "https://rs.example"]).require_audience("https://rs.example")


class TestIssuer:
    @pytest.mark.parametrize("value", ["https://as.example/", "https://AS.example", "http://as.example"])
    def test_a_substituted_issuer_is_refused(self, value):
        """The issuer is compared octet for octet."""
        assert (
            code_of(lambda: claims(iss=value).require_issuer("https://as.example"))
            is JoseFault.ISSUER_MISMATCH
        )


class TestTimes:
    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ({"exp": NOW - 5}, JoseFault.EXPIRED),
            ({"exp": NOW + 60, "nbf": NOW + 6}, JoseFault.NOT_YET_VALID),
            ({"exp": NOW + 60, "iat": NOW + 6}, JoseFault.ISSUED_IN_FUTURE),
            ({}, JoseFault.CLAIM_MISSING),
            ({"exp": str(NOW + 60)}, JoseFault.CLAIM_INVALID),
        ],
    )
    def test_a_token_outside_its_time_is_refused(self, members, code):
        """Claim exp is required and exclusive, nbf and iat may be as far ahead as the leeway."""
        assert code_of(lambda: claims(**members).require_current(NOW, leeway=5)) is code

    def test_the_leeway_works_both_ways(self):
        """A token at the edges of the leeway is accepted."""
        claims(exp=NOW - 4, nbf=NOW + 5, iat=NOW + 5).require_current(NOW, leeway=5)

    def test_the_last_second_is_not_valid(self):
        """RFC 7519 §4.1.4: on the expiration time the token has expired."""
        assert code_of(lambda: claims(exp=NOW).require_current(NOW, leeway=0)) is JoseFault.EXPIRED
        claims(exp=NOW + 1).require_current(NOW, leeway=0)


class TestTyp:
    @pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
    def test_case_and_prefix_do_not_matter(self, typ):
        """RFC 7515 §4.1.9: application/ may be left out, and media types ignore case."""
        assert media_type_matches(typ, "at+jwt")

    @pytest.mark.parametrize(
        "typ",
        [
            "JWT",
            "dpop+jwt",
            "token-introspection+jwt",
            "text/at+jwt",
            "at+jwt ",
            "application/application/at+jwt",
        ],
    )
    def test_a_token_of_another_kind_is_refused(self, issuer, typ):
        """An ID token, a proof or an introspection response does not pass for an access token."""
        header = parse_compact(issuer.token(typ=typ)).header
        assert code_of(lambda: require_typ(header, "at+jwt")) is JoseFault.TYP_MISMATCH

    def test_a_missing_typ_is_refused_where_one_is_required(self, issuer):
        """No typ is not the expected typ."""
        header = parse_compact(issuer.token()).header
        assert code_of(lambda: require_typ(header, "at+jwt")) is JoseFault.TYP_MISMATCH

    def test_several_kinds_may_be_expected(self, issuer):
        """Any one of the expected types passes."""
        require_typ(parse_compact(issuer.token(typ="JWT")).header, "client-authentication+jwt", "jwt")
