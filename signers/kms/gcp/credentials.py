"""Google credentials by google-auth's Application Default Credentials.

A service account's key file, workload identity federation, gcloud's own login, or the metadata server, in the
order of google.auth.default.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, cast

import google.auth
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request

from signers.errors import AccessDeniedError, SignerUnavailableError
from signers.kms.login import Login
from signers.remote.credentials import Credentials, Lease

SCOPE = "https://www.googleapis.com/auth/cloudkms"


@dataclass(frozen=True, slots=True)
class GcpToken:
    """An access token, and the project that pays for its calls where that is another than the key's."""

    token: str = field(repr=False)
    quota_project: str | None

    @property
    def headers(self) -> dict[str, str]:
        """What a request carries."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.quota_project is not None:
            headers["X-Goog-User-Project"] = self.quota_project
        return headers


class _Resolved(Protocol):
    """google-auth's credentials. `expiry` is in UTC, without a time zone."""

    token: str | None
    expiry: datetime | None
    quota_project_id: str | None

    def refresh(self, request: object) -> None: ...


class GcpLogin:
    """Obtains leases for `Credentials`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._login = Login(name)

    async def obtain(self, previous: Lease[GcpToken] | None) -> Lease[GcpToken]:  # noqa: ARG002  # All are new.
        """A new token; what it is obtained with is looked up anew, so that a replaced key file counts."""
        try:
            return await self._login.run(self._fetch)
        except (DefaultCredentialsError, OSError, ValueError, AttributeError, TypeError) as error:
            # The last two are what google-auth makes of a key file with other JSON in it.
            raise AccessDeniedError(f"There are no Google credentials: {error}", key=self._name) from error
        except TransportError as error:
            raise SignerUnavailableError(f"No token from Google: {error}", key=self._name) from error
        except GoogleAuthError as error:
            text = f"Google gives no token: {str(error)[:300]}"
            if error.retryable:
                raise SignerUnavailableError(text, key=self._name) from error
            raise AccessDeniedError(text, key=self._name) from error

    def _fetch(self) -> Lease[GcpToken]:
        found, _ = google.auth.default(scopes=[SCOPE])
        resolved = cast("_Resolved", found)
        resolved.refresh(Request())
        if not resolved.token:
            raise AccessDeniedError("Google gave an empty token.", key=self._name)
        lifetime = None
        if resolved.expiry is not None:
            lifetime = max(resolved.expiry.replace(tzinfo=UTC).timestamp() - time.time(), 0.0)
        return Lease(GcpToken(resolved.token, resolved.quota_project_id), lifetime)


def gcp_credentials(name: str) -> Credentials[GcpToken]:
    """Credentials by the chain; *name* is the redacted name for logs and errors."""
    return Credentials(name, GcpLogin(name).obtain)
