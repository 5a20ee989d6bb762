"""``countersign audit`` and what doctor says of the log, as an operator uses them."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.cli import main
from gateway.keys.keyring import public_key_of
from gateway.keys.model import KeyPurpose
from gateway.store import open_store
from tests.support.audit_log import AuditKey
from tests.support.gateway import make_key, opened_application, prepare
from tests.support.stores import client


async def _make(folder: Path) -> None:
    prepared = await prepare(
        folder,
        audit={"enabled": True},
        keys=[
            {"purpose": purpose, "algorithm": "ES256", "uri": make_key(folder, purpose)}
            for purpose in ("tokens", "audit")
        ],
    )
    async with opened_application(folder, prepared=prepared) as app:
        for name in ("one", "two", "three"):
            await app.registrar.create(client(name), None)
            await app.checkpointer.sign_now()
        await app.registrar.delete("two", expected_revision=None)
        (record,) = [each for each in await app.store.keys.all() if each.purpose is KeyPurpose.AUDIT]
    pem = public_key_of(record).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "audit-public.pem").write_bytes(pem)
    (folder / "audit-key-id").write_text(record.key_id)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway whose log has six segments, of which five are signed."""
    folder = tmp_path_factory.mktemp("made")
    asyncio.run(_make(folder))
    return folder


