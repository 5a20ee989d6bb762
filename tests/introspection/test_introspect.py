"""Introspection: who may see a token, and the one answer for everything else."""

import logging
from dataclasses import replace

import pytest

from gateway.errors import AuthenticationError, AuthorizationError, Reason, RequestError
from gateway.introspection.introspect import MAX_BATCH
from gateway.principal import Role
from gateway.tokens.verification import MAX_TOKEN_SIZE, TokenInvalidError
from tests.support.assertions import signed_octets, unsigned
from tests.support.gateway import ISSUER, RESOURCE, call_of, opened_application
from tests.support.pki import new_key
from tests.support.tokens import SECRET, claims_of_token, forge, mint, register_by_secret

API = call_of(roles=(Role.RESOURCE_SERVER,), resources=(RESOURCE,))
OTHER_API = call_of(roles=(Role.RESOURCE_SERVER,), resources=("https://other.example.org",))


@pytest.fixture
async def backend(app):
    """An application with the clients `backend` and `second`, both by secret."""
    await register_by_secret(app, "backend")
    await register_by_secret(app, "second")
    return app


async def own(app, token: str, client_id: str = "backend"):
    return await app.introspector.introspect(call_of(), client_id, SECRET, token)


async def test_own_token(backend):
    """A client sees its own token, exactly as it was minted."""
    minted = await mint(backend, "backend")
    assert await own(backend, minted.value) == minted.token


async def test_resource_server_of_the_audience(backend):
    """A resource server sees a token whose audience names it."""
    minted = await mint(backend, "backend")
    assert await backend.introspector.introspect(API, None, None, minted.value) == minted.token


async def test_client_that_is_a_resource_server(backend):
    """A client that is registered with the audience as its identifier sees the token too."""
    await register_by_secret(backend, "api", resources=frozenset({RESOURCE}))
    minted = await mint(backend, "backend")
    assert await own(backend, minted.value, "api") == minted.token


async def test_caller_by_token_of_a_client(backend):
    """A caller that came with a token of a client sees that client's tokens."""
    minted = await mint(backend, "backend")
    call = call_of(client_id="backend")
    assert await backend.introspector.introspect(call, None, None, minted.value) == minted.token


async def test_everyone_else(backend):
    """Another client, and a resource server that the audience does not name, learn nothing."""
    minted = await mint(backend, "backend")
    assert await own(backend, minted.value, "second") is None
    assert await backend.introspector.introspect(OTHER_API, None, None, minted.value) is None
    nothing = call_of(roles=(Role.RESOURCE_SERVER,))
    assert await backend.introspector.introspect(nothing, None, None, minted.value) is None


async def test_nobody(backend):
    """Who is not authenticated gets no answer at all (RFC 7662 §2.1)."""
    with pytest.raises(AuthenticationError) as caught:
        await backend.introspector.introspect(call_of(), None, None, "x")
    assert caught.value.reason is Reason.CALLER_UNAUTHENTICATED


@pytest.mark.parametrize("role", [Role.ADMIN, Role.CLIENT, Role.ENROLLER, Role.LOGIN, Role.VERIFIER])
async def test_caller_without_the_role(backend, role):
    """A caller that is neither a resource server nor a client is refused, an administrator too."""
    with pytest.raises(AuthorizationError) as caught:
        await backend.introspector.introspect(call_of(roles=(role,)), None, None, "x")
    assert caught.value.reason is Reason.PERMISSION_DENIED


async def test_credential_without_client(backend):
    """A credential that names nobody is refused."""
    with pytest.raises(RequestError) as caught:
        await backend.introspector.introspect(API, None, SECRET, "x")
    assert (caught.value.reason, caught.value.field) == (Reason.MISSING_FIELD, "client_id")


async def test_named_client_must_be_proven(backend):
    """A client that is named but not proven is refused, even on the connection of a resource server."""
    with pytest.raises(AuthenticationError) as caught:
        await backend.introspector.introspect(API, "backend", None, "x")
    assert caught.value.reason is Reason.INVALID_CLIENT
    assert caught.value.cause == "credential_missing"


