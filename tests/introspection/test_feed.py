"""The feed of revocations: complete, in order, and resumable."""

import asyncio
from contextlib import aclosing

import pytest

from gateway.errors import AvailabilityError, Reason, RequestError
from gateway.introspection.feed import PAGE, RevocationFeed
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.ports import Revocation
from tests.support.authorizations import SECRET, code_for, redeem, refresh, tokens_for, web_client
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
        listen = app.store.revocation_feed.listen
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


async def _revoke_token(app, minted):
    await revoke(app, minted.token.token_id)


async def _revoke_grant(app, minted):
    await app.revoker.revoke(call_of(), "web", ClientSecret(SECRET), minted.refresh_token.value)


async def _use_a_code_again(app, minted):
    del minted
    code = await code_for(app)
    await redeem(app, code)
    with pytest.raises(RequestError):
        await redeem(app, code)


async def _use_a_refresh_token_again(app, minted):
    used = minted.refresh_token.value
    successor = await refresh(app, used)
    await refresh(app, successor.refresh_token.value)
    with pytest.raises(RequestError):
        await refresh(app, used)


@pytest.mark.parametrize(
    "revoking", [_revoke_token, _revoke_grant, _use_a_code_again, _use_a_refresh_token_again]
)
async def test_what_this_process_revokes_is_told_at_once(app, revoking):
    """Whichever way something is revoked, no watcher of the same process waits for the next look."""
    await web_client(app)
    minted = await tokens_for(app)
    async with (
        asyncio.timeout(5),
        RevocationFeed(app.store.revocation_feed, interval=3600) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        assert (await anext(batches)).items == ()
        following = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.05)  # The feed's first look is over: only a word wakes it now.
        await revoking(app, minted)
        assert len((await following).items) == 1


async def test_a_neighbor_wakes_the_feed(tmp_path, clock):
    """What another worker revoked is there as soon as it says so; who is not told finds it by looking."""
    async with (
        opened_application(tmp_path, clock=clock) as one,
        opened_application(tmp_path, clock=clock, prepared=one.prepared) as two,
        asyncio.timeout(5),
        RevocationFeed(two.store.revocation_feed, interval=3600) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        one.feed.listen(feed.wake)
        assert (await anext(batches)).items == ()
        following = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.05)  # As above.
        await revoke(one, "t1")
        assert [item.token_id for item in (await following).items] == ["t1"]


async def test_much_news_is_few_looks(app):
    """However much is revoked, looks are apart: a flood of revocations is no flood of reads."""
    looks = 0
    last_number = app.store.revocation_feed.last_number

    class Counting:
        listen = app.store.revocation_feed.listen
        after = app.store.revocation_feed.after

        async def last_number(self):
            nonlocal looks
            looks += 1
            return await last_number()

    async with (
        asyncio.timeout(5),
        RevocationFeed(Counting(), interval=3600) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        await anext(batches)
        for _ in range(1000):
            feed.wake()
            await asyncio.sleep(0)
    assert looks < 50


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
        listen = app.store.revocation_feed.listen
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
