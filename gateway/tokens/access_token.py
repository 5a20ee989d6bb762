"""The access token (RFC 9068) as a typed value: what is signed, and what a verified one says."""

import json
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _text
from typing import Any, Final

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

    def payload(self) -> bytes:
        """The claims set as JSON octets, ready for a JWS."""
        # Written out: an encoder over a dict costs three times as much, and this runs for every token.
        audience = ",".join(map(_text, self.audience))
        if len(self.audience) != 1:
            audience = f"[{audience}]"
        optional = f',"scope":{_text(" ".join(self.scope))}' if self.scope else ""
        if self.binding is not None:
            members = [f"{_text(name)}:{_text(value)}" for name, value in self.binding.confirmation().items()]
            optional += f',"cnf":{{{",".join(members)}}}'
        if further := self._further():
            optional += f",{json.dumps(further, separators=(',', ':'))[1:-1]}"
        return (
            f'{{"iss":{_text(self.issuer)},"sub":{_text(self.subject)},"aud":{audience},'
            f'"client_id":{_text(self.client_id)},"iat":{self.issue_time},"exp":{self.expire_time},'
            f'"jti":{_text(self.token_id)}{optional}}}'
        ).encode("ascii")

    def _further(self) -> dict[str, Any]:
        """The claims that only tokens of users and of actors have."""
        claims: dict[str, Any] = {}
        if self.grant_id is not None:
            claims["grant_id"] = self.grant_id
        if self.authentication is not None:
            claims |= _authentication_claims(self.authentication)
        if self.actor is not None:
            claims["act"] = self.actor.members()
        if self.may_act is not None:
            claims["may_act"] = self.may_act.members()
        return claims

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


def _authentication_claims(authentication: Authentication) -> dict[str, Any]:
    """RFC 9068 §2.2.1."""
    claims: dict[str, Any] = {}
    if authentication.time is not None:
        claims["auth_time"] = authentication.time
    if authentication.acr is not None:
        claims["acr"] = authentication.acr
    if authentication.amr:
        claims["amr"] = authentication.amr
    return claims


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
