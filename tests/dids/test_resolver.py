"""The resolver: its table, its caches, one flight for each DID, and its end."""

import asyncio
import json
from dataclasses import dataclass, field, replace

import pytest

from gateway.dids import (
    DidDocument,
    DidError,
    DidFault,
    DidOutcome,
    DidResolver,
    Resolution,
    ResolverLimits,
    Source,
    default_methods,
    did_jwk,
    parse_did,
)
from gateway.dids.cache import BoundedCache
from gateway.dids.flights import FlightRefusedError, Flights
from signers import Algorithm
from tests.support.dids import (
    KEYS,
    SettableClock,
    TestSigner,
    document,
    method_entry,
    refuses,
    web_host,
)
from tests.support.scripted_server import reply

DID = "did:test:a"


@dataclass
class Scripted:
    """A method whose answers a test writes; it can be held, and counts its calls."""

    answer: object = None
    gate: asyncio.Event | None = None
    calls: list[str] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def resolve(self, did):
        """Answer, once the gate is open."""
        self.calls.append(did.text)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or Resolution(DidDocument(did), Source.WEB, lifetime=60.0, size=100)


def resolver(method, clock=None, **limits):
    return DidResolver({"test": method}, clock=clock or SettableClock(), limits=ResolverLimits(**limits))


async def test_a_method_outside_of_the_table_is_not_supported():
    """A DID of a method that the table does not have has an outcome of its own."""
    with refuses(DidFault.METHOD_NOT_SUPPORTED) as refusal:
        await resolver(Scripted()).resolve("did:example:123")
    assert refusal.error.outcome is DidOutcome.METHOD_UNSUPPORTED
    assert resolver(Scripted()).methods == ("test",)


async def test_what_is_no_did_is_refused_before_the_table():
    """A DID URL, a text too long and an empty one reach no method."""
    method = Scripted()
    for text in (f"{DID}#key", "", "did:test:" + "a" * 10_000_000):
        with refuses(DidFault.INVALID_DID):
            await resolver(method).resolve(text)
    assert method.calls == []


async def test_a_document_is_kept_for_its_lifetime():
    """Within its lifetime a document is not asked for again, and after it is."""
    method, clock = Scripted(), SettableClock()
    subject = resolver(method, clock)
    first = await subject.resolve(DID)
    clock.now += 59
    assert await subject.resolve(DID) is first
    clock.now += 1
    assert await subject.resolve(DID) is not first
    assert len(method.calls) == 2


async def test_a_clock_set_back_keeps_nothing_longer():
    """An entry from the future is not used."""
    method, clock = Scripted(), SettableClock()
    subject = resolver(method, clock)
    await subject.resolve(DID)
    clock.now -= 10
    await subject.resolve(DID)
    assert len(method.calls) == 2


async def test_what_follows_from_the_did_is_kept_apart():
    """A crowd of throw-away DIDs does not push out a document that was fetched."""
    method, clock = Scripted(), SettableClock()
    subject = resolver(method, clock, computed=2)
    await subject.resolve(DID)
    for index in range(10):
        did = parse_did(f"did:test:self{index}")
        method.answer = Resolution(DidDocument(did), Source.SELF)
        await subject.resolve(did.text)
    method.calls.clear()
    await subject.resolve(DID)
    await subject.resolve("did:test:self9")
    assert method.calls == []
    await subject.resolve("did:test:self0")
    assert method.calls == ["did:test:self0"]


async def test_callers_at_the_same_time_share_one_resolution():
    """Ten callers of one DID make one call, and get one document."""
    method = Scripted(gate=asyncio.Event())
    subject = resolver(method)
    callers = [asyncio.create_task(subject.resolve(DID)) for _ in range(10)]
    await method.started.wait()
    method.gate.set()
    results = await asyncio.gather(*callers)
    assert len(method.calls) == 1
    assert all(result is results[0] for result in results)


async def test_a_caller_who_gives_up_stops_nobody_else():
    """A canceled caller leaves the resolution to the others."""
    method = Scripted(gate=asyncio.Event())
    subject = resolver(method)
    impatient, patient = (asyncio.create_task(subject.resolve(DID)) for _ in range(2))
    await method.started.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    method.gate.set()
    assert (await patient).document.id.text == DID
    assert len(method.calls) == 1


