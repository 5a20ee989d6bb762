# ruff: noqa: INP001 - part of a program of its own.
"""A login at an OpenID provider from a program on the user's own machine (RFC 8252): code and PKCE.

It needs nothing but the standard library. The user's browser comes back to a loopback address (§7.3).
"""

import base64
import hashlib
import http.server
import json
import secrets
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

_TIMEOUT = 10.0  # seconds for each request to the provider
_MAX_ANSWER = 1 << 20  # octets
_WELL_KNOWN = "/.well-known/openid-configuration"


class LoginError(Exception):
    """The user is not logged in; the message says why."""


@dataclass(frozen=True)
class Provider:
    """An OpenID provider, and the client that this program is to it, which has no secret.

    - `issuer`: its URL. `redirect_port`: of the loopback address that is registered for the client; 0 is any.
    - `ca`: a PEM file of the roots that its certificate is checked against; None for those of the system.
    """

    issuer: str
    client_id: str
    redirect_port: int = 0
    ca: str | None = None

    def log_in(
        self,
        claims: Mapping[str, str],
        show: Callable[[str], None],
        *,
        patience: float = 300,
        **parameters: str,
    ) -> str:
        """The ID token of the user who opens the URL given to *show*, within *patience* seconds.

        *claims* are asked for with these values in the ID token (OpenID Connect Core §5.5); *parameters*
        (``login_hint``) go along with the request. Raises `LoginError`, `OSError`.
        """
        metadata = self._get(self.issuer.rstrip("/") + _WELL_KNOWN)
        if metadata.get("issuer") != self.issuer:
            raise LoginError("the metadata is of another issuer")
        verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        with _Callback(self.redirect_port) as callback:
            wanted = {name: {"essential": True, "value": value} for name, value in claims.items()}
            query = parameters | {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": callback.uri,
                "scope": "openid profile",
                "state": state,
                "nonce": nonce,
                "claims": json.dumps({"id_token": wanted}),
                "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
                "code_challenge_method": "S256",
            }
            show(f"{metadata['authorization_endpoint']}?{urllib.parse.urlencode(query)}")
            code = self._code(callback.wait(patience), state)
            form = {
                "grant_type": "authorization_code",
                "client_id": self.client_id,
                "code": code,
                "redirect_uri": callback.uri,
                "code_verifier": verifier,
            }
        answer = self._get(metadata["token_endpoint"], urllib.parse.urlencode(form).encode())
        id_token = answer.get("id_token")
        if not isinstance(id_token, str) or _payload(id_token).get("nonce") != nonce:
            raise LoginError("the provider's answer holds no ID token for this login")
        return id_token

    def _code(self, answer: Mapping[str, str], state: str) -> str:
        """The code in the query that the browser brought back."""
        if not secrets.compare_digest(answer.get("state", ""), state):
            raise LoginError("the answer belongs to another login")
        if answer.get("iss", self.issuer) != self.issuer:  # RFC 9207 §2.4
            raise LoginError("the answer is another provider's")
        if "code" not in answer:
            raise LoginError(f"the provider says: {answer.get('error', 'nothing')}")
        return answer["code"]

    def _get(self, url: str, form: bytes | None = None) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise LoginError("the provider is reached by HTTPS only")
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(url, form, _TIMEOUT, context=context) as response:  # noqa: S310 - HTTPS, see above.
            document: dict[str, Any] = json.loads(response.read(_MAX_ANSWER))
        return document


@dataclass
class _Callback:
    """A web server on loopback that is asked once by the browser."""

    port: int
    answer: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        callback = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                found = path == "/callback"
                if found:
                    callback.answer = dict(urllib.parse.parse_qsl(query))
                self.send_response(200 if found else 404)
                self.send_header("content-type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"You can close this window.\n" if found else b"")

            def log_message(self, *_: object) -> None:
                """Say nothing: the query holds the code."""

        self._server = http.server.HTTPServer(("127.0.0.1", self.port), Handler)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/callback"

    def wait(self, patience: float) -> Mapping[str, str]:
        """What the browser brought; other requests, as for an icon, are not it."""
        deadline = time.monotonic() + patience
        while not self.answer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LoginError("nobody has logged in")
            self._server.timeout = left
            self._server.handle_request()
        return self.answer


def _payload(token: str) -> dict[str, Any]:
    """The claims, not verified: the token came from the provider over TLS, and the gateway verifies it."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
