"""The Cloud KMS API v1 over REST."""

import json
from collections.abc import Mapping

from signers.kms.gcp.credentials import GcpToken
from signers.kms.gcp.faults import fault_of
from signers.kms.reply import JsonReply
from signers.remote.credentials import Credentials
from signers.remote.http import HttpReply, HttpService

URL = "https://cloudkms.googleapis.com"
_OK = 200
_UNAUTHORIZED = 401


class GcpKmsClient:
    """Calls by resource name. Bound to the event loop; closed by its owner."""

    def __init__(self, http: HttpService, credentials: Credentials[GcpToken]) -> None:
        self._http = http
        self._credentials = credentials

    async def get(self, path: str, *, key: str) -> JsonReply:
        """GET *path*, a resource name with its query; *key* is the redacted name. Raises `SignerError`."""
        return await self._call("GET", path, None, key)

    async def post(self, path: str, body: Mapping[str, object], *, key: str) -> JsonReply:
        """POST *body* to *path*, a resource name with ``:verb`` or query. Raises `SignerError`."""
        return await self._call("POST", path, json.dumps(body, separators=(",", ":")).encode(), key)

    async def aclose(self) -> None:
        """Close connections and end the renewal of credentials. Idempotent."""
        await self._credentials.aclose()
        await self._http.aclose()

    async def _call(self, method: str, path: str, body: bytes | None, key: str) -> JsonReply:
        token = await self._credentials.current()
        reply = await self._send(method, path, body, token)
        if reply.status == _UNAUTHORIZED:
            another = await self._credentials.refused(token)
            if another != token:
                reply = await self._send(method, path, body, another)
        if reply.status != _OK:
            raise fault_of(reply, key)
        return JsonReply.parse(reply.body, key)

    async def _send(self, method: str, path: str, body: bytes | None, token: GcpToken) -> HttpReply:
        headers = {**token.headers, "Content-Type": "application/json"}
        return await self._http.request(method, f"/v1/{path}", headers=headers, body=body)
