"""A cloud's REST API with bearer tokens: JSON in, JSON out, and a refused token replaced once."""

import json
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from signers.errors import SignerError
from signers.kms.reply import JsonReply
from signers.remote.credentials import Credentials
from signers.remote.http import HttpReply, HttpService

Token = TypeVar("Token")

_OK = 200
_UNAUTHORIZED = 401


class RestClient(Generic[Token]):
    """Calls by path. Bound to the event loop; closed by its owner."""

    def __init__(
        self,
        http: HttpService,
        credentials: Credentials[Token],
        *,
        headers_of: Callable[[Token], Mapping[str, str]],
        target_of: Callable[[str], str],
        fault_of: Callable[[HttpReply, str], SignerError],
    ) -> None:
        """*headers_of* a token are those that show it; *target_of* a path is what is asked for; *fault_of* a
        reply that is not 200, and a redacted name, is the error that it is.
        """
        self._http = http
        self._credentials = credentials
        self._headers_of = headers_of
        self._target_of = target_of
        self._fault_of = fault_of

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
            raise self._fault_of(reply, key)
        return JsonReply.parse(reply.body, key)

    async def _send(self, method: str, path: str, body: bytes | None, token: Token) -> HttpReply:
        headers = {**self._headers_of(token), "Content-Type": "application/json"}
        return await self._http.request(method, self._target_of(path), headers=headers, body=body)
