"""Configuration: one TOML file plus ``COUNTERSIGN_`` environment variables, read once, frozen.

``COUNTERSIGN_STORE__URL`` overrides ``[store] url``; a nested field is written with two underscores.
Durations are seconds, sizes are bytes. Relative paths are taken from the folder of the configuration file.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gateway.proofs.target_uri import Origins
from gateway.settings.audit import AuditSettings
from gateway.settings.callers import CallerSettings
from gateway.settings.client_keys import ClientKeySettings
from gateway.settings.enrollment import EnrollmentSettings, ProvisionerSettings
from gateway.settings.keys import KeySettings, Pkcs11Settings, RotationSettings
from gateway.settings.limits import LimitSettings, RateLimitSettings
from gateway.settings.operation import (
    HealthSettings,
    LogSettings,
    MetricsSettings,
    StoreSettings,
    TracingSettings,
)
from gateway.settings.presentations import PresentationSettings, VerifierSettings
from gateway.settings.remote_signers import RemoteSignerSettings
from gateway.settings.server import CompatibilitySettings, EdgeSettings, ServerSettings, TerminatorSettings
from gateway.settings.tokens import TokenSettings, TrustedIssuerSettings
from gateway.settings.upstream import UpstreamSettings


class ConfigurationError(Exception):
    """The configuration cannot be used. Every line of the message names a field and how to mend it."""


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
    limits: LimitSettings = LimitSettings()
    rate_limits: tuple[RateLimitSettings, ...] = ()
    terminator: TerminatorSettings = TerminatorSettings()
    edge: EdgeSettings = EdgeSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    client_keys: ClientKeySettings = ClientKeySettings()
    enrollment: EnrollmentSettings = EnrollmentSettings()
    provisioners: tuple[ProvisionerSettings, ...] = ()
    presentations: PresentationSettings = PresentationSettings()
    verifiers: tuple[VerifierSettings, ...] = ()
    compatibility: CompatibilitySettings = CompatibilitySettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
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
