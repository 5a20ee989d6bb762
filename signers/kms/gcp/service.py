"""Cloud KMS as a `signers.remote.service.RemoteService`."""

import asyncio
import base64
from functools import partial

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import (
    KeyNotFoundError,
    KeyUnusableError,
    SignatureInvalidError,
    SignerUnavailableError,
)
from signers.jose_form import spki_sha256
from signers.kms.gcp.algorithms import ALGORITHMS, MAX_DATA, GcpAlgorithm
from signers.kms.gcp.client import GcpKmsClient
from signers.kms.gcp.integrity import crc32c, require_intact
from signers.kms.gcp.uri import GcpKmsUri, parse_gcpkms_uri
from signers.kms.key import KmsKey, digest, jose_form
from signers.kms.protection import ProtectionLevel, require_protection
from signers.kms.reply import public_key_of

PAGE_SIZE = 100
MAX_PAGES = 10
GENERATION_PAUSE = 0.2
"""Seconds between looks at a key that the HSM still generates; the provider's time limit ends them."""

MAX_COMPARED = 20
"""Versions whose public keys are compared with a pin, the latest first."""


class GcpKmsService:
    """The keys of one project and location."""

    def __init__(self, client: GcpKmsClient, name: str) -> None:
        self._client = client
        self._name = name
        self._public_keys: dict[tuple[str, Algorithm], tuple[PublicKey, str]] = {}

    @property
    def name(self) -> str:
        return self._name

    async def find(self, uri: str, algorithm: Algorithm, public_key_sha256: str | None) -> KmsKey:
        parsed = parse_gcpkms_uri(uri)
        if algorithm not in ALGORITHMS:
            raise KeyUnusableError(f"Cloud KMS has no {algorithm}.", key=parsed.redacted)
        if parsed.version is not None:
            return await self._key(parsed, parsed.version, algorithm)
        versions = await self._enabled_versions(parsed)
        for version in versions[:MAX_COMPARED] if public_key_sha256 is not None else ():
            found = await self._key(parsed, version, algorithm)
            if spki_sha256(found.public_key) == public_key_sha256:
                return found
        # Where none has the pin, the caller compares the latest with it and says what it found.
        return await self._key(parsed, versions[0], algorithm)

    async def create(self, uri: str, algorithm: Algorithm) -> None:
        """Create a CryptoKey, whose first version is what *uri* will name. Raises `SignerError`."""
        parsed = parse_gcpkms_uri(uri)
        if algorithm not in ALGORITHMS:
            raise KeyUnusableError(f"Cloud KMS has no {algorithm}.", key=parsed.redacted)
        ring, _, key_id = parsed.key.partition("/cryptoKeys/")
        level = (parsed.protection_level or ProtectionLevel.HSM).upper()
        template = {"algorithm": ALGORITHMS[algorithm].names[0], "protectionLevel": level}
        body = {"purpose": "ASYMMETRIC_SIGN", "versionTemplate": template}
        path = f"{ring}/cryptoKeys?cryptoKeyId={key_id}"
        await self._client.post(path, body, key=parsed.redacted)
        while await self._state(parsed) == "PENDING_GENERATION":  # noqa: ASYNC110  # The event is elsewhere.
            await asyncio.sleep(GENERATION_PAUSE)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _state(self, uri: GcpKmsUri) -> str:
        return (await self._client.get(uri.resource(1), key=uri.named(1))).text("state")

    async def _enabled_versions(self, uri: GcpKmsUri) -> list[int]:
        """The numbers of the enabled versions, the latest first. There is no primary for signing."""
        numbers: list[int] = []
        token = ""
        for _ in range(MAX_PAGES):
            query = f"filter=state%3DENABLED&pageSize={PAGE_SIZE}" + (f"&pageToken={token}" if token else "")
            page = await self._client.get(f"{uri.key}/cryptoKeyVersions?{query}", key=uri.redacted)
            for version in page.objects("cryptoKeyVersions"):
                number = version.text("name").rpartition("/")[2]
                if number.isascii() and number.isdigit():
                    numbers.append(int(number))
            token = page.text_or("nextPageToken", "")
            if not token:
                break
        else:
            raise KeyUnusableError("The key has too many versions; name one in the URI.", key=uri.redacted)
        if not numbers:
            raise KeyNotFoundError("The key has no enabled version.", key=uri.redacted)
        return sorted(numbers, reverse=True)

    async def _key(self, uri: GcpKmsUri, version: int, algorithm: Algorithm) -> KmsKey:
        resource, name = uri.resource(version), uri.named(version)
        row = ALGORITHMS[algorithm]
        public_key, level = await self._public_key(resource, algorithm, row, name)
        require_protection(level.lower(), uri.protection_level, key=name)
        request = partial(self._sign, resource, algorithm, row, level, name)
        pinned = f"{name}{uri.query}"
        return KmsKey(name, str(version), pinned, algorithm, public_key, request)

    async def _public_key(
        self, resource: str, algorithm: Algorithm, row: GcpAlgorithm, name: str
    ) -> tuple[PublicKey, str]:
        """The public half of a version, and its protection level; asked for once."""
        if (known := self._public_keys.get((resource, algorithm))) is not None:
            return known
        reply = await self._client.get(f"{resource}/publicKey", key=name)
        pem = reply.text("pem").encode()
        require_intact(pem, reply.number("pemCrc32c"), "public key", key=name)
        if reply.text("name") != resource:
            raise SignatureInvalidError(
                "Cloud KMS answered with the public key of another version.", key=name
            )
        if reply.text("algorithm") not in row.names:
            raise KeyUnusableError(
                f"The key's algorithm is {reply.text('algorithm')}, which is not {algorithm}.", key=name
            )
        found = public_key_of(pem, algorithm, key=name), reply.text("protectionLevel")
        self._public_keys[resource, algorithm] = found
        return found

    async def _sign(
        self, resource: str, algorithm: Algorithm, row: GcpAlgorithm, level: str, name: str, message: bytes
    ) -> bytes:
        if row.digest is None:
            if len(message) > MAX_DATA:
                raise KeyUnusableError(
                    f"Cloud KMS signs at most {MAX_DATA} bytes with {algorithm}, not {len(message)}.",
                    key=name,
                )
            verified = "verifiedDataCrc32c"
            body: dict[str, object] = {
                "data": base64.b64encode(message).decode(),
                "dataCrc32c": str(crc32c(message)),
            }
        else:
            verified, value = "verifiedDigestCrc32c", digest(algorithm, message)
            body = {
                "digest": {row.digest: base64.b64encode(value).decode()},
                "digestCrc32c": str(crc32c(value)),
            }
        reply = await self._client.post(f"{resource}:asymmetricSign", body, key=name)
        if not reply.flag(verified):
            raise SignerUnavailableError(
                "Cloud KMS did not verify the checksum of what it was sent.", key=name
            )
        signature = reply.base64("signature")
        require_intact(signature, reply.number("signatureCrc32c"), "signature", key=name)
        if reply.text("name") != resource or reply.text("protectionLevel") != level:
            raise SignatureInvalidError(
                "Cloud KMS signed with another version or protection level than asked for.", key=name
            )
        return jose_form(algorithm, signature, key=name)
