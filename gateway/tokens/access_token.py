"""The access token (RFC 9068) as a typed value: what is signed, and what a verified one says."""

from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _text
from typing import Final

from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims
from gateway.tokens.binding import Binding, CertificateBinding, binding_from

TYP: Final = "at+jwt"
"""The JOSE ``typ`` of an access token (RFC 9068 §2.1)."""

MAX_AUDIENCES: Final = 100
_MAX_SCOPE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of one access token (RFC 9068 §2.2).

    Times are whole seconds since the epoch. `binding` is what its holder must prove, None for a bearer token.
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
        return (
            f'{{"iss":{_text(self.issuer)},"sub":{_text(self.subject)},"aud":{audience},'
            f'"client_id":{_text(self.client_id)},"iat":{self.issue_time},"exp":{self.expire_time},'
            f'"jti":{_text(self.token_id)}{optional}}}'
        ).encode("ascii")

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
        )


def _audience(claims: Claims) -> tuple[str, ...]:
    """As many as a client may register, which is more than `Claims.audience` takes from strangers."""
    try:
        return claims.strings("aud", max_items=MAX_AUDIENCES)
    except JoseError:
        return (claims.single_audience(),)
