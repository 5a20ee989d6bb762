"""Log lines: what is in them, what never is, and what happens when nobody reads."""

import json
import logging
import os
import threading

import pytest

from gateway.settings.operation import LogSettings
from gateway.telemetry import logs
from gateway.telemetry.access_log import AccessRecord
from gateway.telemetry.logs import LogWriter, open_log
from gateway.telemetry.redaction import scrub
from gateway.telemetry.request_id import current_request_id

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

logger = logging.getLogger("some.module")


@pytest.fixture
def form():
    """The format of the lines."""
    return "json"


@pytest.fixture
def written(tmp_path, form):
    """Runs a function with the log open, and returns the lines that it left."""

    def run(action, **settings):
        path = tmp_path / "log"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with open_log(LogSettings(format=form, **settings), descriptor) as writer:
                action(writer)
        finally:
            os.close(descriptor)
        return path.read_text().splitlines()

    return run


def record(code="OK", **changes):
    """An access record."""
    fields = {
        "time": 1_700_000_000.25,
        "method": "/a.B/C",
        "code": code,
        "reason": "",
        "cause": "",
        "caller": "spiffe://example.org/alice",
        "request_id": "abc",
        "peer": "ipv4:127.0.0.1:1",
        "duration_ms": 1.5,
        "deadline_ms": 3000.0,
    }
    return AccessRecord(**{**fields, **changes})


def fail(text):
    """Somebody else's code, whose exception quotes what it was given."""
    raise ValueError(text)


def test_an_event_is_one_json_object(written):
    """A line has time, level, logger, message, request id and the listed fields."""

    def action(_):
        token = current_request_id.set("abc")
        logger.warning("signing %s", "slowly", extra={"key_id": "k1", "duration_ms": 3.5})
        current_request_id.reset(token)

    (line,) = map(json.loads, written(action))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "some.module",
        "message": "signing slowly",
        "request_id": "abc",
        "key_id": "k1",
        "duration_ms": 3.5,
    }


@pytest.mark.parametrize("name", ["token", "pin", "client_secret", "password", "assertion", "anything"])
def test_fields_that_nobody_listed_are_hidden(written, name):
    """A secret given as an extra field is named and not written."""
    (line,) = written(lambda _: logger.error("failed", extra={name: "swordfish"}))
    assert "swordfish" not in line
    assert json.loads(line)["redacted"] == [name]


@pytest.mark.parametrize("value", [{"pin": "swordfish"}, ["swordfish"], b"swordfish", Exception("swordfish")])
def test_a_listed_field_holds_plain_values_only(written, value):
    """An object in a listed field is written as its type: nobody knows what it prints."""
    (line,) = written(lambda _: logger.error("failed", extra={"key": value}))
    assert "swordfish" not in line


@pytest.mark.parametrize(
    "text",
    [
        f"got {TOKEN} here",
        f"authorization: Bearer {TOKEN[40:]}swordfish",
        "pkcs11:token=a?pin-value=swordfish&x=y",
        "PIN=swordfish",
        "GET /oauth2/userinfo/cs_at_0123456789swordfish0123456789",
        "postgresql://user:swordfish@host/db",
        "-----BEGIN PRIVATE KEY-----\nswordfish\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nswordfish, cut",
    ],
)
def test_secrets_in_texts_are_scrubbed(written, text):
    """Tokens, PINs, passwords and keys are taken out of messages, fields, traces and causes."""

    def action(writer):
        logger.error("said %s", text)
        logger.error("field", extra={"key": text})
        try:
            fail(text)
        except ValueError:
            logger.exception("trace")
        writer.record(record("INTERNAL", cause=text))

    lines = written(action)
    assert len(lines) == 4
    for line in lines:
        assert "swordfish" not in line
        assert TOKEN not in line
        assert "redacted" in line


def test_what_is_no_secret_stays():
    """Ordinary sentences, names and URIs are left as they are."""
    for text in ("a bearer of news", "the pin of token A is locked", "https://example.org/a?b=c@d"):
        assert scrub(text) == text


def test_long_texts_are_cut(written):
    """One line cannot fill a disk."""
    (line,) = written(lambda _: logger.error("x" * 1_000_000))
    assert len(line) < 20_000


