"""What a client is registered with for tokens and grants survives the way through the API."""

import pytest
from countersign import (
    AccessTokenFormat,
    ClientSecretBasicAuth,
    CountersignError,
    GrantType,
    Reason,
    TokenExchangePolicy,
)

from tests.support.gateway import running_gateway

FIELDS = {
    "grant_types": frozenset(set(GrantType) - {GrantType.UNRECOGNIZED}),
    "redirect_uris": frozenset({"https://app.example.org/cb", "com.example.app:/cb"}),
    "require_pushed_authorization_requests": True,
    "dpop_bound_access_tokens": True,
    "access_token_format": AccessTokenFormat.OPAQUE,
    "token_exchange": TokenExchangePolicy(impersonation=True, bound_subject_tokens=True),
    "introspection_signed_response_alg": "EdDSA",
}


@pytest.fixture
async def admin(tmp_path):
    """An administrator's client."""
    async with running_gateway(tmp_path) as gateway, gateway.client(gateway.admin) as client:
        yield client


async def test_created_read_and_changed(admin):
    """Every field comes back; each can be changed alone."""
    await admin.create_client("app", authentication=ClientSecretBasicAuth(), **FIELDS)
    read = await admin.get_client("app")
    assert {name: getattr(read, name) for name in FIELDS} == FIELDS
    changed = await admin.update_client(
        "app", access_token_format=AccessTokenFormat.JWT, token_exchange=TokenExchangePolicy()
    )
    assert (changed.access_token_format, changed.token_exchange) == (
        AccessTokenFormat.JWT,
        TokenExchangePolicy(),
    )
    assert changed.redirect_uris == FIELDS["redirect_uris"]


async def test_an_unknown_algorithm(admin):
    """Is refused at registration."""
    with pytest.raises(CountersignError) as caught:
        await admin.create_client(
            "app", authentication=ClientSecretBasicAuth(), introspection_signed_response_alg="RS1"
        )
    assert caught.value.reason == Reason.INVALID_CLIENT_METADATA
    assert caught.value.field_violations[0].field == "client.introspection_signed_response_alg"
