"""The configuration of the OpenID provider where users log in."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from gateway.settings.section import InnerNetwork, Section
from gateway.tokens.client_authentication import CLIENT_ID_PATTERN


class UpstreamSettings(Section):
    """The OpenID provider where users log in at `/oauth2/authorize`. Off unless named.

    - `issuer`: exactly as the provider spells it.
    - `client_id`: ours there; its redirect URI is the public URL with ``/oauth2/callback``.
    - `client_secret_file`: holds the secret of that client (``client_secret_basic``); without it the client
      is public, and PKCE alone binds its codes.
    - `scopes`: asked for beside ``openid``.
    - `subject_prefix`: put before the provider's ``sub`` to make that of our tokens; it has a character that
      no client id has, such as the colon.
    - `networks`: private networks (``10.0.0.0/8``) in which the provider's host may be; by default it must
      have a public address.
    - `ca`: PEM file of further roots for such a host.
    - `max_logins_per_client`, `max_logins`: logins of one client, and in all, that may be under way; beyond
      them the client is told `temporarily_unavailable`. One that nobody finishes counts for ten minutes.
    """

    issuer: str | None = None
    client_id: str | None = Field(None, min_length=1)
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ()
    subject_prefix: str = Field("user:", max_length=64)
    networks: tuple[InnerNetwork, ...] = ()
    ca: Path | None = None
    max_logins_per_client: int = Field(10_000, ge=1, le=1_000_000)
    max_logins: int = Field(50_000, ge=1, le=10_000_000)

    @field_validator("issuer")
    @classmethod
    def _issuer_is_https(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("https://") or "?" in value or "#" in value):
            raise ValueError("an issuer is an https URL without query and fragment; copy the provider's own")
        return value

    @field_validator("subject_prefix")
    @classmethod
    def _prefix_is_no_clients(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable() or not value or CLIENT_ID_PATTERN.fullmatch(value):
            raise ValueError(
                'a user could be called as a client; write a prefix with a colon, such as "user:"'
            )
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.issuer is None) != (self.client_id is None):
            raise ValueError("issuer and client_id go together; set both or neither")
        if self.issuer is None and self.client_secret_file is not None:
            raise ValueError("client_secret_file goes with issuer and client_id; set them")
        if self.ca is not None and not self.networks:
            raise ValueError("ca is for a provider in networks of your own; name them")
        return self