class Console:
    """The command line, in this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.config = folder / "countersign.toml"
        self._capture = capture

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """``countersign audit`` with *arguments*: status, output, errors."""
        self._capture.readouterr()
        status = main(["audit", *map(str, arguments)])
        return status, *self._capture.readouterr()

    def here(self, action: str, *arguments: str | Path) -> tuple[int, str, str]:
        """The same, about the database of this folder."""
        return self.run(action, *arguments, "--config", self.config)

    def export(self, name: str = "export.jsonl", *arguments: str) -> Path:
        """An export in a file."""
        status, output, _ = self.here("export", *arguments)
        assert status == 0
        (self.folder / name).write_text(output)
        return self.folder / name

    def tamper(self, *statements: str) -> None:
        """Change the database as somebody who may do anything with it."""
        with closing(sqlite3.connect(self.folder / "countersign.db")) as file:
            for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                file.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                file.execute(statement)
            file.commit()


@pytest.fixture
def console(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Console:
    """A copy of the folder that the test may break."""
    folder = tmp_path / "gateway"
    shutil.copytree(made, folder)
    return Console(folder, capsys)


def test_an_export_verifies_offline(console, tmp_path):
    """With a JWK Set, with a PEM file, and with the id of the key that the export brings along."""
    export = console.export()
    status, keys, _ = console.here("keys")
    assert status == 0
    (tmp_path / "keys.json").write_text(keys)
    key_id = (console.folder / "audit-key-id").read_text()
    for trust in (
        ("--keys", tmp_path / "keys.json"),
        ("--trust", console.folder / "audit-public.pem"),
        ("--trust", key_id),
    ):
        status, output, _ = console.run("verify", export, *trust)
        assert status == 0
        assert "ok    segments 1 to 6 with 6 records" in output
        assert "ok    3 checkpoints of https://id.example.org hold" in output
        assert "warn  1 segments behind it are not signed yet" in output


def test_an_export_is_not_trusted_for_what_it_brings(console):
    """Without a key that somebody names, nothing is verified; by another key, nothing holds."""
    export = console.export()
    status, _, errors = console.run("verify", export)
    assert status == 1
    assert "name the keys" in errors
    other = AuditKey()
    (console.folder / "other.json").write_text(json.dumps({"keys": [other.jwk.members()]}))
    status, output, _ = console.run("verify", export, "--keys", console.folder / "other.json")
    assert status == 1
    assert "FAIL  key_unknown: checkpoint of segment 3" in output


def test_the_database_is_verified_as_it_is(console):
    """By the keys that are registered in it, where none is named."""
    status, output, _ = console.here("verify")
    assert status == 0
    assert "ok    segments 1 to 6" in output


TAMPERED: dict[str, tuple[tuple[str, ...], str]] = {
    "records that cannot be read": (
        ("UPDATE audit_segments SET records = x'00' WHERE sequence_number = 4",),
        "FAIL  segment_altered: segment 4",
    ),
    "a record of another segment": (
        (
            (
                "UPDATE audit_segments SET records = (SELECT records FROM audit_segments"
                " WHERE sequence_number = 5) WHERE sequence_number = 4"
            ),
        ),
        "FAIL  segment_altered: segment 4",
    ),
    "a writer altered": (
        ("UPDATE audit_segments SET writer = 'me' WHERE sequence_number = 4",),
        "FAIL  segment_altered: segment 4",
    ),
    "a hash altered": (
        ("UPDATE audit_segments SET hash = zeroblob(32) WHERE sequence_number = 4",),
        "FAIL  chain_broken: segment 4",
    ),
    "a segment removed": (
        ("DELETE FROM audit_segments WHERE sequence_number = 4",),
        "FAIL  segment_missing: segment 4",
    ),
    "the last segment removed": (
        ("DELETE FROM audit_segments WHERE sequence_number = 6",),
        "FAIL  truncated: segment 5",
    ),
    "a checkpoint removed": (
        ("DELETE FROM audit_checkpoints WHERE sequence_number = 4",),
        "FAIL  checkpoint_missing: checkpoint of segment 5",
    ),
    "a checkpoint altered": (
        ("UPDATE audit_checkpoints SET jws = substr(jws, 1, length(jws) - 8) || 'AAAAAAAA'",),
        "FAIL  signature_invalid: checkpoint of segment 3",
    ),
    "a checkpoint of another segment": (
        (
            (
                "UPDATE audit_checkpoints SET jws = (SELECT jws FROM audit_checkpoints"
                " WHERE sequence_number = 3) WHERE sequence_number = 4"
            ),
        ),
        "FAIL  checkpoint_mismatch: checkpoint of segment 3",
    ),
    "the head set back": (
        (
            "DELETE FROM audit_segments WHERE sequence_number > 4",
            (
                "UPDATE audit_chain SET sequence_number = 4, hash = (SELECT hash FROM audit_segments"
                " WHERE sequence_number = 4)"
            ),
        ),
        "FAIL  rolled_back: segment 4",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_is_done_to_the_database_is_told(console, name):
    """By somebody who drops the triggers first."""
    statements, expected = TAMPERED[name]
    console.tamper(*statements)
    status, output, _ = console.here("verify")
    assert status == 1
    assert output.startswith(expected)


def test_a_database_that_was_restored_is_told_by_an_export(console):
    """A copy of before is sound in itself; an export that was made meanwhile shows what is missing."""
    copy = console.folder / "copy.db"
    shutil.copy(console.folder / "countersign.db", copy)
    assert main(["clients", "--config", str(console.config), "delete", "one"]) == 0
    assert console.here("checkpoint")[0] == 0
    seen = console.export("seen.jsonl")
    assert console.here("verify", "--seen", seen)[0] == 0
    for path in console.folder.glob("countersign.db*"):
        path.unlink()
    shutil.copy(copy, console.folder / "countersign.db")
    assert console.here("verify")[0] == 0
    status, output, _ = console.here("verify", "--seen", seen)
    assert status == 1
    assert output.startswith("FAIL  rolled_back: segment 6")
    # It goes on, with another segment of the same number.
    assert main(["clients", "--config", str(console.config), "delete", "three"]) == 0
    assert console.here("checkpoint")[0] == 0
    status, output, _ = console.here("verify", "--seen", seen)
    assert status == 1
    assert output.startswith("FAIL  forked: segment 7")


def test_a_part_is_exported(console):
    """By numbers and by times, both ends included."""

    def numbers(*arguments: str) -> list[int]:
        lines = [json.loads(line) for line in console.export("part.jsonl", *arguments).open()]
        return [line["sequence_number"] for line in lines if line["type"] == "segment"]

    assert numbers("--from", "3", "--to", "4") == [3, 4]
    assert numbers("--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01") == [1, 2, 3, 4, 5, 6]
    assert numbers("--from", "2099-01-01") == []
    assert numbers("--to", "2026-01-01T00:00:00+00:00") == []
    status, _, errors = console.here("export", "--from", "yesterday")
    assert status == 1
    assert "neither a segment's number nor a time" in errors


def test_the_last_records_are_shown(console):
    """As they are kept."""
    status, output, _ = console.here("tail", "-n", "2")
    assert status == 0
    assert [json.loads(line)["event"] for line in output.splitlines()] == ["client.created", "client.deleted"]


def test_what_is_done_on_the_command_line_names_its_user(console):
    """The operating system's."""
    assert main(["clients", "--config", str(console.config), "delete", "one"]) == 0
    _, output, _ = console.here("tail", "-n", "1")
    assert json.loads(output)["caller"].startswith("cli:")


