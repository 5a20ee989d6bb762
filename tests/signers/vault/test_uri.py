"""`vault:` URIs, attribute by attribute."""

import re
from pathlib import Path

import pytest

from signers import KeyUriError
from signers.uri import redact
from signers.uri_syntax import SecretSource
from signers.vault.uri import AppRoleAuth, JwtAuth, TokenAuth, parse_vault_uri

SERVER = "address=https://bao:8200"
TOKEN = f"{SERVER}&token-source=file:/run/token"


def test_least():
    """A key, a server and a token file are enough; the mount is transit, and the version open."""
    uri = parse_vault_uri(f"vault:key=tokens?{TOKEN}")
    assert (uri.key, uri.version, uri.mount) == ("tokens", None, "transit")
    assert uri.connection.address == "https://bao:8200"
    assert (uri.connection.namespace, uri.connection.ca_file) == (None, None)
    assert uri.connection.auth == TokenAuth(SecretSource("file", "/run/token"))


def test_most():
    """Everything can be said."""
    uri = parse_vault_uri(
        "vault:namespace=org/team;mount=keys/transit;key=tokens-1.a;version=12"
        "?address=https://bao:8200&ca-file=/etc/ca.pem&auth=approle&auth-mount=roles/a"
        "&role-id=r-1&secret-id-source=env:SECRET_ID"
    )
    assert (uri.key, uri.version, uri.mount) == ("tokens-1.a", 12, "keys/transit")
    assert (uri.connection.namespace, uri.connection.ca_file) == ("org/team", Path("/etc/ca.pem"))
    assert uri.connection.auth == AppRoleAuth("roles/a", "r-1", SecretSource("env", "SECRET_ID"))


def test_logins_by_jwt():
    """Kubernetes has its mount and its token file by custom; the JWT method is told both."""
    kubernetes = parse_vault_uri(f"vault:key=a?{SERVER}&auth=kubernetes&role=signer").connection.auth
    token = SecretSource("file", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert kubernetes == JwtAuth("kubernetes", "signer", token)
    jwt = parse_vault_uri(f"vault:key=a?{SERVER}&auth=jwt&role=r&jwt-source=file:/j").connection.auth
    assert jwt == JwtAuth("jwt", "r", SecretSource("file", "/j"))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (f"vault:?{TOKEN}", "key"),
        (f"vault:version=1?{TOKEN}", "key"),
        (f"vault:key=a/../b?{TOKEN}", "key must"),
        (f"vault:key=..?{TOKEN}", "key must"),
        (f"vault:key=a;version=0?{TOKEN}", "version"),
        (f"vault:key=a;version=latest?{TOKEN}", "version"),
        (f"vault:key=a;mount=../sys?{TOKEN}", "mount"),
        (f"vault:key=a;mount=transit/?{TOKEN}", "mount"),
        (f"vault:key=a;mount=a//b?{TOKEN}", "mount"),
        (f"vault:key=a;namespace=/root?{TOKEN}", "namespace"),
        (f"vault:key=a;token=hvs.secret?{SERVER}", "known"),
        (f"vault:key=a;key=b?{TOKEN}", "twice"),
        ("vault:key=a", "address"),
        ("vault:key=a?address=http://bao:8200&token-source=file:/t", "address"),
        (f"vault:key=a?{SERVER}", "token-source"),
        (f"vault:key=a?{SERVER}&token-source=hvs.secret", "token-source"),
        (f"vault:key=a?{SERVER}&auth=ldap", "auth"),
        (f"vault:key=a?{SERVER}&auth=approle", "role-id"),
        (f"vault:key=a?{TOKEN}&role=r", "role"),
        (f"vault:key=a?{SERVER}&auth=approle&role-id=r&token-source=file:/t", "token-source"),
        (f"vault:key=a?{SERVER}&auth=jwt&role=r", "jwt-source"),
        (f"vault:key=a?{SERVER}&auth=kubernetes", "role"),
        (f"vault:key=a?{TOKEN}&ca-file=ca.pem", "ca-file"),
    ],
)
def test_refused(uri, said):
    """Each mistake is named by its attribute, and no value is repeated."""
    with pytest.raises(KeyUriError, match=re.escape(said)) as caught:
        parse_vault_uri(uri)
    assert "secret" not in str(caught.value)


def test_providers_are_shared_by_server_and_login():
    """Two keys share a provider exactly where server, namespace, authority and login are the same."""
    names = [
        parse_vault_uri(uri).connection.name
        for uri in (
            f"vault:key=a;mount=one?{TOKEN}",
            f"vault:key=b;version=3;mount=two?{TOKEN}",
            f"vault:key=a;namespace=n?{TOKEN}",
            f"vault:key=a?{TOKEN}&ca-file=/ca.pem",
            f"vault:key=a?{SERVER}&token-source=file:/other",
            "vault:key=a?address=https://bao2:8200&token-source=file:/run/token",
            f"vault:key=a?{SERVER}&auth=approle&role-id=a",
            f"vault:key=a?{SERVER}&auth=approle&role-id=b",
            f"vault:key=a?{SERVER}&auth=approle&auth-mount=m&role-id=a",
            f"vault:key=a?{SERVER}&auth=approle&role-id=a&secret-id-source=env:A",
            f"vault:key=a?{SERVER}&auth=kubernetes&role=a",
            f"vault:key=a?{SERVER}&auth=kubernetes&role=a&jwt-source=file:/j",
        )
    ]
    assert names[0] == names[1]
    assert len(set(names[1:])) == len(names) - 1


def test_redacted():
    """Logs and errors name the key, not the way to it."""
    uri = f"vault:namespace=n;key=a;version=2?{TOKEN}"
    assert parse_vault_uri(uri).redacted == redact(uri) == "vault:namespace=n;key=a;version=2"


def test_pinned_uri_is_a_uri():
    """The URI with a version set parses to the same but for the version."""
    uri = parse_vault_uri(f"vault:key=a?{SERVER}&token-source=file:/t%2525&ca-file=/a%26b%25c.pem")
    assert uri.connection.auth == TokenAuth(SecretSource("file", "/t%25"))
    pinned = parse_vault_uri(uri.written.with_path("version", "7"))
    assert pinned.version == 7
    assert (pinned.key, pinned.connection) == (uri.key, uri.connection)
