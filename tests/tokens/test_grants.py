"""What a client asks for, and what it gets: exactly that, or a refusal that names the fault."""

import pytest

from gateway.errors import AuthorizationError, Reason, RequestError
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest, decide
from tests.support.stores import client

GRANT = ClientCredentialsGrant()
API = "https://api.example.org"
OTHER = "https://other.example.org"
BACKEND = client(scopes=frozenset({"b", "a", "c"}), audiences=frozenset({API, OTHER}), default_audience=API)


def ask(who=BACKEND, scope=(), resource=()):
    return decide(who, TokenRequest(GRANT, scope, resource))


def test_subject_is_the_client():
    """The subject of a client credentials token is the client (RFC 9068 §2.2)."""
    assert ask().subject == "backend"


def test_no_scope_means_all_of_them():
    """A request without scope gets all that the client is registered for, sorted."""
    assert ask().scope == ("a", "b", "c")


def test_client_without_scopes():
    """A client without any scope gets a token without scope."""
    assert ask(client(scopes=frozenset())).scope == ()


def test_scope_in_the_order_asked_for():
    """The scope is granted as asked for, and a repeated one once."""
    assert ask(scope=("c", "a", "c")).scope == ("c", "a")


@pytest.mark.parametrize("scope", [("a", "d"), ("A",), ("",), ("a b",), ("x5t#S256:abc",)])
def test_scope_not_granted(scope):
    """One scope too many refuses the request; nothing is narrowed silently (RFC 6749 §3.3)."""
    with pytest.raises(RequestError) as caught:
        ask(scope=scope)
    assert caught.value.reason is Reason.INVALID_SCOPE
    assert caught.value.field == "scope"
    assert caught.value.metadata == {"scope": next(each for each in scope if each != "a")}


def test_scope_in_the_error_is_cut():
    """What is echoed of a scope is bounded."""
    with pytest.raises(RequestError) as caught:
        ask(scope=("x" * 5000,))
    assert len(caught.value.metadata["scope"]) == 128


def test_default_audience():
    """A request without resource gets the client's default audience alone."""
    assert ask().audience == (API,)


def test_no_default_audience():
    """Without a default audience a request must name a resource (RFC 8707 §2.2)."""
    with pytest.raises(RequestError) as caught:
        ask(client(default_audience=None))
    assert caught.value.reason is Reason.INVALID_TARGET
    assert caught.value.field == "resource"


def test_resources_in_the_order_asked_for():
    """Several resources make several audiences, each once."""
    assert ask(resource=(OTHER, API, OTHER)).audience == (OTHER, API)


@pytest.mark.parametrize("resource", ["https://x.example", f"{API}/", "", "https://API.example.org"])
def test_resource_not_granted(resource):
    """A resource that is not registered, octet for octet, refuses the request."""
    with pytest.raises(RequestError) as caught:
        ask(resource=(API, resource))
    assert caught.value.reason is Reason.INVALID_TARGET
    assert caught.value.metadata == {"resource": resource}


def test_grant_not_registered():
    """A client that is not registered for the grant is refused (RFC 6749 §5.2 unauthorized_client)."""
    with pytest.raises(AuthorizationError) as caught:
        ask(client(grant_types=frozenset()))
    assert caught.value.reason is Reason.UNAUTHORIZED_CLIENT
    assert caught.value.metadata == {"grant_type": "client_credentials"}
