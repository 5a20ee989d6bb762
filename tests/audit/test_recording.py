"""What is recorded of tokens, clients and keys: every effect, before it, with nothing secret in it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.events import ClientDeleted
from gateway.errors import AvailabilityError, GatewayError, Reason, RequestError, StateError
from gateway.idempotency import IdempotencyKey
from gateway.keys.model import KeyPurpose
from gateway.principal import Role
from gateway.tokens.client import AccessTokenFormat, ClientAuthenticationMethod, GrantType
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from signers import Algorithm
from tests.support.audit_log import octets, recorded
from tests.support.authorizations import (
    REDIRECT,
    SECRET,
    USER,
    code_for,
    is_active,
    redeem,
    refresh,
    tokens_for,
    web_client,
)
from tests.support.gateway import (
    RESOURCE,
    OpenedApplication,
    SteppedClock,
    call_of,
    make_key,
    opened_application,
)
from tests.support.stores import client

CREDENTIALS = TokenRequest(ClientCredentialsGrant())
ALSO = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN, GrantType.CLIENT_CREDENTIALS})


@pytest.fixture
async def app(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[OpenedApplication]:
    """The use cases with the audit log on."""
    async with opened_application(tmp_path, clock=clock, audit={"enabled": True}) as opened:
        yield opened


class Log:
    """The records since the last look."""

    def __init__(self, app: OpenedApplication) -> None:
        self.repository = app.store.audit
        self._after = 0

    async def news(self) -> list[dict[str, Any]]:
        """What came since."""
        found = await recorded(self.repository, after=self._after)
        self._after = (await self.repository.head()).sequence_number
        return found

    async def names(self) -> list[str]:
        """The events that came since; an effect that was undone with its outcome."""
        return [
            each["event"]
            if each["outcome"] == "ok"
            else f"{each['event']} {each['outcome']} {each['reason']}"
            for each in await self.news()
        ]


@pytest.fixture
async def log(app: OpenedApplication) -> Log:
    """The log, without what the start recorded."""
    made = Log(app)
    assert await made.names() == ["key.created"]
    return made


async def minted(app: OpenedApplication, request: TokenRequest = CREDENTIALS, **options: Any) -> Any:
    """A token for the client ``web``."""
    return await app.minter.mint(call_of(**options), "web", ClientSecret(SECRET), request)


async def test_a_mint_is_recorded_with_all_that_the_token_says(app, log):
    """By its id: whoever meets the token finds the record; the token itself is not in it."""
    await web_client(app, grant_types=ALSO, scopes=frozenset({"a", "b"}))
    certificate = app.root.leaf("web")
    token = await minted(app, TokenRequest(ClientCredentialsGrant(), ("a",)), certificate=certificate)
    (record,) = await log.news()
    assert record == {
        "actor": None,
        "audience": [RESOURCE],
        "bound_to": f"x5t#S256:{token.terms.binding.x5t_s256}",
        "caller": "client:web",  # There is no door here; through one, the principal of the call.
        "certificate": None,
        "client_id": "web",
        "event": "token.minted",
        "expire_time": token.expire_time,
        "format": "jwt",
        "grant_id": None,
        "grant_type": "client_credentials",
        "outcome": "ok",
        "reason": "",
        "request_id": "",
        "scope": ["a"],
        "subject": "web",
        "time": record["time"],
        "token_id": token.token_id,
    }
    assert token.value.encode() not in await octets(log.repository)


async def test_an_opaque_token_is_recorded_by_its_id(app, log):
    """Its value is in no record."""
    await web_client(app, grant_types=ALSO, access_token_format=AccessTokenFormat.OPAQUE)
    token = await minted(app)
    (record,) = await log.news()
    assert (record["format"], record["token_id"]) == ("opaque", token.token_id)
    assert token.value.encode() not in await octets(log.repository)


async def test_a_batch_is_recorded_token_by_token(app, log):
    """In one segment; items that were refused are not in it."""
    await web_client(app, grant_types=ALSO)
    wrong = TokenRequest(ClientCredentialsGrant(), ("none",))
    tokens = await app.minter.mint_many(
        call_of(), "web", ClientSecret(SECRET), [CREDENTIALS, wrong, CREDENTIALS]
    )
    head = await log.repository.head()
    assert [each["token_id"] for each in await log.news()] == [tokens[0].token_id, tokens[2].token_id]
    assert head.sequence_number == 2


async def test_a_user_who_authorizes_a_client_is_on_record(app, log):
    """The code, the token that it gives, and the one after; no code and no token is in the log."""
    await web_client(app)
    code = await code_for(app)
    first = await redeem(app, code)
    second = await refresh(app, first.refresh_token.value)
    issued, *tokens = await log.news()
    assert (issued["event"], issued["client_id"], issued["subject"]) == ("code.issued", "web", USER)
    assert [each["grant_type"] for each in tokens] == ["authorization_code", "refresh_token"]
    assert {each["grant_id"] for each in tokens} == {first.terms.grant_id}
    assert [each["token_id"] for each in tokens] == [first.token_id, second.token_id]
    held = await octets(log.repository)
    secrets = (code, first.value, second.value, first.refresh_token.value, second.refresh_token.value, SECRET)
    assert not [each for each in secrets if each.encode() in held]


async def test_a_code_that_is_used_again_ends_its_grant_on_record(app, log):
    """The record is there, and the grant is ended."""
    await web_client(app)
    code = await code_for(app)
    token = await redeem(app, code)
    await log.news()
    with pytest.raises(RequestError):
        await redeem(app, code)
    (record,) = await log.news()
    assert (record["event"], record["grant_id"], record["cause"]) == (
        "grant.revoked",
        token.terms.grant_id,
        "code_replayed",
    )
    assert not await is_active(app, token.value)


async def test_a_refresh_token_that_is_used_again_is_on_record(app, log, clock):
    """Within the time of grace that it came again, after it that its grant was ended."""
    await web_client(app)
    first = await tokens_for(app)
    await refresh(app, first.refresh_token.value)
    await log.news()
    await refresh(app, first.refresh_token.value)
    assert await log.names() == ["refresh_token.reused", "token.minted"]
    clock.advance(app.prepared.settings.tokens.refresh_grace + 1)
    with pytest.raises(RequestError):
        await refresh(app, first.refresh_token.value)
    assert await log.names() == ["refresh_token.reused", "grant.revoked"]


async def test_of_two_that_use_a_code_at_once_one_has_its_token_on_record(app, log):
    """The mint of the other was about to happen, and did not: its second record says so."""
    await web_client(app)
    code = await code_for(app)
    await log.news()
    outcomes = await asyncio.gather(*(redeem(app, code) for _ in range(2)), return_exceptions=True)
    (token,) = [each for each in outcomes if not isinstance(each, BaseException)]
    await app.trail.record(ClientDeleted("last"))
    records = await log.news()
    undone = {each["token_id"] for each in records if each["outcome"] == "failed"}
    mints = [
        each["token_id"] for each in records if each["event"] == "token.minted" and each["outcome"] == "ok"
    ]
    assert [each for each in mints if each not in undone] == [token.token_id]


async def test_revocations_are_on_record(app, log):
    """By the token, by its id, and of a refresh token with its grant."""
    await web_client(app, grant_types=ALSO)
    token = await minted(app)
    pair = await tokens_for(app)
    await log.news()
    await app.revoker.revoke(call_of(), "web", ClientSecret(SECRET), token.value)
    await app.revoker.revoke_id(call_of(roles=[Role.ADMIN]), "some-id")
    await app.revoker.revoke(call_of(), "web", ClientSecret(SECRET), pair.refresh_token.value)
    by_token, by_id, grant = await log.news()
    assert (by_token["event"], by_token["client_id"], by_token["token_id"]) == (
        "token.revoked",
        "web",
        token.token_id,
    )
    assert (by_id["client_id"], by_id["token_id"]) == (None, "some-id")
    assert (grant["event"], grant["grant_id"], grant["cause"]) == (
        "grant.revoked",
        pair.terms.grant_id,
        "revoked_by_client",
    )


async def test_the_administration_of_clients_is_on_record(app, log):
    """Creation, change, a new secret, deletion; a secret is in no record."""
    draft = client(
        "made",
        authentication_method=ClientAuthenticationMethod.CLIENT_SECRET_BASIC,
        identity=None,
        redirect_uris=frozenset({REDIRECT}),
        certificate_bound_access_tokens=False,
    )
    first = await app.registrar.create(draft, None)
    await app.registrar.update("made", lambda each: each, expected_revision=None)
    second = await app.registrar.rotate_secret("made", expected_revision=None)
    await app.registrar.delete("made", expected_revision=None)
    created, updated, rotated, deleted = await log.news()
    assert (created["event"], created["authentication_method"]) == ("client.created", "client_secret_basic")
    assert (updated["event"], updated["revision"], updated["disabled"]) == ("client.updated", 2, False)
    assert (rotated["event"], rotated["revision"]) == ("client.secret_rotated", 3)
    assert (deleted["event"], deleted["client_id"]) == ("client.deleted", "made")
    held = await octets(log.repository)
    assert not [each for each in (first.secret, second.secret) if each.encode() in held]


async def test_what_did_not_happen_has_a_second_record(app, log):
    """A client that exists already, one that does not exist, and a request that is repeated."""
    await app.register("made")
    key = IdempotencyKey("admin", "CreateClient", "request-1", b"x" * 32)
    for _ in range(2):
        await app.registrar.create(client(""), key)
    with pytest.raises(StateError):
        await app.registrar.create(client("made"), None)
    with pytest.raises(StateError):
        await app.registrar.delete("other", expected_revision=None)
    await app.trail.record(ClientDeleted("last"))  # Second records are not waited for, but keep their order.
    assert await log.names() == [
        "client.created",
        "client.created",
        "client.created failed REPEATED",
        "client.created",
        "client.created failed CLIENT_ALREADY_EXISTS",
        "client.deleted",
        "client.deleted failed CLIENT_NOT_FOUND",
        "client.deleted",
    ]


async def test_a_keys_whole_life_is_on_record(app, log, clock):
    """Creation, activation with the key that it replaces, retirement, withdrawal."""
    (before,) = [status.record.key_id for status in await app.keys.list()]
    made = await app.keys.create(
        KeyPurpose.TOKENS, Algorithm.ES256, make_key(app.prepared.folder, "next"), existing=True, key=None
    )
    clock.advance(timedelta(days=1).total_seconds())
    await app.keys.rotate(KeyPurpose.TOKENS, Algorithm.ES256, key_id=None, expected_revision=None, key=None)
    clock.advance(timedelta(days=2).total_seconds())
    certificates = app.keys.certificates
    await certificates.import_chain(
        made.key_id, await certificates.self_signed(made.key_id, "CN=key", days=30)
    )
    await app.keys.disable(made.key_id, reason="lost")
    records = await log.news()
    created, activated, *others = records
    assert (created["event"], created["key_id"], created["state"]) == ("key.created", made.key_id, "prepared")
    assert (activated["event"], activated["key_id"], activated["replaces"]) == (
        "key.activated",
        made.key_id,
        before,
    )
    found = {each["event"]: each for each in others}
    assert set(found) == {"key.certified", "key.disabled", "key.retired"}
    assert found["key.retired"]["key_id"] == before
    assert found["key.disabled"]["stated_reason"] == "lost"


async def test_nothing_is_done_while_the_log_cannot_be_written(app, log, monkeypatch):
    """Every operation is refused with the reason, and none of its effects is there afterwards."""
    await web_client(app, grant_types=ALSO)
    token, pair = await minted(app), await tokens_for(app)
    (key_id,) = [status.record.key_id for status in await app.keys.list()]

    async def fail(_: object) -> None:
        raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away", cause="store_full")

    monkeypatch.setattr(type(app.store.audit), "append", lambda _, draft: fail(draft))
    secret = ClientSecret(SECRET)
    attempts = (
        lambda: minted(app),
        lambda: app.minter.mint_many(call_of(), "web", secret, [CREDENTIALS]),
        lambda: code_for(app),
        lambda: refresh(app, pair.refresh_token.value),
        lambda: app.revoker.revoke(call_of(), "web", secret, token.value),
        lambda: app.revoker.revoke_id(call_of(roles=[Role.ADMIN]), token.token_id),
        lambda: app.revoker.revoke(call_of(), "web", secret, pair.refresh_token.value),
        lambda: app.registrar.create(client("made"), None),
        lambda: app.registrar.delete("web", expected_revision=None),
        lambda: app.keys.disable(key_id, reason="none"),
    )
    for attempt in attempts:
        with pytest.raises(AvailabilityError) as caught:
            await attempt()
        assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
        assert caught.value.retry_after is not None
        assert caught.value.cause == "store_full"
    monkeypatch.undo()
    assert await is_active(app, token.value)
    assert await is_active(app, pair.value)
    assert await app.store.clients.get("made") is None
    assert await app.store.clients.get("web") is not None
    # The refresh token is not used up: no successor was ever told.
    assert (await refresh(app, pair.refresh_token.value)).value


async def test_a_refused_request_is_no_record(app, log):
    """Wrong secrets and scopes leave nothing: whoever guesses cannot fill the log."""
    await web_client(app, grant_types=ALSO)
    with pytest.raises(GatewayError):
        await app.minter.mint(call_of(), "web", ClientSecret("wrong"), CREDENTIALS)
    with pytest.raises(GatewayError):
        await minted(app, TokenRequest(ClientCredentialsGrant(), ("none",)))
    assert await log.news() == []


async def test_a_log_that_is_off_leaves_nothing(tmp_path):
    """No segment is written, and the minter holds no trail at all."""
    async with opened_application(tmp_path) as app:
        await web_client(app, grant_types=ALSO)
        await minted(app)
        assert (await app.store.audit.head()).sequence_number == 0
        assert app.minter._trail is None
        assert app.checkpointer is None
