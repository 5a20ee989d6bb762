"""Whatever is done to an export is told by name and place, by keys and checkpoints seen before alone."""

import json
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.audit.chain import Draft, Head
from gateway.audit.checkpoint import Checkpoint, TrustedKeys
from gateway.audit.faults import AuditError, AuditFault
from gateway.audit.verification import Verdict, seen_checkpoints, verify_lines
from gateway.store import open_store
from tests.support.audit_log import AuditKey, append, exported
from tests.support.gateway import ISSUER

KEY = AuditKey()
OTHER = AuditKey()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """An export of six segments with checkpoints of the second, fourth and fifth."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/state.db"
    async with open_store(url, migrate=True) as store:
        checkpointer = KEY.checkpointer(store.audit)
        for sizes in ((3, 1), (2, 3), (1,), (2,)):
            await append(store.audit, *sizes)
            if sizes != (2,):
                assert await checkpointer.sign_now() is not None
        return await exported(store.audit, [KEY.jwk])


def index(log: list[bytes], kind: str, **members: int) -> int:
    """Where the line is."""
    for number, line in enumerate(log):
        parsed = json.loads(line)
        if parsed["type"] == kind and members.items() <= parsed.items():
            return number
    raise LookupError(kind)


def segment(log: list[bytes], number: int) -> slice:
    """The lines of a segment, its checkpoint included."""
    begin = index(log, "segment", sequence_number=number)
    end = begin + 1
    while json.loads(log[end])["type"] in {"record", "checkpoint"}:
        end += 1
    return slice(begin, end)


def changed(line: bytes, **members: object) -> bytes:
    """The line with other members."""
    return json.dumps({**json.loads(line), **members}).encode()


def fault(
    lines: list[bytes], keys: TrustedKeys = KEY.trusted, **options: dict[int, Checkpoint]
) -> AuditError:
    """What is wrong."""
    with pytest.raises(AuditError) as caught:
        verify_lines(lines, keys, **options)
    return caught.value


def test_a_whole_export_verifies(log):
    """The verdict says what is in it, and how much is behind the last checkpoint."""
    verdict = verify_lines(log, KEY.trusted)
    assert verdict == Verdict(
        issuer=ISSUER,
        after=Head(0, bytes(32)),
        head=verdict.head,
        segments=6,
        records=12,
        checkpoints=3,
        last_checkpoint=verdict.last_checkpoint,
        seen=0,
    )
    assert verdict.head.sequence_number == 6
    assert verdict.last_checkpoint is not None
    assert verdict.last_checkpoint.head.sequence_number == 5
    assert verdict.unsigned == 1


def test_every_octet_of_a_record_counts(log):
    """A record of which anything is changed is named; the hash beside it changed too, its segment is."""
    at = index(log, "record", segment=4, position=2)
    record = json.loads(log[at])["record"]
    altered = [*log]
    altered[at] = changed(log[at], record={**record, "client_id": "somebody"})
    told = fault(altered)
    assert (told.fault, told.place) == (AuditFault.RECORD_ALTERED, "segment 4, record 2")
    altered[at] = changed(log[at], sha256="00" * 32)
    assert fault(altered).fault is AuditFault.RECORD_ALTERED


def test_a_record_changed_with_its_hash_is_told_by_its_segment(log):
    """Whoever computes the record's hash anew still lacks the segment's digest."""
    at = index(log, "record", segment=4, position=2)
    other = index(log, "record", segment=4, position=3)
    altered = [*log]
    altered[at] = changed(log[other], position=2)
    told = fault(altered)
    assert (told.fault, told.place) == (AuditFault.SEGMENT_ALTERED, "segment 4")


@pytest.mark.parametrize("members", [{"writer": "me"}, {"write_time": 1}, {"digest": "11" * 32}])
def test_what_a_segment_says_counts(log, members):
    """Its writer, time and digest cannot be changed."""
    altered = [*log]
    at = index(log, "segment", sequence_number=3)
    altered[at] = changed(log[at], **members)
    told = fault(altered)
    assert (told.fault, told.place) == (AuditFault.SEGMENT_ALTERED, "segment 3")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_chain_computed_anew_does_not_match_what_was_signed(log, tmp_path):
    """A whole chain of other records is sound in itself; the first checkpoint shows that it is not this."""
    async with open_store(f"sqlite:///{tmp_path}/forged.db", migrate=True) as store:
        await append(store.audit, 3)
        await store.audit.append(Draft("writer", 1, (b'{"event":"client.deleted"}',)))
        forged = await exported(store.audit, [KEY.jwk])
    at = index(log, "checkpoint", sequence_number=2)
    told = fault([*forged[:-1], log[at], forged[-1]])
    assert (told.fault, told.place) == (AuditFault.CHECKPOINT_MISMATCH, "checkpoint of segment 2")


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_record_removed_is_told(log, position):
    """The place is that of the record which is not there."""
    at = index(log, "record", segment=4, position=position)
    told = fault([*log[:at], *log[at + 1 :]])
    assert (told.fault, told.place) == (AuditFault.RECORD_MISSING, f"segment 4, record {position}")


def test_records_swapped_are_told(log):
    """The place is that of the first record which is not where it was."""
    at = index(log, "record", segment=4, position=1)
    told = fault([*log[:at], log[at + 1], log[at], *log[at + 2 :]])
    assert (told.fault, told.place) == (AuditFault.RECORD_REORDERED, "segment 4, record 1")


def test_a_record_twice_is_told(log):
    """Also behind the last of its segment."""
    for position in (1, 3):
        at = index(log, "record", segment=4, position=position)
        told = fault([*log[: at + 1], log[at], *log[at + 1 :]])
        assert told.fault is AuditFault.RECORD_REORDERED
        assert told.place.startswith("segment 4, record")


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_segment_removed_is_told(log, number):
    """With all of its lines."""
    lines = [*log]
    del lines[segment(log, number)]
    told = fault(lines)
    assert (told.fault, told.place) == (AuditFault.SEGMENT_MISSING, f"segment {number}")


def test_segments_swapped_are_told(log):
    """The place is that of the first segment which is not where it was."""
    one, two = segment(log, 3), segment(log, 4)
    lines = [*log[: one.start], *log[two], *log[one], *log[two.stop :]]
    told = fault(lines)
    assert (told.fault, told.place) == (AuditFault.SEGMENT_REORDERED, "segment 3")


def test_a_segment_twice_is_told(log):
    """It is the second that is out of order."""
    at = segment(log, 3)
    told = fault([*log[: at.stop], *log[at], *log[at.stop :]])
    assert (told.fault, told.place) == (AuditFault.SEGMENT_REORDERED, "segment 3")


def test_a_segment_renumbered_breaks_the_chain(log):
    """Taking one out and counting the next down does not help: hashes hold their numbers."""
    lines = [*log[: segment(log, 3).start]]
    for line in log[segment(log, 4)]:
        name = "sequence_number" if json.loads(line)["type"] == "segment" else "segment"
        lines.append(changed(line, **{name: 3}))
    told = fault(lines)
    assert (told.fault, told.place) == (AuditFault.CHAIN_BROKEN, "segment 3")


@pytest.mark.parametrize("kind", ["segment", "record", "end"])
def test_an_export_that_ends_early_is_told(log, kind):
    """Wherever it was cut; the message names the last checkpoint that was read."""
    at = index(
        log, kind, **({} if kind == "end" else {"segment" if kind == "record" else "sequence_number": 5})
    )
    told = fault(log[:at])
    assert told.fault is AuditFault.TRUNCATED
    assert "checkpoint 4" in told.detail or kind == "end"


def test_the_end_of_another_export_does_not_fit(log):
    """Segments cut off before the end line are told by it."""
    lines = [*log]
    del lines[segment(log, 6)]
    told = fault(lines)
    assert (told.fault, told.place) == (AuditFault.TRUNCATED, "segment 5")


def test_nothing_may_follow_the_end(log):
    """A second export behind the first is refused."""
    assert fault([*log, log[0]]).fault is AuditFault.MALFORMED


def test_a_checkpoint_removed_is_told_by_the_next(log):
    """Each names the one before it."""
    at = index(log, "checkpoint", sequence_number=4)
    told = fault([*log[:at], *log[at + 1 :]])
    assert (told.fault, told.place) == (AuditFault.CHECKPOINT_MISSING, "checkpoint of segment 5")


def test_a_checkpoint_by_another_key_is_told(log):
    """Keys that the file brings along count only where they are trusted."""
    assert fault(log, OTHER.trusted).fault is AuditFault.KEY_UNKNOWN


def test_a_signature_by_another_key_is_told(log):
    """A checkpoint that names the trusted key and is signed by another."""
    at = index(log, "checkpoint", sequence_number=2)
    content, _, signature = json.loads(log[at])["jws"].rpartition(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    lines = [*log]
    lines[at] = changed(log[at], jws=f"{content}.{flipped}")
    told = fault(lines)
    assert (told.fault, told.place) == (AuditFault.SIGNATURE_INVALID, "checkpoint of segment 2")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_checkpoint_of_another_issuer_is_told(log):
    """One key that signs for two gateways does not make their logs one."""
    lines = [*log]
    lines[0] = changed(log[0], issuer="https://other.example.org")
    assert fault(lines).fault is AuditFault.CHECKPOINT_MISMATCH


@pytest.mark.parametrize("jws", ["", "a.b.c", "x" * 9000])
def test_a_checkpoint_that_is_none_is_told(log, jws):
    """Whatever stands in its place."""
    lines = [*log]
    at = index(log, "checkpoint", sequence_number=2)
    lines[at] = changed(log[at], jws=jws)
    assert fault(lines).fault is AuditFault.CHECKPOINT_MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b'{"iss":1,"iat":1,"sequence_number":1,"hash":"00","previous":0}',
        b'{"iss":"i","iat":1,"sequence_number":1,"hash":"zz","previous":0}',
        b'{"iss":"i","iat":1,"sequence_number":1,"hash":"00","previous":0}',
        b'{"iss":"i","iat":1.5,"sequence_number":1,"hash":"' + b"00" * 32 + b'","previous":0}',
        b'{"iss":"i","iat":1,"sequence_number":-1,"hash":"' + b"00" * 32 + b'","previous":0}',
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_payload_that_is_none_is_told(payload):
    """A trusted signature over something else is no checkpoint."""
    with pytest.raises(AuditError) as caught:
        KEY.trusted.verify(await KEY.sign(payload))
    assert caught.value.fault is AuditFault.CHECKPOINT_MALFORMED


def seen(log: list[bytes]) -> dict[int, Checkpoint]:
    """The checkpoints of an export, kept elsewhere."""
    return seen_checkpoints(
        [json.loads(line)["jws"] for line in log if json.loads(line)["type"] == "checkpoint"], KEY.trusted
    )


def test_checkpoints_that_were_seen_are_met(log):
    """The same chain holds every one."""
    assert verify_lines(log, KEY.trusted, seen(log)).seen == 3


async def other_end(folder: Path, *sizes: int) -> list[bytes]:
    """The export of a database that was restored from a copy with four segments, and went on."""
    async with open_store(f"sqlite:///{folder}/restored.db", migrate=True) as store:
        checkpointer = KEY.checkpointer(store.audit)
        for begun in ((3, 1), (2, 3)):
            await append(store.audit, *begun)
            assert await checkpointer.sign_now() is not None
        for size in sizes:
            await append(store.audit, size)
        return await exported(store.audit, [KEY.jwk])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_chain_that_goes_on_otherwise_is_a_fork(log, tmp_path):
    """A database restored from a copy writes segment 5 once more, with other records."""
    told = fault(await other_end(tmp_path, 2), seen=seen(log))
    assert (told.fault, told.place) == (AuditFault.FORKED, "segment 5")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_chain_that_was_cut_is_rolled_back(log, tmp_path):
    """A database restored from a copy that has written nothing since ends before what was seen."""
    told = fault(await other_end(tmp_path), seen=seen(log))
    assert (told.fault, told.place) == (AuditFault.ROLLED_BACK, "segment 4")


@pytest.mark.asyncio(loop_scope="module")
async def test_two_checkpoints_that_were_seen_may_contradict_each_other(log):
    """Then there were two chains, whatever this one is."""
    (known,) = [each for each in seen(log).values() if each.head.sequence_number == 2]
    other = Checkpoint(ISSUER, known.sign_time, Head(2, b"x" * 32), 0)
    with pytest.raises(AuditError) as caught:
        seen_checkpoints(
            [
                json.loads(log[index(log, "checkpoint", sequence_number=2)])["jws"],
                await KEY.sign(other.payload()),
            ],
            KEY.trusted,
        )
    assert caught.value.fault is AuditFault.FORKED


@pytest.mark.asyncio(loop_scope="module")
async def test_a_part_of_the_log_verifies(log, tmp_path):
    """From any segment to any: the hash before the first is signed with what follows."""
    async with open_store(f"sqlite:///{tmp_path}/part.db", migrate=True) as store:
        checkpointer = KEY.checkpointer(store.audit)
        for size in (1, 2, 3, 4):
            await append(store.audit, size)
            await checkpointer.sign_now()
        part = await exported(store.audit, [KEY.jwk], first=3, last=4)
    verdict = verify_lines(part, KEY.trusted)
    assert (verdict.after.sequence_number, verdict.segments, verdict.records) == (2, 2, 7)
    forged = [changed(part[0], after={"sequence_number": 2, "hash": "00" * 32}), *part[1:]]
    assert fault(forged).fault is AuditFault.CHECKPOINT_MISMATCH


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[]",
        b'{"type":"other"}',
        b'{"type":"segment"}',
        b'{"type":"segment","sequence_number":"1"}',
        b'{"type":"record","segment":1,"position":1,"sha256":"00","record":{}}',
        b'{"type":"record","segment":1,"position":1,"sha256":"' + b"00" * 32 + b'","record":[]}',
        b'{"type":"checkpoint","sequence_number":true,"jws":"x"}',
        b'{"type":"header","format":"countersign-audit-2"}',
        b'{"type":"key","jwk":{"kty":"oct","k":"AAAA"}}',
    ],
)
def test_a_line_that_is_none_is_told(log, line):
    """With its number."""
    told = fault([log[0], line, *log[1:]])
    assert (told.fault, told.place) == (AuditFault.MALFORMED, "line 2")


def test_an_export_begins_with_its_header(log):
    """And has one."""
    assert fault(log[1:]).fault is AuditFault.MALFORMED
    assert fault([log[0], *log]).fault is AuditFault.MALFORMED
    assert fault([]).fault is AuditFault.TRUNCATED
    begun = [changed(log[0], after={"sequence_number": 0, "hash": "11" * 32}), *log[1:]]
    assert fault(begun).fault is AuditFault.CHAIN_BROKEN


def test_any_octet_of_the_file_that_is_changed_is_told(log):
    """A sample of single octets, all over the file: none passes unnoticed, but in the header's time."""
    text = b"\n".join(log)
    skipped = set(range(text.index(b'"export_time":'), text.index(b',"format"')))
    # Keys come along for those who trust them; the verifier was given its own.
    skipped |= set(range(text.index(b'{"jwk"'), text.index(b'"type":"key"') + 13))
    for place in range(0, len(text), 41):
        if place in skipped:
            continue
        altered = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        assert fault(altered.split(b"\n")).fault
