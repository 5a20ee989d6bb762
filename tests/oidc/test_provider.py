"""Metadata and keys of a provider: discovery, caching, rotation, outage."""

import asyncio
import json

import pytest

from gateway.oidc import (
    IdTokenError,
    IdTokenVerifier,
    OidcFault,
    Provider,
    ProviderConfig,
    ProviderError,
    ProviderMetadata,
    RefreshPolicy,
)
from gateway.oidc.metadata import MAX_METADATA_SIZE
from signers import Algorithm
from tests.oidc.conftest import CLIENT_ID, SigningKey
from tests.support.scripted_server import redirect, reply

JWKS = "/jwks"
DISCOVERY = "/.well-known/openid-configuration"


async def failure(awaitable):
    with pytest.raises(ProviderError) as caught:
        await awaitable
    return caught.value


def key_of(provider, key):
    return provider.key(key.kid, Algorithm.ES256)


async def test_discovery(scripted, provider):
    """The metadata is read into a typed value, and kept."""
    metadata = await provider.metadata()
    assert metadata.jwks_uri == f"{scripted.issuer}/jwks"
    assert metadata.id_token_algorithms == {"ES256", "RS256"}
    assert metadata.response_iss_parameter_supported
    assert not metadata.claims_parameter_supported
    assert metadata.token_auth_methods == {"client_secret_basic"}
    await provider.metadata()
    assert scripted.fetches(DISCOVERY) == 1


@pytest.mark.parametrize("suffix", ["/", "x", "?a=b"])
async def test_the_issuer_is_compared_exactly(scripted, provider, suffix):
    """Metadata of an issuer that differs by one character is another's."""
    scripted.publish(issuer=scripted.issuer + suffix)
    assert (await failure(provider.metadata())).fault is OidcFault.METADATA_ISSUER_MISMATCH


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"issuer": None}, "issuer"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"jwks_uri": 7}, "jwks_uri"),
        ({"jwks_uri": "http://idp.example.test/jwks"}, "jwks_uri"),
        ({"jwks_uri": "https://169.254.169.254/jwks"}, "jwks_uri"),
        ({"jwks_uri": "https://user@idp.example.test/jwks"}, "jwks_uri"),
        ({"token_endpoint": "https://localhost.localdomain:22/"}, "token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"id_token_signing_alg_values_supported": "ES256"}, "id_token_signing_alg_values_supported"),
        ({"claims_parameter_supported": "yes"}, "claims_parameter_supported"),
    ],
)
async def test_metadata_that_cannot_be_used(scripted, provider, changes, member):
    """A member that is missing, of another type or an endpoint that leads elsewhere refuses the metadata."""
    scripted.publish(**changes)
    error = await failure(provider.metadata())
    assert (error.fault, error.member) == (OidcFault.METADATA_INVALID, member)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"issuer":"a","issuer":"b"}', b'{"a":1}' + b" " * MAX_METADATA_SIZE]
)
async def test_metadata_that_cannot_be_read(scripted, provider, body):
    """What is not strict JSON of bounded size is no metadata."""
    scripted.server.routes[DISCOVERY] = reply(body=body)
    assert (await failure(provider.metadata())).fault is OidcFault.METADATA_INVALID


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (reply(404), OidcFault.PROVIDER_STATUS),
        (reply(500), OidcFault.PROVIDER_STATUS),
        (reply(content_type="text/html"), OidcFault.PROVIDER_UNREACHABLE),
        (redirect("https://other.example.test/"), OidcFault.PROVIDER_UNREACHABLE),
        (b"", OidcFault.PROVIDER_UNREACHABLE),
    ],
)
async def test_answers_that_are_none(scripted, provider, answer, fault):
    """A status, type or redirect that is not expected is the provider's failure."""
    scripted.server.routes[DISCOVERY] = answer
    assert (await failure(provider.metadata())).fault is fault


@pytest.mark.parametrize(
    "issuer", ["http://idp.example.test", "https://a.example?x=y", "https://a.example#f", ""]
)
def test_issuers_that_are_none(issuer):
    """Configuration refuses what cannot be an issuer."""
    with pytest.raises(ValueError, match="issuer"):
        ProviderConfig(issuer, CLIENT_ID)


async def test_a_provider_without_discovery(scripted, http, clock):
    """Configured endpoints need no discovery, and belong to the configured issuer."""
    endpoints = ProviderMetadata(scripted.issuer, f"{scripted.issuer}/jwks")
    provider = Provider(
        ProviderConfig(scripted.issuer, CLIENT_ID, endpoints=endpoints), client=http, clock=clock
    )
    await key_of(provider, scripted.keys[0])
    assert scripted.fetches(DISCOVERY) == 0
    with pytest.raises(ValueError, match="another issuer"):
        ProviderConfig("https://other.example", CLIENT_ID, endpoints=endpoints)


