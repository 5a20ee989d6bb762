"""The Google and Azure services of `tests.support.gcp_kms` and `.azure_key_vault` as fixtures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.azure_key_vault import IDENTITY_HEADER, AzureKeyVault
from tests.support.emulator import Emulator
from tests.support.gcp_kms import GcpKms

PARENT = "projects/project/locations/europe-west1"
RING = f"{PARENT}/keyRings/ring"
GCP_ALGORITHMS = {
    "EdDSA": "EC_SIGN_ED25519",
    "ES256": "EC_SIGN_P256_SHA256",
    "ES384": "EC_SIGN_P384_SHA384",
    "ES256K": "EC_SIGN_SECP256K1_SHA256",
    "RS256": "RSA_SIGN_PKCS1_2048_SHA256",
    "PS256": "RSA_SIGN_PSS_2048_SHA256",
}
"""Cloud KMS's name of each JOSE algorithm."""

AZURE_KEYS = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC-HSM", "crv": "P-521"},
    "ES256K": {"kty": "EC", "crv": "P-256K"},
    "RS256": {"kty": "RSA", "key_size": 2048},
    "PS256": {"kty": "RSA-HSM", "key_size": 2048},
}
"""What Create Key is asked for, for each JOSE algorithm."""


@dataclass
class GcpServer:
    """`kms` is the state that a test may change, `url` where it is served."""

    kms: GcpKms
    url: str

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """One call as an administrator."""
        self.kms.tokens.add("admin")
        headers = {"Authorization": "Bearer admin"}
        reply = httpx.request(method, f"{self.url}/v1/{path}", json=body, headers=headers)
        assert reply.is_success, reply.text
        return dict(reply.json())

    def create_key(self, name: str, algorithm: str, level: str = "HSM") -> str:
        """A new CryptoKey in `RING`; returns its resource name."""
        template = {"algorithm": algorithm, "protectionLevel": level}
        body = {"purpose": "ASYMMETRIC_SIGN", "versionTemplate": template}
        self.call("POST", f"{RING}/cryptoKeys?cryptoKeyId={name}", body)
        return f"{RING}/cryptoKeys/{name}"

    def newer_version(self, key: str) -> None:
        """One more version of the CryptoKey *key*."""
        self.call("POST", f"{key}/cryptoKeyVersions", {})

    def uri(self, key: str, endpoint: str | None = None, **path: object) -> str:
        """The URI of the CryptoKey *key*; *endpoint* in place of this server."""
        more = "".join(f";{name}={value}" for name, value in path.items())
        return f"gcpkms:key={key}{more}?endpoint={endpoint or self.url}"


@dataclass
class AzureServer:
    """`vault` is the state that a test may change, `url` where it is served."""

    vault: AzureKeyVault
    url: str

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """One call as an administrator."""
        self.vault.tokens.add("admin")
        headers = {"Authorization": "Bearer admin"}
        reply = httpx.request(method, f"{self.url}{path}?api-version=7.4", json=body, headers=headers)
        assert reply.is_success, reply.text
        return dict(reply.json())

    def create_key(self, name: str, **parameters: object) -> None:
        """A new key, or a new version of one."""
        self.call("POST", f"/keys/{name}/create", parameters)

    def uri(self, key: str, endpoint: str | None = None, **path: object) -> str:
        """The URI of *key*; *endpoint* in place of this server."""
        more = "".join(f";{name}={value}" for name, value in path.items())
        return f"azurekms:vault={self.vault.host};key={key}{more}?endpoint={endpoint or self.url}"


@pytest.fixture(scope="session")
def gcp_session() -> Iterator[GcpServer]:
    """Cloud KMS for the test run, with a CryptoKey ``contract-ALGORITHM`` for each JOSE algorithm."""
    kms = GcpKms(rings={RING})
    with Emulator(kms.app()) as emulator:
        server = GcpServer(kms, emulator.url)
        for algorithm, name in GCP_ALGORITHMS.items():
            server.create_key(f"contract-{algorithm}", name)
        yield server


@pytest.fixture(scope="session")
def azure_session() -> Iterator[AzureServer]:
    """Key Vault for the test run, with a key ``contract-ALGORITHM`` for each JOSE algorithm."""
    vault = AzureKeyVault()
    with Emulator(vault.app()) as emulator:
        server = AzureServer(vault, emulator.url)
        for algorithm, parameters in AZURE_KEYS.items():
            server.create_key(f"contract-{algorithm}", **parameters)
        yield server


@pytest.fixture
def gcp_kms(gcp_session, monkeypatch, tmp_path) -> GcpServer:
    """Cloud KMS, to which this process's Google credentials are those of a service account's key file."""
    use_gcp_account(gcp_session, monkeypatch, tmp_path)
    return gcp_session


@pytest.fixture
def azure_vault(azure_session, monkeypatch) -> AzureServer:
    """Key Vault, to which this process has the managed identity of an App Service."""
    use_azure_identity(azure_session.url, monkeypatch)
    return azure_session


def use_gcp_account(server: GcpServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let google-auth find the service account of *server*."""
    path = folder / "service-account.json"
    path.write_text(server.kms.credentials(server.url))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def use_azure_identity(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let azure-identity find the managed identity that *url* serves."""
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
