"""The access token (RFC 9068) as a typed value: what one says. `gateway.tokens.terms` writes them."""

from dataclasses import dataclass
from typing import Final

from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims
from gateway.tokens.actor import Actor, actor_from
from gateway.tokens.authorization import Authentication
from gateway.tokens.binding import Binding, CertificateBinding, binding_from

TYP: Final = "at+jwt"
"""The JOSE ``typ`` of an access token (RFC 9068 §2.1)."""

MAX_AUDIENCES: Final = 100
_MAX_SCOPE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of one access token (RFC 9068 §2.2).

    Times are whole seconds since the epoch. `binding` is what its holder must prove, None for a bearer token.
    `grant_id`, a claim of our own, is what it is revoked with beside its own id. `authentication` is that of
    the user, `actor` who acts for the subject, `may_act` who may have himself made one (RFC 8693 §4).
    """

    issuer: str
    subject: str
    audience: tuple[str, ...]
    client_id: str
    issue_time: int
    expire_time: int
    token_id: str
    scope: tuple[str, ...]
    binding: Binding | None
    grant_id: str | None = None
    authentication: Authentication | None = None
    actor: Actor | None = None
    may_act: Actor | None = None

    @property
    def x5t_s256(self) -> str | None:
        """The thumbprint of the certificate that the token is bound to, if it is bound to one."""
        return self.binding.x5t_s256 if isinstance(self.binding, CertificateBinding) else None

    @classmethod
    def from_claims(cls, claims: Claims) -> "AccessToken":
        """Read a verified claims set. Raises `JoseError` for a claim that is missing or of the wrong kind."""
        return cls(
            issuer=claims.string("iss"),
            subject=claims.string("sub"),
            audience=_audience(claims),
            client_id=claims.string("client_id"),
            issue_time=claims.numeric_date("iat"),
            expire_time=claims.numeric_date("exp"),
            token_id=claims.string("jti"),
            scope=tuple(claims.string("scope", max_length=_MAX_SCOPE).split(" "))
            if "scope" in claims
            else (),
            binding=binding_from(claims),
            grant_id=claims.optional_string("grant_id"),
            authentication=_authentication(claims),
            actor=actor_from(claims),
            may_act=actor_from(claims, "may_act"),
        )


def _authentication(claims: Claims) -> Authentication | None:
    if claims.names().isdisjoint({"auth_time", "acr", "amr"}):
        return None
    return Authentication(
        time=claims.optional_numeric_date("auth_time"),
        acr=claims.optional_string("acr"),
        amr=claims.strings("amr") if "amr" in claims else (),
    )


def _audience(claims: Claims) -> tuple[str, ...]:
    """As many as a client may register, which is more than `Claims.audience` takes from strangers."""
    try:
        return claims.strings("aud", max_items=MAX_AUDIENCES)
    except JoseError:
        return (claims.single_audience(),)
