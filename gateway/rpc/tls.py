"""Certificates of the listeners, read again when their files change, without a restart.

A certificate and its key are exchanged as a pair: where they do not belong together, as while an operator
has replaced one file and not yet the other, what was in use stays in use. The mutual-TLS listener lets
through its handshake what the client roots issued and what clients registered for themselves (RFC 8705
§2.2): a handshake that passes authenticates nobody, see `gateway.callers`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.client_roots import ClientRoots
from gateway.clock import Clock, to_datetime
from gateway.errors import GatewayError
from gateway.pki import PkiError

logger = logging.getLogger(__name__)

MAX_FILE_SIZE: Final = 4 * 1024 * 1024
MIN_RSA_BITS: Final = 2048


class TlsFileError(Exception):
    """A certificate file of the listeners cannot be used. The message names the file and the fault."""


class RegisteredCertificates(Protocol):
    """Certificates that clients registered for themselves; `ClientRepository` is one."""

    async def self_signed_certificates(self) -> tuple[bytes, ...]:
        """Every one of an enabled client, DER. Raises `GatewayError` where the store does not answer."""
        ...

    async def change_number(self) -> int:
        """A number that grows with every change."""
        ...


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


_Signature: TypeAlias = tuple[tuple[int, int, int], ...]


def _signature(files: TlsFiles) -> _Signature:
    """What changes when a file does. Symbolic links are followed, as secrets are mounted through them."""
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


class RotatingCredentials:
    """The credentials of one listener. `offer` takes effect with the next connection."""

    def __init__(self, initial: grpc.ServerCertificateConfiguration, *, mutual: bool) -> None:
        # A bounded deque because the core takes from it on threads of its own: one step, no lock.
        self._offered: deque[grpc.ServerCertificateConfiguration] = deque(maxlen=1)
        self.credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
            initial, self._fetch, require_client_authentication=mutual
        )

    def offer(self, configuration: grpc.ServerCertificateConfiguration) -> None:
        """Use *configuration* from the next handshake on."""
        self._offered.append(configuration)

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by the core before every handshake; None means that nothing changed."""
        try:
            return self._offered.popleft()
        except IndexError:
            return None


class TlsReloader:
    """Watches the files and the registered certificates, and keeps both listeners' credentials current.

    *clock* is only for a warning about a certificate that has expired. `detail` tells an operator what keeps
    a change from being used; empty where nothing does.
    """

    def __init__(
        self, *, files: TlsFiles, roots: ClientRoots, registered: RegisteredCertificates, clock: Clock
    ) -> None:
        self._files = files
        self._roots = roots
        self._registered = registered
        self._clock = clock
        self._signature: _Signature | None = None
        self._material: TlsMaterial | None = None
        self._change_number: int | None = None
        self._anchors: tuple[bytes, ...] = ()
        self._failures = 0
        self._fault = ""
        self._store_fault = ""
        self._wake = asyncio.Event()
        self._tls: RotatingCredentials | None = None
        self._mutual: RotatingCredentials | None = None

    @property
    def detail(self) -> str:
        """What is wrong with the files or the registered certificates, for an operator; else empty."""
        return " ".join(fault for fault in (self._fault, self._store_fault) if fault)

    async def open(self) -> tuple[grpc.ServerCredentials, grpc.ServerCredentials]:
        """Read everything for the first time: the credentials of the TLS and the mutual-TLS listener.

        Raises `TlsFileError`: a server does not start with files that it cannot use.
        """
        self._signature = await asyncio.to_thread(_signature, self._files)
        self._material = await asyncio.to_thread(read_material, self._files)
        self._roots.replace(self._material.client_ca)
        self._warn_if_expired(self._material)
        await self._look_at_registered()
        tls, mutual = self._configurations(self._material)
        self._tls = RotatingCredentials(tls, mutual=False)
        self._mutual = RotatingCredentials(mutual, mutual=True)
        return self._tls.credentials, self._mutual.credentials

    async def run(self, interval: float) -> None:
        """Look every *interval* seconds, and at once after `nudge`, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(interval):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.look()
            except Exception:
                # Whatever fails here, the listeners go on with what they have, and the next look comes.
                logger.exception("Looking for changed certificates failed")

    def nudge(self) -> None:
        """Look now."""
        self._wake.set()

    async def look(self) -> None:
        """Use what changed since the last look. Never raises for a file or a store at fault."""
        files_changed = await self._look_at_files()
        registered_changed = await self._look_at_registered()
        if (files_changed or registered_changed) and self._material and self._tls and self._mutual:
            tls, mutual = self._configurations(self._material)
            if files_changed:
                self._tls.offer(tls)
            self._mutual.offer(mutual)

    async def _look_at_files(self) -> bool:
        try:
            signature = await asyncio.to_thread(_signature, self._files)
            if signature == self._signature:
                self._files_are_fine()
                return False
            material = await asyncio.to_thread(read_material, self._files)
            self._roots.replace(material.client_ca)
        except TlsFileError as error:
            self._files_are_at_fault(str(error))
            return False
        self._signature = signature
        self._files_are_fine()
        changed = material != self._material
        if changed:
            self._material = material
            self._warn_if_expired(material)
            logger.info("The certificates of the listeners were exchanged")
        return changed

    def _files_are_fine(self) -> None:
        self._failures, self._fault = 0, ""

    def _files_are_at_fault(self, fault: str) -> None:
        """Tell it from the second look on: between the writing of two files there is nothing to tell."""
        self._failures += 1
        if self._failures > 1 and fault != self._fault:
            self._fault = fault
            logger.error("The certificates in use stay in use: %s", fault)

    async def _look_at_registered(self) -> bool:
        try:
            change_number = await self._registered.change_number()
            if change_number == self._change_number:
                self._store_fault = ""
                return False
            anchors = await self._registered.self_signed_certificates()
        except GatewayError as error:
            if not self._store_fault:
                logger.error("Registered certificates cannot be read: %s", error.reason)  # noqa: TRY400 - no trace
            self._store_fault = f"Registered certificates cannot be read: {error.reason}."
            return False
        self._store_fault = ""
        # The number was read first: a change in between is seen as one more at the next look.
        self._change_number = change_number
        changed = anchors != self._anchors
        self._anchors = anchors
        return changed

    def _configurations(
        self, material: TlsMaterial
    ) -> tuple[grpc.ServerCertificateConfiguration, grpc.ServerCertificateConfiguration]:
        pairs = [(material.key, material.chain)]
        bundle = b"\n".join((material.client_ca, *_usable_anchors(material.client_ca, self._anchors)))
        return (
            grpc.ssl_server_certificate_configuration(pairs),
            grpc.ssl_server_certificate_configuration(pairs, root_certificates=bundle),
        )

    def _warn_if_expired(self, material: TlsMaterial) -> None:
        leaf = x509.load_pem_x509_certificates(material.chain)[0]
        if leaf.not_valid_after_utc <= to_datetime(self._clock()):
            logger.warning("The certificate of the listeners has expired: clients will refuse it")


def _usable_anchors(client_ca: bytes, anchors: Sequence[bytes]) -> list[bytes]:
    """*anchors* as PEM, without those that carry the name of a root of the PKI.

    TLS finds an issuer by its name, so that such a certificate could stand in the way of the real root and
    lock out everyone whom it certified.
    """
    taken = {root.subject.public_bytes() for root in x509.load_pem_x509_certificates(client_ca)}
    usable = []
    for der in anchors:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.subject.public_bytes() in taken:
            logger.warning("A registered certificate carries the name of a client root; it is left out")
        else:
            usable.append(certificate.public_bytes(Encoding.PEM))
    return usable
