"""The way to a service: admission, batches, retries, the budget and the circuit."""

import asyncio
import os

import pytest

from signers import (
    Algorithm,
    KeyUnusableError,
    SignatureInvalidError,
    SignerBusyError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.durations import Stage, StageTimes, call_stages
from signers.remote.circuit import THRESHOLD, Verdict
from signers.remote.delivery import PORTION, YIELD_EVERY
from signers.remote.lane import Lane
from signers.remote.options import RemoteOptions
from signers.remote.waiting import MAX_BATCH_BYTES
from signers.verification import verify
from tests.support.remote_service import ScriptedKey
from tests.support.softhsm import eventually


def lane_of(**options):
    return Lane("test:", RemoteOptions(**options))


async def sign(lane, key, *messages):
    return await lane.sign(key, messages or (b"m",), StageTimes())


async def outcomes(calls):
    return [type(each) for each in await asyncio.gather(*calls, return_exceptions=True)]


async def test_lone_signature_leaves_at_once():
    """An idle lane makes a request for a lone signature without waiting for others."""
    key = ScriptedKey(max_batch=64)
    (signature,) = await sign(lane_of(), key)
    verify(key.public_key, key.algorithm, b"m", signature)
    assert key.requests == [[b"m"]]


async def test_batches_fill_while_requests_are_under_way():
    """With every slot taken, those who wait share the next request, up to its size, in their order."""
    key = ScriptedKey(max_batch=4)
    key.gate.clear()
    lane = lane_of(concurrency=1)
    first = asyncio.ensure_future(sign(lane, key, b"0"))
    await eventually(lambda: key.under_way == 1)
    calls = [asyncio.ensure_future(sign(lane, key, b"%d" % number)) for number in range(1, 7)]
    await eventually(lambda: lane.queued == 6)
    key.gate.set()
    await asyncio.gather(first, *calls)
    assert key.requests == [[b"0"], [b"1", b"2", b"3", b"4"], [b"5", b"6"]]


async def test_those_of_one_turn_leave_together():
    """Calls that begin in the same turn of the event loop share a request, although slots are free."""
    key = ScriptedKey(max_batch=64)
    lane = lane_of()
    await asyncio.gather(*(sign(lane, key, b"%d" % number) for number in range(5)))
    assert [len(request) for request in key.requests] == [5]


async def test_next_request_is_made_while_the_last_answer_is_verified():
    """A slot is free once the service has answered: those who wait do not wait for a verification as well."""
    key, lane = ScriptedKey(), lane_of(concurrency=1)
    verify, deliver = asyncio.Event(), lane._delivery.deliver

    async def deliver_later(*arguments):
        await verify.wait()
        await deliver(*arguments)

    lane._delivery.deliver = deliver_later
    calls = [asyncio.ensure_future(sign(lane, key, message)) for message in (b"first", b"next")]
    await eventually(lambda: key.requests == [[b"first"], [b"next"]])
    assert not any(call.done() for call in calls)
    verify.set()
    assert await outcomes(calls) == [list, list]


async def test_unverified_answers_are_bounded():
    """A service that answers faster than we verify waits for us once twice its slots are taken."""
    key = ScriptedKey()
    lane = lane_of(concurrency=2)
    gate = asyncio.Event()

    async def deliver(*_):
        await gate.wait()

    lane._delivery.deliver = deliver
    calls = [asyncio.ensure_future(sign(lane, key)) for _ in range(10)]
    await eventually(lambda: len(key.requests) == 4)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (len(key.requests), lane.queued) == (4, 6)
    gate.set()
    assert await outcomes(calls) == [SignerUnavailableError] * 10


async def test_loop_is_free_between_verifications_and_results_come_in_portions():
    """Other tasks run while a long answer is verified, and those who wait for it are answered together."""
    key = ScriptedKey(max_batch=2 * PORTION)
    lane = lane_of()
    calls = [asyncio.ensure_future(sign(lane, key, b"%d" % number)) for number in range(2 * PORTION)]
    seen: list[int] = []
    while not seen or seen[-1] < len(calls):
        await asyncio.sleep(0)
        seen.append(sum(call.done() for call in calls))
    assert set(seen) == {0, PORTION, 2 * PORTION}
    assert seen.count(PORTION) >= PORTION // YIELD_EVERY


async def test_batches_have_a_bound_in_bytes():
    """Messages too long for one request together go in several, and one longer than the bound alone."""
    key = ScriptedKey(algorithm=Algorithm.EDDSA, max_batch=64)
    part = bytes(MAX_BATCH_BYTES * 2 // 5)
    await sign(lane_of(concurrency=1), key, part, part, part, bytes(MAX_BATCH_BYTES + 1))
    assert [[len(message) for message in request] for request in key.requests] == [
        [len(part), len(part)],
        [len(part)],
        [MAX_BATCH_BYTES + 1],
    ]


async def test_keys_take_turns():
    """A key with a long queue does not keep another waiting for all of it."""
    busy, other = ScriptedKey(max_batch=2), ScriptedKey(max_batch=2)
    busy.gate.clear()
    lane = lane_of(concurrency=1)
    long = asyncio.ensure_future(sign(lane, busy, *(b"%d" % number for number in range(20))))
    await eventually(lambda: lane.queued == 18)
    short = asyncio.ensure_future(sign(lane, other))
    await eventually(lambda: lane.queued == 19)
    busy.gate.set()
    await short
    assert not long.done()
    await long


async def test_concurrency_is_bounded():
    """Never more requests are under way than allowed."""
    key = ScriptedKey()
    await asyncio.gather(*(sign(lane := lane_of(concurrency=3), key) for _ in range(1)))
    await asyncio.gather(*(sign(lane, key) for _ in range(50)))
    assert key.most_under_way == 3


async def test_full_queue_refuses_at_once():
    """Beyond the queue a call fails at once, and those inside are served."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(concurrency=1, max_queue=2)
    waiting = [asyncio.ensure_future(sign(lane, key)) for _ in range(3)]
    await eventually(lambda: lane.queued == 2)
    with pytest.raises(SignerBusyError):
        await sign(lane, key)
    key.gate.set()
    await asyncio.gather(*waiting)


async def test_sign_many_is_admitted_whole_or_not():
    """A list that does not fit into the queue leaves nothing behind in it."""
    key = ScriptedKey()
    lane = lane_of(max_queue=2)
    with pytest.raises(SignerBusyError):
        await sign(lane, key, b"1", b"2", b"3")
    assert (lane.queued, key.requests) == (0, [])


async def test_deadline():
    """A request that hangs costs its caller no more than the time limit, and its slot is free again."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(timeout=0.1, attempt_timeout=0.05, attempts=1, concurrency=1)
    with pytest.raises(SignerTimeoutError):
        await sign(lane, key)
    key.gate.set()
    await sign(lane, key)
    assert key.under_way == 0


async def test_deadline_in_the_queue():
    """Who waits for a slot past the time limit gets a time-out, and no request is made for it later."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(timeout=0.1, attempts=1, concurrency=1)
    ended = await outcomes(sign(lane, key, b"%d" % number) for number in range(4))
    assert set(ended) <= {SignerTimeoutError, SignerUnavailableError}
    key.gate.set()
    await eventually(lambda: lane.circuit.verdict is not Verdict.OPEN)
    await sign(lane, key, b"last")
    assert [b"3"] not in key.requests
    assert key.requests[-1] == [b"last"]


async def test_short_time_limits_open_the_circuit_too():
    """A service that hangs is noticed where signatures may take no longer than a request usually does."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(timeout=0.4, attempt_timeout=60)
    with pytest.raises(SignerTimeoutError):
        await asyncio.gather(*(sign(lane, key) for _ in range(2)))
    assert lane.circuit.verdict is not Verdict.CLOSED


async def test_cancelled_caller_is_dropped_from_the_queue():
    """A signature that nobody waits for any more is not asked for."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(concurrency=1)
    first = asyncio.ensure_future(sign(lane, key, b"first"))
    gone = asyncio.ensure_future(sign(lane, key, b"gone"))
    await eventually(lambda: lane.queued == 1)
    gone.cancel()
    key.gate.set()
    await first
    await sign(lane, key, b"next")
    assert key.requests == [[b"first"], [b"next"]]


@pytest.mark.parametrize("failures", [[SignerUnavailableError("down")] * 2, [SignerTimeoutError("slow")]])
async def test_passing_failures_are_tried_again(failures):
    """Failures that pass cost the caller time, not an error."""
    key = ScriptedKey(script=list(failures))
    lane = lane_of(attempts=3)
    await sign(lane, key)
    assert len(key.requests) == lane.requests == len(failures) + 1
    assert lane.circuit.verdict is Verdict.CLOSED


async def test_final_failures_are_not_tried_again():
    """A refusal that no repetition changes is raised after one request, and the circuit stays closed."""
    key = ScriptedKey(script=[KeyUnusableError("disabled")] * (THRESHOLD + 1))
    lane = lane_of()
    for _ in range(THRESHOLD + 1):
        with pytest.raises(KeyUnusableError):
            await sign(lane, key)
    assert len(key.requests) == THRESHOLD + 1
    assert lane.circuit.verdict is Verdict.CLOSED


async def test_open_circuit_fails_at_once_and_one_trial_closes_it():
    """While the circuit is open no request is made; after its pause one is, and its success serves all."""
    down = SignerUnavailableError("The service is down.")
    key = ScriptedKey(script=[down] * THRESHOLD)
    lane = lane_of(attempts=THRESHOLD)
    with pytest.raises(SignerUnavailableError):
        await sign(lane, key)
    with pytest.raises(SignerUnavailableError, match=r"The service is down\.") as caught:
        await sign(lane, key)
    assert 0 < caught.value.retry_after < 1
    assert len(key.requests) == THRESHOLD
    await eventually(lambda: lane.circuit.verdict is Verdict.TRIAL)
    key.gate.clear()
    calls = [asyncio.ensure_future(sign(lane, key)) for _ in range(5)]
    await eventually(lambda: key.under_way == 1)
    assert lane.queued == 4
    key.gate.set()
    await asyncio.gather(*calls)
    assert lane.circuit.verdict is Verdict.CLOSED


async def test_failed_trial_fails_those_who_wait_for_it():
    """Who arrived during a trial that fails gets its error then, and waits for no other trial."""
    key = ScriptedKey(script=[SignerUnavailableError("down")] * (THRESHOLD + 1))
    lane = lane_of(attempts=THRESHOLD)
    with pytest.raises(SignerUnavailableError):
        await sign(lane, key)
    await eventually(lambda: lane.circuit.verdict is Verdict.TRIAL)
    assert await outcomes(sign(lane, key) for _ in range(5)) == [SignerUnavailableError] * 5
    assert len(key.requests) == THRESHOLD + 1


async def test_budget_is_kept_and_refuses_early():
    """A short wait for the budget is waited; a longer one is refused at once, with the time to come again."""
    key = ScriptedKey()
    lane = lane_of(budget=20, burst=5, budget_wait=0.1)
    ended = await asyncio.gather(*(sign(lane, key) for _ in range(20)), return_exceptions=True)
    refused = [each for each in ended if isinstance(each, SignerThrottledError)]
    assert len(key.requests) == len(ended) - len(refused) == 7
    assert all(0.1 < each.retry_after < 1 for each in refused)
    assert lane.budget.left < 1


async def test_batches_count_once_in_the_budget():
    """The budget counts requests, so a batch costs as much as a single signature."""
    key = ScriptedKey(max_batch=10)
    lane = lane_of(budget=1, burst=2, budget_wait=0)
    assert len(await sign(lane, key, *(b"%d" % number for number in range(20)))) == 20
    with pytest.raises(SignerThrottledError):
        await sign(lane, key)


async def test_throttling_service_pauses_everybody():
    """After the service throttles nobody asks it before it said, and callers are told when to come again."""
    key = ScriptedKey(script=[SignerThrottledError("slow down", retry_after=5.0)])
    lane = lane_of()
    for _ in range(2):
        with pytest.raises(SignerThrottledError) as caught:
            await sign(lane, key)
        assert 4 < caught.value.retry_after <= 5
    assert len(key.requests) == 1
    assert lane.circuit.verdict is Verdict.CLOSED


async def test_short_throttling_is_waited_for():
    """A pause that is short enough is waited for, and the caller gets its signature."""
    key = ScriptedKey(script=[SignerThrottledError("slow down", retry_after=0.05)])
    await sign(lane_of(), key)
    assert len(key.requests) == 2


async def test_throttling_without_a_time_has_one():
    """Where the service does not say for how long, the callers are told all the same."""
    key = ScriptedKey(script=[SignerThrottledError("slow down")])
    with pytest.raises(SignerThrottledError) as caught:
        await sign(lane_of(), key)
    assert caught.value.retry_after > 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda signatures: [signatures[0][:-1] + bytes([signatures[0][-1] ^ 1])],
        lambda signatures: [signatures[0] + b"\0"],
        lambda _: [b""],
        lambda _: [],
        lambda signatures: [signatures[0]] * 2,
    ],
    ids=["flipped bit", "too long", "empty", "none", "two"],
)
async def test_wrong_signatures_are_withheld(damage):
    """A signature that does not verify is never released, and not asked for a second time."""
    key = ScriptedKey(script=[damage])
    with pytest.raises(SignatureInvalidError):
        await sign(lane_of(), key)
    assert len(key.requests) == 1


async def test_swapped_signatures_are_withheld():
    """In a batch each signature must be over its own message; those that are not are withheld alone."""
    key = ScriptedKey(max_batch=3, script=[lambda signatures: [signatures[1], signatures[0], signatures[2]]])
    key.gate.clear()
    lane = lane_of(concurrency=1)
    blocker = asyncio.ensure_future(sign(lane, other := ScriptedKey()))
    other.gate.clear()
    calls = [asyncio.ensure_future(sign(lane, key, b"%d" % number)) for number in range(3)]
    await eventually(lambda: lane.queued == 3)
    key.gate.set()
    other.gate.set()
    await blocker
    assert await outcomes(calls) == [SignatureInvalidError, SignatureInvalidError, list]


async def test_item_errors_reach_their_own_caller():
    """An error of one item in a batch is raised to its caller alone."""
    key = ScriptedKey(max_batch=2, script=[lambda s: s, lambda s: [KeyUnusableError("no"), s[1]]])
    key.gate.clear()
    lane = lane_of(concurrency=1)
    first = asyncio.ensure_future(sign(lane, key))
    await eventually(lambda: key.under_way == 1)
    calls = [asyncio.ensure_future(sign(lane, key)) for _ in range(2)]
    await eventually(lambda: lane.queued == 2)
    key.gate.set()
    assert await outcomes([first, *calls]) == [list, KeyUnusableError, list]


async def test_sign_many_is_all_or_nothing():
    """One failed item fails the whole list."""
    key = ScriptedKey(max_batch=2, script=[lambda s: [s[0], KeyUnusableError("no")]])
    with pytest.raises(KeyUnusableError):
        await sign(lane_of(), key, b"1", b"2")


async def test_fault_of_ours_ends_the_call():
    """A bug in a backend fails its callers instead of leaving them waiting."""

    def broken(_):
        raise RuntimeError

    with pytest.raises(SignerUnavailableError):
        await sign(lane_of(), ScriptedKey(script=[broken]))


async def test_closing_waits_for_what_was_admitted():
    """Closing refuses new calls and waits for those under way; closing twice is allowed."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(concurrency=1)
    calls = [asyncio.ensure_future(sign(lane, key)) for _ in range(3)]
    await eventually(lambda: lane.queued == 2)
    closing = asyncio.ensure_future(lane.aclose())
    await asyncio.sleep(0)
    with pytest.raises(SignerUnavailableError):
        await sign(lane, key)
    key.gate.set()
    await closing
    assert await outcomes(calls) == [list] * 3
    await lane.aclose()


async def test_closing_within_the_owners_patience():
    """An owner whose patience ends closes anyway, and every caller gets an error."""
    key = ScriptedKey()
    key.gate.clear()
    lane = lane_of(concurrency=1)
    calls = [asyncio.ensure_future(sign(lane, key)) for _ in range(3)]
    await eventually(lambda: lane.queued == 2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await lane.aclose()
    assert await outcomes(calls) == [SignerUnavailableError] * 3


async def test_forked_child_does_not_sign(monkeypatch):
    """A process that was forked after the lane was made shares its connections with nobody."""
    lane, key = lane_of(), ScriptedKey()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(SignerUnavailableError, match="forked"):
        await sign(lane, key)


async def test_stages_of_a_call_are_counted_once_more():
    """For who traces the call, and not for another call whose signature shares its request."""
    lane, key, stages, traced = lane_of(), ScriptedKey(max_batch=4), StageTimes(), StageTimes()
    token = call_stages.set(traced)
    mine = asyncio.create_task(lane.sign(key, [b"1", b"2"], stages))
    call_stages.reset(token)
    others = asyncio.create_task(lane.sign(key, [b"3"], stages))
    await asyncio.gather(mine, others)
    assert {stage: sum(times.counts) for stage, times in traced.totals().items()} == dict.fromkeys(Stage, 2)
    assert {stage: sum(times.counts) for stage, times in stages.totals().items()} == dict.fromkeys(Stage, 3)


async def test_stages_count_every_signature():
    """Each signature is counted in the queue, at the service, and in verification."""
    stages = StageTimes()
    await lane_of().sign(ScriptedKey(max_batch=4), [b"1", b"2", b"3"], stages)
    assert {stage: sum(times.counts) for stage, times in stages.totals().items()} == dict.fromkeys(Stage, 3)
