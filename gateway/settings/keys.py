"""Signing keys: those known at start, those that replace themselves, and PKCS#11 tokens."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.keys.model import KeyPurpose
from gateway.settings.section import Section
from signers import Algorithm


class KeySettings(Section):
    """A key that the gateway must know at start.

    - `purpose`: what it signs; ``tokens`` for access tokens.
    - `algorithm`: its JOSE name; a key has one.
    - `uri`: ``file:keys/tokens.pem``, ``pkcs11:token=…;object=…?module-path=…&pin-source=file:…``, or one of
      a service (docs/kms.md).
    - `public_key_sha256`: SHA-256 of the SubjectPublicKeyInfo in hex; a mismatch stops the start.
    - `certificate`: PEM file whose public key must be this key's; a mismatch stops the start.
    """

    purpose: KeyPurpose
    algorithm: Algorithm
    uri: str
    public_key_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    certificate: Path | None = None


class RotationSettings(Section):
    """Keys of one purpose and algorithm that replace themselves.

    - `purpose`, `algorithm`: which.
    - `period`: seconds that a key signs. Its successor is made and published a quarter of that before, and at
      least `tokens.jwks_max_age`.
    - `uri`: where a successor is made, with ``{after}`` for 16 hex digits that follow from the key before it:
      ``pkcs11:token=prod;object=tokens-{after}``, ``file:keys/tokens-{after}.pem``.
    - `delegated`: the successor is certified by the active key of purpose ``delegation``; `uri` is a file.
    """

    purpose: KeyPurpose
    algorithm: Algorithm
    period: int = Field(ge=60, le=10 * 366 * 86_400)
    uri: str
    delegated: bool = False

    @model_validator(mode="after")
    def _makes_names(self) -> Self:
        if self.purpose is KeyPurpose.CERTIFICATES and not self.delegated:
            raise ValueError(
                "delegated: a CA needs a certificate before it can issue; set it to true, so that the key of "
                "purpose delegation certifies each successor, or make them with `countersign keys create`"
            )
        if "{after}" not in self.uri:
            raise ValueError("uri: put {after} where each key's name differs from the one before")
        if self.delegated and not self.uri.startswith("file:"):
            raise ValueError("uri: a delegated key lives in a file; name a private directory, file:/run/…")
        if self.delegated and self.purpose is KeyPurpose.DELEGATION:
            raise ValueError("purpose: a key that certifies others is not itself delegated")
        return self


class Pkcs11Settings(Section):
    """How PKCS#11 tokens are used.

    - `module_path`: the PKCS#11 library for key URIs without ``module-path``; absolute.
    - `sessions`: signing sessions per token and worker; lowered to what the token allows.
    - `queue`: signatures that may wait before callers are told SIGNER_BUSY.
    - `sign_timeout`: seconds after which a signature is given up.
    - `keep_alive`: seconds between uses of a login that nobody else uses, because devices close what is idle;
      0 leaves it alone.
    - `read_write_sessions`: for tokens that open no read-only session (AWS CloudHSM).
    - `isolation`: keep the module in a signer process of its own, one per token and worker, which is replaced
      when it crashes or hangs.
    """

    module_path: Path | None = None
    sessions: int = Field(4, ge=1, le=256)
    queue: int = Field(1_024, ge=1, le=1_000_000)
    sign_timeout: float = Field(10.0, gt=0, le=300)
    keep_alive: float = Field(20.0, ge=0, le=86_400)
    read_write_sessions: bool = False
    isolation: bool = True
