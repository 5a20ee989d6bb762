"""ministack, an AWS emulator by others, as AWS KMS: real keys, verified signatures of requests, IAM policies.

It is installed into a folder of its own below the user's cache, once, and runs on loopback with nothing but
KMS, IAM and STS.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

VERSION = "1.5.33"
_WHEEL = (
    f"ministack=={VERSION} --hash=sha256:36f9158cbe7eb7a3f910ccf1c052c98204511164249b783682f7a96ef56b0bba"
)
_REQUIREMENTS = Path(__file__).with_name("ministack-requirements.txt")

REGION = "eu-central-1"
KEY_SPECS = {
    "EdDSA": "ECC_NIST_EDWARDS25519",
    "ES256": "ECC_NIST_P256",
    "ES384": "ECC_NIST_P384",
    "ES512": "ECC_NIST_P521",
    "ES256K": "ECC_SECG_P256K1",
    "RS256": "RSA_2048",
    "PS256": "RSA_2048",
}
"""The KeySpec for each JOSE algorithm."""

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["kms:GetPublicKey", "kms:Sign"], "Resource": "*"}],
}
"""What docs/kms.md says that the gateway needs to sign."""

CREATE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["kms:CreateAlias", "kms:CreateKey", "kms:DescribeKey"],
            "Resource": "*",
        }
    ],
}
"""What it needs besides to create keys."""


def installed() -> Path:
    """The folder with ministack and what it needs; made where it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "countersign"
    pinned = hashlib.sha256(_WHEEL.encode() + _REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = cache / f"ministack-{VERSION}-{sys.implementation.cache_tag}-{pinned}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        wheel = made / "ministack.txt"
        wheel.write_text(_WHEEL + "\n")
        _pip_install(made / "lib", "--require-hashes", "-r", str(wheel))
        _pip_install(made / "lib", "-r", str(_REQUIREMENTS))
        try:
            made.rename(folder)
        except OSError:  # Another process was faster.
            shutil.rmtree(made)
    return folder / "lib"


def _pip_install(target: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--target", str(target), *arguments], check=True)


class Ministack:
    """One running server, and AWS's own client for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = {"access_key": "AKIAROOTROOTROOTROOT", "secret_key": "root-secret"}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {
            "PATH": os.defpath,
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "PYTHONPATH": str(installed()),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "SERVICES": "kms,iam,sts",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{self._folder}/none",
            "LOG_LEVEL": "WARNING",
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": self.root["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.root["secret_key"],
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                # Without this environment's packages: its own are of other versions.
                [sys.executable, "-S", "-m", "ministack"],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "ministack did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def client(self, service: str) -> Any:
        """AWS's own client, as the account's root."""
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=self.root["access_key"],
            aws_secret_access_key=self.root["secret_key"],
        )

    def user(self, name: str, *policies: dict[str, Any]) -> dict[str, str]:
        """A new IAM user with *policies*: the environment variables with its keys."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        for number, policy in enumerate(policies):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}

    def create_key(self, spec: str, alias: str | None = None) -> str:
        """A new signing key; returns its ARN."""
        kms = self.client("kms")
        metadata = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        if alias is not None:
            kms.create_alias(AliasName=alias, TargetKeyId=metadata["KeyId"])
        return str(metadata["Arn"])

    def uri(self, key_id: str, endpoint: str | None = None) -> str:
        """The key's URI; *endpoint* in place of this server."""
        region = "" if key_id.startswith("arn:") else f";region={REGION}"
        return f"awskms:key-id={key_id}{region}?endpoint={endpoint or self.url}"

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Ministack]:
    """A server with its files in *folder*."""
    server = Ministack(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory) -> Iterator[Ministack]:
    """One server for the test run, with users of the test run's policies made by each test."""
    with running(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def aws_keys(ministack) -> dict[str, str]:
    """A key's ARN for each JOSE algorithm; tests must not change them."""
    made: dict[str, str] = {}
    arns: dict[str, str] = {}
    for algorithm, spec in KEY_SPECS.items():
        if spec not in made:
            made[spec] = ministack.create_key(spec)
        arns[algorithm] = made[spec]
    return arns


@pytest.fixture(scope="session")
def aws_user(ministack) -> dict[str, str]:
    """The gateway's user, with the policies of docs/kms.md, as environment variables."""
    return ministack.user("gateway", POLICY, CREATE_POLICY)


@pytest.fixture
def aws_environment(aws_user, monkeypatch, tmp_path) -> dict[str, str]:
    """The gateway's user for this process, to which nothing else of the machine's AWS configuration
    counts.
    """
    isolate(monkeypatch, tmp_path)
    for name, value in aws_user.items():
        monkeypatch.setenv(name, value)
    return aws_user


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave no AWS credentials or configuration in force."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
