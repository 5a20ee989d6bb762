"""What the tokens of one decision have in common: every claim but the id and the times."""

import json
from dataclasses import dataclass
from functools import cached_property
from json.encoder import encode_basestring_ascii as _text
from typing import Any

from gateway.tokens.access_token import AccessToken
from gateway.tokens.actor import Actor
from gateway.tokens.authorization import Authentication
from gateway.tokens.binding import Binding


@dataclass(frozen=True, eq=False)  # One decision is equal to itself only; not slotted: the text is made once.
class TokenTerms:
    """The claims of `AccessToken` that a client gets again with every token for the same request."""

    issuer: str
    subject: str
    audience: tuple[str, ...]
    client_id: str
    scope: tuple[str, ...]
    binding: Binding | None
    grant_id: str | None = None
    authentication: Authentication | None = None
    actor: Actor | None = None

    def token(self, token_id: str, issue_time: int, expire_time: int) -> AccessToken:
        """One token under these terms; times are seconds since the epoch."""
        return AccessToken(
            issuer=self.issuer,
            subject=self.subject,
            audience=self.audience,
            client_id=self.client_id,
            issue_time=issue_time,
            expire_time=expire_time,
            token_id=token_id,
            scope=self.scope,
            binding=self.binding,
            grant_id=self.grant_id,
            authentication=self.authentication,
            actor=self.actor,
        )

    def payload(self, token_id: str, issue_time: int, expire_time: int) -> bytes:
        """The claims set of one token as JSON octets, ready for a JWS."""
        head, tail = self._around
        return f'{head},"iat":{issue_time},"exp":{expire_time},"jti":{_text(token_id)}{tail}'.encode("ascii")

    @cached_property
    def _around(self) -> tuple[str, str]:
        """The claims before the times and those after the id."""
        before = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience[0] if len(self.audience) == 1 else self.audience,
            "client_id": self.client_id,
        }
        after: dict[str, Any] = {}
        if self.scope:
            after["scope"] = " ".join(self.scope)
        if self.binding is not None:
            after["cnf"] = self.binding.confirmation()
        if self.grant_id is not None:
            after["grant_id"] = self.grant_id
        if self.authentication is not None:
            after |= _authentication_claims(self.authentication)
        if self.actor is not None:
            after["act"] = self.actor.members()
        return _encode(before)[:-1], f",{_encode(after)[1:]}" if after else "}"


_encode = json.JSONEncoder(separators=(",", ":")).encode


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
