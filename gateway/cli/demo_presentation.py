"""The demo's third story: a wallet presents a VerifiedEmployee credential, and every check is shown.

The wallet is a program of its own among the test tools, as SoftHSM's provisioning is one: it is there in a
checkout.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import grpc
from countersign.v1 import presentation_service_pb2 as pb
from countersign.v1 import presentation_service_pb2_grpc as pb_grpc

from gateway.cli.development import VERIFIER
from gateway.cli.storytelling import DemoFailedError, expect, say

if TYPE_CHECKING:
    # Only the stubs' types know it: at run time one class serves both kinds of channel.
    Stub: TypeAlias = pb_grpc.PresentationServiceAsyncStub

_ROOT: Final = Path(__file__).resolve().parents[2]
_WALLET: Final = _ROOT / "tests" / "support" / "wallet_program.py"
_TIMEOUT: Final = 60.0
_WIDTH: Final = 64
_SKIPPED: Final = pb.PRESENTATION_CHECK_OUTCOME_SKIPPED
_PASSED: Final = (pb.PRESENTATION_CHECK_OUTCOME_PASSED, _SKIPPED)


def can_tell() -> bool:
    """Whether the wallet is here."""
    return _WALLET.is_file()


async def tell(folder: Path, mtls: str) -> None:
    """Tell the story against the development gateway of *folder*, whose mutual-TLS listener is *mtls*.

    Raises `DemoFailedError`.
    """
    try:
        async with _channel(folder, mtls) as channel:
            await _tell(cast("Stub", pb_grpc.PresentationServiceStub(channel)), folder)
    except grpc.RpcError as error:
        raise DemoFailedError(f"PresentationService: {error}") from error


async def _tell(stub: "Stub", folder: Path) -> None:
    report, told = await _asked(stub, folder)
    expect(report.verification.accepted, "an accepted presentation")
    (credential,) = report.verification.credentials
    subject = cast("Mapping[str, str]", credential.credential["credentialSubject"])
    say("13. a wallet presents a credential", f"{subject['displayName']}, {subject['jobTitle']}")
    for line in told:
        print(f"     {line}")
    _show(report.verification.checks)
    report, _ = await _asked(stub, folder, "--revoked")
    expect(not report.verification.accepted, "a refused presentation")
    say("14. the same after the employer revoked it", "refused")
    _show([check for check in report.verification.checks if check.outcome not in _PASSED])


async def _asked(stub: "Stub", folder: Path, *options: str) -> tuple[pb.PresentationRequest, Sequence[str]]:
    """Ask for a credential and have the wallet answer: the request as it is then, and the wallet's words."""
    wanted = pb.CreatePresentationRequestRequest(
        verifier=VERIFIER, verified_employee=pb.VerifiedEmployeeQuery(required_claims=["jobTitle"])
    )
    made = (await stub.CreatePresentationRequest(wanted)).request
    told = await _wallet(folder, *options, made.authorization_request_uri)
    found = await stub.GetPresentationRequest(pb.GetPresentationRequestRequest(name=made.name))
    return found.request, told


async def _wallet(folder: Path, *arguments: str) -> Sequence[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.wallet_program", "--dir", str(folder), *arguments),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            told, complaint = await process.communicate()
    except TimeoutError as error:
        raise DemoFailedError("the wallet did not end in time") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    expect(bool(told), f"an answer of the wallet: {complaint.decode()[-500:]}")
    return told.decode().splitlines()


def _show(checks: Sequence[pb.PresentationCheck]) -> None:
    """A table: a line for each code and what it found, with how often it did."""
    print(f"\n     {'outcome':8} {'check':27} {'what was found'}")
    found: dict[tuple[int, str], dict[str, int]] = {}
    for check in checks:
        details = found.setdefault((check.outcome, check.code), {})
        details[check.detail] = details.get(check.detail, 0) + 1
    for (outcome, code), details in found.items():
        name = pb.PresentationCheckOutcome.Name(outcome).rpartition("_")[2].lower()
        for detail, count in details.items():
            first, *more = wrap(detail + (f" ({count} times)" if count > 1 else ""), _WIDTH)
            print(f"     {name:8} {code:27} {first}")
            for line in more:
                print(f"     {'':36} {line}")
    print()


def _channel(folder: Path, mtls: str) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "verifier-key.pem").read_bytes(),
        (folder / "verifier.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(mtls, credentials)
