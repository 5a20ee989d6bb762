"""What a client hears of a failed login."""

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.login.errors import LoginRefusedError, told
from gateway.oidc.errors import AuthorizationResponseError, IdTokenError, OidcFault, ProviderError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            AuthorizationResponseError(OidcFault.AUTHORIZATION_REFUSED, "", error="access_denied"),
            "access_denied",
        ),
        (
            AuthorizationResponseError(OidcFault.AUTHORIZATION_REFUSED, "", error="interaction_required"),
            "interaction_required",
        ),
        (
            AuthorizationResponseError(OidcFault.AUTHORIZATION_REFUSED, "", error="unauthorized_client"),
            "server_error",
        ),
        (AuthorizationResponseError(OidcFault.AUTHORIZATION_REFUSED, ""), "server_error"),
        # The provider refuses the code, not the user: its word is not passed on.
        (AuthorizationResponseError(OidcFault.CODE_REFUSED, "", error="access_denied"), "server_error"),
        (AuthorizationResponseError(OidcFault.RESPONSE_ISSUER_MISMATCH, ""), "server_error"),
        (IdTokenError(OidcFault.SIGNATURE_INVALID, ""), "server_error"),
        (IdTokenError(OidcFault.AUTHENTICATED_TOO_LONG_AGO, ""), "login_required"),
        (ProviderError(OidcFault.METADATA_INVALID, ""), "server_error"),
    ],
)
def test_what_the_client_hears(error, code):
    """One code for each; the fault is for our log."""
    refused = told(error)
    assert isinstance(refused, LoginRefusedError)
    assert (refused.error, refused.message) == (code, "The login did not succeed.")
    assert refused.cause


def test_an_outage_passes():
    """What may succeed later is said to be unavailable now."""
    unavailable = told(ProviderError(OidcFault.PROVIDER_UNREACHABLE, "", retry_after=10))
    assert isinstance(unavailable, AvailabilityError)
    assert unavailable.reason is Reason.IDENTITY_PROVIDER_UNAVAILABLE
    assert unavailable.retry_after is not None
    assert unavailable.retry_after.total_seconds() == 10
