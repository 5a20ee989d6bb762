"""The feed of revocations: complete, in order, and resumable."""

import asyncio
from contextlib import aclosing

import pytest

from gateway.errors import AvailabilityError, Reason, RequestError
from gateway.introspection.feed import PAGE, RevocationFeed
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.ports import Revocation
from tests.support.authorizations import SECRET, tokens_for, web_client
from tests.support.gateway import call_of, opened_application


async def revoke(app, token_id):
    now = 1_900_000_000.0
    await app.store.revocations.revoke(Revocation(token_id, None, now, now + 60))


async def collected(feed, cursor, count):
    """The first *count* revocations after *cursor*, and the cursor after them."""
    found = []
    async with asyncio.timeout(5), aclosing(feed.watch(cursor)) as batches:
        async for batch in batches:
            found += batch.items
            if len(found) >= count:
                return found, batch.cursor
    raise AssertionError


async def test_what_was_revoked_before_comes_first(app):
    """Tokens and grants, in the order in which they were revoked."""
    await web_client(app)
    await revoke(app, "t1")
    minted = await tokens_for(app)
    await app.revoker.revoke(call_of(), "web", ClientSecret(SECRET), minted.refresh_token.value)
    await revoke(app, "t2")
    items, _ = await collected(app.feed, "", 3)
    assert [(item.token_id, item.grant_id) for item in items] == [
        ("t1", None),
        (None, minted.token.grant_id),
        ("t2", None),
    ]
    assert [item.number for item in items] == sorted(item.number for item in items)


async def test_what_is_revoked_later_comes_as_it_happens(app):
    """A watcher that has seen everything waits for the next one."""
    async with asyncio.timeout(5), aclosing(app.feed.watch("")) as batches:
        first = await anext(batches)
        assert first.items == ()
        await revoke(app, "t1")
        assert [item.token_id for item in (await anext(batches)).items] == ["t1"]


async def test_resuming_misses_nothing_and_repeats_nothing(tmp_path, clock):
    """Across a restart, and on another replica than the one that gave out the cursor."""
    async with opened_application(tmp_path, clock=clock) as one:
        await revoke(one, "t1")
        _, cursor = await collected(one.feed, "", 1)
        prepared = one.prepared
        async with opened_application(tmp_path, clock=clock, prepared=prepared) as two:
            await revoke(two, "t2")
            items, _ = await collected(two.feed, cursor, 1)
            assert [item.token_id for item in items] == ["t2"]
    async with opened_application(tmp_path, clock=clock, prepared=prepared) as three:
        await revoke(three, "t3")
        items, _ = await collected(three.feed, cursor, 2)
    assert [item.token_id for item in items] == ["t2", "t3"]


async def test_racing_revocations_are_all_seen(tmp_path, clock):
    """Two replicas revoke while a watcher on each reads: both see all, in the same order."""
    async with (
        opened_application(tmp_path, clock=clock) as one,
        opened_application(tmp_path, clock=clock, prepared=one.prepared) as two,
    ):
        watching = [asyncio.create_task(collected(each.feed, "", 60)) for each in (one, two)]
        await asyncio.gather(*(revoke((one, two)[number % 2], f"t{number}") for number in range(60)))
        (seen, _), (also, _) = await asyncio.gather(*watching)
    assert {item.token_id for item in seen} == {f"t{number}" for number in range(60)}
    assert seen == also


async def test_a_long_history_comes_in_pages(app):
    """No batch is larger than the bound."""
    for number in range(PAGE + 1):
        await revoke(app, f"t{number}")
    async with aclosing(app.feed.watch("")) as batches:
        assert len((await anext(batches)).items) == PAGE
        assert len((await anext(batches)).items) == 1


async def test_what_was_purged_is_passed_over(app, clock):
    """Where the last revocations are gone, a watcher waits instead of asking for them again and again."""
    await revoke(app, "t1")
    clock.now = 1_900_000_000.0 + 3600
    await app.store.purge.once()
    asked = 0
    after = app.store.revocation_feed.after

    class Counting:
        last_number = app.store.revocation_feed.last_number

        async def after(self, number, *, limit):
            nonlocal asked
            asked += 1
            return await after(number, limit=limit)

    async with (
        asyncio.timeout(5),
        RevocationFeed(Counting(), interval=0.01, heartbeat=0.2) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        first, second = await anext(batches), await anext(batches)
        assert first == second
        assert (first.items, first.cursor) == ((), "r1.1")
        assert asked == 1
        await revoke(app, "t2")
        assert [item.token_id for item in (await anext(batches)).items] == ["t2"]


async def test_a_heartbeat_without_news(app):
    """The cursor stays; the watcher knows that it is connected."""
    async with (
        RevocationFeed(app.store.revocation_feed, heartbeat=0.05) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        first, second = await anext(batches), await anext(batches)
    assert first == second
    assert first.items == ()


@pytest.mark.parametrize("cursor", ["x", "r1.", "r1.-1", "r1.01", "r2.0", "r1.0 ", "r1.1", "r1." + "9" * 19])
async def test_a_cursor_of_nobody(app, cursor):
    """Malformed, or ahead of everything that happened: it would silently miss what comes."""
    with pytest.raises(RequestError) as caught:
        await anext(app.feed.watch(cursor))
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "cursor")


async def test_a_database_that_comes_back(app, monkeypatch):
    """The feed goes on looking; a watcher that waits does not notice."""
    failures = 3
    look = app.store.revocation_feed.last_number

    class Flaky:
        after = app.store.revocation_feed.after

        async def last_number(self):
            nonlocal failures
            if watching and failures:
                failures -= 1
                raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away")
            return await look()

    watching = False
    async with (
        asyncio.timeout(5),
        RevocationFeed(Flaky(), interval=0.01) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        await anext(batches)
        watching = True
        await revoke(app, "t1")
        assert [item.token_id for item in (await anext(batches)).items] == ["t1"]
    assert failures == 0
