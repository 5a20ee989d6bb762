"""`awskms:` key URIs.

    awskms:key-id=alias/tokens;region=eu-central-1
    awskms:key-id=1234abcd-12ab-34cd-56ef-1234567890ab;region=eu-central-1
    awskms:key-id=arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab

`key-id` is what the API takes as KeyId: a key's id or ARN, or an alias or its ARN. An ARN brings its region.
"""

import re
from dataclasses import dataclass

from signers.errors import KeyUriError
from signers.kms.endpoint import QUERY, Endpoint
from signers.remote.uri import parse_remote_uri

_REGION = re.compile(r"[a-z]{2}(-[a-z0-9]{1,12}){1,3}-[0-9]{1,2}\Z")
_ARN = re.compile(
    r"arn:aws[a-z0-9-]{0,16}:kms:(?P<region>[a-z0-9-]{1,32}):[0-9]{12}:(?P<resource>[a-z]+/.+)\Z"
)
# SOURCE: AWS KMS Developer Guide, "Key identifiers": a UUID, or "mrk-" and 32 hex digits; CreateAlias,
# AliasName.
_KEY_ID = re.compile(r"(?:[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|mrk-[0-9A-Fa-f]{32})\Z")
_ALIAS = re.compile(r"alias/[A-Za-z0-9/_-]{1,250}\Z")


@dataclass(frozen=True, slots=True)
class AwsKmsUri:
    """`key_id` is the API's KeyId; `region` None leaves it to the environment and the AWS configuration."""

    key_id: str
    region: str | None
    endpoint: Endpoint

    @property
    def redacted(self) -> str:
        """The key's name for logs and errors."""
        return f"awskms:key-id={self.key_id}"

    @property
    def new_alias(self) -> str | None:
        """``alias/NAME`` where the URI names an alias without an ARN, as CreateAlias takes it."""
        return self.key_id if self.key_id.startswith("alias/") else None

    def pinned(self, arn: str) -> str:
        """The URI of the key itself, by its ARN."""
        return f"awskms:key-id={arn}{self.endpoint.query}"


def parse_awskms_uri(uri: str) -> AwsKmsUri:
    """Parse an `awskms:` URI. Raises `KeyUriError`."""
    parsed = parse_remote_uri(uri, "awskms", path=frozenset({"key-id", "region"}), query=QUERY)
    key_id, region = parsed.required("key-id"), parsed.path.get("region")
    resource = key_id
    if (arn := _ARN.match(key_id)) is not None:
        if region not in (None, arn["region"]):
            raise KeyUriError("region is not the one in the ARN; leave it out.")
        region, resource = arn["region"], arn["resource"].removeprefix("key/")
    if region is not None and not _REGION.match(region):
        raise KeyUriError("region must be the name of an AWS region; write 'region=eu-central-1'.")
    if not (_ALIAS.match(resource) or _KEY_ID.match(resource)):
        raise KeyUriError("key-id must be a key's id or ARN, or 'alias/NAME' or its ARN.")
    return AwsKmsUri(key_id, region, Endpoint.of(parsed))
