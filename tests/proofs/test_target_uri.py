"""gateway.proofs.target_uri: one normal form for all spellings of a target (RFC 3986 §6.2.2, §6.2.3)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.proofs.target_uri import MAX_SIZE, Origin, Origins, TargetUri, TargetUriError, grpc_target

METHOD = "/countersign.v1.TokenService/MintToken"


def normal(text, **options):
    return str(TargetUri.parse(text, **options))


class TestNormalForm:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://example.org", "https://example.org/"),
            ("HTTPS://EXAMPLE.Org/Path", "https://example.org/Path"),
            ("https://example.org:443/a", "https://example.org/a"),
            ("https://example.org:/a", "https://example.org/a"),
            ("https://example.org:0443/a", "https://example.org/a"),
            ("https://example.org:8443/a", "https://example.org:8443/a"),
            ("https://example.org/a?b=c&d=/?", "https://example.org/a"),
            ("https://example.org?b", "https://example.org/"),
            ("https://example.org#b", "https://example.org/"),
            ("https://example.org/a#b/?", "https://example.org/a"),
            ("https://example.org/%7euser/%41", "https://example.org/~user/A"),
            ("https://example.org/%2f%3a%e2%82%ac", "https://example.org/%2F%3A%E2%82%AC"),
            ("https://example.org/%252e", "https://example.org/%252e"),
            ("https://%45xample.org/", "https://example.org/"),
            ("https://x%c3%a9.org/", "https://x%C3%A9.org/"),
            ("https://example.org//a//", "https://example.org//a//"),
            ("https://[2001:DB8:0::1]:8443/a", "https://[2001:db8::1]:8443/a"),
            ("https://192.0.2.1/a", "https://192.0.2.1/a"),
            # SOURCE: RFC 3986 §5.2.4 and §5.4.1, paths; §6.2.2, the example.
            ("https://h/a/b/c/./../../g", "https://h/a/g"),
            ("https://h/../../../g", "https://h/g"),
            ("https://h/b/c/.", "https://h/b/c/"),
            ("https://h/b/c/..", "https://h/b/"),
            ("https://h/b/c/..g", "https://h/b/c/..g"),
            ("https://h/b/c/g.", "https://h/b/c/g."),
            ("https://h/a/./b/../b/%63/%7bfoo%7d", "https://h/a/b/c/%7Bfoo%7D"),
            ("https://h/a/%2E%2e/b", "https://h/b"),
        ],
    )
    def test_a_spelling_has_its_normal_form(self, text, expected):
        """Case, port, encoding and dot segments, each as the RFC has it."""
        assert normal(text) == expected

    def test_plain_http_is_an_option(self):
        """With its own default port."""
        assert normal("http://localhost:80/a", allow_http=True) == "http://localhost/a"
        with pytest.raises(TargetUriError):
            TargetUri.parse("http://localhost:80/a")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "/a",
            "//example.org/a",
            "example.org/a",
            "https:/example.org",
            "https:example.org",
            "https://",
            "https:///a",
            "https://:443/a",
            "ftp://example.org/",
            "https://user@example.org/",
            "https://user:secret@example.org/",
            "https://example.org@evil.example/",
            "https://@example.org/",
            "https://example.org:0/",
            "https://example.org:65536/",
            "https://example.org:999999/",
            "https://example.org:https/",
            "https://example.org:80:80/",
            "https://example.org\\@evil.example/",
            "https://example.org/a b",
            "https://example.org/a\n",
            "https://example.org\n/a",
            " https://example.org/a",
            "https://example.org/a%",
            "https://example.org/a%4",
            "https://example.org/a%zz",
            "https://example.org/a?%zz",
            "https://example.org/a#b#c",
            "https://example.org/a#%",
            "https://example.org/<a>",
            "https://exämple.org/",
            "https://example.org/ä",
            "https://[::1/",
            "https://[::g]/",
            "https://[fe80::1%25eth0]/",
            "https://[v1.x]/",
            "https://[1:2]/",
            "https://example.org/" + "a" * MAX_SIZE,
        ],
    )
    def test_what_is_no_absolute_https_uri_is_refused(self, text):
        """Relative references, other schemes, userinfo, bad hosts and ports, foreign characters, excess."""
        with pytest.raises(TargetUriError):
            TargetUri.parse(text)

    @given(
        st.from_regex(
            r"\A(?i:https)://([a-zA-Z0-9.\-]|%[0-9a-fA-F]{2}){1,12}(:(443|8443)?)?"
            r"(/([a-zA-Z0-9.~!@:]|%[0-9a-fA-F]{2}|%2[eE]|\.\.?){0,6}){0,5}(\?[a-z]*)?(#[a-z]*)?\Z"
        )
    )
    @example("https://h/a%2e%2E/..%2f/")
    def test_the_normal_form_of_a_normal_form_is_itself(self, text):
        """Normalizing is idempotent, and loses no equality."""
        once = TargetUri.parse(text)
        assert TargetUri.parse(str(once)) == once
        assert str(TargetUri.parse(str(once))) == str(once)

    @given(st.text(max_size=100) | st.text(max_size=60).map(lambda rest: "https://" + rest))
    def test_any_text_is_parsed_or_refused(self, text):
        """No input ends in another error, and what is accepted is https in normal form."""
        try:
            target = TargetUri.parse(text)
        except TargetUriError:
            return
        assert str(target).startswith("https://")
        assert str(target).isascii()
        assert not set("?#\\ ") & set(str(target))


class TestOrigins:
    def test_a_target_is_known_under_every_configured_origin(self):
        """Each origin once, whatever its spelling."""
        origins = Origins.parse(["https://a.example", "https://B.example:8443", "https://A.example:443/"])
        assert origins.origins == (Origin("https", "a.example"), Origin("https", "b.example", 8443))
        assert {str(target) for target in origins.targets("/token")} == {
            "https://a.example/token",
            "https://b.example:8443/token",
        }

    def test_a_received_path_gets_the_same_normal_form(self):
        """A client that encodes needlessly in the request line and in htu is understood."""
        assert Origins.parse(["https://h"]).targets("/a/%7Eb/../c") == {TargetUri.parse("https://h/a/c")}

    @pytest.mark.parametrize(
        "path", ["", "token", "*", "/a?b", "/a#b", "/a b", "@evil.example/", "/" + "a" * 2048]
    )
    def test_what_is_no_path_is_refused(self, path):
        """Also the asterisk form, and what would change the host."""
        with pytest.raises(TargetUriError):
            Origins.parse(["https://h"]).targets(path)

    @pytest.mark.parametrize(
        "texts", [[], ["https://h/a"], ["https://h?"], ["https://h#"], ["http://h"], ["h"], ["https://u@h"]]
    )
    def test_what_is_no_origin_is_refused(self, texts):
        """None at all, a path, a query, a fragment, plain http, no scheme, userinfo."""
        with pytest.raises(TargetUriError):
            Origins.parse(texts)

    def test_a_grpc_call_has_the_full_method_as_its_path(self):
        """POST origin/package.Service/Method."""
        origins = Origins.parse(["https://h:50051"])
        target = grpc_target(origins.origins[0], METHOD)
        assert str(target) == "https://h:50051" + METHOD
        assert origins.grpc_targets(METHOD) == {target}

    @pytest.mark.parametrize(
        "method",
        ["", "/", "/Service", "Service/Method", "/a..b/M", "/s/m/x", "/s/%6d", METHOD + "\n", "/s/m?x"],
    )
    def test_what_is_no_full_method_is_refused(self, method):
        """Names are identifiers, so that no normalization can touch them."""
        with pytest.raises(TargetUriError):
            grpc_target(Origin("https", "h"), method)