@pytest.mark.parametrize(
    ("cache_control", "age", "fetches"),
    [
        ("max-age=600", 599, 1),
        ("max-age=600", 600, 2),
        ("max-age=1", 59, 1),  # Raised to the least age.
        ("max-age=1", 60, 2),
        ("no-store", 59, 1),
        ("max-age=999999", 3_599, 1),  # Lowered to the greatest age.
        ("max-age=999999", 3_600, 2),
        ("public", 599, 1),  # The default age.
        ("public", 600, 2),
    ],
)
async def test_the_age_of_keys(scripted, provider, clock, cache_control, age, fetches):
    """max-age is honored within bounds."""
    scripted.publish(cache_control)
    await key_of(provider, scripted.keys[0])
    clock.now += age
    await key_of(provider, scripted.keys[0])
    assert scripted.fetches(JWKS) == fetches


async def test_rotation(scripted, provider, clock):
    """An unknown kid has the keys fetched once more, and the new key is found at once."""
    await key_of(provider, scripted.keys[0])
    scripted.keys[:] = [SigningKey()]
    scripted.publish()
    clock.now += 10
    assert (await key_of(provider, scripted.keys[0])).kid == scripted.keys[0].kid
    assert scripted.fetches(JWKS) == 2


async def test_random_kids_cost_little(scripted, provider, clock):
    """Tokens with made-up kids cause one fetch in each interval, and known keys stay in use."""
    await key_of(provider, scripted.keys[0])
    clock.now += 10
    with pytest.raises(IdTokenError) as caught:
        await provider.key("made up", Algorithm.ES256)
    assert caught.value.fault is OidcFault.KEY_NOT_FOUND
    clock.now += 1
    for index in range(50):
        error = await failure(provider.key(f"made up {index}", Algorithm.ES256))
        assert (error.fault, error.retry_after) == (OidcFault.NOT_RENEWED, 9)
    assert scripted.fetches(JWKS) == 2
    await key_of(provider, scripted.keys[0])
    assert scripted.fetches(JWKS) == 2


async def test_a_rotation_behind_random_kids(scripted, provider, clock):
    """A key that was published just after somebody's look is not said to be missing, and is found soon."""
    await key_of(provider, scripted.keys[0])
    clock.now += 10
    with pytest.raises(IdTokenError):
        await provider.key("made up", Algorithm.ES256)
    scripted.keys[:] = [SigningKey()]
    scripted.publish()
    clock.now += 1
    error = await failure(key_of(provider, scripted.keys[0]))
    assert error.transient
    clock.now += error.retry_after
    await key_of(provider, scripted.keys[0])


async def test_a_rotation_in_an_outage_is_no_verdict(scripted, provider, clock):
    """A new key that cannot be looked for is the provider's failure, not the token's."""
    await key_of(provider, scripted.keys[0])
    scripted.break_down()
    clock.now += 10
    error = await failure(key_of(provider, SigningKey()))
    assert (error.fault, error.transient) == (OidcFault.PROVIDER_STATUS, True)


async def test_a_crowd_at_a_rotation_fetches_once(scripted, provider, clock):
    """Callers who miss the same key share one fetch."""
    await key_of(provider, scripted.keys[0])
    scripted.keys[:] = [SigningKey()]
    scripted.publish()
    clock.now += 10
    await asyncio.gather(*(key_of(provider, scripted.keys[0]) for _ in range(20)))
    assert scripted.fetches(JWKS) == 2


async def test_a_crowd_at_the_start_fetches_once(scripted, provider):
    """Callers who come first share one discovery and one key set."""
    await asyncio.gather(*(key_of(provider, scripted.keys[0]) for _ in range(20)))
    assert (scripted.fetches(DISCOVERY), scripted.fetches(JWKS)) == (1, 1)


async def test_a_canceled_fetch_is_taken_over(scripted, provider):
    """Where the caller who fetches is canceled, the next one fetches; nobody is left waiting."""
    arrived, hold = asyncio.Event(), asyncio.Event()
    good = scripted.server.routes[JWKS]

    async def stall(received, writer):
        arrived.set()
        await hold.wait()

    scripted.server.routes[JWKS] = stall
    first = asyncio.create_task(key_of(provider, scripted.keys[0]))
    await arrived.wait()
    second = asyncio.create_task(key_of(provider, scripted.keys[0]))
    await asyncio.sleep(0)
    scripted.server.routes[JWKS] = good
    first.cancel()
    assert (await second).kid == scripted.keys[0].kid
    with pytest.raises(asyncio.CancelledError):
        await first
    hold.set()


@pytest.mark.parametrize(
    "keys",
    [
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[7]}',
        b'{"keys":[{"kty":"oct","k":"AAAA"}]}',
        json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}).encode(),
        json.dumps({"keys": [{"kty": "XX"}] * 65}).encode(),
    ],
)
async def test_key_sets_that_are_refused(scripted, provider, keys):
    """A malformed, symmetric or overlong key set is refused whole."""
    scripted.server.routes[JWKS] = reply(body=keys)
    assert (await failure(key_of(provider, scripted.keys[0]))).fault is OidcFault.KEYS_INVALID


