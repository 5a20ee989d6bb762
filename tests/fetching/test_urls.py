"""Strict URLs: one reading, or none."""

import pytest

from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.urls import MAX_URL, parse_url, redirect_target

REFUSED = {
    "": FetchFault.URL_MALFORMED,
    "data.example.org": FetchFault.URL_MALFORMED,
    "//data.example.org/": FetchFault.URL_MALFORMED,
    "https:/data.example.org/": FetchFault.URL_MALFORMED,
    "https:data.example.org": FetchFault.URL_MALFORMED,
    " https://data.example.org/": FetchFault.URL_MALFORMED,
    "https://data.example.org/ ": FetchFault.URL_MALFORMED,
    "https://data.example.org/\r\nHost: x": FetchFault.URL_MALFORMED,
    "https://data.example.org/\n": FetchFault.URL_MALFORMED,
    "https://data.example.org/\x00": FetchFault.URL_MALFORMED,
    "https://data.example.org/\t": FetchFault.URL_MALFORMED,
    "https://data.example.org\\@127.0.0.1/": FetchFault.URL_MALFORMED,
    "https://data.example.org/a\\b": FetchFault.URL_MALFORMED,
    "https://data.example.org/#fragment": FetchFault.URL_MALFORMED,
    "https://data.example.org/%": FetchFault.URL_MALFORMED,
    "https://data.example.org/%zz": FetchFault.URL_MALFORMED,
    "https://data.example.org/?a=<b>": FetchFault.URL_MALFORMED,
    "https://data.example.org?a=1#": FetchFault.URL_MALFORMED,
    f"https://data.example.org/{'a' * MAX_URL}": FetchFault.URL_MALFORMED,
    "https://bücher.example/": FetchFault.URL_MALFORMED,
    "https://①②⑦.⓪.⓪.①/": FetchFault.URL_MALFORMED,
    "https://127。0。0。1/": FetchFault.URL_MALFORMED,
    "https://exаmple.org/": FetchFault.URL_MALFORMED,  # A Cyrillic letter.
    "ftp://data.example.org/": FetchFault.SCHEME_REFUSED,
    "file:///etc/passwd": FetchFault.SCHEME_REFUSED,
    "gopher://127.0.0.1:6379/": FetchFault.SCHEME_REFUSED,
    "https://user@data.example.org/": FetchFault.USERINFO_REFUSED,
    "https://user:secret@127.0.0.1/": FetchFault.USERINFO_REFUSED,
    "https://data.example.org@127.0.0.1/": FetchFault.USERINFO_REFUSED,
    "https://@data.example.org/": FetchFault.USERINFO_REFUSED,
    "https:///path": FetchFault.HOST_REFUSED,
    "https://:443/": FetchFault.HOST_REFUSED,
    "https://localhost/": FetchFault.HOST_REFUSED,
    "https://LOCALHOST/": FetchFault.HOST_REFUSED,
    "https://a.localhost/": FetchFault.HOST_REFUSED,
    "https://printer.local/": FetchFault.HOST_REFUSED,
    "https://a.onion/": FetchFault.HOST_REFUSED,
    "https://a.alt/": FetchFault.HOST_REFUSED,
    "https://intranet/": FetchFault.HOST_REFUSED,
    "https://data.example.org./": FetchFault.HOST_REFUSED,
    "https://data..example.org/": FetchFault.HOST_REFUSED,
    "https://.example.org/": FetchFault.HOST_REFUSED,
    "https://-a.example.org/": FetchFault.HOST_REFUSED,
    "https://a-.example.org/": FetchFault.HOST_REFUSED,
    "https://a_b.example.org/": FetchFault.HOST_REFUSED,
    "https://a%2eexample.org/": FetchFault.HOST_REFUSED,
    "https://127%2e0%2e0%2e1/": FetchFault.HOST_REFUSED,
    "https://*.example.org/": FetchFault.HOST_REFUSED,
    f"https://{'a' * 64}.example.org/": FetchFault.HOST_REFUSED,
    f"https://{'a.' * 126}example/": FetchFault.HOST_REFUSED,
    "https://2130706433/": FetchFault.HOST_REFUSED,
    "https://0x7f000001/": FetchFault.HOST_REFUSED,
    "https://0x7f.1/": FetchFault.HOST_REFUSED,
    "https://017700000001/": FetchFault.HOST_REFUSED,
    "https://0177.0.0.1/": FetchFault.HOST_REFUSED,
    "https://127.1/": FetchFault.HOST_REFUSED,
    "https://127.0.0.1./": FetchFault.HOST_REFUSED,
    "https://127.0.0.01/": FetchFault.HOST_REFUSED,
    "https://127.0.0.256/": FetchFault.HOST_REFUSED,
    "https://1.2.3.4.5/": FetchFault.HOST_REFUSED,
    "https://a.0x7f/": FetchFault.HOST_REFUSED,
    "https://a.1a/": FetchFault.HOST_REFUSED,
    "https://[::1/": FetchFault.HOST_REFUSED,
    "https://::1/": FetchFault.HOST_REFUSED,
    "https://[0:0:0:0:0:0:0:1]/": FetchFault.HOST_REFUSED,
    "https://[::ffff:7f00:1]/": FetchFault.HOST_REFUSED,
    "https://[fe80::1%25eth0]/": FetchFault.HOST_REFUSED,
    "https://[127.0.0.1]/": FetchFault.HOST_REFUSED,
    "https://[v1.a]/": FetchFault.HOST_REFUSED,
    "https://data.example.org:/": FetchFault.HOST_REFUSED,
    "https://data.example.org:a/": FetchFault.HOST_REFUSED,
    "https://data.example.org:+443/": FetchFault.HOST_REFUSED,
    "https://data.example.org:443:80/": FetchFault.HOST_REFUSED,
    "https://data.example.org:123456/": FetchFault.HOST_REFUSED,
    "https://data.example.org:0/": FetchFault.PORT_REFUSED,
    "https://data.example.org:65536/": FetchFault.PORT_REFUSED,
}


