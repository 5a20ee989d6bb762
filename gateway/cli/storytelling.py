"""What the demo's stories share: their stages, how they speak, and how they end when something is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from countersign import GatewayClient, TlsConfig


class DemoFailedError(Exception):
    """A step did not come out as the story has it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of the stories: where the keys are, and what a gateway's process needs for them.

    *arguments* are of ``countersign dev``; *issuing_key* is the URI of the CA's key, None for one in a file.
    """

    title: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    issuing_key: str | None = None


def say(step: str, outcome: str) -> None:
    """One line of a story."""
    print(f"  {step:44} {outcome}")


def expect(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Raises `DemoFailedError` where *condition* does not hold."""
    if not condition:
        raise DemoFailedError(f"expected {what}")


def client_of(folder: Path, name: str, tls: str, mtls: str) -> GatewayClient:
    """A client with the certificate *name* of the development folder."""
    identity = TlsConfig(
        ca=folder / "ca.pem", certificate=folder / f"{name}.pem", private_key=folder / f"{name}-key.pem"
    )
    return GatewayClient(tls, mtls_target=mtls, tls=identity)
