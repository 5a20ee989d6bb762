"""The Key Vault that tests use, held to Microsoft's own client library."""

import hashlib
import os

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.keys import KeyClient, KeyCurveName
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from requests.adapters import HTTPAdapter

from tests.support.azure_key_vault import RESOURCE


class ToEmulator(HTTPAdapter):
    """Sends what is for the vault's name to the emulator, by plain HTTP."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request, **options):
        host = request.url.split("/")[2]
        request.url = request.url.replace(f"https://{host}", self._url, 1)
        return super().send(request, **options)

    def build_response(self, request, response):
        built = super().build_response(request, response)
        built.url = request.url
        return built


class KnownToken:
    """A token that the service knows, for the resource of its challenge."""

    def get_token(self, *scopes, **_):
        assert scopes == (f"{RESOURCE}/.default",)
        return AccessToken("library", 4_000_000_000)


@pytest.fixture
def connection(azure_vault):
    """What Microsoft's clients are made with."""
    azure_vault.vault.tokens.add("library")
    session = requests.Session()
    session.mount("https://", ToEmulator(azure_vault.url))
    return {"credential": KnownToken(), "transport": RequestsTransport(session=session), "api_version": "7.4"}


@pytest.mark.parametrize(
    ("curve", "algorithm", "digest"),
    [
        (KeyCurveName.p_256, SignatureAlgorithm.es256, "sha256"),
        (KeyCurveName.p_384, SignatureAlgorithm.es384, "sha384"),
        (KeyCurveName.p_521, SignatureAlgorithm.es512, "sha512"),
        (KeyCurveName.p_256_k, SignatureAlgorithm.es256_k, "sha256"),
    ],
)
def test_life_of_a_key(azure_vault, connection, curve, algorithm, digest):
    """Microsoft's client answers the challenge, creates a key, and verifies what the vault signs."""
    client = KeyClient(f"https://{azure_vault.vault.host}", **connection)
    name = f"library-{os.urandom(4).hex()}"
    key = client.create_ec_key(name, curve=curve)
    assert [version.version for version in client.list_properties_of_key_versions(name)] == [
        key.properties.version
    ]
    value = hashlib.new(digest, b"message").digest()
    signed = CryptographyClient(key, **connection).sign(algorithm, value)
    assert signed.key_id == key.id
    local = CryptographyClient.from_jwk(key.key)
    assert local.verify(algorithm, value, signed.signature).is_valid
    assert not local.verify(algorithm, value[::-1], signed.signature).is_valid
    client.update_key_properties(name, version=key.properties.version, enabled=False)
    with pytest.raises(HttpResponseError, match="disabled"):
        CryptographyClient(key, **connection).sign(algorithm, value)


@pytest.mark.parametrize("algorithm", [SignatureAlgorithm.rs256, SignatureAlgorithm.ps256])
def test_rsa(azure_vault, connection, algorithm):
    """Microsoft's client verifies RSA signatures of the vault by itself."""
    client = KeyClient(f"https://{azure_vault.vault.host}", **connection)
    key = client.create_rsa_key(f"library-{os.urandom(4).hex()}", size=2048)
    value = hashlib.sha256(b"message").digest()
    signed = CryptographyClient(key, **connection).sign(algorithm, value)
    assert CryptographyClient.from_jwk(key.key).verify(algorithm, value, signed.signature).is_valid


def test_missing_key(azure_vault, connection):
    """A key that the vault does not have is Microsoft's own exception."""
    client = KeyClient(f"https://{azure_vault.vault.host}", **connection)
    with pytest.raises(ResourceNotFoundError):
        client.get_key("missing")
