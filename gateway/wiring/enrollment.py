"""Enrollment from the configuration: provisioners with their CAs, providers and minters."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.enrollment.authorities import CertificateAuthorities, IssuingAuthority
from gateway.enrollment.core import Enrollment, Repositories, wire_enrollment
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.minter import ClientTokenMinter
from gateway.enrollment.model import ChallengeType
from gateway.enrollment.provisioners import Provisioner, Provisioners, WireDpop, WireOidc
from gateway.enrollment.successive_authorities import SuccessiveAuthorities
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_names import Generation
from gateway.fetching import DnsResolver, GuardedClient
from gateway.jose.key_material import implied_algorithm
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose
from gateway.oidc.mapping import WIRE_DEVICE_AND_USER, WIREAPP_ID, ClaimMapping, ClaimPath, ClaimRule
from gateway.oidc.provider import Provider
from gateway.oidc.verifier import IdTokenVerifier
from gateway.pki.issuance_errors import IssuingError
from gateway.pki.name_policy import NamePolicy
from gateway.pki.profile import CertificateProfile, KeyUsageBit, Validity
from gateway.pki.wire import wire_profile
from gateway.proofs.nonces import MIN_SECRET_SIZE
from gateway.proofs.single_use_nonces import SingleUseNonces
from gateway.settings.enrollment import ProvisionerSettings
from gateway.store import Store
from gateway.wiring.openid_provider import ProviderSettings, open_provider
from signers import Algorithm, PublicKey

_RSA = frozenset({Algorithm.RS256, Algorithm.PS256})


def wire_minter(
    settings: Settings, store: Store, keyring: Keyring, clock: Clock, trail: AuditTrail
) -> ClientTokenMinter | None:
    """The minter of client access tokens; None where it is off. Raises `ConfigurationError`."""
    enrollment = settings.enrollment
    if enrollment.client_token_target is None:
        return None
    return ClientTokenMinter(
        keyring=keyring,
        algorithm=enrollment.client_token_algorithm,
        nonces=_nonces(settings, store, "wire-device", clock),
        target=TargetTemplate.parse(enrollment.client_token_target),
        proof_max_lifetime=enrollment.client_proof_max_lifetime,
        clock_skew=enrollment.clock_skew,
        clock=clock,
        trail=trail,
    )


def enrollment_of(
    settings: Settings,
    store: Store,
    keyring: Keyring,
    client: GuardedClient,
    resolver: DnsResolver,
    clock: Clock,
    trail: AuditTrail = NO_TRAIL,
) -> Enrollment | None:
    """The use cases; None without provisioners. Each CA's chain is checked against its signer.

    *client* asks whatever has a public address, by *resolver*.
    Raises `ConfigurationError`.
    """
    if not settings.provisioners:
        return None
    names = [each.name for each in settings.provisioners]
    if len(set(names)) != len(names):
        raise ConfigurationError("provisioners: two have one name; give each a name of its own.")
    provisioners = Provisioners(
        _provisioner(settings, each, keyring, _provider(settings, each, client, resolver, clock), clock)
        for each in settings.provisioners
    )
    return wire_enrollment(
        provisioners=provisioners,
        repositories=Repositories(store.accounts, store.external_accounts, store.orders, store.certificates),
        nonces=_nonces(settings, store, "acme", clock),
        domains=DomainValidator(client, resolver),
        keyring=keyring,
        ocsp_algorithm=settings.enrollment.ocsp_algorithm,
        clock=clock,
        trail=trail,
    )


def _provisioner(
    settings: Settings,
    configured: ProvisionerSettings,
    keyring: Keyring,
    provider: Provider | None,
    clock: Clock,
) -> Provisioner:
    authority = _authority(settings, configured, keyring, clock)
    return Provisioner(
        name=configured.name,
        url=configured.url,
        challenges=frozenset(map(ChallengeType, configured.challenges)),
        profile=_profile(configured),
        authority=authority,
        order_lifetime=configured.order_lifetime,
        oidc=None if provider is None else _oidc(configured, provider, clock),
        dpop=_dpop(settings, configured, keyring),
        external_account_required=configured.external_account_required,
        terms_url=configured.terms_url,
    )


def _authority(
    settings: Settings, configured: ProvisionerSettings, keyring: Keyring, clock: Clock
) -> CertificateAuthorities:
    if configured.chain is None:
        return SuccessiveAuthorities(configured.ca_algorithm, keyring=keyring, clock=clock)
    path = settings.path(configured.chain)
    try:
        authority = IssuingAuthority(path.read_bytes(), keyring=keyring, clock=clock)
        authority.check()
    except (OSError, IssuingError) as error:
        raise ConfigurationError(
            f"provisioners.chain: {path}: {error}; name a PEM file that starts with the CA's certificate."
        ) from error
    _require_lasting(settings, configured, authority)
    return authority


def _require_lasting(
    settings: Settings, configured: ProvisionerSettings, authority: IssuingAuthority
) -> None:
    """No rotation takes the key of a fixed chain away. Raises `ConfigurationError`."""
    key = authority.certificate.public_key()
    algorithm = implied_algorithm(key) if isinstance(key, PublicKey) else None
    for policy in settings.rotations:
        # RSA implies none of its two.
        same = policy.algorithm is algorithm or (algorithm is None and policy.algorithm in _RSA)
        if policy.purpose is KeyPurpose.CERTIFICATES and same:
            raise ConfigurationError(
                f"provisioners.chain: a rotation would retire the key of {configured.name!r}; leave chain "
                "out, so that the provisioner follows the rotation, or give that another algorithm."
            )


def _profile(configured: ProvisionerSettings) -> CertificateProfile:
    validity = Validity(
        default=timedelta(seconds=configured.default_lifetime),
        minimum=timedelta(seconds=configured.minimum_lifetime),
        maximum=timedelta(seconds=configured.maximum_lifetime),
        past=timedelta(seconds=configured.order_lifetime) + timedelta(hours=1),
    )
    if configured.kind == "wire":
        return wire_profile(
            configured.name,
            domains=frozenset(configured.domains) or None,
            validity=validity,
            crl_urls=configured.crl_urls,
            ocsp_urls=configured.ocsp_urls,
            ca_issuers_urls=configured.ca_issuers_urls,
        )
    try:
        networks = tuple(ip_network(each) for each in configured.ip_networks)
    except ValueError as error:
        raise ConfigurationError(f"provisioners.ip_networks: {error}; write 192.0.2.0/24.") from error
    return CertificateProfile(
        validity=validity,
        names=NamePolicy(
            dns_domains=configured.domains, wildcards=configured.wildcards, ip_networks=networks
        ),
        extended_key_usage=(ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,),
        rsa_key_usage=frozenset({KeyUsageBit.KEY_ENCIPHERMENT}),
        crl_urls=configured.crl_urls,
        ocsp_urls=configured.ocsp_urls,
        ca_issuers_urls=configured.ca_issuers_urls,
    )


def _provider(
    settings: Settings,
    configured: ProvisionerSettings,
    client: GuardedClient,
    resolver: DnsResolver,
    clock: Clock,
) -> Provider | None:
    """The users' OpenID provider. Raises `ConfigurationError`."""
    issuer, client_id = configured.oidc_issuer, configured.oidc_client_id
    if issuer is None or client_id is None:
        return None
    return open_provider(
        settings,
        ProviderSettings(
            issuer,
            client_id,
            configured.oidc_networks,
            configured.oidc_ca,
            "provisioners.oidc_issuer",
            "provisioners.oidc_ca",
        ),
        shared=client,
        own=partial(GuardedClient, resolver),
        clock=clock,
    )


