"""What a development gateway needs and production never makes up: a CA, certificates, keys, callers.

Everything lies in one folder; what is there already is kept, so that a second start changes nothing. The CA
and the certificates are for this machine's loopback and for 30 days.
"""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.dids import DID_ALGORITHMS
from signers import Algorithm
from signers.key_files import generate_private_key, write_private_key

ISSUER: Final = "https://id.countersign.test"
RESOURCE: Final = "https://orders.countersign.test"
CLIENT_ID: Final = "orders-backend"
TRUST_DOMAIN: Final = "spiffe://countersign.test"
KEY_URI: Final = "file:keys/tokens.pem"
REQUEST_KEY_URI: Final = "file:keys/presentation-requests.pem"
LINKAGE_KEY_URI: Final = "file:keys/linked-domains.pem"
VERIFIER: Final = "demo"
TLS_ADDRESS: Final = "127.0.0.1:50051"
MTLS_ADDRESS: Final = "127.0.0.1:50052"
HTTPS_ADDRESS: Final = "127.0.0.1:8443"
HTTPS_MTLS_ADDRESS: Final = "127.0.0.1:8444"
_DEFAULT_KEYS: Final = (KEY_URI, REQUEST_KEY_URI, LINKAGE_KEY_URI)
_VALIDITY: Final = timedelta(days=30)
_RENEW_BEFORE: Final = timedelta(days=1)
_CALLERS: Final = ("admin", "orders-backend", "orders-api", "verifier")

_CONFIGURATION: Final = """\
# A development gateway. `countersign serve --config {name}` starts it again.
# Every field is explained in docs/operations.md.

[server]
tls_address = "{tls_address}"
mtls_address = "{mtls_address}"
https_address = "{https_address}"
https_mtls_address = "{https_mtls_address}"
certificate = "server.pem"
private_key = "server-key.pem"
client_ca = "ca.pem"

{edge}[store]
url = "sqlite:///countersign.db"

[tokens]
issuer = "{issuer}"
algorithm = "{algorithm}"

[[keys]]
purpose = "tokens"
algorithm = "{algorithm}"
uri = "{key_uri}"

{verifier_section}# May do everything.
[[callers]]
san_uri = "{trust_domain}/admin"
roles = ["admin"]

# May introspect tokens that are meant for it.
[[callers]]
san_uri = "{trust_domain}/orders-api"
roles = ["resource-server"]
resources = ["{resource}"]

# May ask wallets for credentials.
[[callers]]
san_uri = "{trust_domain}/verifier"
roles = ["verifier"]

[log]
format = "text"
"""

_VERIFIER_SECTION: Final = """\
[[keys]]
purpose = "presentation-requests"
algorithm = "{verifier_algorithm}"
uri = "{request_key_uri}"

[[keys]]
purpose = "linked-domains"
algorithm = "{verifier_algorithm}"
uri = "{linkage_key_uri}"

# Never in production: credentials of any issuer, from this machine too, and a page that asks for them.
[presentations]
algorithm = "{verifier_algorithm}"
loopback_names = ["localhost"]
loopback_ca = "ca.pem"
demo_page = true

[[verifiers]]
name = "{verifier}"
client_name = "Countersign development"
trusted_issuers = ["*"]

"""
_EXTRA: Final = ("jsonpath", "jsonschema", "re2", "segno")
"""What the extra ``presentations`` brings; without it a gateway with verifiers does not start."""


