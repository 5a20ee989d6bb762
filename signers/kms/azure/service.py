"""Azure Key Vault as a `signers.remote.service.RemoteService`."""

from functools import partial

from signers.algorithms import Algorithm
from signers.errors import (
    KeyAmbiguousError,
    KeyNotFoundError,
    KeyUnusableError,
    SignatureInvalidError,
)
from signers.jose_form import base64url, spki_sha256
from signers.kms.azure.algorithms import ALGORITHMS
from signers.kms.azure.bundle import KeyBundle, read_bundle
from signers.kms.azure.client import AzureKmsClient
from signers.kms.azure.uri import AzureKmsUri, parse_azurekms_uri
from signers.kms.key import KmsKey, digest
from signers.kms.protection import ProtectionLevel, require_protection

MAX_COMPARED = 20
"""Versions whose public keys are compared with a pin."""


class AzureKmsService:
    """The keys of one vault."""

    def __init__(self, client: AzureKmsClient, name: str) -> None:
        self._client = client
        self._name = name
        self._bundles: dict[tuple[str, str, Algorithm], KeyBundle] = {}

    @property
    def name(self) -> str:
        return self._name

    async def find(self, uri: str, algorithm: Algorithm, public_key_sha256: str | None) -> KmsKey:
        parsed = parse_azurekms_uri(uri)
        _require_algorithm(algorithm, parsed)
        latest = await self._bundle(parsed, parsed.version, algorithm)
        if parsed.version is not None or public_key_sha256 is None or _is(latest, public_key_sha256):
            return self._key(parsed, latest, algorithm)
        for version in await self._versions(parsed):
            bundle = await self._bundle(parsed, version, algorithm)
            if _is(bundle, public_key_sha256):
                return self._key(parsed, bundle, algorithm)
        # The caller compares it with the pin, and says what it found.
        return self._key(parsed, latest, algorithm)

    async def create(self, uri: str, algorithm: Algorithm) -> None:
        """Create a key. Raises `KeyAmbiguousError` for a name that is taken, because Create Key would add a
        version to it, and other `SignerError`.
        """
        parsed = parse_azurekms_uri(uri)
        _require_algorithm(algorithm, parsed)
        try:
            await self._client.get(parsed.path(None), key=parsed.redacted)
        except KeyNotFoundError:
            pass
        else:
            raise KeyAmbiguousError("The vault has a key of this name.", key=parsed.redacted)
        row = ALGORITHMS[algorithm]
        in_hsm = parsed.is_managed_hsm or parsed.protection_level is not ProtectionLevel.SOFTWARE
        kty = algorithm.spec.key_type + ("-HSM" if in_hsm else "")
        size = {"crv": row.crv} if row.crv is not None else {"key_size": row.key_size}
        body = {"kty": kty, "key_ops": ["sign", "verify"], **size}
        await self._client.post(f"{parsed.path(None)}/create", body, key=parsed.redacted)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _bundle(self, uri: AzureKmsUri, version: str | None, algorithm: Algorithm) -> KeyBundle:
        """A version, or the latest; the public half of each version is asked for once."""
        known = None if version is None else self._bundles.get((uri.key, version, algorithm))
        if known is not None:
            return known
        name = uri.named(version)
        reply = await self._client.get(uri.path(version), key=name)
        bundle = read_bundle(reply, algorithm, uri.vault, uri.key, name=name)
        require_protection(bundle.protection_level, uri.protection_level, key=name)
        self._bundles[uri.key, bundle.version, algorithm] = bundle
        return bundle

    async def _versions(self, uri: AzureKmsUri) -> list[str]:
        """Enabled versions, as the service lists them on its first page."""
        page = await self._client.get(f"{uri.path(None)}/versions", key=uri.redacted)
        enabled = [item for item in page.objects("value") if item.object("attributes").flag("enabled")]
        return [item.text("kid").rpartition("/")[2] for item in enabled][:MAX_COMPARED]

    def _key(self, uri: AzureKmsUri, bundle: KeyBundle, algorithm: Algorithm) -> KmsKey:
        name = uri.named(bundle.version)
        path = f"{uri.path(bundle.version)}/sign"
        request = partial(self._sign, path, bundle.kid, algorithm, name)
        return KmsKey(name, bundle.version, f"{name}{uri.query}", algorithm, bundle.public_key, request)

    async def _sign(self, path: str, kid: str, algorithm: Algorithm, name: str, message: bytes) -> bytes:
        body = {"alg": algorithm.value, "value": base64url(digest(algorithm, message))}
        reply = await self._client.post(path, body, key=name)
        if reply.text("kid") != kid:
            raise SignatureInvalidError(
                "The vault signed with another key or version than asked for.", key=name
            )
        # ECDSA comes as r || s already (RFC 7518 §3.4).
        return reply.base64url("value")


def _require_algorithm(algorithm: Algorithm, uri: AzureKmsUri) -> None:
    if algorithm not in ALGORITHMS:
        raise KeyUnusableError(f"Azure Key Vault has no {algorithm}.", key=uri.redacted)


def _is(bundle: KeyBundle, public_key_sha256: str) -> bool:
    return spki_sha256(bundle.public_key) == public_key_sha256
