"""The examples run as a user would run them, against a development gateway."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.client_languages import GO, ROOT, TYPESCRIPT, succeed
from tests.support.development import development_gateway
from tests.support.edge import free_ports

PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def development(tmp_path_factory):
    """A gateway that every test shares; wallets find its edge by the port that it is told."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("clients") / "var"
    with development_gateway(folder, "--https-address", f"127.0.0.1:{port}") as running:
        yield running


@dataclass(frozen=True)
class Language:
    """How the examples of a client are run; *told* is how a refusal is named there."""

    name: str
    command: Callable[[str], Sequence[str | Path]]
    scope: str
    told: str


@pytest.fixture(scope="module", params=["go", "typescript"])
def language(request, tmp_path_factory):
    """Each client, built."""
    if request.param == "go":
        folder = tmp_path_factory.mktemp("examples")
        succeed(GO, "go", "build", "-o", folder, "./examples/...")
        return Language("go", lambda name: [folder / name], "[orders:read]", "true")
    succeed(TYPESCRIPT, "npm", "run", "--silent", "build")

    def command(name: str) -> Sequence[str | Path]:
        return ["node", TYPESCRIPT / "dist" / "examples" / f"{name}.js"]

    return Language("typescript", command, "orders:read", "invalid-request")


def arguments(development):
    """What every example is told of the gateway."""

    def localhost(address):
        return f"localhost:{address.rpartition(':')[2]}"

    return (
        "--dir",
        str(development.folder),
        "--target",
        localhost(development.tls),
        "--mtls-target",
        localhost(development.mtls),
    )


def test_lifecycle(development, language, tmp_path):
    """Register, mint, introspect, revoke, introspect again; a refusal is a typed error."""
    command = language.command("lifecycle")
    assert succeed(tmp_path, *command, *arguments(development)).splitlines() == [
        f"registered clients/{language.name}-example",
        f"minted {language.scope}",
        f"active, issued to {language.name}-example",
        "revoked",
        "not active",
        f"refused INVALID_SCOPE {language.told}",
    ]


@pytest.fixture
def asking(development, language):
    """The example that asks a wallet, started; and the link that it shows."""
    command = [*map(str, language.command("presentation")), *arguments(development)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            word, _, link = process.stdout.readline().strip().partition(" ")
            assert word == "open", process.stderr.read()
            assert process.stdout.readline() == "created\n"
            yield process, link
        finally:
            process.kill()


def wallet(development, link: str, *options: str, taken: bool = True) -> None:
    """A wallet of the test tools answers; *taken* is whether the gateway is to accept that."""
    program = [sys.executable, "-m", "tests.support.wallet_program", "--dir", str(development.folder)]
    done = subprocess.run(
        [*program, *options, link], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == (0 if taken else 2), done.stdout + done.stderr


def test_a_wallet_presents(development, asking):
    """The example follows the request to its end, and says who presented."""
    process, link = asking
    wallet(development, link)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[-2:] == ["verified", "accepted: Alice Smith"]


def test_a_revoked_credential(development, asking):
    """The example names the check that stands against the answer, and ends otherwise."""
    process, link = asking
    wallet(development, link, "--revoked", taken=False)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (2, "")
    *_, state, objection = output.splitlines()
    assert state == "refused"
    assert objection.startswith("objection: status_value at $.")


def test_a_user_who_declines(development, asking):
    """There is no report then; the example says what the wallet said."""
    process, link = asking
    wallet(development, link, "--decline")
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (2, "")
    assert output.splitlines()[-2:] == ["refused", "no presentation: user_cancelled"]


def test_a_verifier_that_is_not_there(development, language, tmp_path):
    """A refused call ends the program with one line that names the reason."""
    command = [*map(str, language.command("presentation")), *arguments(development), "--verifier", "nobody"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("VERIFIER_NOT_FOUND: ")
