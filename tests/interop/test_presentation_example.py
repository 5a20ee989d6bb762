"""The example that asks a wallet, against a real gateway and the wallet of the test tools."""

import asyncio
import sys
from pathlib import Path

import pytest

from signers import Algorithm
from tests.support.presenting import NAME, presenting

EXAMPLE = Path(__file__).resolve().parents[2] / "clients" / "python" / "examples" / "presentation.py"


@pytest.fixture
async def stage(tmp_path):
    """A gateway with a verifier, and whom a wallet needs."""
    async with presenting(tmp_path) as running:
        yield running


@pytest.fixture
async def ask(stage, tmp_path):
    """A function that runs the example and hands the link that it shows to *answer*.

    It returns the exit code, and both outputs, the link aside.
    """
    certificate, key = stage.caller.write(tmp_path, "backend")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(stage.gateway.root.pem)
    started = []

    async def run(answer, *, verifier=NAME):
        options = {
            "target": f"localhost:{stage.gateway.server.ports.mtls}",
            "ca": ca,
            "certificate": certificate,
            "private-key": key,
            "verifier": verifier,
            "claim": "mail",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLE),
            *(str(part) for option, value in options.items() for part in (f"--{option}", value)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        if line:
            await answer(line.removeprefix("open ").strip())
        output, errors = await asyncio.wait_for(process.communicate(), 20)
        return process.returncode, output.decode().splitlines(), errors.decode()

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def held(stage):
    """A holder, its issuer, and a credential that says both where its state is."""
    issuer, holder = stage.issuer(), stage.identity("holder", "jwk", Algorithm.ES256)
    return issuer, holder, issuer.issue(holder.did, status=True)


async def test_an_employee_presents(stage, ask, held):
    """The example shows the link, follows the states, and prints each check and who presented."""
    issuer, holder, credential = held
    stage.publish(issuer)

    async def answer(uri):
        async with stage.http() as http:
            await stage.wallet(holder, [credential], http).present(uri)

    code, output, errors = await ask(answer)
    assert (code, errors) == (0, "")
    assert output[0] == "created"
    assert "verified" in output
    assert any(line.startswith("passed   token_signature at $.vp_token") for line in output)
    assert not any(line.startswith(("failed", "unknown")) for line in output)
    assert output[-2].startswith("accepted: Alice Smith, employed by ")
    assert output[-1] == f"held by {holder.did}"


async def test_a_revoked_credential(stage, ask, held):
    """The example names the check that refused, and ends otherwise."""
    issuer, holder, credential = held
    issuer.revoke(credential)
    stage.publish(issuer)

    async def answer(uri):
        async with stage.http() as http:
            await stage.wallet(holder, [credential], http).present(uri)

    code, output, errors = await ask(answer)
    assert (code, errors) == (2, "")
    assert "refused" in output
    assert any(line.startswith("failed   status_value at ") for line in output)
    assert output[-1] == "refused, because of status_value"


async def test_a_user_who_declines(stage, ask, held):
    """There is no report then; the example says what the wallet said."""
    _, holder, credential = held

    async def answer(uri):
        async with stage.http() as http:
            await stage.wallet(holder, [credential], http).decline(uri)

    code, output, errors = await ask(answer)
    assert (code, errors) == (2, "")
    assert output[-1] == "no presentation: user_cancelled"


async def test_a_verifier_that_is_not_there(ask):
    """A refused call ends the program with one line that names the reason."""
    code, output, errors = await ask(None, verifier="nobody")
    assert (code, output) == (1, [])
    assert errors.startswith("VERIFIER_NOT_FOUND: ")