async def test_a_failure_is_shared_and_remembered_for_a_moment():
    """Each caller gets an error of their own, and nobody asks again before the failure's lifetime is over."""
    clock = SettableClock()
    method = Scripted(answer=DidError(DidFault.UNREACHABLE, "down"), gate=asyncio.Event())
    subject = resolver(method, clock)
    callers = [asyncio.create_task(subject.resolve(DID)) for _ in range(3)]
    await method.started.wait()
    method.gate.set()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert {error.fault for error in errors} == {DidFault.UNREACHABLE}
    assert len({id(error) for error in errors}) == 3
    with refuses(DidFault.UNREACHABLE):
        await subject.resolve(DID)
    assert len(method.calls) == 1
    clock.now += 5
    method.answer = None
    await subject.resolve(DID)
    assert len(method.calls) == 2


async def test_a_deactivated_document_is_refused_whatever_the_method():
    """A document that says it is deactivated leaves the resolver as a refusal."""
    document = replace(DidDocument(parse_did(DID)), deactivated=True)
    method = Scripted(answer=Resolution(document, Source.WEB, lifetime=60.0))
    with refuses(DidFault.DEACTIVATED) as refusal:
        await resolver(method).resolve(DID)
    assert refusal.error.outcome is DidOutcome.DEACTIVATED


async def test_resolutions_under_way_are_bounded():
    """One resolution more than the bound is refused as busy, and not remembered as a failure."""
    method = Scripted(gate=asyncio.Event())
    subject = resolver(method, flights=1)
    first = asyncio.create_task(subject.resolve(DID))
    await method.started.wait()
    with refuses(DidFault.BUSY):
        await subject.resolve("did:test:b")
    method.gate.set()
    await first
    await subject.resolve("did:test:b")


async def test_closing_ends_what_is_under_way():
    """Those who wait when the resolver closes are told so, as are those who come later."""
    method = Scripted(gate=asyncio.Event())
    subject = resolver(method)
    waiting = asyncio.create_task(subject.resolve(DID))
    await method.started.wait()
    await subject.aclose()
    with refuses(DidFault.CLOSED):
        await waiting
    with refuses(DidFault.CLOSED):
        await subject.resolve("did:test:b")
    await subject.aclose()


async def test_an_unexpected_error_reaches_the_caller_and_the_log(caplog):
    """A fault of our own is raised as it is, logged, and not kept as the DID's failure."""
    method = Scripted(answer=RuntimeError("ours"))
    subject = resolver(method)
    with pytest.raises(RuntimeError, match="ours"):
        await subject.resolve(DID)
    assert "failed unexpectedly" in caplog.text
    method.answer = None
    await subject.resolve(DID)


async def test_the_default_table_resolves_each_method():
    """The gateway's own table has web, ion, jwk and key, and each of them resolves."""
    async with web_host() as host:
        entry = method_entry(host.did, "k", TestSigner(Algorithm.ES384).jwk)
        host.server.routes["/.well-known/did.json"] = reply(
            body=json.dumps(document(host.did, entry)).encode()
        )
        subject = DidResolver(default_methods(host.client))
        assert subject.methods == ("web", "ion", "jwk", "key")
        key = TestSigner(Algorithm.EDDSA).public_key
        for did in (host.did, did_jwk(key), KEYS["did:key"][0]["did"]):
            assert (await subject.resolve(did)).document.id.text == did
        assert (await subject.resolve(host.did)).source is Source.WEB
        await subject.aclose()


async def test_a_document_that_calls_itself_deactivated_is_refused():
    """A did:web document with a member deactivated is believed."""
    async with web_host() as host:
        data = json.dumps(document(host.did, deactivated=True)).encode()
        host.server.routes["/.well-known/did.json"] = reply(body=data)
        with refuses(DidFault.DEACTIVATED):
            await DidResolver(default_methods(host.client)).resolve(host.did)


def test_the_cache_is_bounded_in_octets():
    """Entries leave, least recently used first, as soon as their octets exceed the bound."""
    cache = BoundedCache[int](max_entries=10, max_size=100)
    for index in range(4):
        cache.put(str(index), index, now=0, lifetime=10, size=30)
        cache.get("0", 0)
    assert [cache.get(str(index), 0) for index in range(4)] == [0, None, 2, 3]
    assert (len(cache), cache.size) == (3, 90)
    cache.put("large", 1, now=0, lifetime=10, size=101)
    cache.put("0", 9, now=0, lifetime=0, size=1)
    assert (cache.get("large", 0), cache.get("0", 0), cache.size) == (None, None, 60)


async def test_flights_refuse_when_closed():
    """A closed set of flights begins no further one."""
    flights = Flights[int](4)
    await flights.aclose()

    async def never():
        raise AssertionError("no flight is begun")

    with pytest.raises(FlightRefusedError) as refused:
        await flights.join("a", never)
    assert refused.value.closed
