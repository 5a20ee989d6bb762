"""Certificates of the listeners, read again when their files change, without a restart.

A certificate and its key are exchanged as a pair: where they do not belong together, as while an operator
has replaced one file and not yet the other, what was in use stays in use. The mutual-TLS listeners let
through their handshake what the client roots issued and what clients registered for themselves (RFC 8705
§2.2): a handshake that passes authenticates nobody, see `gateway.callers`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.client_roots import ClientRoots
from gateway.clock import Clock, to_datetime
from gateway.errors import GatewayError
from gateway.tls_files import Signature, TlsFileError, TlsFiles, TlsMaterial, read_material, signature_of

logger = logging.getLogger(__name__)


class RegisteredCertificates(Protocol):
    """Certificates that clients registered for themselves; `ClientRepository` is one."""

    async def self_signed_certificates(self) -> tuple[bytes, ...]:
        """Every one of an enabled client, DER. Raises `GatewayError` where the store does not answer."""
        ...

    async def change_number(self) -> int:
        """A number that grows with every change."""
        ...


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """What every listener, of whatever protocol, uses from its next handshake on; all PEM.

    *chain* and *key* belong together; *client_anchors* are what a client certificate may lead to: the client
    roots and the certificates that clients registered for themselves.
    """

    chain: bytes
    key: bytes
    client_anchors: bytes

    def __repr__(self) -> str:
        return "ListenerTls(<redacted>)"


class TlsReloader:
    """Watches the files and the registered certificates, and tells every listener what changed.

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
        self._signature: Signature | None = None
        self._material: TlsMaterial | None = None
        self._change_number: int | None = None
        self._anchors: tuple[bytes, ...] = ()
        self._failures = 0
        self._fault = ""
        self._store_fault = ""
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[ListenerTls], None]] = []

    @property
    def detail(self) -> str:
        """What is wrong with the files or the registered certificates, for an operator; else empty."""
        return " ".join(fault for fault in (self._fault, self._store_fault) if fault)

    @property
    def material(self) -> TlsMaterial | None:
        """What the files held when they were last used; None before `open`."""
        return self._material

    async def open(self) -> ListenerTls:
        """Read everything for the first time, and give what the listeners start with.

        Raises `TlsFileError`: a server does not start with files that it cannot use.
        """
        self._signature = await asyncio.to_thread(signature_of, self._files)
        self._material = await asyncio.to_thread(read_material, self._files)
        self._roots.replace(self._material.client_ca)
        self._warn_if_expired(self._material)
        await self._look_at_registered()
        return self._for_listeners(self._material)

    def on_change(self, listener: Callable[[ListenerTls], None]) -> None:
        """Call *listener* with everything anew after each change. It must not block nor raise."""
        self._listeners.append(listener)

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
        if (files_changed or registered_changed) and self._material is not None:
            current = self._for_listeners(self._material)
            for listener in self._listeners:
                listener(current)

    async def _look_at_files(self) -> bool:
        try:
            signature = await asyncio.to_thread(signature_of, self._files)
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

    def _for_listeners(self, material: TlsMaterial) -> ListenerTls:
        anchors = (material.client_ca, *_usable_anchors(material.client_ca, self._anchors))
        return ListenerTls(material.chain, material.key, b"\n".join(anchors))

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
