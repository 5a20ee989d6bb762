"""A small certificate authority for tests: root, intermediates, and leaves with any fault asked for.

root = Authority.root("Test Root")
issuing = root.intermediate("Test Issuing")
alice = issuing.leaf("alice", uris=("spiffe://example.org/alice",))
alice.certificate, alice.key, alice.pem, alice.chain_pem, alice.key_pem
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH

_DAY = timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key: TLS accepts it everywhere, and it is quick to make."""
    return ec.generate_private_key(ec.SECP256R1())


def common_name(name: str) -> x509.Name:
    """A subject of one RDN, ``CN=name``."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem(*certificates: x509.Certificate) -> bytes:
    """*certificates* as one PEM bundle, in order."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


@dataclass(frozen=True)
class Issued:
    """A certificate, its private key, and the intermediates between it and the root (leaf's issuer first)."""

    certificate: x509.Certificate
    key: PrivateKey
    intermediates: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate alone, DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate alone, PEM."""
        return pem(self.certificate)

    @property
    def chain_pem(self) -> bytes:
        """What a TLS peer presents: the certificate, then the intermediates, never the root."""
        return pem(self.certificate, *self.intermediates)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS#8 PEM without encryption."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write ``name.pem`` (the chain) and ``name.key`` (mode 0600); returns both paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.chain_pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return certificate, key


def _sans(
    dns: Iterable[str], uris: Iterable[str], ips: Iterable[str], emails: Iterable[str]
) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(each) for each in dns),
        *(x509.UniformResourceIdentifier(each) for each in uris),
        *(x509.IPAddress(ipaddress.ip_address(each)) for each in ips),
        *(x509.RFC822Name(each) for each in emails),
    ]


def issue(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    issuer_key: PrivateKey,
    *,
    ca: bool | None = False,
    path_length: int | None = None,
    sans: Sequence[x509.GeneralName] = (),
    extended_key_usage: Sequence[x509.ObjectIdentifier] = (),
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> x509.Certificate:
    """Sign one certificate. *ca* None leaves BasicConstraints out; empty lists leave their extension out."""
    now = datetime.now(tz=UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - _DAY)
        .not_valid_after(not_after or now + 30 * _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=bool(ca),
                crl_sign=bool(ca),
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=not list(subject))
    if extended_key_usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended_key_usage), critical=False)
    algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, algorithm)


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its own certificate and key, and the path up to (not including) the root."""

    certificate: x509.Certificate
    key: PrivateKey
    path: tuple[x509.Certificate, ...] = field(default=())

    @classmethod
    def root(
        cls, name: str = "Test Root", *, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> "Authority":
        """A self-signed root."""
        key = new_key()
        subject = common_name(name)
        return cls(
            issue(subject, subject, key, key, ca=True, not_before=not_before, not_after=not_after), key
        )

    @property
    def pem(self) -> bytes:
        """The authority's own certificate, PEM."""
        return pem(self.certificate)

    def intermediate(
        self,
        name: str = "Test Issuing",
        *,
        path_length: int | None = 0,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> "Authority":
        """An authority below this one."""
        key = new_key()
        certificate = issue(
            common_name(name),
            self.certificate.subject,
            key,
            self.key,
            ca=True,
            path_length=path_length,
            not_before=not_before,
            not_after=not_after,
        )
        return Authority(certificate, key, (certificate, *self.path))

    def leaf(
        self,
        name: str | None = None,
        *,
        subject: x509.Name | None = None,
        dns: Iterable[str] = (),
        uris: Iterable[str] = (),
        ips: Iterable[str] = (),
        emails: Iterable[str] = (),
        extended_key_usage: Sequence[x509.ObjectIdentifier] = (CLIENT_AUTH,),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        ca: bool | None = False,
        key: PrivateKey | None = None,
    ) -> Issued:
        """A certificate for *subject* (or ``CN=name``; both None: an empty subject)."""
        key = key or new_key()
        certificate = issue(
            subject if subject is not None else common_name(name) if name else x509.Name([]),
            self.certificate.subject,
            key,
            self.key,
            ca=ca,
            sans=_sans(dns, uris, ips, emails),
            extended_key_usage=extended_key_usage,
            not_before=not_before,
            not_after=not_after,
        )
        return Issued(certificate, key, self.path)

    def server(self, name: str = "localhost", *, ips: Iterable[str] = ("127.0.0.1",)) -> Issued:
        """A TLS server's certificate for DNS *name* and *ips*."""
        return self.leaf(name, dns=(name,), ips=ips, extended_key_usage=(SERVER_AUTH,))


def self_signed(
    name: str,
    *,
    subject: x509.Name | None = None,
    ca: bool | None = False,
    dns: Iterable[str] = (),
    uris: Iterable[str] = (),
    extended_key_usage: Sequence[x509.ObjectIdentifier] = (CLIENT_AUTH,),
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    key: PrivateKey | None = None,
) -> Issued:
    """A certificate signed by its own key, as `self_signed_tls_client_auth` registers (RFC 8705 §2.2).

    With *ca* True it is what a plain ``openssl req -x509`` makes, and can mint leaves: see `as_authority`.
    """
    key = key or new_key()
    named = subject if subject is not None else common_name(name)
    return Issued(
        issue(
            named,
            named,
            key,
            key,
            ca=ca,
            sans=_sans(dns, uris, (), ()),
            extended_key_usage=extended_key_usage,
            not_before=not_before,
            not_after=not_after,
        ),
        key,
    )


def as_authority(issued: Issued) -> Authority:
    """Misuse *issued* as an authority, the way an attacker would; its leaves present it as intermediate."""
    return Authority(issued.certificate, issued.key, (issued.certificate, *issued.intermediates))
