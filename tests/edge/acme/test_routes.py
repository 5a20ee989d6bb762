"""Which paths there are: those of the provisioners, and none that nobody configured."""

from dataclasses import dataclass

import pytest

from gateway.config import ConfigurationError
from gateway.edge.acme_routes import acme_routes
from gateway.edge.client_tokens import client_token_routes
from gateway.edge.exchange import Route

BASE = "https://ca.example.org"


@dataclass
class Named:
    """A provisioner, as far as its paths go."""

    url: str
    terms_url: None = None
    external_account_required: bool = False


@dataclass
class Enrolling:
    """Use cases with provisioners."""

    provisioners: "Enrolling | None"
    all: tuple[Named, ...]


def enrolling(*urls: str) -> Enrolling:
    """Use cases with a provisioner at each of *urls*."""
    named = Enrolling(None, tuple(Named(url) for url in urls))
    named.provisioners = named
    return named


def test_nothing_without_enrollment():
    """Neither ACME nor the minter."""
    assert acme_routes(None) == []
    assert client_token_routes(None) == []


def test_each_provisioner_has_its_paths():
    """Below its own URL's path, which may be none."""
    paths = {route.path for route in acme_routes(enrolling(f"{BASE}/acme/wire", BASE))}
    assert {"/acme/wire/directory", "/directory", "/acme/wire/order/{order}/finalize"} <= paths


def test_two_provisioners_with_one_path():
    """The start stops: one of them would hide the other."""
    with pytest.raises(ConfigurationError, match="two have one path"):
        acme_routes(enrolling(f"{BASE}/acme/wire", "https://other.example.org/acme/wire"))


def test_nobody_is_asked_for_a_role():
    """Each request is signed by the key that it is about, or what it reads is public."""
    assert {route.policy for route in acme_routes(enrolling(BASE))} == {None}


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        ("/a/{x}", "/a/b", {"x": "b"}),
        ("/a/{x}", "/a/b/c", None),
        ("/a/{x}", "/a/", None),
        ("/a.b/{x}/c", "/a.b/1/c", {"x": "1"}),
        ("/a.b/{x}/c", "/aXb/1/c", None),
        ("/a/{+x}", "/a/b/c=+/", {"x": "b/c=+/"}),
        ("/a/{x}", "/a/b\n", {"x": "b\n"}),
    ],
)
def test_a_path_with_parameters(path, asked, found):
    """A parameter is one segment, or with a plus all that follow."""
    pattern = Route(path, frozenset(), None, None).pattern  # type: ignore[arg-type]  # Never called.
    match = pattern.fullmatch(asked)
    assert (None if match is None else match.groupdict()) == found


def test_a_path_without_parameters():
    """It is compared, not matched."""
    assert Route("/a", frozenset(), None, None).pattern is None  # type: ignore[arg-type]  # Never called.
