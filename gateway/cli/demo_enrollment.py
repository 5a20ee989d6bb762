"""The demo's second story: a device is enrolled, and its certificate shown, asked about and revoked.

The gateway runs in this process, because only whoever composes it may let it reach the demo's OpenID provider
on loopback; everybody speaks to it over gRPC with mutual TLS, and the user logs in through the authorization
code flow with PKCE.
"""

import asyncio
import logging
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import parse_qsl, urlsplit

from countersign import DeviceKey, GatewayClient, WireDevice
from countersign.v1 import enrollment_service_pb2 as pb
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.cli.demo_provider import DemoProvider
from gateway.cli.development import TRUST_DOMAIN, Addresses, DevelopmentKey, prepare
from gateway.cli.storytelling import Stage, client_of, expect, say
from gateway.clock import system_clock
from gateway.config import load
from gateway.fetching import DangerousLoopbackDoor, DnsResolver, GuardedClient
from gateway.oidc import LoginWishes, Provider, ProviderConfig, PublicClient, RelyingParty
from gateway.server import open_server
from gateway.store import upgrade
from gateway.telemetry.access_log import AccessRecord
from gateway.wiring.store import store_options, store_url
from signers import Algorithm, PublicKey
from signers.key_files import generate_private_key, write_private_key
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry

_CALLBACK: Final = "https://app.countersign.test/callback"
_APP: Final = "demo-app"
_DOMAIN: Final = "countersign.test"
_ANY_PORTS: Final = Addresses("127.0.0.1:0", "127.0.0.1:0", "", "")
_ALICE: Final = {"sub": "alice", "name": "Alice Smith", "preferred_username": f"alice@{_DOMAIN}"}
_DEVICE: Final = WireDevice(
    client_id=f"wireapp://KPrqV67URCOHFKk4yKIXZQ!84cdc209f1eaaa5e@{_DOMAIN}",
    handle="alice",
    display_name=_ALICE["name"],
    domain=_DOMAIN,
)

_SECTIONS: Final = """
[enrollment]
nonce_secrets = ["nonce.secret"]
client_token_target = "{target}"

[[keys]]
purpose = "certificates"
algorithm = "ES256"
uri = "{issuing}"

[[keys]]
purpose = "client-access-tokens"
algorithm = "ES256"
uri = "file:keys/minter.pem"

[[keys]]
purpose = "ocsp-responses"
algorithm = "ES256"
uri = "file:keys/ocsp.pem"

[[callers]]
san_uri = "{trust_domain}/orders-backend"
roles = ["enroller"]

[[provisioners]]
name = "wire"
url = "https://ca.countersign.test/acme/wire"
chain = "issuing-ca.pem"
challenges = ["wire-oidc-01", "wire-dpop-01"]
domains = ["{domain}"]
oidc_issuer = "{issuer}"
oidc_client_id = "{app}"
dpop_target = "{target}"
"""


class _NoLog:
    """An access log for a story that tells everything itself."""

    def record(self, record: AccessRecord) -> None:
        """Drop *record*."""


async def tell(folder: Path, stage: Stage) -> None:
    """Enroll a device at a gateway in *folder*. Raises `DemoFailedError`, `CountersignError`."""
    os.environ.update(stage.environment)
    # Its warnings about the loopback door are meant for gateways that serve somebody.
    logging.getLogger("gateway.fetching").setLevel(logging.ERROR)
    configuration = prepare(folder, DevelopmentKey(), _ANY_PORTS)
    with DemoProvider(folder, client_id=_APP, redirect_uri=_CALLBACK, user=_ALICE) as provider:
        root = await _configure(folder, configuration, provider, stage.issuing_key)
        settings = load(configuration)
        await upgrade(store_url(settings), options=store_options(settings))
        door = DangerousLoopbackDoor(frozenset({"localhost"}), (folder / "ca.pem").read_text())
        reaching = partial(GuardedClient, door=door)
        async with open_server(settings, _NoLog(), guarded_client=reaching) as server:
            tls, mtls = (f"localhost:{port}" for port in (server.ports.tls, server.ports.mtls))
            async with client_of(folder, "orders-backend", tls, mtls) as backend:
                await _story(backend, _Browser(provider, folder / "ca.pem", reaching), root)


