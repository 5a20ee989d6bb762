"""The Key Vault REST API."""

import json
from collections.abc import Mapping

from signers.kms.azure.faults import fault_of
from signers.kms.reply import JsonReply
from signers.remote.credentials import Credentials
from signers.remote.http import HttpReply, HttpService

API_VERSION = "7.4"
_OK = 200
_UNAUTHORIZED = 401


class AzureKmsClient:
    """Calls by path. Bound to the event loop; closed by its owner."""

    def __init__(self, http: HttpService, credentials: Credentials[str]) -> None:
        self._http = http
        self._credentials = credentials

    async def get(self, path: str, *, key: str) -> JsonReply:
        """GET *path*; *key* is the redacted name. Raises `SignerError`."""
        return await self._call("GET", path, None, key)

    async def post(self, path: str, body: Mapping[str, object], *, key: str) -> JsonReply:
        """POST *body* to *path*. Raises `SignerError`."""
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

    async def _send(self, method: str, path: str, body: bytes | None, token: str) -> HttpReply:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        return await self._http.request(
            method, f"{path}?api-version={API_VERSION}", headers=headers, body=body
        )
