"""Logins at a real OpenID provider (npm oidc-provider): discovery, code and PKCE, rotation, outage."""

import base64
import json
from dataclasses import replace

import pytest

from gateway.clock import system_clock
from gateway.fetching import DangerousLoopbackDoor, FetchPolicy, GuardedClient
from gateway.oidc import (
    WIRE_DEVICE_AND_USER,
    AuthorizationResponseError,
    ClientSecretBasic,
    IdTokenError,
    IdTokenVerifier,
    LoginWishes,
    OidcFault,
    PrivateKeyJwt,
    Provider,
    ProviderConfig,
    PublicClient,
    RefreshPolicy,
    RelyingParty,
)
from signers import Algorithm
from tests.oidc.conftest import NoResolver, SettableClock, SigningKey
from tests.support.oidc_provider import OidcProvider, new_signing_keys, public_client

CALLBACK = "https://gateway.example.org/callback"
SECRET = "a secret: with % & + signs, and 32 characters"


class Signer(SigningKey):
    """The client's own key, as a signer gives it."""

    key_id = property(lambda self: self.kid)
    algorithm = Algorithm.ES256


@pytest.fixture(scope="module")
def client_key():
    return Signer()


@pytest.fixture
async def real(tmp_path, authority, client_key):
    clients = [
        public_client("wireapp", CALLBACK, application_type="web"),
        public_client("basic:client", CALLBACK, token_endpoint_auth_method="client_secret_basic")
        | {"client_secret": SECRET, "application_type": "web", "id_token_signed_response_alg": "ES256"},
        public_client("jwt", CALLBACK, token_endpoint_auth_method="private_key_jwt", application_type="web")
        | {"jwks": {"keys": [client_key.jwk]}, "token_endpoint_auth_signing_alg": "ES256"},
    ]
    running = await OidcProvider.start(
        tmp_path, authority, clients=clients, claims={"wire": ["keyauth", "acme_aud"]}
    )
    yield running
    await running.stop()


@pytest.fixture
def http(authority):
    return GuardedClient(
        NoResolver(), door=DangerousLoopbackDoor(frozenset({"localhost"}), authority.pem.decode())
    )


def provider_for(real, http, client_id, clock=system_clock):
    return Provider(ProviderConfig(real.issuer, client_id), client=http, clock=clock)


async def login(real, party, wishes=None):
    url, pending = await party.begin(CALLBACK, wishes)
    return await party.finish(await real.log_in(url), pending)


async def test_discovery(real, http):
    """The provider's own metadata is understood."""
    metadata = await provider_for(real, http, "wireapp").metadata()
    assert metadata.issuer == real.issuer
    assert metadata.token_endpoint == f"{real.issuer}/token"
    assert metadata.response_iss_parameter_supported
    assert metadata.claims_parameter_supported
    assert "S256" in metadata.code_challenge_methods


@pytest.mark.parametrize("client_id", ["wireapp", "basic:client", "jwt"])
async def test_login_with_each_client_authentication(real, http, client_key, client_id):
    """Code and PKCE end in a verified ID token, whichever way the client proves itself."""
    authentication = {
        "wireapp": PublicClient(),
        "basic:client": ClientSecretBasic(SECRET),
        "jwt": PrivateKeyJwt(client_key),
    }[client_id]
    party = RelyingParty(
        provider_for(real, http, client_id), authentication=authentication, clock=system_clock
    )
    done = await login(real, party, LoginWishes(scopes=("profile", "email"), max_age=300))
    token = done.id_token
    assert (token.subject, token.issuer, token.audiences) == ("alice", real.issuer, (client_id,))
    assert (token.name, token.preferred_username) == ("Alice Smith", "alice_wire@wire.example")
    assert (token.email, token.email_verified) == ("alice@wire.example", True)
    assert token.authenticate_time is not None
    assert done.tokens.access_token not in repr(done)
    assert "Alice" not in repr(done)


