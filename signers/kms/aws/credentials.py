"""AWS credentials by botocore's own chain: environment, profile, SSO, web identity, container, instance.

botocore renews what it can by itself, 15 minutes before the end, when it is asked for the credentials; so it
is asked every few minutes, on a thread, because it may make requests.
"""

from typing import NamedTuple, Protocol, cast

import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    InvalidConfigError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from signers.errors import AccessDeniedError, KeyUriError, SignerUnavailableError
from signers.kms.login import Login
from signers.remote.credentials import Credentials, Lease

LOOK_EVERY = 300.0
"""Seconds after which botocore is asked again."""


_MISCONFIGURED = (ConfigParseError, InvalidConfigError, PartialCredentialsError, ProfileNotFound)


class AwsKeys(NamedTuple):
    """What requests are signed with: the attributes that botocore's signer reads."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return f"AwsKeys({self.access_key})"


class _Resolved(Protocol):
    """botocore's credentials."""

    def get_frozen_credentials(self) -> AwsKeys: ...


class AwsLogin:
    """Obtains leases for `Credentials`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._login = Login(name)
        self._resolved: _Resolved | None = None

    async def obtain(self, previous: Lease[AwsKeys] | None) -> Lease[AwsKeys]:
        """The keys in force; for None the chain is gone through anew, files and environment included."""
        try:
            keys = await self._login.run(lambda: self._frozen(anew=previous is None))
        except ClientError as error:
            # STS or SSO, asked for the credentials of a role, said no.
            raise AccessDeniedError(f"AWS gives no credentials: {error}", key=self._name) from error
        except _MISCONFIGURED as error:
            raise AccessDeniedError(
                f"The AWS configuration cannot be used: {error}", key=self._name
            ) from error
        except BotoCoreError as error:
            raise SignerUnavailableError(f"No AWS credentials: {error}", key=self._name) from error
        return Lease(keys, LOOK_EVERY, renewable=True)

    def _frozen(self, *, anew: bool) -> AwsKeys:
        resolved = self._resolved
        if anew or resolved is None:
            resolved = cast("_Resolved | None", botocore.session.Session().get_credentials())
        if resolved is None:
            raise AccessDeniedError(
                "There are no AWS credentials: neither environment, profile, web identity, container nor "
                "instance has any.",
                key=self._name,
            )
        self._resolved = resolved
        frozen = resolved.get_frozen_credentials()
        return AwsKeys(frozen.access_key, frozen.secret_key, frozen.token)


def aws_credentials(name: str) -> Credentials[AwsKeys]:
    """Credentials by the chain; *name* is the redacted name for logs and errors."""
    return Credentials(name, AwsLogin(name).obtain)


def default_region() -> str:
    """The region of the environment or the profile. Raises `KeyUriError` where there is none."""
    region = botocore.session.Session().get_config_variable("region")
    if not isinstance(region, str) or not region:
        raise KeyUriError("The URI names no region, and AWS_REGION is not set; add ';region=eu-central-1'.")
    return region


def service_url(region: str) -> str:
    """The KMS endpoint of *region*, with FIPS where the AWS configuration asks for it."""
    fips = bool(botocore.session.Session().get_config_variable("use_fips_endpoint"))
    resolver = EndpointResolver(create_loader().load_data("endpoints"))
    found = resolver.construct_endpoint("kms", region, use_fips_endpoint=fips)
    if not found:
        raise KeyUriError(f"AWS has no KMS endpoint in region '{region}'.")
    return f"https://{found['hostname']}"