async def inactive(app, caplog, token: str) -> str:
    """The cause in our log of an answer that says nothing but inactive."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="gateway.introspection.introspect"):
        assert await own(app, token) is None
    (record,) = [each for each in caplog.records if each.name == "gateway.introspection.introspect"]
    return record.cause


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "e30.e30.AA", "ä", "0" * 22, "{}", "\0"])
async def test_garbage(backend, caplog, token):
    """What is no token of ours is inactive."""
    assert await inactive(backend, caplog, token) in {
        "malformed_compact",
        "invalid_base64url",
        "invalid_json",
        "alg_missing",
        "invalid_utf8",
    }


async def test_too_large(backend, caplog):
    """A token above the size is inactive before it is parsed or hashed."""
    assert await inactive(backend, caplog, "x" * (MAX_TOKEN_SIZE + 1)) == "token_too_large"


async def test_expired(backend, caplog, clock):
    """A token is active up to its expiry and not at it, remembered or not."""
    minted = await mint(backend, "backend")
    clock.advance(599.9)
    assert await own(backend, minted.value) == minted.token
    clock.advance(0.1)
    assert await inactive(backend, caplog, minted.value) == "expired"


async def test_expired_when_first_seen(backend, caplog, clock):
    """A token that has expired before it is first seen is inactive."""
    minted = await mint(backend, "backend")
    clock.advance(600)
    assert await inactive(backend, caplog, minted.value) == "expired"


@pytest.mark.parametrize(
    "typ",
    ["JWT", "client-authentication+jwt", "dpop+jwt", "token-introspection+jwt", "id_token", "logout+jwt"],
)
async def test_another_kind_of_token(backend, caplog, clock, typ):
    """What our own key signed as something else is no access token, whatever it claims."""
    token = await forge(backend, claims_of_token(clock()), typ)
    assert await inactive(backend, caplog, token) == "typ_mismatch"


async def test_right_when_forged(backend, clock):
    """The forged token of these tests is active where nothing is wrong with it."""
    assert await own(backend, await forge(backend, claims_of_token(clock())))
    assert await own(backend, await forge(backend, claims_of_token(clock()), "application/AT+JWT"))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"iss": "https://other.example.org"}, "issuer_mismatch"),
        ({"iss": f"{ISSUER}/"}, "issuer_mismatch"),
        ({"iss": None}, "claim_missing"),
        ({"exp": None}, "claim_missing"),
        ({"exp": "1"}, "claim_invalid"),
        ({"exp": 1.5}, "claim_invalid"),
        ({"iat": None}, "claim_missing"),
        ({"sub": None}, "claim_missing"),
        ({"aud": None}, "claim_missing"),
        ({"aud": []}, "claim_invalid"),
        ({"aud": [1]}, "claim_invalid"),
        ({"client_id": None}, "claim_missing"),
        ({"jti": None}, "claim_missing"),
        ({"scope": 7}, "claim_invalid"),
        ({"cnf": {}}, "claim_invalid"),
        ({"cnf": "x"}, "claim_invalid"),
        ({"cnf": {"jkt": "x"}}, "claim_invalid"),
        ({"cnf": {"x5t#S256": "A" * 43, "jkt": "x"}}, "claim_invalid"),
        ({"cnf": {"x5t#S256": "AAAA"}}, "claim_invalid"),
        ({"cnf": {"x5t#S256": "A" * 42 + "="}}, "invalid_base64url"),
        ({"cnf": {"x5t#SHA256": "A" * 43}}, "claim_invalid"),
    ],
)
async def test_claim_wrong(backend, caplog, clock, change, cause):
    """A token of ours with one claim wrong is inactive, and is not read as a lesser token."""
    token = await forge(backend, claims_of_token(clock(), **change))
    assert await inactive(backend, caplog, token) == cause


async def test_signature_of_another_key(backend, caplog, clock):
    """A token under our key's id with another key's signature is inactive."""
    (record,) = backend.keyring.view.records
    payload = b'{"iss":"' + ISSUER.encode() + b'"}'
    token = signed_octets(new_key(), payload, typ="at+jwt", kid=record.key_id)
    assert await inactive(backend, caplog, token) == "signature_invalid"


async def test_unknown_key(backend, caplog, clock):
    """A token under a key id that we do not know is inactive, and so is one without any."""
    assert (
        await inactive(backend, caplog, signed_octets(new_key(), b"{}", typ="at+jwt", kid="x"))
        == "key_unknown"
    )
    assert await inactive(backend, caplog, signed_octets(new_key(), b"{}", typ="at+jwt")) == "kid_missing"


async def test_algorithm_of_the_header(backend, caplog, clock):
    """The header cannot choose another algorithm for our key, none included."""
    (record,) = backend.keyring.view.records
    header = {"typ": "at+jwt", "kid": record.key_id}
    claims = claims_of_token(clock())
    assert await inactive(backend, caplog, unsigned(header | {"alg": "none"}, claims)) == "alg_none"
    refusal = await inactive(backend, caplog, unsigned(header | {"alg": "ES384"}, claims, b"x" * 96))
    assert refusal == "alg_mismatch"
    refusal = await inactive(backend, caplog, unsigned(header | {"alg": "HS256"}, claims, b"x" * 32))
    assert refusal == "alg_symmetric"
    refusal = await inactive(backend, caplog, unsigned(header | {"alg": "ES256"}, claims, bytes(64)))
    assert refusal == "signature_invalid"


async def test_tampered_after_it_was_seen(backend, caplog):
    """That a token was seen makes nothing else active: one changed character is another token."""
    minted = await mint(backend, "backend")
    assert await own(backend, minted.value)
    head, payload, signature = minted.value.split(".")
    changed = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    assert await inactive(backend, caplog, changed) == "signature_invalid"
    assert await inactive(backend, caplog, f"{minted.value} ") == "invalid_base64url"
    assert await inactive(backend, caplog, f"{minted.value}=") == "invalid_base64url"


async def test_revoked(backend):
    """A revoked token is inactive to everyone."""
    minted = await mint(backend, "backend")
    assert await own(backend, minted.value)
    await backend.revoker.revoke(call_of(), "backend", SECRET, minted.value)
    assert await own(backend, minted.value) is None
    assert await backend.introspector.introspect(API, None, None, minted.value) is None


async def test_client_disabled(backend):
    """The tokens of a disabled client are inactive, and active again when it is enabled."""
    minted = await mint(backend, "backend")
    await backend.registrar.update("backend", disable(disabled=True), expected_revision=None)
    assert await backend.introspector.introspect(API, None, None, minted.value) is None
    await backend.registrar.update("backend", disable(disabled=False), expected_revision=None)
    assert await backend.introspector.introspect(API, None, None, minted.value) == minted.token


def disable(*, disabled: bool):
    return lambda client: replace(client, disabled=disabled)


async def test_client_deleted(backend):
    """The tokens of a deleted client are inactive."""
    minted = await mint(backend, "backend")
    await backend.registrar.delete("backend", expected_revision=None)
    assert await backend.introspector.introspect(API, None, None, minted.value) is None


async def test_key_disabled(backend):
    """What a disabled key signed is inactive at once, also where it was seen before."""
    seen, fresh = await mint(backend, "backend"), await mint(backend, "backend")
    assert await own(backend, seen.value)
    (record,) = backend.keyring.view.records
    await backend.keys.disable(record.key_id, reason="stolen")
    for minted in (seen, fresh):
        assert await own(backend, minted.value) is None


async def test_answers_do_not_differ(backend, clock):
    """Unknown, expired, revoked, foreign and malformed tokens get one and the same answer."""
    revoked, foreign = await mint(backend, "backend"), await mint(backend, "second")
    await backend.revoker.revoke(call_of(), "backend", SECRET, revoked.value)
    expired = await forge(backend, claims_of_token(clock(), exp=int(clock()) - 1))
    tokens = ["garbage", expired, revoked.value, foreign.value]
    assert [await own(backend, token) for token in tokens] == [None] * 4
    assert await backend.introspector.introspect_many(call_of(), "backend", SECRET, tokens) == [None] * 4


async def test_batch_in_order(backend, clock):
    """Answers come in the order of the tokens, each what the single call would say."""
    mine, foreign, revoked = [await mint(backend, name) for name in ("backend", "second", "backend")]
    await backend.revoker.revoke(call_of(), "backend", SECRET, revoked.value)
    tokens = ["x", mine.value, foreign.value, revoked.value, mine.value]
    answers = await backend.introspector.introspect_many(call_of(), "backend", SECRET, tokens)
    assert answers == [None, mine.token, None, None, mine.token]
    assert answers == [await own(backend, token) for token in tokens]


async def test_batch_over_clients(backend):
    """A resource server's batch holds tokens of many clients; those of a disabled one are inactive."""
    first, second = await mint(backend, "backend"), await mint(backend, "second")
    await backend.registrar.update("second", disable(disabled=True), expected_revision=None)
    tokens = [first.value, second.value]
    assert await backend.introspector.introspect_many(API, None, None, tokens) == [first.token, None]


