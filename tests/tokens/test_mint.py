"""Access tokens: header and claims exactly as RFC 9068 has them, binding, lifetime, and batches."""

import asyncio
import hashlib
import json
import subprocess
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from gateway.application import open_application
from gateway.errors import AuthenticationError, AuthorizationError, AvailabilityError, Reason, RequestError
from gateway.store.clients import RECENT
from gateway.tokens.client import ClientAuthenticationMethod as Method
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from gateway.tokens.mint import MAX_BATCH, MintedToken
from gateway.tokens.terms import TokenTerms
from gateway.tokens.verification import MAX_TOKEN_SIZE
from signers import Algorithm
from tests.support.gateway import ISSUER, RESOURCE, call_of, opened_application
from tests.support.pki import Authority
from tests.support.stores import client

GRANT = ClientCredentialsGrant()
ALL = TokenRequest(GRANT)


@pytest.fixture
def leaf(app):
    return app.root.leaf(dns=("backend.example.org",))


def by_secret(secret: str) -> dict:
    """What registers a client with *secret* in place of a certificate."""
    return {
        "authentication_method": Method.CLIENT_SECRET_BASIC,
        "identity": None,
        "secret_hash": hashlib.sha256(secret.encode()).digest(),
    }


def parts(token: str) -> tuple[dict, dict]:
    header, payload, _ = token.split(".")
    return tuple(json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, payload))


async def test_header_and_claims(app, clock, leaf):
    """The header and the claims are those of RFC 9068 §2, and no others."""
    await app.register("backend")
    minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
    header, claims = parts(minted.value)
    (key,) = app.keyring.view.records
    assert header == {"alg": "ES256", "kid": key.key_id, "typ": "at+jwt"}
    assert claims == {
        "iss": ISSUER,
        "sub": "backend",
        "aud": RESOURCE,
        "client_id": "backend",
        "iat": int(clock()),
        "exp": int(clock()) + 600,
        "jti": minted.token.token_id,
        "scope": "read write",
        "cnf": {"x5t#S256": call_of(leaf).certificate.x5t_s256},
    }
    assert len(urlsafe_b64decode(claims["jti"] + "==")) == 16


def fingerprint_by_openssl(file: Path) -> bytes:
    command = ["openssl", "x509", "-in", str(file), "-noout", "-fingerprint", "-sha256"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return bytes.fromhex(printed.strip().partition("=")[2].replace(":", ""))


async def test_thumbprint_is_that_of_openssl(app, leaf, tmp_path):
    """`x5t#S256` is the SHA-256 fingerprint that openssl computes of the same certificate."""
    await app.register("backend")
    minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
    (tmp_path / "leaf.pem").write_bytes(leaf.pem)
    confirmation = parts(minted.value)[1]["cnf"]["x5t#S256"]
    assert urlsafe_b64decode(confirmation + "=") == fingerprint_by_openssl(tmp_path / "leaf.pem")


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"])
async def test_verified_by_another_library(tmp_path, clock, algorithm):
    """PyJWT verifies the token with the published key set, under every algorithm that it knows."""
    async with opened_application(tmp_path, clock=clock, algorithm=Algorithm(algorithm)) as app:
        await app.register("backend")
        leaf = app.root.leaf(dns=("backend.example.org",))
        minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
        published = jwt.PyJWKSet.from_json(app.keyring.view.jwks_json.decode())
    kid = jwt.get_unverified_header(minted.value)["kid"]
    claims = jwt.decode(
        minted.value,
        published[kid].key,
        algorithms=[algorithm],
        audience=RESOURCE,
        issuer=ISSUER,
        options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]},
    )
    assert claims["client_id"] == "backend"


async def test_two_audiences_make_an_array(app, leaf):
    """One audience is a string, several are an array in the order asked for (RFC 7519 §4.1.3)."""
    other = "https://other.example.org"
    await app.register("backend", audiences=frozenset({RESOURCE, other}))
    request = TokenRequest(GRANT, (), (other, RESOURCE))
    minted = await app.minter.mint(call_of(leaf), "backend", None, request)
    assert parts(minted.value)[1]["aud"] == [other, RESOURCE]