async def test_an_oversized_key_set(scripted, provider):
    """A key set beyond the size of the policy is not even read to its end."""
    scripted.server.routes[JWKS] = reply(body=b'{"keys":[]' + b" " * 300_000 + b"}")
    error = await failure(key_of(provider, scripted.keys[0]))
    assert error.fault is OidcFault.PROVIDER_UNREACHABLE
    assert not error.transient


async def test_private_keys_are_refused(scripted, provider):
    """A provider that publishes a private key is not believed any more."""
    scripted.keys[0].jwk["d"] = "AAAA"
    scripted.publish()
    assert (await failure(key_of(provider, scripted.keys[0]))).fault is OidcFault.KEYS_INVALID


async def test_unknown_kinds_of_keys_are_passed_over(scripted, provider):
    """Keys for encryption and of unknown types do not disturb the others (RFC 7517 §5)."""
    body = {"keys": [{"kty": "new"}, {"kty": "OKP", "crv": "X25519", "x": "AA"}, scripted.keys[0].jwk]}
    scripted.server.routes[JWKS] = reply(body=json.dumps(body).encode())
    await key_of(provider, scripted.keys[0])


async def test_an_outage_is_survived_for_a_time(scripted, http, clock):
    """The last good keys serve while the provider is down, with one attempt a pause, up to the bound."""
    refresh = RefreshPolicy(max_age=60, outage_limit=600, retry_interval=10)
    config = ProviderConfig(scripted.issuer, CLIENT_ID, keys_refresh=refresh)
    provider = Provider(config, client=http, clock=clock)
    await key_of(provider, scripted.keys[0])
    scripted.break_down()
    clock.now += 60
    for _ in range(5):
        await key_of(provider, scripted.keys[0])
    assert scripted.fetches(JWKS) == 2
    clock.now += 10
    await key_of(provider, scripted.keys[0])
    assert scripted.fetches(JWKS) == 3
    clock.now += 530
    error = await failure(key_of(provider, scripted.keys[0]))
    assert error.fault is OidcFault.PROVIDER_STATUS
    assert error.retry_after == 10
    assert scripted.fetches(JWKS) == 4
    await failure(key_of(provider, scripted.keys[0]))
    assert scripted.fetches(JWKS) == 4


async def test_the_end_of_an_outage(scripted, provider, clock):
    """Once the provider answers again, its keys of now are used."""
    old = scripted.keys[0]
    await key_of(provider, old)
    scripted.break_down()
    clock.now += 3_600
    await key_of(provider, old)
    scripted.keys[:] = [SigningKey()]
    scripted.publish()
    clock.now += 10
    await key_of(provider, scripted.keys[0])
    with pytest.raises(IdTokenError):
        await key_of(provider, old)


async def test_only_one_waits_in_an_outage(scripted, provider, clock):
    """While one caller tries a provider that hangs, the others go on with the last good keys."""
    await key_of(provider, scripted.keys[0])
    good = scripted.server.routes[JWKS]
    scripted.break_down()
    clock.now += 3_600
    await key_of(provider, scripted.keys[0])  # The attempt that finds the outage.
    arrived, hold = asyncio.Event(), asyncio.Event()

    async def stall(received, writer):
        arrived.set()
        await hold.wait()
        writer.write(good)

    scripted.server.routes[JWKS] = stall
    clock.now += 10
    trying = asyncio.create_task(key_of(provider, scripted.keys[0]))
    await arrived.wait()
    await key_of(provider, scripted.keys[0])
    assert not trying.done()
    hold.set()
    await trying


async def test_nothing_was_ever_fetched(scripted, provider, clock):
    """Without a last good value an outage is told at once, and so is the time to come back."""
    scripted.break_down()
    error = await failure(provider.metadata())
    assert (error.fault, error.transient) == (OidcFault.PROVIDER_STATUS, True)
    await failure(provider.metadata())
    assert scripted.fetches(DISCOVERY) == 1
    scripted.publish()
    clock.now += 10
    await provider.metadata()


async def test_a_clock_that_was_set_back(scripted, provider, clock):
    """A clock that goes back does not forbid attempts until it has caught up."""
    scripted.break_down()
    await failure(provider.metadata())
    scripted.publish()
    clock.now -= 100_000
    await provider.metadata()


async def test_a_clock_set_back_prolongs_nothing(scripted, provider, clock):
    """Keys that were fetched in the future of a corrected clock are fetched again."""
    clock.now += 100_000
    await key_of(provider, scripted.keys[0])
    clock.now -= 100_000
    await key_of(provider, scripted.keys[0])
    assert scripted.fetches(JWKS) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"min_age": 9, "max_age": 8}, {"outage_limit": -1}, {"retry_interval": 0}, {"renewal_interval": 0}],
)
def test_refresh_policies_that_are_refused(wrong):
    """Times that contradict each other, and pauses of nothing, are configuration errors."""
    with pytest.raises(ValueError, match=r"interval|age"):
        RefreshPolicy(**wrong)


async def test_an_outage_is_no_verdict(scripted, provider, clock):
    """A token that cannot be judged raises a provider's error, never a token's."""
    token = await scripted.token()
    scripted.break_down()
    await failure(IdTokenVerifier(provider, clock=clock).verify(token))