def test_what_was_exported_is_pruned(console):
    """Up to the last checkpoint of the export; the rest verifies, and says what was deleted."""
    export = console.export()
    status, output, _ = console.here("prune", "--exported", export)
    assert status == 0
    assert output.startswith("5 segments up to 5 deleted")
    status, output, _ = console.here("verify", "--seen", export)
    assert status == 0
    assert "ok    segments 6 to 7 with 2 records" in output
    assert "ok    1 checkpoints that were seen before are in this chain" in output
    _, output, _ = console.here("tail", "-n", "1")
    record = json.loads(output)
    assert (record["event"], record["sequence_number"]) == ("audit.pruned", 5)
    later = console.export("later.jsonl")
    status, output, _ = console.run("verify", later, "--trust", console.folder / "audit-public.pem")
    assert status == 0


def _cut(export: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join(lines[:-3]))


@pytest.mark.parametrize(
    ("break_export", "expected"), [(_cut, "FAIL  truncated"), (lambda each: each.write_bytes(b""), "FAIL")]
)
def test_nothing_is_pruned_that_is_not_exported_whole(
    console, break_export: Callable[[Path], Any], expected: str
):
    """An export that does not verify deletes nothing."""
    export = console.export()
    break_export(export)
    status, output, _ = console.here("prune", "--exported", export)
    assert status == 1
    assert output.startswith(expected)
    assert "segments 1 to 6" in console.here("verify")[1]


def test_nothing_is_pruned_by_a_part_or_without_a_checkpoint(console):
    """The export has to begin where the database does, and to hold a checkpoint."""
    part = console.export("part.jsonl", "--from", "3")
    status, _, errors = console.here("prune", "--exported", part)
    assert status == 1
    assert "the export begins behind segment 2" in errors
    unsigned = console.export("unsigned.jsonl", "--to", "2")
    status, _, errors = console.here("prune", "--exported", unsigned)
    assert status == 1
    assert "holds no checkpoint" in errors


def test_pruning_needs_the_log_to_be_on(console):
    """What is done to the log has to be on record too."""
    export = console.export()
    text = console.config.read_text()
    console.config.write_text(text.replace("enabled = true", "enabled = false"))
    status, _, errors = console.here("prune", "--exported", export)
    assert status == 1
    assert "audit.enabled" in errors
    assert console.here("checkpoint")[0] == 1


def test_what_cannot_be_read_is_told(console):
    """In one sentence each."""
    for arguments, expected in (
        (("verify",), "name either an export or --config"),
        (("verify", "none.jsonl", "--trust", "x"), "cannot be read"),
        (("verify", "none.jsonl", "--keys", "none.json"), "cannot be read"),
        (("verify", "none.jsonl", "--keys", console.config), "not a JWK Set"),
        (("verify", "none.jsonl", "--trust", console.config), "not a public key"),
    ):
        status, _, errors = console.run(*arguments)
        assert status == 1
        assert expected in errors
    status, _, errors = console.here("verify", "--seen", console.config)
    assert status == 1
    assert "there is no checkpoint in it" in errors