def _oidc(configured: ProvisionerSettings, provider: Provider, clock: Clock) -> WireOidc:
    return WireOidc(
        tokens=IdTokenVerifier(provider, clock=clock),
        target=configured.oidc_target or provider.config.issuer,
        mappings={
            Generation.FIRST: _mapping(configured, Generation.FIRST, WIREAPP_ID),
            Generation.SECOND: _mapping(configured, Generation.SECOND, WIRE_DEVICE_AND_USER),
        },
    )


def _mapping(configured: ProvisionerSettings, generation: Generation, usual: ClaimMapping) -> ClaimMapping:
    """*usual* with the rules that the operator wrote in place of its own."""
    replaced: dict[str, ClaimRule] = {}
    if configured.oidc_name_claim is not None:
        replaced["name"] = ClaimRule("name", ClaimPath.parse(configured.oidc_name_claim))
    if configured.oidc_handle_claim is not None:
        replaced["handle"] = ClaimRule(
            "handle",
            ClaimPath.parse(configured.oidc_handle_claim),
            prefix=generation.handle_prefix,
            suffix=configured.oidc_handle_suffix,
        )
    return ClaimMapping(tuple(replaced.get(rule.target, rule) for rule in usual.rules))


def _dpop(settings: Settings, configured: ProvisionerSettings, keyring: Keyring) -> WireDpop | None:
    if configured.dpop_target is None:
        return None
    target = TargetTemplate.parse(configured.dpop_target)
    if configured.dpop_keys:
        keys = [_public_key(settings.path(each)) for each in configured.dpop_keys]
        return WireDpop(target, lambda: keys)
    return WireDpop(target, _own_keys(keyring))


def _own_keys(keyring: Keyring) -> Callable[[], Sequence[tuple[Algorithm, PublicKey]]]:
    """The gateway's own minter keys whose tokens are honored now: a rotation is followed at once."""

    def keys() -> Sequence[tuple[Algorithm, PublicKey]]:
        return [
            (key.algorithm, key.public_key)
            for (purpose, _), key in keyring.view.verification_keys.items()
            if purpose is KeyPurpose.CLIENT_ACCESS_TOKENS
        ]

    return keys


def _public_key(path: Path) -> tuple[Algorithm, PublicKey]:
    try:
        key = load_pem_public_key(path.read_bytes())
        algorithm = implied_algorithm(key) if isinstance(key, PublicKey) else None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"provisioners.dpop_keys: {path}: {error}; name PEM files of public keys."
        ) from error
    if algorithm is None or not isinstance(key, PublicKey):
        raise ConfigurationError(f"provisioners.dpop_keys: {path}: use an Ed25519 or elliptic-curve key.")
    return algorithm, key


def _nonces(settings: Settings, store: Store, space: str, clock: Clock) -> SingleUseNonces:
    files = settings.enrollment.nonce_secrets
    if not files:
        raise ConfigurationError(
            "enrollment.nonce_secrets: is required for enrollment; make a file with: head -c 32 /dev/urandom."
        )
    return SingleUseNonces(
        [_secret(settings.path(each)) for each in files],
        space=space,
        lifetime=settings.enrollment.nonce_lifetime,
        replay=store.replay,
        clock=clock,
    )


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"enrollment.nonce_secrets: {path} cannot be read: {error}.") from error
    if len(secret) < MIN_SECRET_SIZE:
        raise ConfigurationError(
            f"enrollment.nonce_secrets: {path} holds fewer than {MIN_SECRET_SIZE} bytes; "
            "make it with: head -c 32 /dev/urandom."
        )
    return secret