async def test_no_scope_no_claim(app, leaf):
    """A token without scope has no `scope` claim."""
    await app.register("backend", scopes=frozenset())
    minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert "scope" not in parts(minted.value)[1]


async def test_lifetime_of_the_client(app, clock, leaf):
    """A lifetime that the client is registered with replaces the default."""
    await app.register("backend", access_token_lifetime=timedelta(seconds=30))
    minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert minted.token.expire_time - minted.token.issue_time == 30


async def test_lifetime_by_configuration(tmp_path, clock):
    """The default lifetime is the configured one."""
    async with opened_application(tmp_path, clock=clock, tokens={"lifetime": 77}) as app:
        await app.register("backend")
        leaf = app.root.leaf(dns=("backend.example.org",))
        minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert minted.token.expire_time - minted.token.issue_time == 77


async def test_ids_differ(app, leaf):
    """No two tokens share an id."""
    await app.register("backend")
    minted = [await app.minter.mint(call_of(leaf), "backend", None, ALL) for _ in range(20)]
    assert len({each.token.token_id for each in minted}) == 20


async def test_bound_client_without_certificate(app):
    """A client whose tokens must be bound gets none without a certificate: no silent downgrade."""
    credential = await secret_client(app, bound=True)
    with pytest.raises(AuthenticationError) as caught:
        await app.minter.mint(call_of(), "secret", credential, ALL)
    assert caught.value.reason is Reason.CLIENT_CERTIFICATE_REQUIRED


async def test_unbound_client_without_certificate(app):
    """A client whose tokens need not be bound gets one without `cnf`."""
    credential = await secret_client(app, bound=False)
    minted = await app.minter.mint(call_of(), "secret", credential, ALL)
    assert "cnf" not in parts(minted.value)[1]


async def secret_client(app, *, bound: bool):
    registered = await app.registrar.create(
        client(
            "secret",
            authentication_method=Method.CLIENT_SECRET_POST,
            identity=None,
            certificate_bound_access_tokens=bound,
        ),
        None,
    )
    return ClientSecret(registered.secret)


async def test_no_key(tmp_path, clock):
    """Without an active key nothing is minted, and the reason says so."""
    async with opened_application(tmp_path, clock=clock, key_uri="") as app:
        await app.register("backend")
        leaf = app.root.leaf(dns=("backend.example.org",))
        with pytest.raises(AvailabilityError) as caught:
            await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert caught.value.reason is Reason.NO_ACTIVE_KEY
    assert caught.value.metadata == {"purpose": "tokens", "algorithm": "ES256"}


async def test_as_many_audiences_as_registered(app, leaf):
    """A token for all of a hundred resources is read again as it was minted."""
    many = tuple(f"https://{number:03}.example.org" for number in range(100))
    await app.register("backend", audiences=frozenset(many), default_audience=None)
    minted = await app.minter.mint(call_of(leaf), "backend", None, TokenRequest(GRANT, (), many))
    assert minted.token.audience == many
    assert await app.introspector.introspect(call_of(leaf), "backend", None, minted.value) == minted.token


async def test_larger_than_a_token_may_be(app, leaf):
    """A token that would pass the size that introspection accepts is refused and not minted."""
    many = tuple(f"{number:03}{'x' * 125}" for number in range(100))
    await app.register("backend", scopes=frozenset(many))
    with pytest.raises(RequestError) as caught:
        await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert caught.value.reason is Reason.INVALID_REQUEST
    minted = await app.minter.mint(call_of(leaf), "backend", None, TokenRequest(GRANT, many[:75]))
    assert len(minted.value) < MAX_TOKEN_SIZE
    assert await app.introspector.introspect(call_of(leaf), "backend", None, minted.value) == minted.token


