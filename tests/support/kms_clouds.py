"""The three cloud services alike, each behind a proxy and with a P-256 key of the test's own."""

import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import google_crc32c
import pytest

from signers.registry import SignerRegistry
from signers.remote.options import RemoteOptions
from tests.support import azure_key_vault, gcp_kms
from tests.support.fault_proxy import Fault, FaultProxy, answering
from tests.support.kms_emulators import AZURE_KEYS, GCP_ALGORITHMS

Change = Callable[[dict[str, Any]], object]


@dataclass
class Cloud:
    """`uri` names the key through `proxy`; what follows is each vendor's own way to say or do it."""

    scheme: str
    proxy: FaultProxy
    uri: str
    throttled: Fault
    retry_after: float | None
    unavailable: Fault
    corrupt: Change
    other_key: Change
    withdraw_credentials: Callable[[], None]
    deny: Callable[[], None]
    disable: Callable[[], None]
    enable: Callable[[], None]
    delete: Callable[[], None]

    def registry(self, **options: object) -> SignerRegistry:
        """A registry with *options* for this service, without a budget unless they have one."""
        return SignerRegistry(remote={self.scheme: RemoteOptions(**options)})


def flip(name: str, *, url_safe: bool = False) -> Change:
    """Flips one bit in the middle of the base64 member *name*."""
    decode = base64.urlsafe_b64decode if url_safe else base64.b64decode
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode

    def change(members: dict[str, Any]) -> None:
        data = bytearray(decode(members[name] + "=" * (-len(members[name]) % 4)))
        data[len(data) // 2] ^= 1
        members[name] = encode(data).rstrip(b"=" if url_safe else b"").decode()

    return change


@asynccontextmanager
async def aws(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    server = request.getfixturevalue("ministack")
    monkeypatch = request.getfixturevalue("monkeypatch")
    request.getfixturevalue("aws_environment")
    arn = server.create_key("ECC_NIST_P256")
    kms = server.client("kms")

    def expire() -> None:
        # The old keys are deleted, and the environment has new ones.
        iam, name = server.client("iam"), os.environ["AWS_ACCESS_KEY_ID"]
        iam.delete_access_key(UserName=user, AccessKeyId=name)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])

    user = f"user-{os.urandom(4).hex()}"
    for name, value in server.user(user, ministack_policy(arn)).items():
        monkeypatch.setenv(name, value)
    async with FaultProxy(upstream=server.url) as proxy:
        yield Cloud(
            "awskms",
            proxy,
            server.uri(arn, proxy.url),
            throttled=answering(400, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
            retry_after=None,
            unavailable=answering(500, {"__type": "KMSInternalException"}),
            corrupt=flip("Signature"),
            other_key=lambda members: members.update(KeyId=arn[:-1] + ("0" if arn[-1] != "0" else "1")),
            withdraw_credentials=expire,
            deny=lambda: server.client("iam").delete_user_policy(UserName=user, PolicyName="p0"),
            disable=lambda: kms.disable_key(KeyId=arn),
            enable=lambda: kms.enable_key(KeyId=arn),
            delete=lambda: kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7),
        )


def ministack_policy(arn: str) -> dict[str, Any]:
    """What docs/kms.md says that the gateway needs to sign with one key."""
    statement = {"Effect": "Allow", "Action": ["kms:GetPublicKey", "kms:Sign"], "Resource": arn}
    return {"Version": "2012-10-17", "Statement": [statement]}


@asynccontextmanager
async def gcp(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    server = request.getfixturevalue("gcp_kms")
    key = server.create_key(f"key-{os.urandom(4).hex()}", GCP_ALGORITHMS["ES256"])
    version = f"{key}/cryptoKeyVersions/1"

    def corrupt(members: dict[str, Any]) -> None:
        # The service itself errs: its checksum is right.
        flip("signature")(members)
        members["signatureCrc32c"] = str(google_crc32c.value(base64.b64decode(members["signature"])))

    def set_state(state: str) -> None:
        server.call("PATCH", f"{version}?updateMask=state", {"state": state})

    async with FaultProxy(upstream=server.url) as proxy:
        yield Cloud(
            "gcpkms",
            proxy,
            server.uri(key, proxy.url, version=1),
            throttled=answering(
                429, gcp_kms.error_body(429, "RESOURCE_EXHAUSTED", "Quota exceeded", retry_delay="0.75s")
            ),
            retry_after=0.75,
            unavailable=answering(503, gcp_kms.error_body(503, "UNAVAILABLE", "try again")),
            corrupt=corrupt,
            other_key=lambda members: members.update(name=version + "2"),
            withdraw_credentials=server.kms.tokens.clear,
            deny=lambda: server.kms.denied.add("cloudkms.cryptoKeyVersions.useToSign"),
            disable=lambda: set_state("DISABLED"),
            enable=lambda: set_state("ENABLED"),
            delete=lambda: server.call("POST", f"{version}:destroy", {}),
        )
    server.kms.denied.clear()


@asynccontextmanager
async def azure(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    server = request.getfixturevalue("azure_vault")
    name = f"key-{os.urandom(4).hex()}"
    server.create_key(name, **AZURE_KEYS["ES256"])
    (version,) = server.vault.keys[name]

    def enable(enabled: bool) -> None:  # noqa: FBT001  # The only thing that there is to say.
        server.call("PATCH", f"/keys/{name}/{version}", {"attributes": {"enabled": enabled}})

    async with FaultProxy(upstream=server.url) as proxy:
        yield Cloud(
            "azurekms",
            proxy,
            server.uri(name, proxy.url, version=version),
            throttled=answering(
                429, azure_key_vault.error_body("Throttled", "too many requests"), {"Retry-After": "1"}
            ),
            retry_after=1.0,
            unavailable=answering(503, azure_key_vault.error_body("ServiceUnavailable", "try again")),
            corrupt=flip("value", url_safe=True),
            other_key=lambda members: members.update(kid=members["kid"][:-1] + "x"),
            withdraw_credentials=server.vault.tokens.clear,
            deny=lambda: server.vault.denied.add("keys/sign"),
            disable=lambda: enable(False),
            enable=lambda: enable(True),
            delete=lambda: server.call("DELETE", f"/keys/{name}"),
        )
    server.vault.denied.clear()


CLOUDS = {"awskms": aws, "gcpkms": gcp, "azurekms": azure}
