"""Asking a user: authorization requests and codes (RFC 6749 §4.1, RFC 9126, RFC 7636)."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier, which stays with the client, and the S256 challenge made of it (RFC 7636)."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def challenge(self) -> str:
        """SHA-256 of the verifier, base64url."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks a user to authorize.

    - `redirect_uri`: one that the client is registered with.
    - `code_challenge`: `Pkce.challenge`.
    - `scope`, `resource`: empty for all, and for the default audience.
    - `dpop_jkt`: thumbprint of the DPoP key that the code is bound to (RFC 9449 §10).
    - `state`: comes back beside the code.
    - `prompt`, `max_age`: how, and how long ago at most, the user is to be authenticated (OpenID Connect Core
      §3.1.2.1); empty and None where it does not matter.
    """

    redirect_uri: str
    code_challenge: str
    scope: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    dpop_jkt: str = ""
    state: str = ""
    prompt: str = ""
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """What stands for a pushed request, once, and for how long."""

    request_uri: str
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code and where to send the user with it. `code` is a secret, and no part of the repr."""

    code: str = field(repr=False)
    expire_time: datetime
    redirect_uri: str
    state: str
    issuer: str

    @property
    def location(self) -> str:
        """The redirect URI with the answer in its query (RFC 6749 §4.1.2, RFC 9207)."""
        members = {"code": self.code, "state": self.state, "iss": self.issuer}
        query = urlencode({name: value for name, value in members.items() if value})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"
