"""AuditService over gRPC, by real clients: who may read the log, and that what they get verifies offline."""

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import grpc
import pytest
import pytest_asyncio
from countersign import (
    CountersignError,
    GatewayClient,
    InvalidRequestError,
    PermissionDeniedError,
    SyncGatewayClient,
    TlsConfig,
)
from countersign.v1 import audit_service_pb2 as pb
from countersign.v1.audit_service_pb2_grpc import AuditServiceStub

from gateway.audit.chain import Draft
from gateway.audit.checkpoint import TYP
from gateway.audit.events import ClientDeleted
from gateway.cli import main
from gateway.jose.jws import parse_compact
from gateway.store import open_store
from gateway.store.audit import SqlAuditRepository
from tests.support.audit_log import record
from tests.support.development import ROOT
from tests.support.gateway import (
    ADMIN,
    API,
    CALLERS,
    RunningGateway,
    make_key,
    prepare,
    running_gateway,
)
from tests.support.pki import Issued

pytestmark = pytest.mark.asyncio(loop_scope="module")
AUDITOR = "spiffe://example.org/siem"


@dataclass(frozen=True)
class Audited:
    """A gateway with a log, and who may read it."""

    gateway: RunningGateway
    auditor: Issued

    def client(self) -> GatewayClient:
        """The auditor's."""
        return self.gateway.client(self.auditor)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audited(tmp_path_factory):
    """One for all tests, with some records and a checkpoint of all but the last."""
    folder = tmp_path_factory.mktemp("gateway")
    keys = [
        {"purpose": purpose, "algorithm": "ES256", "uri": make_key(folder, purpose)}
        for purpose in ("tokens", "audit")
    ]
    callers = (*CALLERS, {"san_uri": AUDITOR, "roles": ["auditor"]})
    prepared = await prepare(
        folder,
        callers=callers,
        keys=keys,
        audit={"enabled": True, "checkpoint_segments": 1, "refusals": False},
    )
    async with running_gateway(folder, prepared=prepared) as gateway:
        async with gateway.client(gateway.admin) as admin:
            for token in ("t1", "t2", "t3"):
                await admin.revoke_token_id(token)
        yield Audited(gateway, gateway.root.leaf("siem", uris=(AUDITOR,)))


async def lines_of(batches) -> tuple[list[bytes], int]:
    """The lines of an export, and where to go on."""
    lines: list[bytes] = []
    following = None
    async for batch in batches:
        assert following is None
        lines += batch.lines
        following = batch.next_sequence_number
    return lines, following


