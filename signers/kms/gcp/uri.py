"""`gcpkms:` key URIs.

    gcpkms:key=projects/P/locations/europe-west1/keyRings/R/cryptoKeys/K;version=3
    gcpkms:key=projects/P/locations/europe-west1/keyRings/R/cryptoKeys/K?protection-level=software

`key` is the resource name of the CryptoKey. `protection-level` is what a new key gets, and what an existing
one must have; where it is absent, new keys are in an HSM and any existing level will do.
"""

import re
from dataclasses import dataclass

from signers.errors import KeyUriError
from signers.kms.endpoint import QUERY, Endpoint
from signers.kms.protection import ATTRIBUTE, ProtectionLevel, protection_level_of, query_with
from signers.remote.uri import parse_remote_uri

# SOURCE: Cloud KMS API v1, CreateKeyRing and CreateCryptoKey (identifiers); project ids by Resource Manager,
# those of a domain included.
_KEY = re.compile(
    r"(?P<parent>projects/[a-z0-9.:-]{1,63}/locations/(?P<location>[a-z0-9-]{1,63}))"
    r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}\Z"
)
_VERSION = re.compile(r"[1-9][0-9]{0,8}\Z")


@dataclass(frozen=True, slots=True)
class GcpKmsUri:
    """`key` is the CryptoKey's resource name; `version` None means the latest that is enabled."""

    key: str
    version: int | None
    parent: str
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

    def named(self, version: int | None) -> str:
        """The name for logs and errors of *version*."""
        return f"gcpkms:key={self.key}" + ("" if version is None else f";version={version}")

    def resource(self, version: int) -> str:
        """The resource name of *version*."""
        return f"{self.key}/cryptoKeyVersions/{version}"


def parse_gcpkms_uri(uri: str) -> GcpKmsUri:
    """Parse a `gcpkms:` URI. Raises `KeyUriError`."""
    parsed = parse_remote_uri(uri, "gcpkms", path=frozenset({"key", "version"}), query=QUERY | {ATTRIBUTE})
    key, version = parsed.required("key"), parsed.path.get("version")
    if (found := _KEY.match(key)) is None:
        raise KeyUriError(
            "key must be 'projects/P/locations/L/keyRings/R/cryptoKeys/K'; write its version as 'version=1'."
        )
    if version is not None and not _VERSION.match(version):
        raise KeyUriError(
            "version must be a number from 1; write 'version=1', or leave it out for the latest."
        )
    return GcpKmsUri(
        key,
        None if version is None else int(version),
        found["parent"],
        protection_level_of(parsed),
        Endpoint.of(parsed),
    )