async def test_batch_in_order(app, leaf):
    """Each item gets its own outcome at its own place; a refused one does not touch the others."""
    await app.register("backend")
    unparsed = RequestError(Reason.MISSING_FIELD, "Name a grant.", field="grant")
    requests = [
        TokenRequest(GRANT, ("read",)),
        TokenRequest(GRANT, ("admin",)),
        unparsed,
        TokenRequest(GRANT, ("write",)),
        TokenRequest(GRANT, (), ("https://x.example",)),
    ]
    outcomes = await app.minter.mint_many(call_of(leaf), "backend", None, requests)
    assert [getattr(each, "reason", None) or each.token.scope for each in outcomes] == [
        ("read",),
        Reason.INVALID_SCOPE,
        Reason.MISSING_FIELD,
        ("write",),
        Reason.INVALID_TARGET,
    ]
    for outcome in outcomes:
        if isinstance(outcome, MintedToken):
            claims = parts(outcome.value)[1]
            assert claims["jti"] == outcome.token.token_id


async def test_batch_of_refusals(app, leaf):
    """A batch of which every item is refused is no error itself, and signs nothing."""
    await app.register("backend")
    requests = [TokenRequest(GRANT, ("admin",))] * 3
    outcomes = await app.minter.mint_many(call_of(leaf), "backend", None, requests)
    assert [each.reason for each in outcomes] == [Reason.INVALID_SCOPE] * 3


async def test_batch_of_the_largest_size(app, leaf):
    """A thousand items make a thousand tokens, each its own and each verifiable."""
    await app.register("backend")
    outcomes = await app.minter.mint_many(call_of(leaf), "backend", None, [ALL] * MAX_BATCH)
    assert len({each.token.token_id for each in outcomes}) == MAX_BATCH
    active = await app.introspector.introspect_many(
        call_of(leaf), "backend", None, [each.value for each in outcomes]
    )
    assert active == [each.token for each in outcomes]


@pytest.mark.parametrize("size", [0, MAX_BATCH + 1])
async def test_batch_of_a_wrong_size(app, leaf, size):
    """An empty batch and one too large are refused as a whole."""
    await app.register("backend")
    with pytest.raises(RequestError) as caught:
        await app.minter.mint_many(call_of(leaf), "backend", None, [ALL] * size)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.field == "items"


async def test_batch_of_an_unproven_client(app):
    """A batch is authenticated once, and fails as a whole where that fails."""
    await app.register("backend")
    with pytest.raises(AuthenticationError) as caught:
        await app.minter.mint_many(call_of(), "backend", None, [ALL])
    assert caught.value.cause == "certificate_missing"


async def test_grant_not_registered(app, leaf):
    """A client without the grant is refused after it was authenticated."""
    await app.register("backend", grant_types=frozenset())
    with pytest.raises(AuthorizationError) as caught:
        await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert caught.value.reason is Reason.UNAUTHORIZED_CLIENT


async def test_what_another_replica_took_away(app, leaf, clock):
    """A client that another replica disabled gets its last token a moment later at most."""
    registered = await app.register("backend")
    await app.minter.mint(call_of(leaf), "backend", None, ALL)
    async with open_application(app.prepared.settings, app.roots, clock=clock) as other:
        disabled = replace(registered, disabled=True)
        await other.store.clients.replace(disabled, expected_revision=registered.revision)
    await asyncio.sleep(RECENT)
    with pytest.raises(AuthenticationError) as caught:
        await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert caught.value.cause == "client_disabled"


async def test_what_another_replica_gave(app, leaf, clock):
    """A right that another replica gave to a client is there at once: no refusal rests on what was."""
    registered = await app.register("backend")
    asked = TokenRequest(GRANT, scope=("admin",))
    with pytest.raises(RequestError):
        await app.minter.mint(call_of(leaf), "backend", None, asked)
    await app.minter.mint(call_of(leaf), "backend", None, ALL)
    async with open_application(app.prepared.settings, app.roots, clock=clock) as other:
        entitled = replace(registered, scopes=frozenset({"admin"}))
        await other.store.clients.replace(entitled, expected_revision=registered.revision)
    minted = await app.minter.mint(call_of(leaf), "backend", None, asked)
    assert minted.terms.scope == ("admin",)


