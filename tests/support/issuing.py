"""An issuing CA over real signers, for tests, with any fault in its certificate."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.pki.issuing_ca import IssuingCa
from signers import Algorithm, PublicKey, Signer
from signers.key_files import PrivateKey, generate_private_key
from signers.registry import SignerRegistry
from tests.support.pki import Authority, common_name, pem

DAY = timedelta(days=1)
X509_ALGORITHMS = [algorithm for algorithm in Algorithm if algorithm is not Algorithm.ES256K]


@cache
def private_key(algorithm: Algorithm, number: int = 0) -> PrivateKey:
    """One key per algorithm and *number*, made once: RSA keys take long."""
    return generate_private_key(algorithm)


def ca_certificate(
    public_key: PublicKey,
    issuer: Authority,
    now: datetime,
    *,
    name: str = "Test Issuing",
    ca: bool | None = True,
    critical: bool = True,
    path_length: int | None = 0,
    key_cert_sign: bool = True,
    crl_sign: bool = True,
    key_identifier: bool = True,
    authority_key: bytes | None = None,
    constraints: x509.NameConstraints | None = None,
    life: tuple[timedelta, timedelta] = (-DAY, 30 * DAY),
) -> x509.Certificate:
    """A CA certificate from *issuer* for *public_key*, which may be a signer's; each option is one fault."""
    authority_key = authority_key or x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key()).digest
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(name))
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + life[0])
        .not_valid_after(now + life[1])
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, key_cert_sign, crl_sign, False, False),
            critical=True,
        )
        .add_extension(x509.AuthorityKeyIdentifier(authority_key, None, None), critical=False)
    )
    if ca is not None:
        basic = x509.BasicConstraints(ca, path_length if ca else None)
        builder = builder.add_extension(basic, critical=critical)
    if key_identifier:
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        builder = builder.add_extension(identifier, critical=False)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(issuer.key, hashes.SHA256())


@dataclass
class Lab:
    """Signers from key files in *folder*, and CAs below one root."""

    registry: SignerRegistry
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    root: Authority = field(default_factory=Authority.root)

    async def signer(self, algorithm: Algorithm = Algorithm.ES256, number: int = 0) -> Signer:
        """A signer over a key file."""
        path = self.folder / f"{algorithm}-{number}.pem"
        path.touch(mode=0o600)
        path.write_bytes(
            private_key(algorithm, number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return await self.registry.open(f"file:{path}", algorithm)

    def chain(self, signer: Signer, **faults: Any) -> bytes:
        """The PEM of a CA certificate for *signer* and of the root."""
        return pem(ca_certificate(signer.public_key, self.root, self.now, **faults), self.root.certificate)

    def open(self, signer: Signer, **faults: Any) -> IssuingCa:
        """The CA of *signer*."""
        return IssuingCa.open(self.chain(signer, **faults), signer, self.now)

    async def ca(self, algorithm: Algorithm = Algorithm.ES256, **faults: Any) -> IssuingCa:
        """A CA over a key file."""
        return self.open(await self.signer(algorithm), **faults)

    def write(self, name: str, content: bytes) -> Path:
        """A file for a tool to read."""
        path = self.folder / name
        path.write_bytes(content)
        return path


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A registry and a folder of the test's own."""
    async with SignerRegistry() as registry:
        yield Lab(registry, tmp_path)
