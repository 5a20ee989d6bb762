"""The configuration of enrollment: what all of it shares, and its provisioners."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.enrollment.targets import TargetTemplate
from gateway.oidc.mapping import ClaimPath
from gateway.pki.profile import ISSUER_PLACE
from gateway.proofs.target_uri import TargetUri, TargetUriError
from gateway.settings.section import Section
from signers import Algorithm

ChallengeName = Literal["wire-oidc-01", "wire-dpop-01", "http-01", "dns-01", "tls-alpn-01"]


def _target(value: str) -> str:
    try:
        TargetTemplate.parse(value)
    except TargetUriError as error:
        raise ValueError(f"{error}; write https://backend/clients/{{device}}/access-token") from error
    return value


def _base_url(value: str) -> str:
    try:
        normal = str(TargetUri.parse(value))
    except TargetUriError as error:
        raise ValueError(f"{error}; write https://ca.example.org/acme/wire") from error
    if normal != value or value.endswith("/"):
        raise ValueError("write it in its normal form and without a slash at the end")
    return value


def _pointer(value: str) -> str:
    ClaimPath.parse(value)
    return value


ClaimPointer = Annotated[str, AfterValidator(_pointer)]
Target = Annotated[str, AfterValidator(_target)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


class EnrollmentSettings(Section):
    """What all provisioners share.

    - `nonce_secrets`: files with at least 32 random bytes each, the same on every replica; the first makes
      nonces, all of them verify. Required where there is a provisioner or a `client_token_target`.
    - `nonce_lifetime`: seconds that a nonce may wait to be used.
    - `client_token_target`: where devices believe that their access tokens are minted; ``{device}`` stands
      for the device's number and ``{domain}`` for its domain. Without it MintClientAccessToken is off.
    - `client_token_algorithm`: that of the key with the purpose ``client-access-tokens``.
    - `client_proof_max_lifetime`: the furthest ``exp`` of a device's proof, in seconds from now.
    - `clock_skew`: seconds that a device's clock may be ahead.
    - `ocsp_algorithm`: that of the key with the purpose ``ocsp-responses``.
    """

    nonce_secrets: tuple[Path, ...] = ()
    nonce_lifetime: int = Field(300, ge=10, le=3_600)
    client_token_target: Target | None = None
    client_token_algorithm: Algorithm = Algorithm.ES256
    client_proof_max_lifetime: int = Field(300, ge=30, le=3_600)
    clock_skew: int = Field(10, ge=0, le=60)
    ocsp_algorithm: Algorithm = Algorithm.ES256


class ProvisionerSettings(Section):
    """One way to get certificates.

    - `name`: 1 to 64 of ``a-z``, ``0-9`` and ``-``; it stands in certificates of the kind ``wire``.
    - `kind`: ``wire`` for devices of Wire users, ``tls`` for DNS names and addresses.
    - `url`: what the provisioner's public URLs begin with (``https://ca.example.org/acme/wire``); challenges
      are named by it.
    - `chain`: PEM file of the issuing CA's certificate and those above it; the CA's key is declared in
      ``[[keys]]`` with the purpose ``certificates``. Without it the CA is the active key with that purpose
      and its certificates in the key table, which a rotation replaces.
    - `ca_algorithm`: that of the keys where there is no `chain`.
    - `challenges`: those offered.
    - `domains`: for ``wire`` the only organizations certified, for ``tls`` the domains, each with all below
      it, or ``*`` for any.
    - `ip_networks`: for ``tls``, the networks whose addresses are certified.
    - `wildcards`: for ``tls``, whether a whole domain may be certified.
    - `order_lifetime`: seconds until an order expires.
    - `default_lifetime`, `minimum_lifetime`, `maximum_lifetime`: seconds that a certificate lives.
    - `crl_urls`, `ocsp_urls`, `ca_issuers_urls`: go into certificates; ``{issuer}`` stands for the CA's
      subject key identifier in hex, and is required in `crl_urls` and `ca_issuers_urls` without `chain`.
    - `external_account_required`: new accounts must be bound to a key that an administrator gave out.
    - `terms_url`: terms of service that a new account must agree to.
    - `oidc_issuer`, `oidc_client_id`: the users' OpenID provider, and the client of ID tokens.
    - `oidc_networks`: private networks (``10.0.0.0/8``) in which the provider's host may be; by default it
      must have a public address.
    - `oidc_ca`: PEM file of further roots for such a host.
    - `oidc_name_claim`, `oidc_handle_claim`: JSON Pointers (RFC 6901) to the ID token's claims that hold the
      display name, and the handle that is not a URI yet (``alice@example.org``); by default those of Wire.
    - `oidc_handle_suffix`: what is added to such a handle that lacks its domain (``@example.org``).
    - `oidc_target`: where clients are sent to log in; by default the issuer.
    - `dpop_target`: where clients get their access token; ``{device}`` and ``{domain}`` as above.
    - `dpop_keys`: PEM files of public keys that mint access tokens; empty means this gateway's own keys with
      the purpose ``client-access-tokens``.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    kind: Literal["wire", "tls"] = "wire"
    url: BaseUrl
    chain: Path | None = None
    ca_algorithm: Algorithm = Algorithm.ES256
    challenges: tuple[ChallengeName, ...]
    domains: tuple[str, ...] = ()
    ip_networks: tuple[str, ...] = ()
    wildcards: bool = False
    order_lifetime: int = Field(86_400, ge=60, le=30 * 86_400)
    default_lifetime: int = Field(90 * 86_400, ge=300)
    minimum_lifetime: int = Field(300, ge=60)
    maximum_lifetime: int = Field(90 * 86_400, ge=300, le=20 * 366 * 86_400)
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    ca_issuers_urls: tuple[str, ...] = ()
    external_account_required: bool = False
    terms_url: str | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_networks: tuple[str, ...] = ()
    oidc_ca: Path | None = None
    oidc_name_claim: ClaimPointer | None = None
    oidc_handle_claim: ClaimPointer | None = None
    oidc_handle_suffix: str = ""
    oidc_target: str | None = None
    dpop_target: Target | None = None
    dpop_keys: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _challenges_fit(self) -> Self:
        wire = {"wire-oidc-01", "wire-dpop-01"}
        offered = set(self.challenges)
        if self.kind == "wire" and offered != wire:
            raise ValueError("a wire provisioner offers wire-oidc-01 and wire-dpop-01, both and no others")
        if self.kind == "tls" and (not offered or offered & wire):
            raise ValueError("a tls provisioner offers at least one of http-01, dns-01 and tls-alpn-01")
        return self

    @model_validator(mode="after")
    def _wire_is_complete(self) -> Self:
        needed = (self.oidc_issuer, self.oidc_client_id, self.dpop_target)
        if self.kind == "wire" and not all(needed):
            raise ValueError("a wire provisioner needs oidc_issuer, oidc_client_id and dpop_target")
        if self.kind == "tls" and not (self.domains or self.ip_networks):
            raise ValueError("a tls provisioner needs domains or ip_networks; nothing else is certified")
        return self

    @model_validator(mode="after")
    def _claims_fit(self) -> Self:
        if self.oidc_handle_suffix and self.oidc_handle_claim is None:
            raise ValueError(
                "oidc_handle_suffix needs oidc_handle_claim; by default handles have their domain"
            )
        if self.oidc_ca is not None and not self.oidc_networks:
            raise ValueError("oidc_ca is for a provider in oidc_networks of your own; name them")
        return self

    @model_validator(mode="after")
    def _urls_tell_cas_apart(self) -> Self:
        if self.chain is None and not all(
            ISSUER_PLACE in url for url in (*self.crl_urls, *self.ca_issuers_urls)
        ):
            raise ValueError(
                "crl_urls, ca_issuers_urls: without chain there are several CAs in time, each with its own "
                "list and certificate; put {issuer} into the URLs"
            )
        return self

    @model_validator(mode="after")
    def _lifetimes_agree(self) -> Self:
        if not self.minimum_lifetime <= self.default_lifetime <= self.maximum_lifetime:
            raise ValueError("default_lifetime lies between minimum_lifetime and maximum_lifetime")
        return self
