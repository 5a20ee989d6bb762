"""A server's Transit keys: found, resolved to a version, and created."""

import logging

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyAmbiguousError, KeyNotFoundError, KeyUnusableError
from signers.jose_form import spki_sha256
from signers.remote.options import RemoteOptions
from signers.vault.algorithms import TRANSIT, TransitAlgorithm
from signers.vault.client import VaultClient
from signers.vault.key import VaultKey
from signers.vault.replies import TransitKey, parse_key
from signers.vault.uri import Connection, VaultUri, parse_vault_uri
from signers.verification import require_fit

logger = logging.getLogger(__name__)


class VaultService:
    """See `signers.remote.service.RemoteService`."""

    def __init__(self, connection: Connection, options: RemoteOptions) -> None:
        self._client = VaultClient(connection, connections=options.concurrency)
        self._max_batch = options.max_batch

    @property
    def name(self) -> str:
        return self._client.name

    async def find(self, uri: str, algorithm: Algorithm, public_key_sha256: str | None) -> VaultKey:
        parsed = parse_vault_uri(uri)
        name = parsed.redacted
        row = _row(algorithm, name)
        found = await self._read(parsed)
        _require_signing(found, algorithm, row, name)
        version = _resolve(parsed, found, algorithm, public_key_sha256)
        pinned_uri = parsed.written.with_path("version", str(version))
        return VaultKey(
            client=self._client,
            mount=parsed.mount,
            key=parsed.key,
            key_version=version,
            name=parse_vault_uri(pinned_uri).redacted,
            pinned_uri=pinned_uri,
            algorithm=algorithm,
            public_key=_public_key(found, version, algorithm, name),
            max_batch=min(self._max_batch, row.max_batch),
        )

    async def create(self, uri: str, algorithm: Algorithm) -> None:
        parsed = parse_vault_uri(uri)
        name = parsed.redacted
        row = _row(algorithm, name)
        if parsed.version not in (None, 1):
            raise KeyUnusableError("A new key has version 1; leave the version out.", key=name)
        # The server takes a second creation for a success and leaves the first key as it is.
        try:
            await self._read(parsed)
        except KeyNotFoundError:
            path = f"{parsed.mount}/keys/{parsed.key}"
            await self._client.call("POST", path, {"type": row.key_types[0]}, key=name)
        else:
            raise KeyAmbiguousError(
                f"The server has a key of the name '{parsed.key}' already; it is left as it is.", key=name
            )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _read(self, uri: VaultUri) -> TransitKey:
        members = await self._client.call("GET", f"{uri.mount}/keys/{uri.key}", key=uri.redacted)
        return parse_key(members, uri.redacted)


def _row(algorithm: Algorithm, key: str) -> TransitAlgorithm:
    row = TRANSIT.get(algorithm)
    if row is None:
        raise KeyUnusableError(f"Transit has no key type for {algorithm}.", key=key)
    return row


def _require_signing(found: TransitKey, algorithm: Algorithm, row: TransitAlgorithm, key: str) -> None:
    if found.soft_deleted:
        raise KeyUnusableError("The key is deleted (softly); restore it at the server.", key=key)
    if not found.signs or found.key_type not in row.key_types:
        raise KeyUnusableError(
            f"{algorithm} needs a Transit key of type {' or '.join(row.key_types)}, and this one is "
            f"{found.key_type}.",
            key=key,
        )
    if found.derived:
        raise KeyUnusableError("The key is derived: it signs with another key for every context.", key=key)


def _resolve(uri: VaultUri, found: TransitKey, algorithm: Algorithm, pin: str | None) -> int:
    """The version that *uri* names; else the one with the pinned public key; else the latest."""
    if uri.version is not None:
        return uri.version
    for version, public_key in found.public_keys.items() if pin is not None else ():
        if spki_sha256(require_fit(public_key, algorithm, key=uri.redacted)) == pin:
            return version
    logger.info("%s names no version; the latest, %d, is used", uri.redacted, found.latest_version)
    return found.latest_version


def _public_key(found: TransitKey, version: int, algorithm: Algorithm, key: str) -> PublicKey:
    if version > found.latest_version:
        raise KeyNotFoundError(
            f"The key has no version {version}; its latest is {found.latest_version}.", key=key
        )
    if version not in found.public_keys:
        raise KeyUnusableError(
            f"Version {version} is below the key's min_decryption_version, so the server does not use it.",
            key=key,
        )
    if version < found.min_encryption_version:
        raise KeyUnusableError(
            f"Version {version} is below the key's min_encryption_version: the server signs with none such.",
            key=key,
        )
    return require_fit(found.public_keys[version], algorithm, key=key)
