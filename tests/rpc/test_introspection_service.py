"""IntrospectionService over real TLS: the wire form, hints, and who may ask."""

import grpc
import pytest
import pytest_asyncio
from countersign import CertificateName, CountersignError, GrantType, TlsClientAuth, TokenTypeHint
from countersign.v1 import introspection_service_pb2 as pb

from tests.support.gateway import ISSUER, RESOURCE
from tests.support.rpc_server import details_of, reason_of
from tests.support.shared_gateway import admin, shared

__all__ = ["admin", "shared"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "introspected"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def certificate(shared, admin):
    """The certificate of a registered client."""
    await admin.create_client(
        NAME,
        authentication=TlsClientAuth(CertificateName.SAN_DNS, f"{NAME}.example.org"),
        grant_types=[GrantType.CLIENT_CREDENTIALS],
        scopes=["read"],
        audiences=[RESOURCE],
        default_audience=RESOURCE,
    )
    return shared.root.leaf(dns=(f"{NAME}.example.org",))


async def token(shared, certificate):
    async with shared.client(certificate) as client:
        return await client.mint_token(NAME)


async def test_what_an_active_token_says(shared, certificate):
    """Every field of the answer is what the token says, its confirmation included."""
    minted = await token(shared, certificate)
    async with shared.client(shared.api) as api:
        seen = await api.introspect_token(minted.value)
    assert (seen.client_id, seen.subject, seen.issuer) == (NAME, NAME, ISSUER)
    assert (seen.scope, seen.audience, seen.token_type) == (("read",), (RESOURCE,), "Bearer")
    assert (seen.token_id, seen.x5t_s256) == (minted.token_id, minted.x5t_s256)
    assert (seen.issue_time, seen.expire_time) == (minted.issue_time, minted.expire_time)
    assert (seen.username, seen.not_before_time, seen.additional_claims) == ("", None, {})


@pytest.mark.parametrize("hint", [None, *TokenTypeHint])
async def test_hint_changes_nothing(shared, certificate, hint):
    """A hint, right or wrong, gives the same answer (RFC 7662 §2.1)."""
    minted = await token(shared, certificate)
    async with shared.client(shared.api) as api:
        assert await api.introspect_token(minted.value, token_type_hint=hint)
        assert await api.introspect_token("garbage", token_type_hint=hint) is None


async def test_inactive_is_an_empty_message(shared, certificate):
    """An inactive token's answer holds nothing at all on the wire."""
    async with shared.client(shared.api) as api:
        answer = await api.introspection.IntrospectToken(pb.IntrospectTokenRequest(token="x"))
        batch = await api.introspection.BatchIntrospectTokens(
            pb.BatchIntrospectTokensRequest(items=[pb.BatchIntrospectTokensItem(token="x")])
        )
    assert answer.ByteSize() == 0
    assert batch.results[0].ByteSize() == 0


@pytest.mark.parametrize("who", ["nobody", "admin", "somebody"])
async def test_who_may_not_ask(shared, certificate, who):
    """Nobody, a caller without the role and one without any role get no answer."""
    minted = await token(shared, certificate)
    identity = {"nobody": None, "admin": shared.admin, "somebody": shared.root.leaf("somebody")}[who]
    async with shared.client(identity) as client:
        with pytest.raises(CountersignError) as caught:
            await client.introspect_token(minted.value)
    expected = "CALLER_UNAUTHENTICATED" if who == "nobody" else "PERMISSION_DENIED"
    assert caught.value.reason == expected


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        (pb.IntrospectTokenRequest(), "MISSING_FIELD", "token"),
        (pb.IntrospectTokenRequest(token="x", token_type_hint=0), "INVALID_FIELD", "token_type_hint"),
    ],
)
async def test_request_malformed(shared, message, reason, field):
    """A request without a token, or with an unspecified hint, is refused by the name of the field."""
    async with shared.client(shared.api) as api:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await api.introspection.IntrospectToken(message)
    assert reason_of(caught.value) == reason
    assert details_of(caught.value)["BadRequest"].field_violations[0].field == field


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "items"),
        ([pb.BatchIntrospectTokensItem(token="x")] * 1001, "items"),
        ([pb.BatchIntrospectTokensItem(token="x"), pb.BatchIntrospectTokensItem()], "items[1].token"),
    ],
)
async def test_batch_malformed(shared, items, field):
    """A batch of a wrong size, or with an item that would be refused alone, is refused as a whole."""
    async with shared.client(shared.api) as api:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await api.introspection.BatchIntrospectTokens(pb.BatchIntrospectTokensRequest(items=items))
    assert details_of(caught.value)["BadRequest"].field_violations[0].field == field


async def test_batch_with_garbage(shared, certificate):
    """One garbage token in a batch is inactive and touches no other."""
    minted = await token(shared, certificate)
    async with shared.client(shared.api) as api:
        answers = await api.batch_introspect_tokens(["x", minted.value, "x" * 20_000])
    assert [answer and answer.token_id for answer in answers] == [None, minted.token_id, None]
