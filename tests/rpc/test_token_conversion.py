"""Requests for tokens that are read once and kept, and those that are not."""

import gc
import weakref

import pytest
from countersign.v1 import access_token_pb2, client_authentication_pb2, token_service_pb2

from gateway.errors import Reason, RequestError
from gateway.rpc.token_conversion import MAX_KEPT_ORDER, ORDER_CACHE_ENTRIES, fill_token, mint_order
from gateway.tokens.binding import CertificateBinding, DpopBinding
from gateway.tokens.mint import MintedToken
from gateway.tokens.terms import TokenTerms

GRANT = token_service_pb2.ClientCredentialsGrant()


def octets(**fields: object) -> bytes:
    message = token_service_pb2.MintTokenRequest(client_id="backend", **fields)
    return message.SerializeToString()


def test_names_are_kept():
    """The same octets that hold nothing but names are one order."""
    message = octets(client_credentials=GRANT, scope=["read"])
    assert mint_order(message) is mint_order(bytes(bytearray(message)))
    assert mint_order(message) != mint_order(octets(client_credentials=GRANT, scope=["write"]))


@pytest.mark.parametrize(
    "fields",
    [
        {
            "authentication": client_authentication_pb2.ClientAuthentication(
                client_secret=client_authentication_pb2.ClientSecret(secret="s")
            ),
            "client_credentials": GRANT,
        },
        {
            "authentication": client_authentication_pb2.ClientAuthentication(
                private_key_jwt=client_authentication_pb2.PrivateKeyJwt(assertion="a.b.c")
            ),
            "client_credentials": GRANT,
        },
        {"refresh_token": token_service_pb2.RefreshTokenGrant(refresh_token="r")},
        {"client_credentials": GRANT, "scope": ["x" * MAX_KEPT_ORDER]},
    ],
    ids=["secret", "assertion", "refresh token", "too long"],
)
def test_what_is_not_kept(fields):
    """A request with a secret, with what is used once, or that is long, is read each time."""
    message = octets(**fields)
    assert mint_order(message) == mint_order(message)
    assert mint_order(message) is not mint_order(message)


def test_the_oldest_gives_way():
    """What is kept is bounded."""
    message = octets(client_credentials=GRANT, scope=["oldest"])
    first = mint_order(message)
    for number in range(ORDER_CACHE_ENTRIES):
        mint_order(octets(client_credentials=GRANT, scope=[f"scope-{number}"]))
    assert mint_order(message) is not first


def test_no_grant():
    """A refusal is not kept."""
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            mint_order(octets())
        assert caught.value.reason is Reason.MISSING_FIELD


THUMBPRINT = "A" * 43


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, True),
        ({"binding": CertificateBinding(THUMBPRINT)}, True),
        ({"grant_id": "grant"}, False),
        ({"binding": DpopBinding(THUMBPRINT)}, False),
    ],
    ids=["client credentials", "a certificate", "a user's grant", "a proof"],
)
def test_terms_that_never_come_again_are_not_kept(fields, kept):
    """What is made anew for each token goes with it, and takes no room from what is asked for again."""
    terms = TokenTerms(
        "https://issuer.example", "subject", ("audience",), "client", ("read",), **{"binding": None, **fields}
    )
    alive = weakref.ref(terms)
    message = access_token_pb2.AccessToken()
    fill_token(message, MintedToken("value", terms, "id", 1, 2))
    assert (message.value, list(message.scope), list(message.audience)) == ("value", ["read"], ["audience"])
    del terms
    gc.collect()
    assert (alive() is not None) is kept
