"""What a user authorized a client to do, and how the user was authenticated: typed values."""

from dataclasses import dataclass

from gateway.tokens.binding import Binding


@dataclass(frozen=True, slots=True)
class Authentication:
    """How and when the user was authenticated (RFC 9068 §2.2.1); what is not known is None or empty.

    `time`: seconds since the epoch.
    """

    time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """The part of a grant that does not change while it lives.

    - `grant_id`: what everything issued from it is revoked by.
    - `scope`, `audience`: the most that its tokens may carry.
    - `binding`: what must be shown to use its refresh tokens; None where client authentication is enough.
    """

    grant_id: str
    client_id: str
    subject: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    authentication: Authentication
    binding: Binding | None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks a user to authorize (RFC 6749 §4.1.1, RFC 7636, RFC 8707, RFC 9449 §10), checked.

    - `redirect_uri`: as sent, and allowed by the client's registration.
    - `code_challenge`: S256, base64url of a SHA-256 value (RFC 7636 §4.2).
    - `dpop_jkt`: thumbprint of the key that the code is bound to, or None.
    - `state`: opaque to us, for the client; None where it sent none.
    - `prompt`, `max_age`: how the user is to be logged in (OpenID Connect Core §3.1.2.1); seconds.
    """

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    code_challenge: str
    dpop_jkt: str | None = None
    state: str | None = None
    prompt: str | None = None
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """An authorization code before it is used. `expire_time`: seconds since the epoch."""

    request: AuthorizationRequest
    subject: str
    authentication: Authentication
    expire_time: float
