"""What went wrong at the upstream provider, as what a client can be told."""

from datetime import timedelta
from typing import Final

from gateway.errors import AvailabilityError, GatewayError, Reason
from gateway.oidc.errors import AuthorizationResponseError, OidcError, OidcFault, ProviderError

SERVER_ERROR: Final = "server_error"
_PASSED_ON: Final = frozenset(
    {
        "access_denied",
        "login_required",
        "interaction_required",
        "account_selection_required",
        "consent_required",
        "temporarily_unavailable",
    }
)
"""What is as true of us as of the provider; any other error is about us as its client."""


class LoginRefusedError(GatewayError):
    """The user was not logged in. *error*: the code of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6."""

    def __init__(self, error: str, *, cause: str) -> None:
        super().__init__(Reason.PERMISSION_DENIED, "The login did not succeed.", cause=cause)
        self.error = error


def told(error: OidcError) -> GatewayError:
    """What the client hears of *error*; to be raised from it."""
    if isinstance(error, ProviderError) and error.transient:
        return AvailabilityError(
            Reason.IDENTITY_PROVIDER_UNAVAILABLE,
            "The identity provider cannot be reached now.",
            retry_after=timedelta(seconds=error.retry_after or 0),
            cause=error.fault,
        )
    if isinstance(error, AuthorizationResponseError) and error.fault is OidcFault.AUTHORIZATION_REFUSED:
        code = error.error if error.error in _PASSED_ON else SERVER_ERROR
        return LoginRefusedError(code or SERVER_ERROR, cause=f"upstream_{error.error}")
    if error.fault is OidcFault.AUTHENTICATED_TOO_LONG_AGO:
        # The provider was asked for a fresh login (Core §3.1.2.1) and gave an old one.
        return LoginRefusedError("login_required", cause=error.fault)
    return LoginRefusedError(SERVER_ERROR, cause=error.fault)