@pytest.mark.parametrize(("url", "fault"), REFUSED.items(), ids=[ascii(url)[:60] for url in REFUSED])
def test_odd_urls_are_refused(url, fault):
    """A URL that parsers may read differently, or that no public host has, is refused by its own rule."""
    with pytest.raises(FetchError) as caught:
        parse_url(url)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://data.example.org", "https://data.example.org/"),
        ("HTTPS://Data.Example.ORG:443/A?b=c", "https://data.example.org/A?b=c"),
        ("https://data.example.org:8443/", "https://data.example.org:8443/"),
        ("https://data.example.org?q=%2F/?", "https://data.example.org/?q=%2F/?"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("http://data.example.org:80/", "http://data.example.org/"),
        ("https://192.0.2.7/", "https://192.0.2.7/"),
        ("https://[2001:db8::7]:8443/", "https://[2001:db8::7]:8443/"),
        ("https://1.2.3.org/", "https://1.2.3.org/"),
    ],
)
def test_plain_urls_have_one_normal_form(url, normal):
    """Scheme and host in lower case, no default port, a path."""
    assert parse_url(url).url == normal


def test_configuration_may_name_single_labels():
    """A host that configuration spells out may be a single label; its neighbors stay refused."""
    named = frozenset({"keycloak"})
    assert parse_url("https://keycloak/realms/a", named_hosts=named).host == "keycloak"
    with pytest.raises(FetchError):
        parse_url("https://keycloak2/", named_hosts=named)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://data.example.org/b"),
        ("c?d=e", "https://data.example.org/a/c?d=e"),
        ("https://DATA.example.org/b#f", "https://data.example.org/b"),
        ("//data.example.org/b", "https://data.example.org/b"),
    ],
)
def test_redirects_within_the_origin(location, url):
    """Relative and absolute locations of the same origin are understood."""
    assert redirect_target(parse_url("https://data.example.org/a/b"), location).url == url


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("https://other.example.org/", FetchFault.REDIRECT_REFUSED),
        ("//127.0.0.1/", FetchFault.REDIRECT_REFUSED),
        ("https://169.254.169.254/latest/meta-data/", FetchFault.REDIRECT_REFUSED),
        ("https://data.example.org:8443/", FetchFault.REDIRECT_REFUSED),
        ("http://data.example.org/", FetchFault.REDIRECT_REFUSED),
        ("\\\\127.0.0.1/", FetchFault.REDIRECT_REFUSED),
        ("", FetchFault.REDIRECT_REFUSED),
        ("https://[::1", FetchFault.REDIRECT_REFUSED),
        ("file:///etc/passwd", FetchFault.SCHEME_REFUSED),
        ("https://data.example.org@127.0.0.1/", FetchFault.USERINFO_REFUSED),
    ],
)
def test_redirects_elsewhere_are_refused(location, fault):
    """Another host, port, scheme or an odd spelling ends the request."""
    with pytest.raises(FetchError) as caught:
        redirect_target(parse_url("https://data.example.org/a"), location)
    assert caught.value.fault is fault


def test_http_may_step_up_to_https():
    """The step from http on 80 to https on 443 of one host is a redirect within it."""
    assert (
        redirect_target(parse_url("http://data.example.org/a"), "https://data.example.org/a").scheme
        == "https"
    )
