"""`azurekms:` key URIs.

    azurekms:vault=example.vault.azure.net;key=tokens;version=0123456789abcdef0123456789abcdef
    azurekms:vault=example.managedhsm.azure.net;key=tokens

`protection-level=software` or ``hsm`` in the query is what a new key gets, and what an existing one must
have; where it is absent, new keys are in an HSM and any existing level will do.
"""

import re
from dataclasses import dataclass

from signers.errors import KeyUriError
from signers.kms.endpoint import QUERY, Endpoint
from signers.kms.protection import ATTRIBUTE, ProtectionLevel, protection_level_of, query_with
from signers.remote.uri import parse_remote_uri

RESOURCES = {
    "vault.azure.net": "https://vault.azure.net",
    "vault.azure.cn": "https://vault.azure.cn",
    "vault.usgovcloudapi.net": "https://vault.usgovcloudapi.net",
    "managedhsm.azure.net": "https://managedhsm.azure.net",
    "managedhsm.azure.cn": "https://managedhsm.azure.cn",
    "managedhsm.usgovcloudapi.net": "https://managedhsm.usgovcloudapi.net",
}
"""Domains of vaults, and the resource that a token for one is asked for. A closed table: a token for vaults
is sent nowhere else. SOURCE: Azure Key Vault documentation, "About keys, secrets and certificates", DNS
suffixes.
"""

# SOURCE: the same, "Object identifiers": vault-name and object-name.
_VAULT = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]{1,22}[a-z0-9])\.(?P<domain>[a-z.]+)\Z")
_KEY = re.compile(r"[A-Za-z0-9-]{1,127}\Z")
_VERSION = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class AzureKmsUri:
    """`vault` is a host name; `version` None means the latest."""

    vault: str
    key: str
    version: str | None
    resource: str
    protection_level: ProtectionLevel | None
    endpoint: Endpoint

    @property
    def redacted(self) -> str:
        """The key's name for logs and errors."""
        return self.named(self.version)

    @property
    def query(self) -> str:
        """As in a URI: empty, or '?' and what is set."""
        return query_with(self.endpoint.query, self.protection_level)

    @property
    def is_managed_hsm(self) -> bool:
        """Whether `vault` is a Managed HSM, all of whose keys are in it."""
        return "managedhsm" in self.resource

    def named(self, version: str | None) -> str:
        """The name for logs and errors of *version*."""
        return f"azurekms:vault={self.vault};key={self.key}" + (
            "" if version is None else f";version={version}"
        )

    def path(self, version: str | None) -> str:
        """The path of *version*, or of the key."""
        return f"/keys/{self.key}" + ("" if version is None else f"/{version}")


def parse_azurekms_uri(uri: str) -> AzureKmsUri:
    """Parse an `azurekms:` URI. Raises `KeyUriError`."""
    parsed = parse_remote_uri(
        uri, "azurekms", path=frozenset({"vault", "key", "version"}), query=QUERY | {ATTRIBUTE}
    )
    vault, key, version = parsed.required("vault").lower(), parsed.required("key"), parsed.path.get("version")
    found = _VAULT.match(vault)
    resource = None if found is None else RESOURCES.get(found["domain"])
    if resource is None:
        raise KeyUriError(f"vault must be a host name below one of {', '.join(sorted(RESOURCES))}.")
    if not _KEY.match(key):
        raise KeyUriError("key must be 1 to 127 letters, digits and hyphens, as Key Vault names keys.")
    if version is not None and not _VERSION.match(version):
        raise KeyUriError("version must be 32 hex digits; or leave it out for the latest.")
    return AzureKmsUri(vault, key, version, resource, protection_level_of(parsed), Endpoint.of(parsed))
