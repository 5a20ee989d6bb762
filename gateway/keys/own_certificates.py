"""Certificates of the gateway's own keys: asked for, made for itself, and taken in."""

import hashlib
import logging
from datetime import timedelta

from gateway.audit.events import KeyCertified
from gateway.audit.ports import AuditTrail
from gateway.clock import Clock, to_datetime
from gateway.errors import Reason, RequestError
from gateway.keys.certificates import certification_request, chain_der, checked_chain, self_signed
from gateway.keys.loading import KeyringLoader
from gateway.keys.model import KeyRecord
from gateway.keys.ports import KeyRepository
from gateway.keys.reading import KeyReader
from gateway.pki.issuance_errors import IssuingError

audit = logging.getLogger("audit")


class OwnCertificates:
    """What KeyService and ``countersign keys`` do with certificates of keys."""

    def __init__(
        self,
        reader: KeyReader,
        loader: KeyringLoader,
        repository: KeyRepository,
        clock: Clock,
        trail: AuditTrail,
    ) -> None:
        self._reader = reader
        self._loader = loader
        self._repository = repository
        self._clock = clock
        self._trail = trail

    async def import_chain(self, key_id: str, chain_pem: bytes) -> KeyRecord:
        """Give a key its certificate, with those above it; *chain_pem* starts with the key's own.

        It is published with the key (``x5c``), and a key of purpose ``delegation`` certifies under it. Raises
        `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT (a delegated key); `RequestError` INVALID_FIELD.
        """
        record = (await self._reader.get(key_id)).record
        try:
            normal = checked_chain(chain_pem, record, to_datetime(self._clock()))
        except IssuingError as error:
            raise RequestError(
                Reason.INVALID_FIELD, f"The certificate cannot be used: {error}.", field="certificates"
            ) from error
        digest = hashlib.sha256(chain_der(normal)[0]).hexdigest()
        async with self._trail.around(KeyCertified(key_id, digest)):
            stored = await self._repository.set_chain(key_id, normal)
        audit.info("certificate imported", extra={"key_id": key_id, "purpose": stored.purpose.value})
        await self._loader.refresh()
        return stored

    async def certification_request(self, key_id: str, subject: str) -> bytes:
        """A PKCS#10 request for a key, PEM. *subject* is written as in RFC 4514.

        Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT; `RequestError` INVALID_FIELD; `SignerError`.
        """
        signer = await self._reader.signer(key_id)
        try:
            return await certification_request(signer, subject)
        except (ValueError, IssuingError) as error:
            raise _bad_subject(error) from error

    async def self_signed(self, key_id: str, subject: str, *, days: float) -> bytes:
        """A CA certificate that a key signs for itself, valid from now for *days*, PEM.

        Raises as `certification_request`.
        """
        signer = await self._reader.signer(key_id)
        try:
            return await self_signed(signer, subject, now=self._clock(), lifetime=timedelta(days=days))
        except (ValueError, IssuingError) as error:
            raise _bad_subject(error) from error


def _bad_subject(error: Exception) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, f"No certificate can be made: {error}.", field="subject")
