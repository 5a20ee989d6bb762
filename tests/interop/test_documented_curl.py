"""The command of docs/oauth.md, against a development gateway as a user starts it."""

import json
import shlex
import subprocess
from pathlib import Path

from tests.support.development import development_gateway
from tests.support.edge import free_ports

GUIDE = Path(__file__).parents[2] / "docs" / "oauth.md"


def documented() -> str:
    """The curl command of the guide, in one line."""
    block = GUIDE.read_text(encoding="utf-8").split("```console\n$ ")[1].split("```")[0]
    return block.replace("\\\n", " ")


def test_the_command_of_the_guide(tmp_path):
    """It mints a token bound to the sample client's certificate, and the metadata name the same URL."""
    plain, mtls = free_ports(2)
    addresses = ("--https-address", f"127.0.0.1:{plain}", "--https-mtls-address", f"127.0.0.1:{mtls}")
    with development_gateway(tmp_path / "var", *addresses) as gateway:
        command = (
            documented().replace("localhost:8444", f"localhost:{mtls}").replace("var/", f"{gateway.folder}/")
        )
        answer = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=20, check=True
        ).stdout
        metadata = subprocess.run(
            [
                *("curl", "--silent", "--cacert", f"{gateway.folder}/ca.pem"),
                f"https://localhost:{plain}/.well-known/oauth-authorization-server",
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    assert json.loads(answer)["token_type"] == "Bearer"
    document = json.loads(metadata)
    assert document["token_endpoint"] == f"https://localhost:{plain}/oauth2/token"
    aliases = document["mtls_endpoint_aliases"]
    assert aliases["token_endpoint"] == f"https://localhost:{mtls}/oauth2/token"
