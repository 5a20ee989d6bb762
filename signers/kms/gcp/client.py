"""The Cloud KMS API v1 over REST."""

from typing import TypeAlias

from signers.kms.gcp.credentials import GcpToken
from signers.kms.gcp.faults import fault_of
from signers.kms.rest import RestClient
from signers.remote.credentials import Credentials
from signers.remote.http import HttpService

URL = "https://cloudkms.googleapis.com"

GcpKmsClient: TypeAlias = RestClient[GcpToken]
"""Calls by resource name, with its query or ``:verb``."""


def gcp_client(http: HttpService, credentials: Credentials[GcpToken]) -> GcpKmsClient:
    """A client of the service."""
    return RestClient(
        http,
        credentials,
        headers_of=lambda token: token.headers,
        target_of=lambda path: f"/v1/{path}",
        fault_of=fault_of,
    )