async def _story(backend: GatewayClient, browser: "_Browser", root: x509.Certificate) -> None:
    async def login(challenge: pb.Challenge, key_authorization: str) -> str:
        say("7. the device proves its key (DPoP)", "access token minted and accepted")
        token = await browser.log_in({"keyauth": key_authorization, "acme_aud": challenge.url})
        say("8. Alice logs in (OpenID, code and PKCE)", "ID token for this key and challenge")
        return token

    account_key, certificate_key = DeviceKey.generate(), DeviceKey.generate()
    issued = await backend.enroll_wire_device(
        "wire", _DEVICE, account_key=account_key, certificate_key=certificate_key, login=login
    )
    leaf, issuer = x509.load_pem_x509_certificates(issued.chain_pem)
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(root)
    say("9. the device has its certificate", f"until {leaf.not_valid_after_utc:%d %B %Y}")
    _show(leaf)
    question = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
    status = await _status(backend, question)
    expect(status is ocsp.OCSPCertStatus.GOOD, "a good certificate")
    say("10. ask about it (OCSP)", "good")
    account = issued.name.partition("/certificates/")[0]
    await backend.revoke_certificate(
        account=account, certificate_der=issued.certificate_der, reason=pb.REVOCATION_REASON_SUPERSEDED
    )
    say("11. revoke it", "done")
    status = await _status(backend, question)
    expect(status is ocsp.OCSPCertStatus.REVOKED, "a revoked certificate")
    say("12. ask again", "revoked")


async def _status(backend: GatewayClient, question: ocsp.OCSPRequest) -> ocsp.OCSPCertStatus:
    answer = await backend.get_ocsp_response(question.public_bytes(Encoding.DER))
    return ocsp.load_der_ocsp_response(answer).certificate_status


def _show(leaf: x509.Certificate) -> None:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    print(f"     issuer  {leaf.issuer.rfc4514_string()}")
    print(f"     subject {leaf.subject.rfc4514_string()}")
    for name in names:
        print(f"     URI     {name.value}")
    print(f"     serial  {leaf.serial_number:x}")


async def _configure(
    folder: Path, configuration: Path, provider: DemoProvider, issuing_key: str | None
) -> x509.Certificate:
    """Add enrollment to the development configuration; the root of the CA's chain."""
    for name in ("minter", "ocsp", *(() if issuing_key else ("issuing",))):
        path = folder / "keys" / f"{name}.pem"
        write_private_key(path, generate_private_key(Algorithm.ES256), None, key=name)
    (folder / "nonce.secret").write_bytes(os.urandom(32))
    issuing = issuing_key or "file:keys/issuing.pem"
    async with SignerRegistry(base_dir=folder, pkcs11=Pkcs11Options()) as registry:
        signer = await registry.open(issuing, Algorithm.ES256)
        root, chain = _chain(signer.public_key)
    (folder / "issuing-ca.pem").write_bytes(chain.public_bytes(Encoding.PEM))
    with configuration.open("a") as file:
        file.write(
            _SECTIONS.format(
                issuing=issuing,
                issuer=provider.issuer,
                app=_APP,
                domain=_DOMAIN,
                target="https://" + _DOMAIN + "/clients/{device}/access-token",
                trust_domain=TRUST_DOMAIN,
            )
        )
    return root


def _chain(key: PublicKey) -> tuple[x509.Certificate, x509.Certificate]:
    """A root whose key is forgotten at once, and the certificate of the issuing CA with *key* below it."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Countersign demo root")
    root = _ca(name, name, root_key.public_key(), root_key)
    return root, _ca(_name("Countersign demo CA"), name, key, root_key)


def _ca(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, signing: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    path_length = 1 if subject == issuer else 0
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        .sign(signing, hashes.SHA256())
    )


_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class _Browser:
    """Alice's browser and her device's app, as a client of the OpenID provider."""

    def __init__(self, provider: DemoProvider, ca: Path, reaching: Any) -> None:
        self._tls = ssl.create_default_context(cafile=ca)
        config = ProviderConfig(provider.issuer, _APP)
        known = Provider(config, client=reaching(DnsResolver()), clock=system_clock)
        self._party = RelyingParty(known, authentication=PublicClient(), clock=system_clock)

    async def log_in(self, claims: Mapping[str, str]) -> str:
        """An ID token with *claims*."""
        wanted = {name: {"essential": True, "value": value} for name, value in claims.items()}
        url, pending = await self._party.begin(
            _CALLBACK, LoginWishes(scopes=("profile",), claims={"id_token": wanted})
        )
        location = await asyncio.to_thread(self._open, url)
        login = await self._party.finish(parse_qsl(urlsplit(location).query), pending)
        return login.tokens.id_token

    def _open(self, url: str) -> str:
        """Where the provider sends the browser: the app's callback, which is not fetched."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls), _Stay()
        )
        try:
            opener.open(url, timeout=10).close()
        except urllib.error.HTTPError as answer:
            return answer.headers.get("location", "")
        return ""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow nothing."""
