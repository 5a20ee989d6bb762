"""Secrets stay out of what programs print and log by accident."""

import traceback
from datetime import UTC, datetime

import grpc
import pytest
from countersign import (
    AccessToken,
    AssertionKey,
    ClientSecret,
    ClientWithSecret,
    CountersignError,
    GatewayClient,
    TlsConfig,
    TokenType,
)

from tests.clients.gateway_double import failure
from tests.support.pki import new_key

SECRET = "s3cret-value"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def access_token() -> AccessToken:
    return AccessToken(SECRET, TokenType.BEARER, NOW, NOW, (), "jti-1", (), None)


@pytest.mark.parametrize(
    "value",
    [
        access_token(),
        ClientSecret(SECRET),
        ClientWithSecret(None, SECRET),  # type: ignore[arg-type]  # Only the repr matters here.
        TlsConfig(certificate=b"PEM", private_key=SECRET.encode()),
        GatewayClient("localhost:1", tls=TlsConfig(certificate=b"PEM", private_key=SECRET.encode())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_secret_is_no_part_of_the_repr(value):
    """Neither repr nor str nor a format shows the secret."""
    assert SECRET not in f"{value!r} {value} {[value]}"


def test_paths_are_shown():
    """A path is no secret, and helps to find a mistake."""
    shown = repr(TlsConfig(ca="ca.pem", certificate="a.pem", private_key="a.key"))
    assert shown == "TlsConfig(ca='ca.pem', certificate='a.pem', private_key='a.key', server_name=None)"


def test_certificate_and_key_belong_together():
    """Half an identity is refused when it is configured, not when it is used."""
    with pytest.raises(ValueError, match="both or neither"):
        TlsConfig(certificate=b"PEM")


def test_assertion_key_shows_no_key():
    """The private key is no part of the repr."""
    assert "private_key" not in repr(AssertionKey(new_key(), "ES256", "https://gateway.example"))


async def test_failure_shows_no_secret(client, double):
    """A traceback of a failed call, with all its causes, holds nothing of the request."""
    double.will("RevokeToken", failure(grpc.StatusCode.UNAUTHENTICATED, "INVALID_CLIENT"))
    with pytest.raises(CountersignError) as caught:
        await client.revoke_token(SECRET, client_id="billing", credential=ClientSecret(SECRET))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
