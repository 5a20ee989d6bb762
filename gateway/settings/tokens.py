"""How tokens are minted, and who else may say who a user is."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from gateway.proofs.target_uri import Origins, TargetUriError
from gateway.settings.section import Issuer, Section
from signers import Algorithm


class TokenSettings(Section):
    """How access tokens are minted.

    - `issuer`: the ``iss`` of every token, and the audience of client assertions and of tokens for the
      gateway's own API.
    - `algorithm`: the default signing algorithm; a key with purpose ``tokens`` must have it.
    - `lifetime`, `max_lifetime`: seconds; a client may ask for its own up to the maximum.
    - `clock_skew`: seconds that another party's clock may be ahead.
    - `assertion_max_lifetime`: the furthest ``exp`` of a client assertion, in seconds from now.
    - `assertion_audiences`: further ``aud`` values accepted in client assertions beside the issuer
      (RFC 7523 §3); empty is the strict default.
    - `assertion_algorithms`: what client assertions may be signed with.
    - `introspection_algorithm`: what signed introspection responses are signed with for clients that are
      registered without one; a key with purpose ``introspection`` must have it.
    - `code_lifetime`, `pushed_request_lifetime`: seconds for which an authorization code, and a pushed
      authorization request, can be used.
    - `refresh_idle_lifetime`, `refresh_lifetime`: seconds after which a refresh token expires that was not
      used, and after which it expires in any case.
    - `refresh_grace`: seconds for which a rotated refresh token still gives its successor, for clients that
      lost the answer; 0 takes any second use for theft.
    - `refresh_grace_uses`: how often it does.
    - `origins`: the public origins at which clients reach the gateway, as they write them
      (``https://id.example.org:50052``); a DPoP proof must name one. Empty means the issuer's origin.
    - `dpop_algorithms`: what DPoP proofs may be signed with.
    - `dpop_window`: seconds for which a DPoP proof is accepted after its ``iat``.
    - `dpop_nonce`: whether DPoP proofs carry nonces of this server (RFC 9449 §8): ``off``, ``accepted`` or
      ``required``.
    - `dpop_nonce_secrets`: files with at least 32 random bytes each, the same on every replica; the first
      makes nonces, all of them verify.
    - `jwks_max_age`: seconds that a verifier may keep the key set; a new key is published at least this long
      before it signs.
    """

    issuer: Issuer
    algorithm: Algorithm = Algorithm.ES256
    lifetime: int = Field(600, ge=1, le=86_400)
    max_lifetime: int = Field(3_600, ge=1, le=86_400)
    clock_skew: int = Field(10, ge=0, le=60)
    assertion_max_lifetime: int = Field(300, ge=10, le=3_600)
    assertion_audiences: tuple[str, ...] = ()
    assertion_algorithms: tuple[Algorithm, ...] = (
        Algorithm.ES256,
        Algorithm.ES384,
        Algorithm.EDDSA,
        Algorithm.PS256,
    )
    jwks_max_age: int = Field(300, ge=1, le=86_400)
    introspection_algorithm: Algorithm = Algorithm.ES256
    code_lifetime: int = Field(60, ge=1, le=60)
    pushed_request_lifetime: int = Field(90, ge=1, le=599)
    refresh_idle_lifetime: int = Field(14 * 86_400, ge=60, le=366 * 86_400)
    refresh_lifetime: int = Field(90 * 86_400, ge=60, le=366 * 86_400)
    refresh_grace: int = Field(10, ge=0, le=300)
    refresh_grace_uses: int = Field(64, ge=1, le=1_000)
    origins: tuple[str, ...] = ()
    dpop_algorithms: tuple[Algorithm, ...] = Field(
        (Algorithm.ES256, Algorithm.ES384, Algorithm.EDDSA, Algorithm.PS256), min_length=1
    )
    dpop_window: int = Field(60, ge=1, le=300)
    dpop_nonce: Literal["off", "accepted", "required"] = "off"
    dpop_nonce_secrets: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _lifetimes_agree(self) -> Self:
        if self.lifetime > self.max_lifetime:
            raise ValueError("lifetime exceeds max_lifetime; raise the latter or lower the former")
        return self

    @model_validator(mode="after")
    def _nonces_have_secrets(self) -> Self:
        if (self.dpop_nonce == "off") != (not self.dpop_nonce_secrets):
            raise ValueError("dpop_nonce and dpop_nonce_secrets go together; set both or neither")
        return self

    @model_validator(mode="after")
    def _origins_are_origins(self) -> Self:
        try:
            self.public_origins()
        except TargetUriError as error:
            raise ValueError(f"origins: {error}; write https://host or https://host:port") from error
        return self

    @property
    def issuer_origin(self) -> str:
        """The origin of the issuer."""
        issuer = urlsplit(self.issuer)
        return f"{issuer.scheme}://{issuer.netloc}"

    def public_origins(self) -> Origins:
        """Where clients reach the gateway over gRPC. Raises `TargetUriError`."""
        return Origins.parse(self.origins or (self.issuer_origin,))


class TrustedIssuerSettings(Section):
    """An issuer whose assertions stand for users (RFC 7523 §2.1).

    - `issuer`: its ``iss``, compared exactly.
    - `jwks`: a file with its public keys as a JWK Set.
    - `algorithms`: what it may sign with.
    - `subject_prefix`: put before every ``sub`` of it, so that no two issuers name one user; may be empty.
    - `clients`: the client ids that may present its assertions; empty for every client with the grant.
    - `max_lifetime`: how many seconds ahead ``exp`` may be.
    """

    issuer: str = Field(min_length=1)
    jwks: Path
    algorithms: tuple[Algorithm, ...] = Field(
        (Algorithm.ES256, Algorithm.ES384, Algorithm.EDDSA, Algorithm.PS256), min_length=1
    )
    subject_prefix: str
    clients: tuple[str, ...] = ()
    max_lifetime: int = Field(300, ge=10, le=3_600)
