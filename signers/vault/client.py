"""Requests to one server, with a token that is renewed before it expires and replaced once refused."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from signers.errors import AccessDeniedError
from signers.remote.credentials import Credentials
from signers.remote.http import HttpService
from signers.vault.login import obtain_token
from signers.vault.replies import reply_data
from signers.vault.uri import Connection


class VaultClient:
    """Bound to the event loop; closed by its owner."""

    def __init__(self, connection: Connection, *, connections: int) -> None:
        """*connections* at once. Raises `KeyUnusableError` for a CA file that cannot be read."""
        self.name = connection.name
        self._namespace = connection.namespace
        self._http = HttpService(
            connection.address, name=self.name, ca_file=connection.ca_file, connections=connections
        )
        self._token = Credentials(self.name, partial(obtain_token, self.send, connection.auth, self.name))

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str
    ) -> Mapping[str, Any]:
        """Make one request under the token in force, and once more under a new one where it is refused.

        *path* follows ``/v1/``; *key* is the redacted name for errors. Returns the reply's JSON object, empty
        for none. Raises `SignerError`.
        """
        token = await self._token.current()
        try:
            return await self.send(method, path, body, token=token, key=key)
        except AccessDeniedError:
            successor = await self._token.refused(token)
            if successor == token:
                raise
        return await self.send(method, path, body, token=successor, key=key)

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None, key: str
    ) -> Mapping[str, Any]:
        """Make one request under *token*. Raises `SignerError`."""
        headers = {"X-Vault-Request": "true", "Content-Type": "application/json"}
        if token is not None:
            headers["X-Vault-Token"] = token
        if self._namespace is not None:
            headers["X-Vault-Namespace"] = self._namespace
        content = None if body is None else json.dumps(body).encode()
        reply = await self._http.request(method, f"/v1/{path}", headers=headers, body=content)
        return reply_data(reply, key)

    async def aclose(self) -> None:
        """End the renewal and close the connections. Idempotent."""
        await self._token.aclose()
        await self._http.aclose()
