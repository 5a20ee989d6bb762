"""Both sides of a measured enrollment: the gateway's use cases as they are wired, and whoever enrolls.

The gateway is its configuration, its SQLite database, and keys in files. Its OpenID provider is in memory: a
network would be measured along with it.
"""

import base64
import gc
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from bench.certificates import ADMIN, SERVER, Authority, spiffe_id, write_private_key
from bench.facts import ISSUER
from gateway.application import load_roots, open_application
from gateway.config import load
from gateway.enrollment.core import Enrollment
from gateway.enrollment.minter import ClientTokenMinter
from gateway.fetching import DnsResolver, FetchPolicy, FetchRequest, GuardedClient
from gateway.fetching.message import Fetched
from gateway.wiring.enrollment import enrollment_of
from signers.jose_form import public_jwk, thumbprint

IDP: Final = "https://idp.example.org"
PROVISIONER: Final = "wire"
URL: Final = f"https://ca.example.org/acme/{PROVISIONER}"
DOMAIN: Final = "wire.example.org"
HANDLE: Final = "alice"
NAME: Final = "Alice Smith"
TARGET: Final = "https://wire.example.org/clients/{device}/access-token"
SHA256: Final = ec.ECDSA(hashes.SHA256())
DISPLAY_NAME: Final = x509.ObjectIdentifier("2.16.840.1.113730.3.1.241")
_ANY: Final = FetchPolicy()
_USER: Final = "KPrqV67URCOHFKk4yKIXZQ"


