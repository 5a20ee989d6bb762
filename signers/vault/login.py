"""How a client token is obtained and prolonged: a token file, AppRole, Kubernetes and JWT logins."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from signers.errors import AccessDeniedError, KeyUnusableError
from signers.remote.credentials import Lease
from signers.secret_files import read_secret
from signers.uri_syntax import SecretSource
from signers.vault.replies import Token, parse_login, parse_lookup
from signers.vault.uri import AppRoleAuth, Auth, JwtAuth, TokenAuth


class Send(Protocol):
    """`VaultClient.send`."""

    async def __call__(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None, key: str
    ) -> Mapping[str, Any]: ...


async def obtain_token(send: Send, auth: Auth, name: str, previous: Lease[str] | None) -> Lease[str]:
    """Prolong *previous*, or log in by *auth* where there is none (`signers.remote.credentials.Obtain`).

    Raises `AccessDeniedError` where the server refuses, and `SignerError`.
    """
    if previous is not None:
        return _lease(
            parse_login(await send("POST", "auth/token/renew-self", {}, token=previous.value, key=name), name)
        )
    match auth:
        case TokenAuth(source):
            token = await _read(source, name)
            members = await send("GET", "auth/token/lookup-self", token=token, key=name)
            return _lease(parse_lookup(token, members, name))
        case AppRoleAuth(mount, role_id, source):
            body = {"role_id": role_id}
            if source is not None:
                body["secret_id"] = await _read(source, name)
            return await _log_in(send, mount, body, name)
        case JwtAuth(mount, role, source):
            # Projected service account tokens are readable by the pod's other users unless it says otherwise.
            jwt = await _read(source, name, readable_by_others=True)
            return await _log_in(send, mount, {"role": role, "jwt": jwt}, name)


async def _log_in(send: Send, mount: str, body: Mapping[str, str], name: str) -> Lease[str]:
    try:
        members = await send("POST", f"auth/{mount}/login", body, token=None, key=name)
    except KeyUnusableError as error:
        # A login that is refused is a bad request (HTTP 400).
        raise AccessDeniedError(f"The login at {mount} is refused: {error}", key=name) from None
    return _lease(parse_login(members, name))


def _lease(token: Token) -> Lease[str]:
    return Lease(token.value, token.ttl or None, token.renewable)


async def _read(source: SecretSource, name: str, *, readable_by_others: bool = False) -> str:
    read = partial(read_secret, source, key=name, readable_by_others=readable_by_others)
    secret = await asyncio.to_thread(read)
    if not secret.isascii() or not secret.decode().isprintable():
        raise KeyUnusableError(f"{source} holds no token: it has other than printable characters.", key=name)
    return secret.decode()
