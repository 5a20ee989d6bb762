"""The demo's OpenID provider: one user, who is logged in and consents, over HTTPS on loopback.

It does what a client and a relying party meet: discovery, keys, the authorization code flow with PKCE (RFC
7636), and claims that are asked for with a value (OpenID Connect Core §5.5). It is no provider for anybody
but the demo: whoever asks is Alice.
"""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from signers.jose_form import public_jwk

_MAX_FORM: Final = 8 * 1024  # octets
_LIFETIME: Final = 300  # seconds
_KEY_ID: Final = "demo"


class DemoProvider:
    """A context manager that serves on any free port, with ``server.pem`` and its key from *folder*."""

    def __init__(self, folder: Path, *, client_id: str, redirect_uri: str, user: Mapping[str, str]) -> None:
        """*user*: the claims of the only user, ``sub`` among them."""
        self._client_id = client_id
        self._redirect_uri = redirect_uri
        self._user = user
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._codes: dict[str, Mapping[str, str]] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="demo-provider", daemon=True)

    @property
    def issuer(self) -> str:
        """Its URL."""
        return f"https://localhost:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def document(self, path: str) -> Mapping[str, Any] | None:
        """The JSON at *path*; None where there is none."""
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "claims_parameter_supported": True,
                "authorization_response_iss_parameter_supported": True,
            }
        if path == "/jwks":
            return {"keys": [{**public_jwk(self._key.public_key()), "kid": _KEY_ID, "use": "sig"}]}
        return None

    def authorize(self, asked: Mapping[str, str]) -> str | None:
        """Where the browser is sent with a code; None for a request that is not the demo's (§3.1.2.2)."""
        expected = {
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        if any(asked.get(name) != value for name, value in expected.items()):
            return None
        code = secrets.token_urlsafe(32)
        self._codes[code] = asked
        answer = {"code": code, "state": asked.get("state", ""), "iss": self.issuer}
        return f"{self._redirect_uri}?{urlencode(answer)}"

    def redeem(self, form: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The tokens for a code, once, to whoever has its challenge's verifier; None for anybody else."""
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or not secrets.compare_digest(challenge, asked.get("code_challenge", "")):
            return None
        wanted = json.loads(asked.get("claims", "{}")).get("id_token", {})
        now = int(time.time())
        claims = {
            **{name: wish["value"] for name, wish in wanted.items()},
            **self._user,
            "iss": self.issuer,
            "aud": self._client_id,
            "iat": now,
            "exp": now + _LIFETIME,
            "nonce": asked.get("nonce", ""),
        }
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": _KEY_ID})
        access = secrets.token_urlsafe(32)
        return {"id_token": token, "access_token": access, "token_type": "Bearer", "expires_in": _LIFETIME}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                location = provider.authorize(dict(parse_qsl(parts.query)))
                if parts.path == "/authorize" and location is not None:
                    self.send_response(302)
                    self.send_header("location", location)
                    self.send_header("content-length", "0")
                    self.end_headers()
                else:
                    self._reply(provider.document(parts.path), 404)

            def do_POST(self) -> None:
                size = min(int(self.headers.get("content-length", 0)), _MAX_FORM)
                form = dict(parse_qsl(self.rfile.read(size).decode("latin-1")))
                self._reply(provider.redeem(form) if self.path == "/token" else None, 400)

            def _reply(self, document: Mapping[str, Any] | None, otherwise: int) -> None:
                body = json.dumps(document or {"error": "invalid_request"}).encode()
                self.send_response(otherwise if document is None else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: the paths hold codes."""

        return Handler