class Party:
    """Whoever signs: a P-256 key."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwk: Mapping[str, Any] = public_jwk(self.key.public_key())
        self.thumbprint = thumbprint(self.key.public_key())

    def jws(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """A compact JWS by ES256."""
        return self.signed(header, payload)[0]

    def signed(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> tuple[str, bytes, bytes]:
        """A compact JWS by ES256, with the octets that were signed and their signature in DER."""
        message = f"{_encoded(_json({'alg': 'ES256', **header}))}.{_encoded(_json(payload))}"
        signature = self.key.sign(message.encode(), SHA256)
        r, s = decode_dss_signature(signature)
        compact = f"{message}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        return compact, message.encode(), signature


@dataclass(frozen=True, slots=True)
class Device:
    """A device of one user, by number."""

    number: int

    @property
    def client_id(self) -> str:
        """As Wire names it."""
        return f"wireapp://{_USER}!{self.number:x}@{DOMAIN}"

    @property
    def handle(self) -> str:
        """Its user."""
        return f"wireapp://%40{HANDLE}@{DOMAIN}"

    def identifiers(self) -> list[tuple[str, str]]:
        """Of its order."""
        user = {"name": NAME, "domain": DOMAIN, "handle": self.handle}
        device = user | {"client-id": self.client_id}
        return [("wireapp-device", json.dumps(device)), ("wireapp-user", json.dumps(user))]

    def proof(self, account: Party, *, nonce: str, challenge: str, audience: str) -> str:
        """Its DPoP proof."""
        return account.jws(*self.proof_parts(account, nonce=nonce, challenge=challenge, audience=audience))

    def proof_parts(
        self, account: Party, *, nonce: str, challenge: str, audience: str
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Header and claims of its DPoP proof."""
        now = int(time.time())
        claims = {
            "iat": now - 3600,
            "nbf": now - 3600,
            "exp": now + 290,
            "sub": self.client_id,
            "jti": str(uuid.uuid4()),
            "nonce": nonce,
            "htm": "POST",
            "htu": TARGET.replace("{device}", f"{self.number:x}"),
            "chal": challenge,
            "handle": self.handle,
            "name": NAME,
            "aud": audience,
        }
        return {"typ": "dpop+jwt", "jwk": account.jwk}, claims

    def request(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Its certification request, DER."""
        subject = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, DOMAIN)]
        subject += [x509.NameAttribute(DISPLAY_NAME, NAME)]
        uris = [x509.UniformResourceIdentifier(uri) for uri in (self.client_id, self.handle)]
        builder = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name(subject))
            .add_extension(x509.SubjectAlternativeName(uris), critical=False)
        )
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


class Provider(GuardedClient):
    """The users' OpenID provider, and the way to it: it answers for its two documents without a network."""

    def __init__(self) -> None:
        super().__init__(DnsResolver())
        self.party = Party()
        self._documents: Mapping[str, Mapping[str, Any]] = {
            f"{IDP}/.well-known/openid-configuration": {
                "issuer": IDP,
                "authorization_endpoint": f"{IDP}/authorize",
                "token_endpoint": f"{IDP}/token",
                "jwks_uri": f"{IDP}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            },
            f"{IDP}/jwks": {"keys": [{**self.party.jwk, "kid": "1", "alg": "ES256", "use": "sig"}]},
        }

    async def fetch(self, request: FetchRequest, policy: FetchPolicy = _ANY) -> Fetched:
        """See `GuardedClient.fetch`."""
        del policy
        body = _json(self._documents[request.url])
        return Fetched(200, {"content-type": "application/json"}, body, request.url)

    def id_token(self, *, key_authorization: str, audience: str) -> str:
        """What it says of the user who has logged in."""
        return self.party.jws(*id_token_parts(key_authorization=key_authorization, audience=audience))


def id_token_parts(*, key_authorization: str, audience: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims of an ID token."""
    now = int(time.time())
    claims = {
        "iss": IDP,
        "aud": "wireapp",
        "sub": HANDLE,
        "iat": now,
        "exp": now + 300,
        "name": NAME,
        "preferred_username": f"{HANDLE}@{DOMAIN}",
        "keyauth": key_authorization,
        "acme_aud": audience,
    }
    return {"kid": "1"}, claims


@dataclass(frozen=True, slots=True)
class Gateway:
    """What is measured."""

    enrollment: Enrollment
    minter: ClientTokenMinter
    provider: Provider


@asynccontextmanager
async def open_gateway(folder: Path) -> AsyncIterator[Gateway]:
    """The use cases with a configuration, a database and keys in *folder*."""
    config = _configure(folder)
    settings, provider = load(config), Provider()
    async with open_application(settings, load_roots(settings), migrate=True) as application:
        enrollment = enrollment_of(
            settings, application.store, application.keyring, provider, DnsResolver(), time.time
        )
        if enrollment is None or application.client_tokens is None:
            raise RuntimeError("the configuration enrolls nobody")
        # As a worker does before it serves: what was loaded so far is not looked at again.
        gc.collect()
        gc.freeze()
        yield Gateway(enrollment, application.client_tokens, provider)


def _configure(folder: Path) -> Path:
    for name in ("tokens", "issuing", "minter", "ocsp"):
        write_private_key(folder / f"{name}.pem", key := ec.generate_private_key(ec.SECP256R1()))
        if name == "issuing":
            (folder / "chain.pem").write_bytes(issuing_chain(key.public_key()))
    (folder / "nonce.secret").write_bytes(os.urandom(32))
    server = Authority(folder).issue(SERVER)
    quote = json.dumps  # A JSON string is a TOML basic string.
    keys = {
        "tokens": "tokens",
        "certificates": "issuing",
        "client-access-tokens": "minter",
        "ocsp-responses": "ocsp",
    }
    config = folder / "countersign.toml"
    config.write_text(
        f"""\
[server]
certificate = {quote(str(server.certificate))}
private_key = {quote(str(server.private_key))}
client_ca = {quote(str(server.authority))}

[store]
url = "sqlite:///countersign.db"

[tokens]
issuer = {quote(ISSUER)}
algorithm = "ES256"

[enrollment]
nonce_secrets = ["nonce.secret"]
client_token_target = {quote(TARGET)}

[[callers]]
san_uri = {quote(spiffe_id(ADMIN))}
roles = ["admin"]

[[provisioners]]
name = {quote(PROVISIONER)}
url = {quote(URL)}
chain = "chain.pem"
challenges = ["wire-oidc-01", "wire-dpop-01"]
domains = [{quote(DOMAIN)}]
oidc_issuer = {quote(IDP)}
oidc_client_id = "wireapp"
dpop_target = {quote(TARGET)}
"""
        + "".join(
            f'\n[[keys]]\npurpose = {quote(purpose)}\nalgorithm = "ES256"\nuri = "file:{name}.pem"\n'
            for purpose, name in keys.items()
        )
    )
    return config


def issuing_chain(key: ec.EllipticCurvePublicKey) -> bytes:
    """The certificate of the issuing CA with *key*, by a root that is then forgotten; PEM."""
    root = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name("Bench issuing CA"))
        .issuer_name(_name("Bench root"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
    )
    return builder.sign(root, hashes.SHA256()).public_bytes(Encoding.PEM)


_CA_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(members), separators=(",", ":")).encode()


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
