"""What a verified access token says (RFC 9068 §2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from countersign.resource_server._encoding import EncodingError, decode_base64url
from countersign.resource_server._jws import Members
from countersign.resource_server.errors import Fault, InsufficientScopeError, InvalidTokenError
from countersign.tokens import Actor, TokenType

MAX_ACTORS: Final = 16
_MAX_SCOPE: Final = 16 * 1024  # characters
_SHA256_SIZE: Final = 32  # octets
_READ: Final = frozenset(
    {
        *("iss", "sub", "aud", "client_id", "iat", "exp", "nbf", "jti", "scope", "cnf", "grant_id"),
        *("auth_time", "acr", "amr", "act"),
    }
)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The claims of an access token that is good for the request it came with.

    - `subject`, `client_id`: for whom and to whom it was issued; the same without a user.
    - `audience`, `scope`: this resource server among the former, perhaps nothing in the latter.
    - `token_id`: the `jti`; no secret. `grant_id`: what all tokens of one authorization share, or None.
    - `x5t_s256`: SHA-256 of the client certificate that was shown (RFC 8705 §3.1), 32 bytes, or None.
    - `jkt`: the thumbprint of the key that signed the DPoP proof (RFC 9449 §6.1), 32 bytes, or None.
    - `key_id`: the key that the token is signed with.
    - `auth_time`, `acr`, `amr`: how the user was authenticated. `actor`: who acts for the subject.
    - `additional_claims`: all others, JSON values as they were sent.
    """

    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    scope: tuple[str, ...]
    issue_time: datetime
    not_before_time: datetime | None
    expire_time: datetime
    token_id: str
    grant_id: str | None
    x5t_s256: bytes | None
    jkt: bytes | None
    key_id: str
    auth_time: datetime | None
    acr: str | None
    amr: tuple[str, ...]
    actor: Actor | None
    additional_claims: Mapping[str, Any] = field(repr=False)

    @property
    def token_type(self) -> TokenType:
        """The scheme that it must be presented under."""
        return TokenType.BEARER if self.jkt is None else TokenType.DPOP

    def require_scope(self, *required: str) -> None:
        """It has every scope of *required*. Raises `InsufficientScopeError`."""
        if not set(required) <= set(self.scope):
            error = InsufficientScopeError(required)
            error.scheme = self.token_type
            raise error


def token_of(claims: Members, key_id: str) -> VerifiedToken:
    """The claims, typed; the caller verifies them. Raises `InvalidTokenError`."""
    x5t_s256, jkt = _confirmation(claims)
    return VerifiedToken(
        issuer=claims.string("iss"),
        subject=claims.string("sub"),
        client_id=claims.string("client_id"),
        audience=_audience(claims),
        scope=tuple(claims.string("scope", max_length=_MAX_SCOPE).split(" ")) if "scope" in claims else (),
        issue_time=_time(claims.numeric_date("iat")),
        not_before_time=_optional_time(claims, "nbf"),
        expire_time=_time(claims.numeric_date("exp")),
        token_id=claims.string("jti"),
        grant_id=claims.optional_string("grant_id"),
        x5t_s256=x5t_s256,
        jkt=jkt,
        key_id=key_id,
        auth_time=_optional_time(claims, "auth_time"),
        acr=claims.optional_string("acr"),
        amr=claims.strings("amr") if "amr" in claims else (),
        actor=_actor(claims) if "act" in claims else None,
        additional_claims=claims.without(_READ),
    )


def _audience(claims: Members) -> tuple[str, ...]:
    return (claims.string("aud"),) if isinstance(claims.value("aud"), str) else claims.strings("aud")


def _confirmation(claims: Members) -> tuple[bytes | None, bytes | None]:
    """The certificate's and the key's thumbprint: at most one; what is not known is refused (RFC 7800)."""
    if "cnf" not in claims:
        return None, None
    confirmation = claims.nested("cnf")
    if confirmation.names() == {"x5t#S256"}:
        return _thumbprint(confirmation, "x5t#S256"), None
    if confirmation.names() == {"jkt"}:
        return None, _thumbprint(confirmation, "jkt")
    raise InvalidTokenError(Fault.CONFIRMATION_INVALID, "cnf is not one known confirmation.")


def _thumbprint(confirmation: Members, name: str) -> bytes:
    try:
        octets = decode_base64url(confirmation.string(name))
    except EncodingError as error:
        raise InvalidTokenError(Fault.CONFIRMATION_INVALID, f"{name} is not base64url.") from error
    if len(octets) != _SHA256_SIZE:
        raise InvalidTokenError(Fault.CONFIRMATION_INVALID, f"{name} is not a SHA-256 value.")
    return octets


def _actor(claims: Members) -> Actor:
    subjects, members = [], claims
    while "act" in members:
        members = members.nested("act")
        subjects.append(members.string("sub"))
        if len(subjects) > MAX_ACTORS:
            raise InvalidTokenError(Fault.CLAIM_INVALID, f"act names more than {MAX_ACTORS} actors.")
    actor: Actor | None = None
    for subject in reversed(subjects):
        actor = Actor(subject, actor)
    assert actor is not None  # noqa: S101 - the caller saw act.
    return actor


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _optional_time(claims: Members, name: str) -> datetime | None:
    seconds = claims.optional_numeric_date(name)
    return None if seconds is None else _time(seconds)
