"""Access tokens on the requests of an ASGI application, such as one of Starlette or FastAPI."""

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import quote

from countersign.resource_server.certificate import CertificateUnreadableError, certificate_of_pem
from countersign.resource_server.certificate_header import CertificateHeader
from countersign.resource_server.errors import (
    AccessRefusedError,
    Fault,
    MalformedRequestError,
    ResourceServerError,
)
from countersign.resource_server.token import VerifiedToken
from countersign.resource_server.verifier import AccessTokenVerifier, PresentedRequest

logger = logging.getLogger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
RequestPolicy: TypeAlias = Callable[[Scope], Collection[str] | None]
"""From the connection scope of a request to the OAuth scopes that it needs; None opens it to everybody."""

_STATE = "access_token"
_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1


def token_of_scope(scope: Scope) -> VerifiedToken:
    """The token of a request; ``request.state.access_token`` in Starlette.

    Raises `LookupError` for a request that needs no token.
    """
    token: VerifiedToken = scope.get("state", {})[_STATE]
    return token


class AccessTokenMiddleware:
    """Serves requests, and opens web sockets, whose token is good; the application never sees the others.

    The client's certificate comes from the server's TLS extension of ASGI, or from *certificate_header*
    where a proxy ends TLS; from one of the two, never from both. The path of a proof is that of the request
    as the server received it: a proxy must not rewrite it.
    """

    def __init__(
        self,
        app: Application,
        *,
        verifier: AccessTokenVerifier,
        policy: RequestPolicy,
        certificate_header: CertificateHeader | None = None,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._policy = policy
        self._certificate_header = certificate_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any type; those without a request (``lifespan``) pass."""
        needed = self._policy(scope) if scope["type"] in {"http", "websocket"} else None
        if needed is None:
            await self._app(scope, receive, send)
            return
        try:
            token = await self._verifier.verify(self._presented(scope), scope=needed)
        except ResourceServerError as error:
            logger.info("%s refused: %s", scope["type"], error)
            await _refuse(scope, receive, send, error)
            return
        # A copy: the state of a scope may be that of the whole application.
        scope = {**scope, "state": {**scope.get("state", {}), _STATE: token}}
        await self._app(scope, receive, self._with_nonce(send, token))

    def _presented(self, scope: Scope) -> PresentedRequest:
        headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        fields = [(name.lower(), value.decode("latin-1")) for name, value in headers]
        return PresentedRequest(
            method=scope.get("method", "GET"),  # RFC 6455 §4.1: a web socket is opened with GET.
            path=_path(scope),
            authorization=tuple(value for name, value in fields if name == b"authorization"),
            dpop=tuple(value for name, value in fields if name == b"dpop"),
            certificate=self._certificate(scope, fields),
        )

    def _certificate(self, scope: Scope, fields: Iterable[tuple[bytes, str]]) -> bytes | None:
        if self._certificate_header is not None:
            client = scope.get("client")
            return self._certificate_header.certificate(fields, None if client is None else client[0])
        chain = tuple(((scope.get("extensions") or {}).get("tls") or {}).get("client_cert_chain") or ())
        try:
            return certificate_of_pem(chain[0].encode()) if chain else None
        except CertificateUnreadableError as error:
            raise MalformedRequestError(Fault.MALFORMED, "The client certificate cannot be read.") from error

    def _with_nonce(self, send: Send, token: VerifiedToken) -> Send:
        """RFC 9449 §8.2: an answer to a proof carries the nonce of the next one."""
        nonce = self._verifier.new_dpop_nonce() if token.jkt is not None else None
        if nonce is None:
            return send
        field = (b"dpop-nonce", nonce.encode("ascii"))

        async def sending(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                message = {**message, "headers": [*message.get("headers", ()), field]}
            await send(message)

        return sending


def _path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    if raw is None:
        return quote(scope["path"], safe="/:@!$&'()*+,;=~")
    text: str = raw.decode("latin-1")
    return text.partition("?")[0]


async def _refuse(scope: Scope, receive: Receive, send: Send, error: ResourceServerError) -> None:
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # The server answers 403 to a socket that is closed before it is accepted.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.fault.value})
            return
    prefix = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps({"error": _code(error), "error_description": error.message}).encode("ascii")
    await send({"type": f"{prefix}.start", "status": error.status, "headers": _headers(error, len(body))})
    await send({"type": f"{prefix}.body", "body": body})


def _headers(error: ResourceServerError, length: int) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(length).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    headers += [(b"www-authenticate", challenge.encode("ascii")) for challenge in error.challenges]
    if isinstance(error, AccessRefusedError) and error.dpop_nonce is not None:
        headers.append((b"dpop-nonce", error.dpop_nonce.encode("ascii")))
    return headers


def _code(error: ResourceServerError) -> str:
    if not isinstance(error, AccessRefusedError):
        return "temporarily_unavailable"
    return error.error or "token_missing"
