"""The PEM files of the listeners: where they are, what they hold, and what makes them unusable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.client_roots import ClientRoots
from gateway.pki import PkiError

MAX_FILE_SIZE: Final = 4 * 1024 * 1024
MIN_RSA_BITS: Final = 2048


class TlsFileError(Exception):
    """A certificate file of the listeners cannot be used. The message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the PEM files are: the chain of the listeners, its key, and the roots of client certificates."""

    certificate: Path
    private_key: Path
    client_ca: Path


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What the files hold, all PEM: a *chain* whose first certificate belongs to *key*, and *client_ca*."""

    chain: bytes
    key: bytes
    client_ca: bytes

    def __repr__(self) -> str:
        return "TlsMaterial(<redacted>)"


Signature: TypeAlias = tuple[tuple[int, int, int], ...]


def signature_of(files: TlsFiles) -> Signature:
    """What changes when a file does. Blocks. Raises `TlsFileError`.

    Symbolic links are followed, as secrets are mounted through them.
    """
    found = []
    for path in (files.certificate, files.private_key, files.client_ca):
        try:
            status = path.stat()
        except OSError as error:
            raise TlsFileError(f"{path}: {error.strerror}.") from error
        found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def read_material(files: TlsFiles) -> TlsMaterial:
    """Read and check the files. Blocks. Raises `TlsFileError`."""
    material = TlsMaterial(_read(files.certificate), _read(files.private_key), _read(files.client_ca))
    try:
        leaf = x509.load_pem_x509_certificates(material.chain)[0]
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TlsFileError(f"{files.certificate}: is not a PEM certificate chain.") from error
    try:
        private = load_pem_private_key(material.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TlsFileError(f"{files.private_key}: is not an unencrypted PEM private key.") from error
    if not isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise TlsFileError(f"{files.certificate}: TLS listeners need an EC or RSA key.")
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        raise TlsFileError(f"{files.certificate}: an RSA key needs at least {MIN_RSA_BITS} bits.")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != private.public_key().public_bytes(*form):
        raise TlsFileError(f"{files.certificate}: does not belong to the key in {files.private_key}.")
    try:
        ClientRoots(material.client_ca)
    except PkiError as error:
        raise TlsFileError(f"{files.client_ca}: {error}.") from error
    return material


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise TlsFileError(f"{path}: {error.strerror}.") from error
    if len(content) > MAX_FILE_SIZE:
        raise TlsFileError(f"{path}: is larger than {MAX_FILE_SIZE} bytes.")
    return content