def doctor(console: Console) -> list[str]:
    """What doctor says of the log."""
    console._capture.readouterr()
    main(["doctor", "--config", str(console.config)])
    return [line for line in console._capture.readouterr().out.splitlines() if "audit log" in line]


def test_doctor_reports_the_state_of_the_chain(console):
    """Where all is well, where the end was changed, and where the log was turned off."""
    key, end = doctor(console)
    assert key.startswith("ok    audit log: a key for audit (ES256)")
    assert end.startswith("ok    audit log: 6 segments; the last")
    assert "1 of them are not signed yet" in end
    text = console.config.read_text()
    console.config.write_text(text.replace("enabled = true", "enabled = false"))
    (off,) = doctor(console)
    assert off.startswith("warn  audit log: there is one, and it is off")
    console.config.write_text(text)
    console.tamper("UPDATE audit_segments SET writer = 'me' WHERE sequence_number = 6")
    assert any(line.startswith("FAIL  audit log: segment_altered: segment 6") for line in doctor(console))


def test_doctor_says_that_nothing_is_signed(tmp_path, capsys):
    """No key, so no checkpoint; the log itself is kept."""

    async def make() -> None:
        prepared = await prepare(tmp_path, audit={"enabled": True})
        async with opened_application(tmp_path, prepared=prepared):
            pass
        async with open_store(f"sqlite:///{tmp_path}/countersign.db") as store:
            assert (await store.audit.head()).sequence_number == 1

    asyncio.run(make())
    lines = doctor(Console(tmp_path, capsys))
    assert lines[0].startswith("FAIL  audit log: no key for audit (ES256)")


def parts(console: Console) -> list[Path]:
    """Exports of segments 1 and 2, 3 and 4, and the rest."""
    ranges = (("1", "2"), ("3", "4"), ("5", "99"))
    return [console.export(f"part-{first}.jsonl", "--from", first, "--to", last) for first, last in ranges]


def test_exports_that_go_on_are_verified_together(console):
    """As one chain: nothing is missing between them, and the last checkpoint covers all before it."""
    key_id = (console.folder / "audit-key-id").read_text()
    whole = console.export()
    # Whatever was seen of the later parts is no fault of the first.
    seen = ("--seen", whole)
    status, output, _ = console.run("verify", *parts(console), "--trust", key_id, *seen)
    assert status == 0
    assert "ok    segments 1 to 6 with 6 records" in output
    assert "warn  1 segments behind it are not signed yet" in output
    assert "checkpoints that were seen before are in this chain" in output


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ((0, 2), "segment_missing: segment 3: it is not there"),
        ((0, 1, 1, 2), "segment_reordered: segment 3"),
        ((1, 0), "segment_reordered: segment 1"),
    ],
)
def test_a_part_in_the_wrong_place(console, order, fault):
    """One that is left out, there twice, or before another is told by the segment."""
    files = parts(console)
    key_id = (console.folder / "audit-key-id").read_text()
    status, output, _ = console.run("verify", *[files[each] for each in order], "--trust", key_id)
    assert status == 1
    assert f"FAIL  {fault}" in output


def test_a_part_that_broke_off(console):
    """Is truncated, whatever goes on from it."""
    files = parts(console)
    key_id = (console.folder / "audit-key-id").read_text()
    lines = files[0].read_text().splitlines()
    files[0].write_text("\n".join(lines[:-1]) + "\n")
    status, output, _ = console.run("verify", *files, "--trust", key_id)
    assert (status, "FAIL  truncated: segment 2" in output) == (1, True)