@dataclass(frozen=True, slots=True)
class DevelopmentKey:
    """The key that signs tokens, and those of the verifier; URIs are relative to the folder for ``file:``."""

    uri: str = KEY_URI
    request_uri: str = REQUEST_KEY_URI
    linkage_uri: str = LINKAGE_KEY_URI
    algorithm: Algorithm = Algorithm.ES256

    @property
    def verifier_algorithm(self) -> Algorithm:
        """Of the verifier's keys: the same where a DID may use it."""
        return self.algorithm if self.algorithm in DID_ALGORITHMS else Algorithm.ES256


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the listeners bind, ``host:port``."""

    tls: str = TLS_ADDRESS
    mtls: str = MTLS_ADDRESS
    https: str = HTTPS_ADDRESS
    https_mtls: str = HTTPS_MTLS_ADDRESS

    def edge_section(self) -> str:
        """The section that tells clients where the HTTPS edge is, where its ports are known beforehand."""
        named = (("public_url", self.https), ("mtls_public_url", self.https_mtls))
        lines = [
            f'{name} = "https://localhost:{port}"\n'
            for name, address in named
            if (port := address.rpartition(":")[2]) not in {"", "0"}
        ]
        return "".join(["[edge]\n", *lines, "\n"]) if lines else ""


def prepare(folder: Path, key: DevelopmentKey, addresses: Addresses) -> Path:
    """Make what is missing in *folder* and return the configuration file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _Authority.open(folder)
    authority.issue("server", server=True)
    for caller in _CALLERS:
        authority.issue(caller, server=False)
    _make_default_key(folder, key.uri, key.algorithm)
    _make_default_key(folder, key.request_uri, key.verifier_algorithm)
    _make_default_key(folder, key.linkage_uri, key.verifier_algorithm)
    configuration = folder / "countersign.toml"
    if not configuration.exists():
        text = _CONFIGURATION.format(
            name=configuration.name,
            tls_address=addresses.tls,
            mtls_address=addresses.mtls,
            https_address=addresses.https,
            https_mtls_address=addresses.https_mtls,
            edge=addresses.edge_section(),
            issuer=ISSUER,
            algorithm=key.algorithm.value,
            key_uri=key.uri,
            verifier_section=_verifier_section(key),
            trust_domain=TRUST_DOMAIN,
            resource=RESOURCE,
        )
        _write(configuration, text.encode(), private=False)
    return configuration


def _verifier_section(key: DevelopmentKey) -> str:
    """A verifier, where it can be served."""
    if not all(find_spec(name) for name in _EXTRA):
        return ""
    return _VERIFIER_SECTION.format(
        request_key_uri=key.request_uri,
        linkage_key_uri=key.linkage_uri,
        verifier_algorithm=key.verifier_algorithm.value,
        verifier=VERIFIER,
    )


class _Authority:
    """The development CA: ``ca.pem`` and ``ca-key.pem`` in the folder."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, folder: Path) -> "_Authority":
        certificate_file, key_file = folder / "ca.pem", folder / "ca-key.pem"
        if certificate_file.exists() and key_file.exists() and not _ends_soon(certificate_file):
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return cls(folder, x509.load_pem_x509_certificate(certificate_file.read_bytes()), key)
        made = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Countersign development CA")])
        certificate = (
            _builder(name, name, made)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(made, hashes.SHA256())
        )
        _write_key(key_file, made)
        _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), private=False)
        for leaf in ("server", *_CALLERS):
            (folder / f"{leaf}.pem").unlink(missing_ok=True)
        return cls(folder, certificate, made)

    def issue(self, name: str, *, server: bool) -> None:
        """Write ``NAME.pem`` and ``NAME-key.pem``, unless they are there and last."""
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        if certificate_file.exists() and key_file.exists() and not _ends_soon(certificate_file):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Countersign development"),
                x509.NameAttribute(NameOID.COMMON_NAME, "localhost" if server else name),
            ]
        )
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"{TRUST_DOMAIN}/{name}")]
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        if server:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            usage = ExtendedKeyUsageOID.SERVER_AUTH
        certificate = (
            _builder(subject, self._certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        _write_key(key_file, key)
        _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), private=False)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _ends_soon(certificate_file: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    return certificate.not_valid_after_utc - _RENEW_BEFORE < datetime.now(UTC)


def _make_default_key(folder: Path, uri: str, algorithm: Algorithm) -> None:
    """Make the key of *uri*, where it is one that this module named."""
    path = folder / uri.removeprefix("file:")
    if uri not in _DEFAULT_KEYS or path.exists():
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_private_key(path, generate_private_key(algorithm), None, key=path.name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, pem, private=True)


def _write(path: Path, data: bytes, *, private: bool) -> None:
    """Replace *path* as a whole; a start that is killed leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