def test_an_access_record_has_all_its_fields(written):
    """A finished call is one line with numbers as numbers."""
    lines = written(
        lambda writer: writer.record(record("UNAVAILABLE", reason="STORE_UNAVAILABLE", cause='a "b"\n'))
    )
    assert json.loads(lines[0]) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "WARNING",
        "logger": "access",
        "method": "/a.B/C",
        "code": "UNAVAILABLE",
        "reason": "STORE_UNAVAILABLE",
        "cause": 'a "b"\n',
        "caller": "spiffe://example.org/alice",
        "request_id": "abc",
        "peer": "ipv4:127.0.0.1:1",
        "duration_ms": 1.5,
        "deadline_ms": 3000,
    }


def test_calls_can_be_left_out_but_not_our_faults(written):
    """With `access` off, calls that ended well are not logged, and those that we failed are."""

    def action(writer):
        for code in ("OK", "INVALID_ARGUMENT", "INTERNAL", "UNAVAILABLE"):
            writer.record(record(code))

    lines = written(action, access=False)
    assert [json.loads(line)["code"] for line in lines] == ["INTERNAL", "UNAVAILABLE"]


def test_the_level_holds_for_events_and_calls(written):
    """At ERROR neither warnings nor ordinary calls are written."""

    def action(writer):
        logger.warning("w")
        logger.error("e")
        writer.record(record())

    assert [json.loads(line)["message"] for line in written(action, level="ERROR")] == ["e"]


def test_an_event_that_cannot_be_formatted_says_where(written):
    """A defect in a log call is told by its place, and shows none of its arguments."""
    (line,) = written(lambda _: logger.error("%d", "swordfish"))
    assert "test_logs.py" in json.loads(line)["message"]
    assert "swordfish" not in line


class TestText:
    """The format for a terminal."""

    @pytest.fixture
    def form(self):
        return "text"

    def test_a_line_cannot_be_forged(self, written):
        """Line breaks and control characters of a message or a name are escaped."""

        def action(writer):
            logger.warning("a\n2026-01-01T00:00:00.000Z ERROR forged\x1b[2J")
            writer.record(record(caller="CN=a\nforged"))

        lines = written(action)
        assert len(lines) == 2
        assert not any("\x1b" in line for line in lines)

    def test_a_trace_is_indented(self, written):
        """The lines of a trace cannot pass for events."""

        def action(_):
            try:
                fail("first\nsecond")
            except ValueError:
                logger.exception("failed")

        first, *rest = written(action)
        assert first.endswith("ERROR some.module failed")
        assert all(line.startswith("    ") for line in rest)


class TestNobodyReads:
    """A pipe that is full."""

    @pytest.fixture
    def pipe(self):
        read, write = os.pipe()
        yield read, write
        os.close(read)
        os.close(write)

    def test_nobody_waits_and_drops_are_counted(self, pipe, monkeypatch):
        """Lines beyond the bound are dropped, errors have room of their own, and the count is written."""
        monkeypatch.setattr(logs, "MAX_WAITING", 10)
        read, write = pipe
        writer = LogWriter(LogSettings(), write)
        for number in range(100):
            writer.record(record(request_id=str(number)))
        for _ in range(5):
            writer.record(record("INTERNAL"))
        assert writer.dropped == 90
        writer.start()
        writer.close()
        lines = [json.loads(line) for line in os.read(read, 65536).splitlines()]
        assert [line.get("request_id") for line in lines[:10]] == [str(number) for number in range(10)]
        assert [line["code"] for line in lines[10:15]] == ["INTERNAL"] * 5
        assert lines[15]["count"] == 90

    def test_a_full_pipe_blocks_no_caller(self, pipe):
        """While the writer waits for a reader records are taken all the same; then all are written."""
        read, write = pipe
        writer = LogWriter(LogSettings(), write)
        writer.start()
        for _ in range(2000):
            writer.record(record())
        received = bytearray()

        def drain():
            while received.count(b"\n") < 2000:
                received.extend(os.read(read, 65536))

        reader = threading.Thread(target=drain)
        reader.start()
        reader.join(10)
        writer.close()
        assert received.count(b"\n") == 2000
        assert writer.dropped == 0

    def test_a_reader_that_is_gone_ends_nothing(self):
        """A closed pipe is no error of a call."""
        read, write = os.pipe()
        os.close(read)
        writer = LogWriter(LogSettings(), write)
        writer.start()
        writer.record(record())
        writer.close()
        os.close(write)
        assert writer.dropped >= 1


def test_closing_restores_the_logging_of_others(tmp_path):
    """After the block the logging module is as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    with open_log(LogSettings(level="DEBUG"), descriptor):
        assert root.level == logging.DEBUG
    os.close(descriptor)
    assert (root.handlers[:], root.level) == before
