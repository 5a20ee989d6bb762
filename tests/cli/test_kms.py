"""The command line with keys at AWS, Google and Azure: what it shows, and the words for what is wrong."""

import asyncio
import os
import re
import shutil

import pytest

from gateway.cli import main
from tests.support.development import countersign
from tests.support.kms_clouds import CLOUDS
from tests.support.kms_emulators import azure_session, azure_vault, gcp_kms, gcp_session
from tests.support.ministack import aws_environment, aws_user, ministack

__all__ = [
    "aws_environment",
    "aws_user",
    "azure_session",
    "azure_vault",
    "gcp_kms",
    "gcp_session",
    "ministack",
]


@pytest.fixture(params=CLOUDS)
async def cloud(request):
    """Each service in turn, with a P-256 key of the test's own."""
    async with CLOUDS[request.param](request) as made:
        yield made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A development folder with everything made and nothing running."""
    folder = tmp_path_factory.mktemp("dev") / "var"
    assert countersign("dev", "--dir", folder, "--prepare-only").returncode == 0
    return folder


@pytest.fixture
def config(prepared, tmp_path):
    """A function that gives a configuration whose key for tokens is at a URI."""

    def of(uri):
        folder = tmp_path / "var"
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        file = folder / "countersign.toml"
        text = re.sub(r'uri = "[^"]*tokens[^"]*"', f'uri = "{uri}"', file.read_text(), count=1)
        file.write_text(re.sub(r'algorithm = "[A-Za-z0-9]*"', 'algorithm = "ES256"', text))
        return file

    return of


@pytest.fixture
def run(capsys):
    """A function that runs a command in this process, on a thread of its own, because the proxy in front of
    the service runs on this one; it gives the exit status and what was printed.
    """

    async def command(*arguments):
        status = await asyncio.to_thread(main, [str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return command


@pytest.fixture
def doctor(run, config):
    """A function that gives the exit status, and what is said of the key at a URI."""

    async def examine(uri):
        status, printed = await run("doctor", "--config", config(uri))
        (said,) = re.findall(r"(?:FAIL|ok  )  key for tokens.*(?:\n      ->.*)?", printed)
        return status, said

    return examine


async def test_doctor_shows_the_version(doctor, cloud):
    """A sound key is shown with the version that signs."""
    status, said = await doctor(cloud.uri)
    assert status == 0
    assert re.search(r"the signature verifies \(kid .*, version [0-9a-f-]+\)", said)


async def test_doctor_explains_a_disabled_key(doctor, cloud):
    """A disabled key is said to be disabled."""
    cloud.disable()
    status, said = await doctor(cloud.uri)
    assert status == 1
    assert re.search(r"(?i)disabled", said)
    assert "-> the key is there but must not" in said


async def test_doctor_explains_a_missing_permission(doctor, cloud):
    """A missing permission is told in the service's words, and what the policy has to allow."""
    cloud.deny()
    status, said = await doctor(cloud.uri)
    assert status == 1
    assert re.search("(?i)not authorized|denied", said)
    assert "-> renew the credentials, or let their policy read the key and sign" in said


async def test_doctor_explains_that_nobody_answers(doctor, cloud):
    """An endpoint where nothing listens is said not to be reached."""
    status, said = await doctor(re.sub("endpoint=.*", "endpoint=http://127.0.0.1:1", cloud.uri))
    assert status == 1
    assert "cannot be reached" in said
    assert "-> see that the token, HSM or service is up" in said


async def test_doctor_explains_a_wrong_uri(doctor, cloud):
    """A URI that lacks what names the key is mended by its own words."""
    status, said = await doctor(f"{cloud.scheme}:?endpoint=http://127.0.0.1:1")
    assert status == 1
    assert "The URI lacks" in said
    assert "-> mend the key URI" in said


async def test_keys_are_created_and_checked(run, config, cloud, aws_user, monkeypatch):
    """A key is generated at the service, and signs."""
    if cloud.scheme == "awskms":
        # To create keys is a permission of its own, which the user of one key lacks.
        for variable, value in aws_user.items():
            monkeypatch.setenv(variable, value)
    name = f"created-{os.urandom(4).hex()}"
    pinned, _, query = cloud.uri.partition("?")
    free = {
        "awskms": f"awskms:key-id=alias/{name};region=eu-central-1",
        "gcpkms": re.sub("/cryptoKeys/.*", f"/cryptoKeys/{name}", pinned),
        "azurekms": re.sub(";key=.*", f";key={name}", pinned),
    }[cloud.scheme]
    file = config(cloud.uri)
    status, printed = await run(
        "keys", "--config", file, "create", "--purpose", "tokens", "--algorithm", "ES384",
        "--uri", f"{free}?{query}",
    )  # fmt: skip
    assert status == 0, printed
    status, printed = await run("keys", "--config", file, "check", printed.split()[0])
    assert status == 0, printed
    assert "signs, and its signature verifies" in printed
