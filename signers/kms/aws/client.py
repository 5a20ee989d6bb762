"""The KMS API over HTTP: AWS JSON 1.1, signed with Signature Version 4 by botocore."""

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from signers.kms.aws.credentials import AwsKeys
from signers.kms.aws.faults import EXPIRED, fault_name, fault_of
from signers.kms.reply import JsonReply
from signers.remote.credentials import Credentials
from signers.remote.http import HttpReply, HttpService

_OK = 200


class AwsKmsClient:
    """Calls by operation name. Bound to the event loop; closed by its owner."""

    def __init__(self, http: HttpService, url: str, region: str, credentials: Credentials[AwsKeys]) -> None:
        """*url* is the base URL of *http*, without a slash at its end."""
        self._http = http
        self._url = f"{url}/"
        # It is signed as it is sent; botocore by itself would leave out the port where it is the usual one.
        self._host = urlsplit(url).netloc
        self._region = region
        self._credentials = credentials

    async def call(self, operation: str, body: Mapping[str, object], *, key: str) -> JsonReply:
        """Make one call; *key* is the redacted name for errors. Raises `SignerError`."""
        content = json.dumps(body, separators=(",", ":")).encode()
        keys = await self._credentials.current()
        reply = await self._send(operation, content, keys)
        if reply.status != _OK and fault_name(reply) in EXPIRED:
            others = await self._credentials.refused(keys)
            if others != keys:
                reply = await self._send(operation, content, others)
        if reply.status != _OK:
            raise fault_of(reply, key)
        return JsonReply.parse(reply.body, key)

    async def aclose(self) -> None:
        """Close connections and end the renewal of credentials. Idempotent."""
        await self._credentials.aclose()
        await self._http.aclose()

    async def _send(self, operation: str, content: bytes, keys: AwsKeys) -> HttpReply:
        headers = {
            "Host": self._host,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
        }
        request = AWSRequest(method="POST", url=self._url, data=content, headers=headers)
        SigV4Auth(keys, "kms", self._region).add_auth(request)
        return await self._http.request("POST", "/", headers=dict(request.headers.items()), body=content)