async def test_a_secret_that_another_replica_rotated(app, clock):
    """The new secret counts at once, and the old one a moment longer at most."""
    registered = await app.register("backend", certificate_bound_access_tokens=False, **by_secret("old"))
    await app.minter.mint(call_of(), "backend", ClientSecret("old"), ALL)
    async with open_application(app.prepared.settings, app.roots, clock=clock) as other:
        rotated = replace(registered, secret_hash=by_secret("new")["secret_hash"])
        await other.store.clients.replace(rotated, expected_revision=registered.revision)
    await app.minter.mint(call_of(), "backend", ClientSecret("new"), ALL)
    await asyncio.sleep(RECENT)
    with pytest.raises(AuthenticationError) as caught:
        await app.minter.mint(call_of(), "backend", ClientSecret("old"), ALL)
    assert caught.value.cause == "secret_mismatch"


async def test_the_same_request_with_another_certificate(app):
    """What was decided for one certificate binds no token of another, nor one without."""
    await app.register("backend", certificate_bound_access_tokens=False, **by_secret("s"))
    first, second = (app.root.leaf(dns=("backend.example.org",)) for _ in range(2))
    credential = ClientSecret("s")
    bindings = []
    for certificate in (first, second, None, first):
        minted = await app.minter.mint(call_of(certificate), "backend", credential, ALL)
        bindings.append(minted.terms.binding)
    assert bindings[0] == bindings[3]
    assert bindings[2] is None
    assert len(set(bindings)) == 3


async def test_the_same_request_of_a_changed_client(app, leaf):
    """A scope that was taken away is not in the next token."""
    registered = await app.register("backend")
    await app.minter.mint(call_of(leaf), "backend", None, ALL)
    narrowed = replace(registered, scopes=frozenset({"read"}))
    await app.store.clients.replace(narrowed, expected_revision=registered.revision)
    minted = await app.minter.mint(call_of(leaf), "backend", None, ALL)
    assert parts(minted.value)[1]["scope"] == "read"


def test_payload_of_a_plain_token():
    """The smallest claims set, octet for octet."""
    terms = TokenTerms("i", "s", ("a",), "c", (), None)
    expected = b'{"iss":"i","sub":"s","aud":"a","client_id":"c","iat":1,"exp":2,"jti":"j"}'
    assert terms.payload("j", 1, 2) == expected


STRANGE = {
    "the certificate of another": lambda app, leaf, clock: app.root.leaf(dns=("other.example.org",)),
    "a foreign certificate of the same name": lambda app, leaf, clock: Authority.root("Foreign").leaf(
        dns=("backend.example.org",)
    ),
    "no certificate": lambda app, leaf, clock: None,
    "the certificate, of roots that count no more": lambda app, leaf, clock: (
        app.roots.replace(Authority.root("Successor").pem) or leaf
    ),
    "the certificate, expired": lambda app, leaf, clock: clock.advance(40 * 86_400) or leaf,
}


@pytest.mark.parametrize("strange", STRANGE)
async def test_what_was_asked_before_is_no_proof(app, leaf, clock, strange):
    """The request that a client has just made gets nothing for anybody who cannot prove to be that client."""
    await app.register("backend")
    for _ in range(2):  # The second time nothing is asked or decided any more.
        await app.minter.mint(call_of(leaf), "backend", None, ALL)
    with pytest.raises(AuthenticationError) as caught:
        await app.minter.mint(call_of(STRANGE[strange](app, leaf, clock)), "backend", None, ALL)
    assert caught.value.reason is Reason.INVALID_CLIENT


async def test_what_was_asked_before_with_a_wrong_secret(app, leaf):
    """A secret that does not fit is refused even beside the certificate that would have done alone."""
    await app.register("backend")
    for _ in range(2):
        await app.minter.mint(call_of(leaf), "backend", None, ALL)
    with pytest.raises(AuthenticationError) as caught:
        await app.minter.mint(call_of(leaf), "backend", ClientSecret("guess"), ALL)
    assert caught.value.cause == "method_not_registered"
