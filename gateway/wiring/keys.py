"""Keys from the configuration: how long what they sign is honored, and which of them replace themselves."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from cryptography import x509

from gateway.audit.ports import AuditTrail
from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.enrollment.client_access_token import LIFETIME as CLIENT_TOKEN_LIFETIME
from gateway.enrollment.ocsp import RESPONDER_LIFETIME, RESPONSE_LIFETIME
from gateway.keys.declared import DeclaredKey
from gateway.keys.delegation import Delegator
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.management import KeyManager
from gateway.keys.model import KeyPurpose
from gateway.keys.opening import SignerOpener
from gateway.keys.ports import KeyRepository
from gateway.keys.rotation import KeyRotator, RotationPolicy
from gateway.pki.profile import LATEST_START
from gateway.settings.keys import KeySettings
from signers.uri import parse_file_uri

_DOCUMENT_LIFETIME = timedelta(days=1)
"""What is fetched anew rather than kept: linked domains, status lists, signed requests."""


def honored(settings: Settings) -> Mapping[KeyPurpose, timedelta]:
    """For every purpose, how long the last thing that a key signed can be relied on."""
    tokens = settings.tokens
    skew = timedelta(seconds=tokens.clock_skew)
    access_token = timedelta(seconds=tokens.max_lifetime) + skew
    longest = max((each.maximum_lifetime for each in settings.provisioners), default=0)
    # A certificate may begin a little later than it is made, by a replica's clock that is ahead.
    certificate = timedelta(seconds=longest) + LATEST_START + skew
    table = {
        KeyPurpose.TOKENS: access_token,
        KeyPurpose.INTROSPECTION: access_token,
        KeyPurpose.CLIENT_ACCESS_TOKENS: timedelta(seconds=CLIENT_TOKEN_LIFETIME) + skew,
        KeyPurpose.CERTIFICATES: certificate,
        KeyPurpose.OCSP_RESPONSES: RESPONDER_LIFETIME + RESPONSE_LIFETIME,
        KeyPurpose.PRESENTATION_REQUESTS: _DOCUMENT_LIFETIME,
        KeyPurpose.LINKED_DOMAINS: _DOCUMENT_LIFETIME,
        KeyPurpose.STATUS_LISTS: _DOCUMENT_LIFETIME,
        KeyPurpose.AUDIT: _DOCUMENT_LIFETIME,
    }
    return table | {KeyPurpose.DELEGATION: max(table.values())}


def publish_before_use(settings: Settings) -> timedelta:
    """How long verifiers may keep a key set, and so how long a key is published before it signs."""
    return timedelta(seconds=settings.tokens.jwks_max_age)


def declared_key(settings: Settings, key: KeySettings) -> DeclaredKey:
    """A key that the configuration names. Raises `ConfigurationError`."""
    certificate = None
    if key.certificate is not None:
        path = settings.path(key.certificate)
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"keys.certificate: {path}: it is not a readable PEM certificate; mend the file or the path."
            ) from error
    return DeclaredKey(key.purpose, key.algorithm, key.uri, key.public_key_sha256, certificate)


def key_use_cases(
    settings: Settings,
    *,
    signers: SignerOpener,
    keyring: Keyring,
    loader: KeyringLoader,
    repository: KeyRepository,
    clock: Clock,
    trail: AuditTrail,
) -> tuple[KeyManager, KeyRotator]:
    """What changes keys, and what rotates them, not entered yet. Raises `ConfigurationError`."""
    manager = KeyManager(
        keyring=keyring,
        loader=loader,
        repository=repository,
        signers=signers,
        clock=clock,
        delegator=Delegator(keyring, clock),
        publish_before_use=publish_before_use(settings),
        honor_after_use=honored(settings),
        trail=trail,
    )
    return manager, _rotator(settings, keyring, manager, repository, clock)


def _rotator(
    settings: Settings, keyring: Keyring, manager: KeyManager, repository: KeyRepository, clock: Clock
) -> KeyRotator:
    certified = honored(settings)[KeyPurpose.CERTIFICATES].total_seconds()
    policies = [
        RotationPolicy(
            each.purpose,
            each.algorithm,
            float(each.period),
            each.uri,
            each.delegated,
            certified if each.purpose is KeyPurpose.CERTIFICATES else 0.0,
        )
        for each in settings.rotations
    ]
    kinds = {(policy.purpose, policy.algorithm) for policy in policies}
    if len(kinds) != len(policies):
        raise ConfigurationError("rotations: two have one purpose and algorithm; remove one.")
    try:
        return KeyRotator(
            policies=policies,
            keyring=keyring,
            manager=manager,
            repository=repository,
            discard=_discard(settings.path),
            clock=clock,
            publish_before_use=publish_before_use(settings),
        )
    except ValueError as error:
        raise ConfigurationError(f"rotations.period: {error}; make it longer.") from error


def _discard(resolve: Callable[[Path], Path]) -> Callable[[str], None]:
    return partial(_unlink, resolve)


def _unlink(resolve: Callable[[Path], Path], uri: str) -> None:
    resolve(Path(parse_file_uri(uri).path)).unlink(missing_ok=True)
