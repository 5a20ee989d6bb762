"""Configuration: one TOML file plus ``COUNTERSIGN_`` environment variables, read once, frozen.

``COUNTERSIGN_STORE__URL`` overrides ``[store] url``; a nested field is written with two underscores.
Durations are seconds, sizes are bytes. Relative paths are taken from the folder of the configuration file.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gateway.client_key_settings import ClientKeySettings
from gateway.enrollment_settings import EnrollmentSettings, ProvisionerSettings
from gateway.keys.model import KeyPurpose
from gateway.presentation_settings import PresentationSettings, VerifierSettings
from gateway.principal import Role
from gateway.proofs.target_uri import Origins, TargetUriError
from gateway.remote_signer_settings import RemoteSignerSettings
from gateway.upstream_settings import UpstreamSettings
from signers import Algorithm


class ConfigurationError(Exception):
    """The configuration cannot be used. Every line of the message names a field and how to mend it."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_LARGEST_PORT = 65_535
_PORT = re.compile(r"[0-9]{1,5}")


def _host_and_port(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not _PORT.fullmatch(port) or int(port) > _LARGEST_PORT:
        raise ValueError("write it as host:port, for example 127.0.0.1:50051")
    return value


def _issuer(value: str) -> str:
    if not value.startswith("https://") or "?" in value or "#" in value or value.endswith("/"):
        raise ValueError(
            "an issuer is an https URL without query, fragment or trailing slash (RFC 8414 §2), "
            "for example https://id.example.org"
        )
    return value


def _public_url(value: str) -> str:
    try:
        Origins.parse((value,))
    except TargetUriError as error:
        raise ValueError(f"{error}; write https://host or https://host:port") from error
    if value.endswith("/"):
        raise ValueError("leave the slash at the end out")
    return value


Address = Annotated[str, AfterValidator(_host_and_port)]
OptionalAddress = Annotated[str, AfterValidator(lambda value: _host_and_port(value) if value else value)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Issuer = Annotated[str, AfterValidator(_issuer)]


class ServerSettings(_Section):
    """Listeners and their limits.

    - `tls_address`, `mtls_address`: where the gRPC listeners bind, ``host:port``; port 0 takes a free one
      (with one worker only).
    - `https_address`, `https_mtls_address`: where the HTTPS edge binds, without and with client certificate;
      empty turns it off.
    - `certificate`, `private_key`: PEM files of all listeners; read again when they change.
    - `client_ca`: PEM bundle of the roots that issue client certificates.
    - `workers`: processes that share the ports.
    - `max_message_bytes`, `max_metadata_bytes`: larger requests are refused; the latter bounds the head of an
      HTTP request too.
    - `max_concurrent_calls`: calls under way per worker; more are refused with OVERLOADED.
    - `max_concurrent_streams`: calls under way per connection.
    - `default_deadline`: seconds granted to a call that brings no deadline.
    - `max_deadline`: seconds that a call gets at most, whatever it asks for.
    - `drain_timeout`: seconds that calls under way get after SIGTERM.
    - `max_connection_age`: seconds after which a client is asked to reconnect, so that load spreads.
    - `https_max_connections`: HTTPS connections per worker; more are closed.
    - `https_request_timeout`: seconds within which the head of an HTTP request must arrive, then its body.
    - `https_keep_alive`: seconds that an HTTPS connection may be idle.
    - `tls_reload_interval`: seconds between looks at the certificate files.
    - `reflection`, `channelz`: whether those services are offered (channelz to admins only).
    """

    tls_address: Address = "127.0.0.1:50051"
    mtls_address: Address = "127.0.0.1:50052"
    https_address: OptionalAddress = "127.0.0.1:8443"
    https_mtls_address: OptionalAddress = "127.0.0.1:8444"
    certificate: Path
    private_key: Path
    client_ca: Path
    workers: int = Field(1, ge=1, le=256)
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    max_metadata_bytes: int = Field(16 * 1024, ge=8 * 1024, le=1024 * 1024)
    max_concurrent_calls: int = Field(1_000, ge=1)
    max_concurrent_streams: int = Field(256, ge=1)
    default_deadline: float = Field(10.0, gt=0)
    max_deadline: float = Field(60.0, gt=0)
    drain_timeout: float = Field(25.0, ge=0)
    max_connection_age: float = Field(1800.0, ge=1)
    https_max_connections: int = Field(1_000, ge=1)
    https_request_timeout: float = Field(10.0, gt=0)
    https_keep_alive: float = Field(60.0, gt=0)
    tls_reload_interval: float = Field(1.0, gt=0)
    reflection: bool = True
    channelz: bool = False

    @model_validator(mode="after")
    def _one_worker_for_port_zero(self) -> Self:
        addresses = (self.tls_address, self.mtls_address, self.https_address, self.https_mtls_address)
        if self.workers > 1 and any(address.endswith(":0") for address in addresses):
            raise ValueError("port 0 works with workers = 1 only: several workers must share a known port")
        return self


class StoreSettings(_Section):
    """The database.

    - `url`: ``sqlite:///countersign.db`` or ``postgresql://user@host/database``.
    - `password_file`: holds the PostgreSQL password, which is then kept out of the URL.
    - `pool_size`: PostgreSQL connections per worker.
    - `timeout`: seconds that a statement, or a wait for the right to write, may take.
    - `statement_cache`: prepared statements; off behind a transaction pooler.
    """

    url: str = "sqlite:///countersign.db"
    password_file: Path | None = None
    pool_size: int = Field(8, ge=1, le=256)
    timeout: float = Field(5.0, gt=0)
    statement_cache: bool = True


class TokenSettings(_Section):
    """How access tokens are minted.

    - `issuer`: the ``iss`` of every token, and the audience of client assertions and of tokens for the
      gateway's own API.
    - `algorithm`: the default signing algorithm; a key with purpose ``tokens`` must have it.
    - `lifetime`, `max_lifetime`: seconds; a client may ask for its own up to the maximum.
    - `clock_skew`: seconds that another party's clock may be ahead.
    - `assertion_max_lifetime`: the furthest ``exp`` of a client assertion, in seconds from now.
    - `assertion_audiences`: further ``aud`` values accepted in client assertions beside the issuer
      (RFC 7523 §3); empty is the strict default.
    - `assertion_algorithms`: what client assertions may be signed with.
    - `introspection_algorithm`: what signed introspection responses are signed with for clients that are
      registered without one; a key with purpose ``introspection`` must have it.
    - `code_lifetime`, `pushed_request_lifetime`: seconds for which an authorization code, and a pushed
      authorization request, can be used.
    - `refresh_idle_lifetime`, `refresh_lifetime`: seconds after which a refresh token expires that was not
      used, and after which it expires in any case.
    - `refresh_grace`: seconds for which a rotated refresh token still gives its successor, for clients that
      lost the answer; 0 takes any second use for theft.
    - `refresh_grace_uses`: how often it does.
    - `origins`: the public origins at which clients reach the gateway, as they write them
      (``https://id.example.org:50052``); a DPoP proof must name one. Empty means the issuer's origin.
    - `dpop_algorithms`: what DPoP proofs may be signed with.
    - `dpop_window`: seconds for which a DPoP proof is accepted after its ``iat``.
    - `dpop_nonce`: whether DPoP proofs carry nonces of this server (RFC 9449 §8): ``off``, ``accepted`` or
      ``required``.
    - `dpop_nonce_secrets`: files with at least 32 random bytes each, the same on every replica; the first
      makes nonces, all of them verify.
    - `jwks_max_age`: seconds that a verifier may keep the key set; a new key is published at least this long
      before it signs.
    """

    issuer: Issuer
    algorithm: Algorithm = Algorithm.ES256
    lifetime: int = Field(600, ge=1, le=86_400)
    max_lifetime: int = Field(3_600, ge=1, le=86_400)
    clock_skew: int = Field(10, ge=0, le=60)
    assertion_max_lifetime: int = Field(300, ge=10, le=3_600)
    assertion_audiences: tuple[str, ...] = ()
    assertion_algorithms: tuple[Algorithm, ...] = (
        Algorithm.ES256,
        Algorithm.ES384,
        Algorithm.EDDSA,
        Algorithm.PS256,
    )
    jwks_max_age: int = Field(300, ge=1, le=86_400)
    introspection_algorithm: Algorithm = Algorithm.ES256
    code_lifetime: int = Field(60, ge=1, le=60)
    pushed_request_lifetime: int = Field(90, ge=1, le=599)
    refresh_idle_lifetime: int = Field(14 * 86_400, ge=60, le=366 * 86_400)
    refresh_lifetime: int = Field(90 * 86_400, ge=60, le=366 * 86_400)
    refresh_grace: int = Field(10, ge=0, le=300)
    refresh_grace_uses: int = Field(64, ge=1, le=1_000)
    origins: tuple[str, ...] = ()
    dpop_algorithms: tuple[Algorithm, ...] = Field(
        (Algorithm.ES256, Algorithm.ES384, Algorithm.EDDSA, Algorithm.PS256), min_length=1
    )
    dpop_window: int = Field(60, ge=1, le=300)
    dpop_nonce: Literal["off", "accepted", "required"] = "off"
    dpop_nonce_secrets: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _lifetimes_agree(self) -> Self:
        if self.lifetime > self.max_lifetime:
            raise ValueError("lifetime exceeds max_lifetime; raise the latter or lower the former")
        return self

    @model_validator(mode="after")
    def _nonces_have_secrets(self) -> Self:
        if (self.dpop_nonce == "off") != (not self.dpop_nonce_secrets):
            raise ValueError("dpop_nonce and dpop_nonce_secrets go together; set both or neither")
        return self

    @model_validator(mode="after")
    def _origins_are_origins(self) -> Self:
        try:
            self.public_origins()
        except TargetUriError as error:
            raise ValueError(f"origins: {error}; write https://host or https://host:port") from error
        return self

    @property
    def issuer_origin(self) -> str:
        """The origin of the issuer."""
        issuer = urlsplit(self.issuer)
        return f"{issuer.scheme}://{issuer.netloc}"

    def public_origins(self) -> Origins:
        """Where clients reach the gateway over gRPC. Raises `TargetUriError`."""
        return Origins.parse(self.origins or (self.issuer_origin,))


class TrustedIssuerSettings(_Section):
    """An issuer whose assertions stand for users (RFC 7523 §2.1).

    - `issuer`: its ``iss``, compared exactly.
    - `jwks`: a file with its public keys as a JWK Set.
    - `algorithms`: what it may sign with.
    - `subject_prefix`: put before every ``sub`` of it, so that no two issuers name one user; may be empty.
    - `clients`: the client ids that may present its assertions; empty for every client with the grant.
    - `max_lifetime`: how many seconds ahead ``exp`` may be.
    """

    issuer: str = Field(min_length=1)
    jwks: Path
    algorithms: tuple[Algorithm, ...] = Field(
        (Algorithm.ES256, Algorithm.ES384, Algorithm.EDDSA, Algorithm.PS256), min_length=1
    )
    subject_prefix: str
    clients: tuple[str, ...] = ()
    max_lifetime: int = Field(300, ge=10, le=3_600)


class KeySettings(_Section):
    """A key that the gateway must know at start.

    - `purpose`: what it signs; ``tokens`` for access tokens.
    - `algorithm`: its JOSE name; a key has one.
    - `uri`: ``file:keys/tokens.pem``, ``pkcs11:token=…;object=…?module-path=…&pin-source=file:…``, or one of a
      service (docs/kms.md).
    - `public_key_sha256`: SHA-256 of the SubjectPublicKeyInfo in hex; a mismatch stops the start.
    - `certificate`: PEM file whose public key must be this key's; a mismatch stops the start.
    """

    purpose: KeyPurpose
    algorithm: Algorithm
    uri: str
    public_key_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    certificate: Path | None = None


class Pkcs11Settings(_Section):
    """How PKCS#11 tokens are used.

    - `module_path`: the PKCS#11 library for key URIs without ``module-path``; absolute.
    - `sessions`: signing sessions per token and worker; lowered to what the token allows.
    - `queue`: signatures that may wait before callers are told SIGNER_BUSY.
    - `sign_timeout`: seconds after which a signature is given up.
    - `keep_alive`: seconds between uses of a login that nobody else uses, because devices close what is idle;
      0 leaves it alone.
    - `read_write_sessions`: for tokens that open no read-only session (AWS CloudHSM).
    - `isolation`: keep the module in a signer process of its own, one per token and worker, which is replaced
      when it crashes or hangs.
    """

    module_path: Path | None = None
    sessions: int = Field(4, ge=1, le=256)
    queue: int = Field(1_024, ge=1, le=1_000_000)
    sign_timeout: float = Field(10.0, gt=0, le=300)
    keep_alive: float = Field(20.0, ge=0, le=86_400)
    read_write_sessions: bool = False
    isolation: bool = True


class CallerSettings(_Section):
    """Gives roles to whoever presents one certificate name or a token of one client.

    - `subject_dn`, `san_dns`, `san_uri`, `san_ip`, `san_email`, `client_id`: exactly one; a subject is
      written as in RFC 4514, a SPIFFE ID is a `san_uri`.
    - `roles`: any of admin, client, enroller, login, resource-server, verifier.
    - `resources`: identifiers for which a resource-server may introspect.
    """

    subject_dn: str | None = None
    san_dns: str | None = None
    san_uri: str | None = None
    san_ip: str | None = None
    san_email: str | None = None
    client_id: str | None = None
    roles: tuple[Role, ...]
    resources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        names = (self.subject_dn, self.san_dns, self.san_uri, self.san_ip, self.san_email, self.client_id)
        if sum(name is not None for name in names) != 1:
            raise ValueError(
                "name the caller by exactly one of subject_dn, san_dns, san_uri, san_ip, san_email, client_id"
            )
        if self.resources and Role.RESOURCE_SERVER not in self.roles:
            raise ValueError("resources are for callers with the role resource-server; add the role")
        return self


class TerminatorSettings(_Section):
    """A TLS terminator in front that forwards the client's certificate in a header. Off unless named.

    - `trusted`: SPIFFE IDs or RFC 4514 subjects of the terminators' own certificates, as they appear on the
      mutual-TLS listener.
    - `header`: its name in lower case.
    - `format`: how it carries the certificate.
    """

    trusted: tuple[str, ...] = ()
    header: str = "client-cert"
    format: Literal["rfc9440", "pem", "xfcc"] = "rfc9440"


class EdgeSettings(_Section):
    """How the HTTPS edge is known to its clients.

    - `public_url`: the origin that the URLs of the endpoints begin with; by default that of `tokens.issuer`.
    - `mtls_public_url`: the same for the address that asks for client certificates; without it the metadata
      name no `mtls_endpoint_aliases` (RFC 8705 §5). DPoP proofs may name either origin.
    - `authorization_url`: the page of the login application where users authorize clients; it goes into the
      metadata as `authorization_endpoint`. Not beside `upstream`, with which the gateway has that endpoint
      itself.
    """

    public_url: PublicUrl | None = None
    mtls_public_url: PublicUrl | None = None
    authorization_url: Annotated[str, Field(pattern=r"^https://[^#]+$")] | None = None


class CompatibilitySettings(_Section):
    """Deviations that clients of other servers need. All are off.

    - `wso2_x5t_sha256`: introspection gives the certificate's thumbprint under the old name of WSO2 Identity
      Server, ``x5t#SHA256``, beside ``x5t#S256``.
    """

    wso2_x5t_sha256: bool = False


class LogSettings(_Section):
    """What is logged, on stderr.

    - `level`: the least that is written.
    - `format`: ``json``, one object a line, or ``text``.
    - `access`: whether each call is logged; failures that are the gateway's own always are.
    - `audit`: whether every use of a signing key is logged, by the logger ``audit``.
    """

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "text"] = "json"
    access: bool = True
    audit: bool = True


class MetricsSettings(_Section):
    """Metrics in the text format of Prometheus, at ``http://ADDRESS/metrics``, to whoever can connect.

    - `enabled`: whether they are served at all.
    - `address`: where the listener of the first worker binds, ``host:port``; each further worker takes the
      next free port of twice as many as there are workers.
    """

    enabled: bool = False
    address: Address = "127.0.0.1:9464"


class RotationSettings(_Section):
    """Keys of one purpose and algorithm that replace themselves.

    - `purpose`, `algorithm`: which.
    - `period`: seconds that a key signs. Its successor is made and published a quarter of that before, and at
      least `tokens.jwks_max_age`.
    - `uri`: where a successor is made, with ``{after}`` for 16 hex digits that follow from the key before it:
      ``pkcs11:token=prod;object=tokens-{after}``, ``file:keys/tokens-{after}.pem``.
    - `delegated`: the successor is certified by the active key of purpose ``delegation``; `uri` is a file.
    """

    purpose: KeyPurpose
    algorithm: Algorithm
    period: int = Field(ge=60, le=10 * 366 * 86_400)
    uri: str
    delegated: bool = False

    @model_validator(mode="after")
    def _makes_names(self) -> Self:
        if self.purpose is KeyPurpose.CERTIFICATES:
            raise ValueError(
                "purpose: a CA's certificate is named by its provisioner, and what it issued needs its "
                "revocation lists; make its successor with `countersign keys create`"
            )
        if "{after}" not in self.uri:
            raise ValueError("uri: put {after} where each key's name differs from the one before")
        if self.delegated and not self.uri.startswith("file:"):
            raise ValueError("uri: a delegated key lives in a file; name a private directory, file:/run/…")
        if self.delegated and self.purpose is KeyPurpose.DELEGATION:
            raise ValueError("purpose: a key that certifies others is not itself delegated")
        return self


class HealthSettings(_Section):
    """How health looks at what the gateway depends on.

    - `interval`: seconds between probes of signers and database.
    - `timeout`: seconds that a probe may take.
    """

    interval: float = Field(5.0, gt=0)
    timeout: float = Field(3.0, gt=0)


class Settings(BaseSettings):
    """The whole configuration. `base_dir` is the folder that relative paths start from."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    base_dir: Path = Path()
    server: ServerSettings
    store: StoreSettings = StoreSettings()
    tokens: TokenSettings
    keys: tuple[KeySettings, ...] = ()
    rotations: tuple[RotationSettings, ...] = ()
    trusted_issuers: tuple[TrustedIssuerSettings, ...] = ()
    pkcs11: Pkcs11Settings = Pkcs11Settings()
    vault: RemoteSignerSettings = RemoteSignerSettings()
    awskms: RemoteSignerSettings = RemoteSignerSettings()
    gcpkms: RemoteSignerSettings = RemoteSignerSettings()
    azurekms: RemoteSignerSettings = RemoteSignerSettings()
    callers: tuple[CallerSettings, ...] = ()
    terminator: TerminatorSettings = TerminatorSettings()
    edge: EdgeSettings = EdgeSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    client_keys: ClientKeySettings = ClientKeySettings()
    enrollment: EnrollmentSettings = EnrollmentSettings()
    provisioners: tuple[ProvisionerSettings, ...] = ()
    presentations: PresentationSettings = PresentationSettings()
    verifiers: tuple[VerifierSettings, ...] = ()
    compatibility: CompatibilitySettings = CompatibilitySettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    health: HealthSettings = HealthSettings()

    @model_validator(mode="after")
    def _one_authorization_endpoint(self) -> Self:
        if self.upstream.issuer is None:
            return self
        if self.edge.authorization_url is not None:
            raise ValueError(
                "upstream and edge.authorization_url: users log in at one of the two; remove the other"
            )
        if not self.server.https_address:
            raise ValueError("upstream needs server.https_address: browsers come there; set it")
        return self

    @property
    def public_url(self) -> str:
        """What the URLs of the HTTPS edge begin with."""
        return self.edge.public_url or self.tokens.issuer_origin

    def public_origins(self) -> Origins:
        """Where clients reach the gateway, through whichever door; what DPoP proofs may name."""
        tokens, mtls = self.tokens, self.edge.mtls_public_url
        origins = [*(tokens.origins or (tokens.issuer_origin,)), self.public_url]
        return Origins.parse(tuple(dict.fromkeys([*origins, mtls] if mtls else origins)))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, which arrives as init arguments."""
        del env_settings, dotenv_settings, file_secret_settings
        environment = EnvSettingsSource(settings_cls, env_prefix="COUNTERSIGN_", env_nested_delimiter="__")
        return (environment, init_settings)

    def path(self, path: Path) -> Path:
        """*path*, from `base_dir` where it is relative."""
        return path if path.is_absolute() else self.base_dir / path


def load(file: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read *file* and the environment. Raises `ConfigurationError`, naming every field at fault."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be read: {error.strerror}. Name it with --config."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: is not TOML: {error}.") from error
    if "base_dir" in document:
        raise ConfigurationError(f"{file}: base_dir: remove it; it is always the folder of this file.")
    try:
        return Settings(**{**document, **(overrides or {})}, base_dir=file.resolve().parent)
    except ValidationError as error:
        raise ConfigurationError(_explain(file, error)) from error


def _explain(file: Path, error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in fault["loc"]) or "(whole file)"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "there is no such field; check its spelling against docs/operations.md"
        elif fault["type"] == "missing":
            variable = "COUNTERSIGN_" + "__".join(str(part) for part in fault["loc"]).upper()
            message = f"is required; set it in the file or as {variable}"
        lines.append(f"{file}: {field}: {message}.")
    return os.linesep.join(lines)


__all__ = [
    "CallerSettings",
    "CompatibilitySettings",
    "ConfigurationError",
    "EdgeSettings",
    "HealthSettings",
    "KeySettings",
    "LogSettings",
    "MetricsSettings",
    "Pkcs11Settings",
    "RotationSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TerminatorSettings",
    "TokenSettings",
    "UpstreamSettings",
    "load",
]
