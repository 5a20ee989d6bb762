"""WatchRevocations over gRPC, by real clients, across restarts."""

import asyncio

import grpc
import pytest
from countersign import CountersignError, InvalidRequestError, PermissionDeniedError, Reason

from tests.support.gateway import running_gateway


@pytest.fixture
async def gateway(tmp_path):
    """A gateway of the test's own."""
    async with running_gateway(tmp_path) as running:
        yield running


async def next_tokens(batches, count):
    """The ids of the next *count* revocations."""
    found = []
    async with asyncio.timeout(10):
        async for batch in batches:
            found += [each.token_id for each in batch.revocations]
            if len(found) >= count:
                return found, batch.cursor
    raise AssertionError


async def test_a_revocation_reaches_the_resource_server(gateway):
    """As it happens; the cursor resumes after it."""
    async with gateway.client(gateway.api) as api, gateway.client(gateway.admin) as admin:
        batches = api.watch_revocations()
        assert (await anext(batches)).revocations == ()
        await admin.revoke_token_id("t1")
        found, cursor = await next_tokens(batches, 1)
        assert found == ["t1"]
        await admin.revoke_token_id("t2")
        assert (await next_tokens(api.watch_revocations(cursor), 1))[0] == ["t2"]


async def test_a_restart_leaves_no_gap(tmp_path):
    """The client comes back by itself, and gets what was revoked while it was away."""
    async with running_gateway(tmp_path) as first:
        async with first.client(first.admin) as admin, first.client(first.api) as api:
            await admin.revoke_token_id("t1")
            found, cursor = await next_tokens(api.watch_revocations(), 1)
            assert found == ["t1"]
            await admin.revoke_token_id("t2")
        prepared = first.prepared
    async with (
        running_gateway(tmp_path, prepared=prepared) as second,
        second.client(second.admin) as admin,
        second.client(second.api) as api,
    ):
        await admin.revoke_token_id("t3")
        assert (await next_tokens(api.watch_revocations(cursor), 2))[0] == ["t2", "t3"]


async def test_a_drain_ends_the_stream(tmp_path):
    """With SHUTTING_DOWN, so that the client goes to another replica."""
    async with running_gateway(tmp_path) as gateway, gateway.client(gateway.api) as api:
        batches = api.watch_revocations()
        await anext(batches)
        draining = asyncio.create_task(gateway.server.drain())
        with pytest.raises(CountersignError) as caught:
            async with asyncio.timeout(10):
                await anext(batches)
        await draining
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_only_resource_servers_watch(gateway):
    """An administrator is none."""
    async with gateway.client(gateway.admin) as admin:
        with pytest.raises(PermissionDeniedError):
            await anext(admin.watch_revocations())


async def test_a_cursor_of_nobody(gateway):
    """The field is named."""
    async with gateway.client(gateway.api) as api:
        with pytest.raises(InvalidRequestError) as caught:
            await anext(api.watch_revocations("r1.999"))
    assert caught.value.reason == Reason.INVALID_FIELD
