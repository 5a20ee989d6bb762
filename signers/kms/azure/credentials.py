"""Azure credentials by azure-identity's DefaultAzureCredential.

A service principal in the environment, a workload identity, a managed identity, and what developers are
logged in with; AZURE_TOKEN_CREDENTIALS=prod leaves the last out.
"""

import time
from functools import partial

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential

from signers.errors import AccessDeniedError, SignerUnavailableError
from signers.kms.login import Login
from signers.remote.credentials import Credentials, Lease

_MAX_MESSAGE = 300


class AzureLogin:
    """Obtains leases of bearer tokens for `Credentials`."""

    def __init__(self, name: str, resource: str) -> None:
        self._name = name
        self._scope = f"{resource}/.default"
        self._login = Login(name)

    async def obtain(self, previous: Lease[str] | None) -> Lease[str]:  # noqa: ARG002  # All are new.
        """A new token. The chain starts anew each time, because azure-identity would else return the token
        that it remembers, which the vault may just have refused.
        """
        try:
            return await self._login.run(partial(_fetch, self._scope))
        except (CredentialUnavailableError, OSError, ValueError) as error:
            raise AccessDeniedError(
                f"There are no Azure credentials: {str(error)[:_MAX_MESSAGE]}", key=self._name
            ) from error
        except ClientAuthenticationError as error:
            raise AccessDeniedError(
                f"Azure gives no token: {str(error)[:_MAX_MESSAGE]}", key=self._name
            ) from error
        except AzureError as error:
            raise SignerUnavailableError(
                f"No token from Azure: {str(error)[:_MAX_MESSAGE]}", key=self._name
            ) from error


def azure_credentials(name: str, resource: str) -> Credentials[str]:
    """Bearer tokens for *resource*; *name* is the redacted name for logs and errors."""
    return Credentials(name, AzureLogin(name, resource).obtain)


def _fetch(scope: str) -> Lease[str]:
    with DefaultAzureCredential() as credential:
        token = credential.get_token_info(scope)
    return Lease(token.token, max(token.expires_on - time.time(), 0.0))
