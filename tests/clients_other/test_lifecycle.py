"""The examples run as a user would run them, against a development gateway."""

import pytest

from tests.support.client_languages import GO, TYPESCRIPT, succeed
from tests.support.development import development_gateway


@pytest.fixture(scope="module")
def development(tmp_path_factory):
    with development_gateway(tmp_path_factory.mktemp("clients") / "var") as running:
        yield running


def arguments(development):
    def localhost(address):
        return f"localhost:{address.rpartition(':')[2]}"

    return (
        "--dir",
        development.folder,
        "--target",
        localhost(development.tls),
        "--mtls-target",
        localhost(development.mtls),
    )


def test_go(development, tmp_path):
    """In Go: register, mint, introspect, revoke, introspect again; a refusal is a typed error."""
    succeed(GO, "go", "build", "-o", tmp_path / "lifecycle", "./examples/lifecycle")
    assert succeed(tmp_path, tmp_path / "lifecycle", *arguments(development)).splitlines() == [
        "registered clients/go-example",
        "minted [orders:read]",
        "active, issued to go-example",
        "revoked",
        "not active",
        "refused INVALID_SCOPE true",
    ]


def test_typescript(development, tmp_path):
    """In TypeScript: register, mint, introspect, revoke, introspect again; a refusal is a typed error."""
    succeed(TYPESCRIPT, "npm", "run", "--silent", "build")
    example = TYPESCRIPT / "dist" / "examples" / "lifecycle.js"
    assert succeed(tmp_path, "node", example, *arguments(development)).splitlines() == [
        "registered clients/typescript-example",
        "minted orders:read",
        "active, issued to typescript-example",
        "revoked",
        "not active",
        "refused INVALID_SCOPE invalid-request",
    ]
