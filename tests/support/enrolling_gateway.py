"""A whole gateway that enrolls: over real TLS, with a CA, a minter and a responder, as files or in SoftHSM.

The OpenID provider is the one thing that is not there: its verifier is replaced by one with the key at hand.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gateway.jose.jwk import parse_jwk
from gateway.oidc.id_token import TokenRules
from gateway.oidc.verifier import IdTokenVerifier
from signers import Algorithm
from tests.support.acme import ca_key
from tests.support.dpop import Prover
from tests.support.enrollment import StaticProvider, signed
from tests.support.gateway import ADMIN, CALLERS, RunningGateway, make_key, running_gateway
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, Issued, pem
from tests.support.wire import TARGET, prover

BACKEND = "spiffe://example.org/backend"
OTHER = "spiffe://example.org/other-backend"
ISSUER = "https://idp.example.org"
URL = "https://ca.example.org/acme/wire"


class _RealClock:
    def __call__(self) -> float:
        return datetime.now(UTC).timestamp()


@dataclass(frozen=True)
class EnrollingGateway:
    """A running gateway, two backends of it, and the user's OpenID provider."""

    gateway: RunningGateway
    backend: Issued
    other: Issued
    root: x509.Certificate
    user: Prover

    def client(self, identity: Issued | None = None) -> Any:
        """A client of the gateway, as the backend."""
        return self.gateway.client(identity or self.backend)

    @property
    def admin(self) -> Issued:
        """The administrator."""
        return self.gateway.admin

    def id_token(self, url: str, keyauth: str, **changes: Any) -> str:
        """What the provider says of the user alice, for a challenge of the second generation."""
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": ISSUER,
            "aud": "wireapp",
            "sub": "alice",
            "iat": now,
            "exp": now + 600,
            "name": "Alice Smith",
            "preferred_username": "alice_wire@wire.com",
            "keyauth": keyauth,
            "acme_aud": url,
        }
        return signed(self.user, claims | changes)


@asynccontextmanager
async def enrolling_gateway(
    folder: Path, *, provisioner: Mapping[str, Any] | None = None, ca: str = "file", **options: Any
) -> AsyncIterator[EnrollingGateway]:
    """Serve until the end of the block; *options* are those of `prepare`, *ca* is ``file`` or ``softhsm``."""
    uris = {name: make_key(folder, name) for name in ("tokens", "minter", "ocsp")}
    root = Authority.root()
    (folder / "nonce.secret").write_bytes(bytes(range(32)))
    user = prover("ES256")
    provider = StaticProvider(
        _RealClock(),  # type: ignore[arg-type]  # A clock that only reads.
        parse_jwk(user.jwk),
        TokenRules(ISSUER, "wireapp", frozenset(), 10, None),
    )
    callers = [*CALLERS, *({"san_uri": uri, "roles": ["enroller"]} for uri in (BACKEND, OTHER))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IdTokenVerifier, "verify", lambda _, token: provider.verify(token))
        uris["ca"], public_key = await ca_key(folder, ca, Algorithm.ES256, patch)
        now = datetime.now(UTC).replace(microsecond=0)
        (folder / "chain.pem").write_bytes(pem(ca_certificate(public_key, root, now)))
        purposes = {
            "tokens": "tokens",
            "ca": "certificates",
            "minter": "client-access-tokens",
            "ocsp": "ocsp-responses",
        }
        sections: dict[str, Any] = {
            "keys": [
                {"purpose": purpose, "algorithm": Algorithm.ES256.value, "uri": uris[name]}
                for name, purpose in purposes.items()
            ],
            "enrollment": {"nonce_secrets": ["nonce.secret"], "client_token_target": TARGET},
            "provisioners": [
                {
                    "name": "wire",
                    "url": URL,
                    "chain": "chain.pem",
                    "challenges": ["wire-oidc-01", "wire-dpop-01"],
                    "domains": ["wire.com"],
                    "default_lifetime": 86_400,
                    "oidc_issuer": ISSUER,
                    "oidc_client_id": "wireapp",
                    "dpop_target": TARGET,
                }
                | dict(provisioner or {})
            ],
        }
        async with running_gateway(folder, callers=callers, **(sections | options)) as gateway:
            yield EnrollingGateway(
                gateway,
                gateway.root.leaf("backend", uris=(BACKEND,)),
                gateway.root.leaf("other", uris=(OTHER,)),
                root.certificate,
                user,
            )


__all__ = ["ADMIN", "EnrollingGateway", "enrolling_gateway"]
