"""``countersign demo``: the whole story once, against a gateway of its own, and an exit status that is true.

Registers a client, mints a token, shows it decoded, introspects it, revokes it, introspects it again; then
enrolls a device, whose user logs in at an OpenID provider of the demo's own; then has a wallet present a
credential. First with keys in files and then, where SoftHSM is installed and this is a checkout, with the
keys in a token.
"""

import argparse
import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from countersign import CountersignError, EnrollmentRefusedError, GatewayClient
from countersign.clients import CertificateName, GrantType, TlsClientAuth

from gateway.cli import demo_enrollment, demo_presentation
from gateway.cli.development import RESOURCE, TRUST_DOMAIN
from gateway.cli.storytelling import DemoFailedError, Stage, client_of, expect, say

_STOP_TIMEOUT: Final = 30.0
_PROVISION: Final = Path(__file__).resolve().parents[2] / "softhsm" / "provision.py"
_LABELS: Final = ("tokens", "issuing", "presentation-requests", "linked-domains")
_KEYS: Final = [part for label in _LABELS for part in ("--key", f"{label}:ES256")]
_CLIENT_ID: Final = "demo-backend"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("demo", help="run the whole story once and exit")
    parser.add_argument(
        "--softhsm", choices=("auto", "yes", "no"), default="auto", help="also run it with a key in SoftHSM"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the story; 0 only where every step came out right."""
    with tempfile.TemporaryDirectory(prefix="countersign-demo-") as name:
        folder = Path(name)
        stages = [Stage("keys in files", (), {})]
        if arguments.softhsm != "no":
            stages += _softhsm_stages(folder / "softhsm", required=arguments.softhsm == "yes")
        try:
            for number, stage in enumerate(stages):
                print(f"\n== {stage.title} " + "=" * max(0, 70 - len(stage.title)))
                asyncio.run(_tell(folder / f"gateway-{number}", stage))
                asyncio.run(demo_enrollment.tell(folder / f"enrolling-{number}", stage))
                _tell_of_wallets(folder / f"presenting-{number}", stage)
        except (DemoFailedError, CountersignError, EnrollmentRefusedError) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
    print("\nEverything came out as it should.")
    return 0


def _softhsm_stages(folder: Path, *, required: bool) -> list[Stage]:
    made = subprocess.run(
        [sys.executable, str(_PROVISION), str(folder), *_KEYS],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        if required:
            raise DemoFailedError(made.stderr.strip())
        print("SoftHSM is not here, so the second half is left out (apt install softhsm2 brings it).")
        return []
    configuration, tokens, issuing, requests, linkage = made.stdout.split()
    return [
        Stage(
            "keys in SoftHSM, over PKCS#11",
            ("--key", tokens, "--request-key", requests, "--linkage-key", linkage, "--algorithm", "ES256"),
            {"SOFTHSM2_CONF": configuration.partition("=")[2]},
            issuing,
        )
    ]


async def _tell(folder: Path, stage: Stage) -> None:
    with _gateway(folder, stage) as (tls, mtls):
        admin = client_of(folder, "admin", tls, mtls)
        backend = client_of(folder, "orders-backend", tls, mtls)
        api = client_of(folder, "orders-api", tls, mtls)
        async with admin, backend, api:
            await _register(admin)
            token = await backend.mint_token(_CLIENT_ID, scope=["orders:read"])
            say("2. mint a token, as that client", f"expires {token.expire_time:%H:%M:%S} UTC")
            _show(token.value)
            expect(await api.introspect_token(token.value) is not None, "an active token")
            say("3. introspect it, as the resource server", "active")
            await backend.revoke_token(token.value, client_id=_CLIENT_ID)
            say("4. revoke it", "done")
            expect(await api.introspect_token(token.value) is None, "an inactive token")
            say("5. introspect it again", "inactive")
    say("6. stop the gateway", "exit status 0")


def _tell_of_wallets(folder: Path, stage: Stage) -> None:
    """The wallet is one of the test tools: it is there in a checkout."""
    if not demo_presentation.can_tell():
        print("The wallet is not here, so its part is left out (it is among the tests of a checkout).")
        return
    with _gateway(folder, stage, https_address=f"127.0.0.1:{_free_port()}") as (_, mtls):
        asyncio.run(demo_presentation.tell(folder, mtls))


async def _register(admin: GatewayClient) -> None:
    await admin.create_client(
        _CLIENT_ID,
        authentication=TlsClientAuth(CertificateName.SAN_URI, f"{TRUST_DOMAIN}/orders-backend"),
        display_name="Demo backend",
        grant_types=[GrantType.CLIENT_CREDENTIALS],
        scopes=["orders:read", "orders:write"],
        audiences=[RESOURCE],
        default_audience=RESOURCE,
        certificate_bound_access_tokens=True,
    )
    say("1. register a client", f"{_CLIENT_ID}, by its certificate's name")


@contextmanager
def _gateway(folder: Path, stage: Stage, *, https_address: str = "") -> Iterator[tuple[str, str]]:
    """A gateway process of its own; leaving the context stops it and looks at its exit status."""
    command = [sys.executable, "-m", "gateway.cli", "dev", "--dir", str(folder), *stage.arguments]
    command += ["--tls-address", "127.0.0.1:0", "--mtls-address", "127.0.0.1:0"]
    command += ["--https-address", https_address, "--https-mtls-address", ""]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **stage.environment}
        )
        try:
            yield _ready(process, Path(log.name))
            process.terminate()
            if process.wait(_STOP_TIMEOUT) != 0:
                raise DemoFailedError(f"the gateway stopped with status {process.returncode}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _free_port() -> int:
    """A port that nobody listens on: wallets are told an address that must be known before the start."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _ready(process: "subprocess.Popen[str]", log: Path) -> tuple[str, str]:
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["Ready:"]:
            return words[2].rstrip(","), words[-1]
    raise DemoFailedError(f"the gateway did not start:\n{log.read_text()[-2000:]}")


def _show(token: str) -> None:
    """The token's header and claims, decoded for reading; nothing is verified here."""
    for part in token.split(".")[:2]:
        decoded = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for line in json.dumps(decoded, indent=2).splitlines():
            print(f"     {line}")