async def test_an_export_verifies_offline(audited, tmp_path, capsys):
    """By ``countersign audit verify``, with the keys that ``countersign audit keys`` prints."""
    async with audited.client() as siem:
        lines, following = await lines_of(siem.export_audit_log())
    (tmp_path / "export.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    config = audited.gateway.prepared.folder / "countersign.toml"
    capsys.readouterr()
    # Each command has an event loop of its own.
    assert await run("audit", "keys", "--config", config) == 0
    (tmp_path / "keys.json").write_text(capsys.readouterr().out)
    assert await run("audit", "verify", tmp_path / "export.jsonl", "--keys", tmp_path / "keys.json") == 0
    assert f"segments 1 to {following - 1}" in capsys.readouterr().out
    # And it is what the command line exports, but for the time in the header.
    assert await run("audit", "export", "--config", config, "--to", following - 1) == 0
    exported = capsys.readouterr().out.encode().splitlines()
    # What was signed meanwhile is in the later one alone.
    assert [line for line in exported[1:-1] if line in lines] == lines[1:-1]
    assert exported[-1] == lines[-1]


async def run(*arguments) -> int:
    """The command line, in a thread, because it has an event loop of its own."""
    return await asyncio.to_thread(main, [str(each) for each in arguments])


async def test_an_export_is_itself_on_record(audited):
    """With who got it, by which certificate, in which call, and which segments."""
    async with audited.client() as siem:
        await lines_of(siem.export_audit_log(2, 3))
        head = await siem.get_audit_log_head()
        lines, _ = await lines_of(siem.export_audit_log(head.sequence_number))
    (record,) = [json.loads(line)["record"] for line in lines if b'"type":"record"' in line]
    assert (record["event"], record["caller"]) == ("audit.exported", AUDITOR)
    assert (record["first_sequence_number"], record["last_sequence_number"]) == (2, 3)
    assert record["certificate"]
    assert record["request_id"] in {each.request_id for each in audited.gateway.log.records}


async def test_exports_go_on_where_one_ended(audited):
    """In parts of a bounded number of segments, until the end as it was at first."""
    async with audited.client() as siem:
        end, following, numbers = (await siem.get_audit_log_head()).sequence_number, 1, []
        while following <= end:
            lines, following = await lines_of(siem.export_audit_log(following, end, max_segments=2))
            found = [json.loads(line) for line in lines]
            numbers += [each["sequence_number"] for each in found if each["type"] == "segment"]
    assert numbers == list(range(1, end + 1))


async def test_by_time(audited):
    """What was written before a day is all, and what was written after it nothing."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with audited.client() as siem:
        _, all_of_it = await lines_of(siem.export_audit_log(last=tomorrow))
        lines, following = await lines_of(siem.export_audit_log(tomorrow))
    assert all_of_it > 3
    assert following == all_of_it + 1  # Behind the record of the export before.
    assert not [line for line in lines if b'"type":"segment"' in line]


async def test_the_head(audited):
    """The number and hash of the last segment, and a checkpoint that names one."""
    async with audited.client() as siem:
        lines, _ = await lines_of(siem.export_audit_log())
        head = await siem.get_audit_log_head()
    assert head.enabled
    assert len(head.hash) == 32
    assert head.pruned_sequence_number == 0
    last = json.loads(lines[-1])
    assert head.sequence_number == last["sequence_number"] + 1  # The record of the export.
    if head.last_checkpoint is not None:
        signed = parse_compact(head.last_checkpoint.jws)
        assert signed.header.typ == TYP
        assert json.loads(signed.payload)["sequence_number"] == head.last_checkpoint.sequence_number
        assert head.last_checkpoint.sign_time <= datetime.now(UTC)


async def test_a_blocking_client_reads_it_too(audited):
    """The same lines."""
    gateway, auditor = audited.gateway, audited.auditor

    def read() -> tuple[int, list[bytes]]:
        tls = TlsConfig(ca=gateway.root.pem, certificate=auditor.chain_pem, private_key=auditor.key_pem)
        target = f"127.0.0.1:{gateway.server.ports.mtls}"
        with SyncGatewayClient(target, mtls_target=target, tls=tls) as siem:
            batches = list(siem.export_audit_log(1, 3))
            return siem.get_audit_log_head().sequence_number, [
                line for batch in batches for line in batch.lines
            ]

    number, lines = await asyncio.to_thread(read)
    async with audited.client() as siem:
        again, _ = await lines_of(siem.export_audit_log(1, 3))
    assert number >= 3
    assert lines[1:] == again[1:]


async def test_the_example_fetches_what_is_new(audited, tmp_path, capsys):
    """In files of two segments, each of which verifies; the next run goes on behind the last of them."""
    gateway = audited.gateway
    certificate, key = audited.auditor.write(tmp_path, "siem")
    (tmp_path / "ca.pem").write_bytes(gateway.root.pem)
    options = {
        "--target": f"localhost:{gateway.server.ports.mtls}",
        "--ca": tmp_path / "ca.pem",
        "--certificate": certificate,
        "--private-key": key,
        "--folder": tmp_path / "exports",
        "--segments": 2,
    }
    config = gateway.prepared.folder / "countersign.toml"
    assert await run("audit", "keys", "--config", config) == 0
    (tmp_path / "keys.json").write_text(capsys.readouterr().out)
    fetched = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            ROOT / "clients" / "python" / "examples" / "audit_export.py",
            *[str(part) for option in options.items() for part in option],
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        fetched.append(out.decode().splitlines())
    files = sorted((tmp_path / "exports").glob("audit-*.jsonl"))
    assert len(files) == len(fetched[0]) + len(fetched[1])
    assert fetched[0][0].startswith("segments 1 to 2: ")
    # What the first run left on record is new to the second.
    assert fetched[1]
    last = 0
    for file in files:
        first, end = map(int, file.stem.split("-")[1:])
        assert first == last + 1
        last = end
    assert await run("audit", "verify", *files, "--keys", tmp_path / "keys.json") == 0
    assert f"segments 1 to {last} with" in capsys.readouterr().out


@pytest.mark.parametrize("name", [ADMIN, API, None])
async def test_only_auditors_read(audited, name):
    """An administrator is none, a resource server is none, and nobody is none; nothing is on record of it."""
    gateway = audited.gateway
    async with audited.client() as siem:
        before = (await siem.get_audit_log_head()).sequence_number
    identity = {ADMIN: gateway.admin, API: gateway.api, None: None}[name]
    expected = CountersignError if name is None else PermissionDeniedError
    async with gateway.client(identity) as caller:
        with pytest.raises(expected) as caught:
            await caller.get_audit_log_head()
        with pytest.raises(expected):
            await lines_of(caller.export_audit_log())
    assert caught.value.reason == ("PERMISSION_DENIED" if name else "CALLER_UNAUTHENTICATED")
    async with audited.client() as siem:
        assert (await siem.get_audit_log_head()).sequence_number == before


async def test_an_auditor_does_nothing_else(audited):
    """The role opens no other method."""
    async with audited.client() as siem:
        with pytest.raises(PermissionDeniedError):
            await anext(siem.list_keys())


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ExportAuditLogRequest(first_sequence_number=0), "first_sequence_number"),
        (pb.ExportAuditLogRequest(last_sequence_number=-1), "last_sequence_number"),
        (pb.ExportAuditLogRequest(first_sequence_number=3, last_sequence_number=2), "last_sequence_number"),
        (pb.ExportAuditLogRequest(first_sequence_number=1_000_000), "first_sequence_number"),
        (pb.ExportAuditLogRequest(max_segments=-1), "max_segments"),
        (pb.ExportAuditLogRequest(start_time={"seconds": -1}), "start_time"),
        (pb.ExportAuditLogRequest(start_time={"seconds": 253_402_300_800}), "start_time"),
        (pb.ExportAuditLogRequest(end_time={"nanos": 1_000_000_000}), "end_time"),
        (pb.ExportAuditLogRequest(end_time={"nanos": -1}), "end_time"),
    ],
)
async def test_what_is_no_place_in_the_log(audited, request_, field):
    """Is refused, and its field named."""
    async with audited.client() as siem:
        stub = siem.audit
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [each async for each in stub.ExportAuditLog(request_)]
    assert isinstance(stub, AuditServiceStub)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(caught.value.trailing_metadata())


async def test_a_refusal_reaches_the_client_by_its_class(audited):
    """A number behind the end is an invalid request, with the end of the log in it."""
    async with audited.client() as siem:
        with pytest.raises(InvalidRequestError) as caught:
            await lines_of(siem.export_audit_log(1_000_000))
    assert caught.value.reason == "INVALID_FIELD"


async def test_where_the_log_is_off(tmp_path):
    """There is none, and the head says that it is off."""
    callers = ({"san_uri": AUDITOR, "roles": ["auditor", "admin"]},)
    async with (
        running_gateway(tmp_path, callers=callers) as gateway,
        gateway.client(gateway.root.leaf("siem", uris=(AUDITOR,))) as siem,
    ):
        await siem.revoke_token_id("t1")
        head = await siem.get_audit_log_head()
        lines, following = await lines_of(siem.export_audit_log())
    assert (head.sequence_number, head.enabled, head.last_checkpoint) == (0, False, None)
    assert (len(lines), following) == (2, 1)


async def test_nothing_is_read_for_who_does_not_read(tmp_path, monkeypatch):
    """A reader that stops holds a few pages of a large log, however much the gateway does meanwhile."""
    prepared = await prepare(tmp_path, callers=({"san_uri": AUDITOR, "roles": ["auditor"]},))
    async with open_store(f"sqlite:///{tmp_path}/countersign.db") as store:
        for number in range(200):
            # Random, so that neither the database nor a connection makes it smaller: 20 MB in all.
            records = [record(ClientDeleted(token_hex(500))).encode() for _ in range(100)]
            await store.audit.append(Draft("w", number, tuple(records)))
    read = 0
    segments = SqlAuditRepository.segments

    async def counted(self, *, after, limit):
        nonlocal read
        read += 1
        return await segments(self, after=after, limit=limit)

    monkeypatch.setattr(SqlAuditRepository, "segments", counted)
    async with (
        running_gateway(tmp_path, prepared=prepared) as gateway,
        gateway.client(gateway.root.leaf("siem", uris=(AUDITOR,))) as siem,
    ):
        batches = siem.export_audit_log()
        await anext(batches)
        for _ in range(100):
            await siem.get_audit_log_head()
        assert read < 10
        async for _ in batches:
            pass
        assert read == 13