async def test_wire_claims_are_asked_for_and_mapped(real, http):
    """The claims parameter binds the token to a key authorization, and the mapping reads it structurally."""
    wishes = LoginWishes(
        scopes=("profile",),
        claims={
            "id_token": {
                "keyauth": {"essential": True, "value": "token.thumbprint"},
                "acme_aud": {"essential": True, "value": "https://ca.example.org/acme/challenge/1"},
            }
        },
    )
    party = RelyingParty(
        provider_for(real, http, "wireapp"), authentication=PublicClient(), clock=system_clock
    )
    mapped = WIRE_DEVICE_AND_USER.apply((await login(real, party, wishes)).id_token)
    assert mapped.string("name") == "Alice Smith"
    assert mapped.string("handle") == "wireapp://%40alice_wire@wire.example"
    assert mapped.string("keyauth") == "token.thumbprint"
    assert mapped.string("acme_aud") == "https://ca.example.org/acme/challenge/1"


async def test_a_code_works_once(real, http):
    """The provider refuses a code for the second time, and says so by its own error."""
    party = RelyingParty(
        provider_for(real, http, "wireapp"), authentication=PublicClient(), clock=system_clock
    )
    url, pending = await party.begin(CALLBACK)
    answer = await real.log_in(url)
    await party.finish(answer, pending)
    with pytest.raises(AuthorizationResponseError) as caught:
        await party.finish(answer, pending)
    assert (caught.value.fault, caught.value.error) == (OidcFault.CODE_REFUSED, "invalid_grant")


async def test_pkce_binds_the_code(real, http):
    """A code is worthless with another verifier."""
    party = RelyingParty(
        provider_for(real, http, "wireapp"), authentication=PublicClient(), clock=system_clock
    )
    url, pending = await party.begin(CALLBACK)
    _, other = await party.begin(CALLBACK)
    answer = await real.log_in(url)
    with pytest.raises(AuthorizationResponseError) as caught:
        await party.finish(answer, replace(pending, code_verifier=other.code_verifier))
    assert (caught.value.fault, caught.value.error) == (OidcFault.CODE_REFUSED, "invalid_grant")


async def test_a_wrong_secret(real, http):
    """Our own bad credentials are told apart from a user's bad code."""
    party = RelyingParty(
        provider_for(real, http, "basic:client"), authentication=ClientSecretBasic("no"), clock=system_clock
    )
    with pytest.raises(AuthorizationResponseError) as caught:
        await login(real, party)
    assert (caught.value.fault, caught.value.error) == (OidcFault.CLIENT_REFUSED, "invalid_client")


async def test_rotation(real, http):
    """After the provider has changed its keys, its next token is verified; tokens of the old key are not."""
    clock = SettableClock(system_clock())
    provider = provider_for(real, http, "wireapp", clock)
    party = RelyingParty(provider, authentication=PublicClient(), clock=clock)
    before = await login(real, party)
    await real.rotate(new_signing_keys())
    clock.now = system_clock() + 11  # Past the pause between two looks at the keys.
    after = await login(real, party)
    assert after.id_token.subject == before.id_token.subject
    headers = [
        json.loads(base64.urlsafe_b64decode(done.tokens.id_token.split(".")[0] + "=="))
        for done in (before, after)
    ]
    assert headers[0]["kid"] != headers[1]["kid"]
    with pytest.raises(IdTokenError) as caught:
        await IdTokenVerifier(provider, clock=clock).verify(before.tokens.id_token)
    assert caught.value.fault is OidcFault.KEY_NOT_FOUND


async def test_outage(real, http):
    """While the provider is down its last keys still verify, until the bound is reached."""
    clock = SettableClock(system_clock())
    config = ProviderConfig(
        real.issuer,
        "wireapp",
        keys_refresh=RefreshPolicy(max_age=60, outage_limit=120),
        fetch_policy=FetchPolicy(deadline=2),
    )
    provider = Provider(config, client=http, clock=clock)
    done = await login(real, RelyingParty(provider, authentication=PublicClient(), clock=clock))
    await real.stop()
    verifier = IdTokenVerifier(provider, clock=clock)
    clock.now += 100
    assert (await verifier.verify(done.tokens.id_token)).subject == "alice"
    clock.now += 30
    with pytest.raises(Exception, match="not available") as caught:
        await verifier.verify(done.tokens.id_token)
    assert caught.value.fault is OidcFault.PROVIDER_UNREACHABLE
    assert caught.value.transient
