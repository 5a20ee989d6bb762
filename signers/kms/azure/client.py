"""The Key Vault REST API."""

from typing import TypeAlias

from signers.kms.azure.faults import fault_of
from signers.kms.rest import RestClient
from signers.remote.credentials import Credentials
from signers.remote.http import HttpService

API_VERSION = "7.4"

AzureKmsClient: TypeAlias = RestClient[str]
"""Calls by path."""


def azure_client(http: HttpService, credentials: Credentials[str]) -> AzureKmsClient:
    """A client of one vault."""
    return RestClient(
        http,
        credentials,
        headers_of=lambda token: {"Authorization": f"Bearer {token}"},
        target_of=lambda path: f"{path}?api-version={API_VERSION}",
        fault_of=fault_of,
    )
