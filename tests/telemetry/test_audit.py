"""The record of every use of a key: who, which, for what, in which call; never what was signed."""

import json
import logging
import os

import pytest
from countersign import ClientSecret, TokenRequest
from countersign.clients import CertificateName, ClientSecretBasicAuth, GrantType, TlsClientAuth

from gateway.server import open_server
from gateway.settings.operation import LogSettings
from gateway.telemetry.audit import AuditedKey, SignatureRecord
from gateway.telemetry.caller import current_caller
from gateway.telemetry.logs import MAX_WAITING, LogWriter, open_log
from tests.support.gateway import ADMIN, CALLERS, RESOURCE, RememberingLog, RunningGateway, prepare

USED = AuditedKey("kid-1", 'file:"odd".pem', "tokens", "ES256", "file")
BACKEND = "spiffe://example.org/backend"


def record(**changes) -> SignatureRecord:
    """One signature."""
    fields = {
        "time": 1_700_000_000.25,
        "used": USED,
        "caller": 'spiffe://example.org/"x"\n',
        "request_id": "r1",
        "signatures": 2,
    }
    return SignatureRecord(**(fields | changes))


def written(tmp_path, action, **settings) -> list[str]:
    """The lines that *action* left."""
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        with open_log(LogSettings(**settings), descriptor) as writer:
            action(writer)
    finally:
        os.close(descriptor)
    return path.read_text().splitlines()


def test_one_line_of_json(tmp_path):
    """Whatever the level; nothing in a name can end the line."""
    (line,) = written(tmp_path, lambda log: log.signed(record()), level="ERROR")
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": "audit",
        "message": "signed",
        "key_id": "kid-1",
        "key": 'file:"odd".pem',
        "purpose": "tokens",
        "algorithm": "ES256",
        "backend": "file",
        "caller": 'spiffe://example.org/"x"\n',
        "request_id": "r1",
        "signatures": 2,
    }


def test_one_line_of_text(tmp_path):
    """For a terminal."""
    (line,) = written(tmp_path, lambda log: log.signed(record()), format="text")
    assert "audit signed key_id=kid-1" in line
    assert "signatures=2" in line


def test_what_is_done_to_keys_names_who_did_it(tmp_path):
    """The audit logger's events have the caller of the call under way; other loggers' do not."""

    def act(_) -> None:
        current_caller.set("spiffe://example.org/admin")
        logging.getLogger("audit").warning("key disabled", extra={"key_id": "kid-1", "reason": "stolen"})
        logging.getLogger("other").warning("something")

    one, two = map(json.loads, written(tmp_path, act))
    assert (one["caller"], one["key_id"], one["reason"]) == ("spiffe://example.org/admin", "kid-1", "stolen")
    assert "caller" not in two


def test_it_can_be_turned_off(tmp_path):
    """For those who have another record."""
    assert written(tmp_path, lambda log: log.signed(record()), audit=False) == []


def test_a_full_log_keeps_room_for_signatures():
    """What an attacker can cause in any number does not push them out."""
    log = LogWriter(LogSettings())
    for _ in range(MAX_WAITING):
        log._put(b"line\n", keep=False, urgent=False)
    log._put(b"line\n", keep=False, urgent=False)
    assert log.dropped == 1
    log.signed(record())
    assert log.dropped == 1


class RememberingAudit:
    """An audit log that keeps its records."""

    def __init__(self) -> None:
        self.records = []

    def signed(self, record) -> None:
        self.records.append(record)


@pytest.fixture
async def gateway(tmp_path):
    """A gateway with its audit log."""
    prepared = await prepare(
        tmp_path, callers=[*CALLERS, {"san_uri": BACKEND, "roles": ["client"]}], health={"interval": 60.0}
    )
    audit, log = RememberingAudit(), RememberingLog()
    async with open_server(prepared.settings, log, audit=audit) as server:
        root = prepared.root
        running = RunningGateway(
            prepared, server, log, admin=root.leaf("admin", uris=(ADMIN,)), api=root.leaf("api")
        )
        yield running, audit


async def test_who_had_what_signed(gateway):
    """The caller and the request of the access log, and nothing of the token."""
    running, audit = gateway
    async with running.client(running.admin) as admin:
        await admin.create_client(
            "backend",
            authentication=TlsClientAuth(CertificateName.SAN_URI, BACKEND),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )
    assert audit.records == []
    async with running.client(running.root.leaf("backend", uris=(BACKEND,))) as backend:
        token = (await backend.mint_token("backend")).value
        await backend.batch_mint_tokens("backend", [TokenRequest()] * 5)
    one, batch = audit.records
    (logged,) = [each for each in running.log.records if each.method.endswith("/MintToken")]
    assert (one.caller, one.request_id) == (BACKEND, logged.request_id)
    assert (one.used.purpose, one.used.algorithm, one.used.backend, one.signatures) == (
        "tokens", "ES256", "file", 1,
    )  # fmt: skip
    assert batch.signatures == 5
    assert not any(part in repr(one) for part in token.split("."))


async def test_a_client_that_its_secret_names(gateway):
    """Who connects without a certificate is on record as the client that it proved to be."""
    running, audit = gateway
    async with running.client(running.admin) as admin:
        created = await admin.create_client(
            "web",
            authentication=ClientSecretBasicAuth(),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )
    async with running.client() as nobody:
        await nobody.mint_token("web", credential=ClientSecret(created.client_secret))
    (record,) = audit.records
    assert record.caller == "client:web"


async def test_a_probe_is_no_use(gateway):
    """Health signs with every key, every few seconds, and nobody gets what it signed."""
    running, audit = gateway
    await running.server._health.probe()
    assert running.server._health.serves("") is True
    assert audit.records == []