@pytest.mark.parametrize("size", [0, MAX_BATCH + 1])
async def test_batch_of_a_wrong_size(backend, size):
    """An empty batch and one too large are refused."""
    with pytest.raises(RequestError) as caught:
        await backend.introspector.introspect_many(API, None, None, ["x"] * size)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "items")


async def test_batch_of_the_largest_size(backend):
    """A batch of the largest size is answered in full."""
    minted = await mint(backend, "backend")
    answers = await backend.introspector.introspect_many(API, None, None, [minted.value] * MAX_BATCH)
    assert answers == [minted.token] * MAX_BATCH


async def test_token_of_another_replica(tmp_path, clock):
    """A token is active on a replica that never saw it, its revocation is seen there at once."""
    async with opened_application(tmp_path, clock=clock) as first:
        await register_by_secret(first, "backend")
        async with opened_application(tmp_path, clock=clock, prepared=first.prepared) as second:
            minted = await mint(first, "backend")
            assert await own(second, minted.value) == minted.token
            await first.revoker.revoke(call_of(), "backend", SECRET, minted.value)
            assert await own(second, minted.value) is None


async def test_cache_is_bounded(backend, clock, monkeypatch):
    """What is remembered of tokens seen has a bound, and forgetting changes no answer."""
    monkeypatch.setattr("gateway.tokens.verification.CACHE_ENTRIES", 4)
    verifier = backend.introspector._verifier
    tokens = [await mint(backend, "backend") for _ in range(8)]
    for _ in range(2):
        for minted in tokens:
            assert await verifier.verify(minted.value) == minted.token
        assert len(verifier._seen) == 4
    with pytest.raises(TokenInvalidError):
        await verifier.verify("garbage")
    assert len(verifier._seen) == 4
