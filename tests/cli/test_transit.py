"""The command line with keys in Transit: what it shows, and the words for each thing that is wrong."""

import re
import shutil

import pytest

from gateway.cli import main
from tests.support.development import countersign
from tests.support.openbao import openbao, own_openbao

__all__ = ["openbao", "own_openbao"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A development folder with everything made and nothing running."""
    folder = tmp_path_factory.mktemp("dev") / "var"
    assert countersign("dev", "--dir", folder, "--prepare-only").returncode == 0
    return folder


@pytest.fixture
def config(prepared, tmp_path):
    """A function that gives a copy of the folder whose key for tokens is at a URI."""

    def of(uri):
        folder = tmp_path / "var"
        shutil.copytree(prepared, folder)
        file = folder / "countersign.toml"
        text = re.sub(r'uri = "[^"]*tokens[^"]*"', f'uri = "{uri}"', file.read_text(), count=1)
        file.write_text(re.sub(r'algorithm = "[A-Za-z0-9]*"', 'algorithm = "ES256"', text))
        return file

    return of


@pytest.fixture
def run(capsys):
    """The command line in this process: its status, and what it printed on either stream."""

    def of(*arguments):
        status = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return of


def broken_token(server):
    return {"token_source": f"file:{server.write_secret('cli-broken', 'hvs.broken')}"}


def reader_token(server):
    rule = 'path "transit/keys/*" { capabilities = ["read"] }'
    server.call("PUT", "sys/policies/acl/cli-reader", {"policy": rule})
    made = server.call("POST", "auth/token/create", {"policies": ["cli-reader"]})
    return {"token_source": f"file:{server.write_secret('cli-reader', made['auth']['client_token'])}"}


FAULTS = {
    "no such key": (lambda bao: bao.uri("none", **bao.app_role("cli")), "has no such key", "keys create"),
    "another type": (lambda bao: bao.uri("ed25519", **bao.app_role("cli")), "ed25519", ""),
    "a wrong token": (
        lambda bao: bao.uri("ecdsa-p256", **broken_token(bao)), "refuses the token", "credentials",
    ),
    "no right to sign": (lambda bao: bao.uri("ecdsa-p256", **reader_token(bao)), "use of this path", ""),
    "no token file": (
        lambda bao: bao.uri("ecdsa-p256", token_source="file:/nowhere/token"), "does not exist", "",
    ),
    "another CA": (
        lambda bao: bao.uri("ecdsa-p256", **bao.app_role("cli")).replace(
            str(bao.ca_file), "/etc/ssl/certs/ca-certificates.crt"
        ),
        "certificate verify failed",
        "",
    ),
    "nobody there": (
        lambda bao: bao.uri("ecdsa-p256", address="https://127.0.0.1:1", **bao.app_role("cli")),
        "cannot be reached",
        "",
    ),
    "a later version": (
        lambda bao: bao.uri("ecdsa-p256;version=99", **bao.app_role("cli")), "no version 99", "",
    ),
    "a wrong URI": (lambda _: "vault:key=a", "address", ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_doctor_explains(config, run, openbao, fault):
    """Each fault of a key in Transit has its own words, and what to do."""
    uri, said, remedy = FAULTS[fault]

    status, shown = run("doctor", "--config", config(uri(openbao)))

    (line,) = re.findall(r"FAIL  key for tokens.*\n.*", shown)
    assert status == 1
    assert said in line
    assert remedy in line


def test_doctor_explains_a_sealed_server(config, run, own_openbao):
    """A sealed server is said to be sealed."""
    uri = own_openbao.uri("ecdsa-p256", **own_openbao.app_role())
    own_openbao.seal()

    status, shown = run("doctor", "--config", config(uri))

    assert status == 1
    assert "sealed" in shown


def test_doctor_shows_the_version(config, run, openbao):
    """A sound key is shown with the version that was resolved."""
    status, shown = run("doctor", "--config", config(openbao.uri("ecdsa-p256", **openbao.app_role("cli"))))

    assert status == 0, shown
    assert ", version 1)" in shown


def test_keys_are_created_listed_and_checked(config, run, openbao):
    """A key is generated at the server, listed with its version in the URI, and checked."""
    login = openbao.app_role("cli-keys")
    file = config(openbao.uri("ecdsa-p256", **login))
    uri = openbao.uri("cli-created", **login)
    status, created = run(
        "keys", "--config", file, "create", "--purpose", "tokens", "--algorithm", "EdDSA", "--uri", uri
    )
    assert status == 0, created
    key = re.search(r"^[\w-]{43}", created, re.MULTILINE)[0]
    _, checked = run("keys", "--config", file, "check", key)
    _, listed = run("keys", "--config", file, "list")
    openbao.delete_key("cli-created")
    gone, told = run("keys", "--config", file, "check", key)

    assert "signs, and its signature verifies" in checked
    assert "vault:key=cli-created;version=1" in listed
    assert "secret-id" not in listed
    assert gone == 1
    assert "does not sign" in told
