"""Backup and restore: one consistent copy, and nothing that was revoked or used comes back with it."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from countersign import AccessToken, CertificateName, GrantType, TlsClientAuth

from gateway.cli import main
from gateway.store import RestoreNeededError, StoreError, open_store, upgrade
from gateway.store.restored import NEVER_RESTORED, RestoreMarks
from gateway.store.restoring import back_up
from gateway.tokens.ports import Revocation
from gateway.wiring.store import store_url
from tests.support.gateway import RESOURCE, Prepared, SteppedClock, prepare, running_gateway
from tests.support.stores import DATABASES, client, empty_database, shared_postgres

NAME = "backend"
LATER = 10.0  # seconds


@dataclass
class Loss:
    """A gateway's database, a backup of it, and how it is put back."""

    prepared: Prepared
    kind: str
    folder: Path
    backup: Path

    @property
    def config(self) -> str:
        return str(self.prepared.folder / "countersign.toml")

    def back_up(self) -> None:
        """As docs/upgrades.md says, while the gateway serves."""
        if self.kind == "sqlite":
            assert main(["backup", "--config", self.config, str(self.backup)]) == 0
        else:
            self.backup.write_bytes(shared_postgres().dump(store_url(self.prepared.settings)))

    def put_back(self, *options: str) -> int:
        """Restore with *options*, the gateway being stopped."""
        arguments = ["restore", "--config", self.config, *options]
        return main([*arguments, str(self.backup)] if self.kind == "sqlite" else arguments)


@pytest.fixture(params=DATABASES)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """The kind, the database that is lost, and the one that a dump is loaded into."""
    with empty_database(request.param, tmp_path) as lost, empty_database(request.param, tmp_path) as new:
        yield request.param, lost, new


async def loss_of(folder: Path, urls: tuple[str, str, str]) -> Loss:
    """A prepared gateway whose database is empty."""
    kind, lost, _ = urls
    return Loss(await prepare(folder, database_url=lost), kind, folder, folder / "copy")


async def move(loss: Loss, urls: tuple[str, str, str]) -> None:
    """On PostgreSQL: load the dump into the new database, and configure that one."""
    kind, _, new = urls
    if kind == "postgresql":
        await asyncio.to_thread(shared_postgres().load, loss.backup.read_bytes(), new)
        loss.prepared = await prepare(loss.folder, database_url=new, root=loss.prepared.root)


async def register(gateway) -> None:
    async with gateway.client(gateway.admin) as admin:
        await admin.create_client(
            NAME,
            authentication=TlsClientAuth(CertificateName.SAN_DNS, "backend.example.org"),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes=["read"],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )


async def mint(gateway) -> AccessToken:
    certificate = gateway.root.leaf(dns=("backend.example.org",))
    async with gateway.client(certificate) as caller:
        return await caller.mint_token(NAME)


async def is_active(gateway, token: AccessToken) -> bool:
    async with gateway.client(gateway.api) as api:
        return await api.introspect_token(token.value) is not None


async def serve_and_lose(loss: Loss) -> tuple[AccessToken, AccessToken]:
    """Back up while serving, then revoke the first of two tokens: the backup does not know it."""
    async with running_gateway(loss.folder, prepared=loss.prepared) as gateway:
        await register(gateway)
        revoked, other = await mint(gateway), await mint(gateway)
        await asyncio.to_thread(loss.back_up)
        async with gateway.client(gateway.admin) as admin:
            await admin.revoke_token_id(revoked.token_id)
        assert not await is_active(gateway, revoked)
        assert await is_active(gateway, other)
    return revoked, other


def later() -> SteppedClock:
    """A clock that is `LATER` seconds ahead: not in the second of the restore."""
    clock = SteppedClock()
    clock.advance(LATER)
    return clock


async def test_what_was_revoked_after_the_backup_stays_revoked(tmp_path, urls):
    """A gateway on the restored database refuses every token of before, and serves new ones."""
    loss = await loss_of(tmp_path / "gateway", urls)
    revoked, other = await serve_and_lose(loss)
    await move(loss, urls)
    assert await asyncio.to_thread(loss.put_back) == 0
    async with running_gateway(loss.folder, prepared=loss.prepared, clock=later()) as gateway:
        assert not await is_active(gateway, revoked)
        assert not await is_active(gateway, other)
        assert await is_active(gateway, await mint(gateway))


async def test_the_operator_may_keep_tokens(tmp_path, urls):
    """With --keep-tokens those that were revoked since are active again, as was asked for."""
    loss = await loss_of(tmp_path / "gateway", urls)
    revoked, other = await serve_and_lose(loss)
    await move(loss, urls)
    assert await asyncio.to_thread(loss.put_back, "--keep-tokens") == 0
    async with running_gateway(loss.folder, prepared=loss.prepared, clock=later()) as gateway:
        assert await is_active(gateway, revoked)
        assert await is_active(gateway, other)


async def test_a_copy_that_was_not_restored_is_refused(tmp_path, urls):
    """A backup that is put in place by hand stops the start, and says which command is missing."""
    loss = await loss_of(tmp_path / "gateway", urls)
    await serve_and_lose(loss)
    await move(loss, urls)
    url = f"sqlite:///{loss.backup}" if loss.kind == "sqlite" else store_url(loss.prepared.settings)
    with pytest.raises(RestoreNeededError, match="countersign restore"):
        await open_store(url).__aenter__()


async def test_a_complete_copy_changes_nothing(tmp_path, urls):
    """With --complete, for a planned move, tokens and what was used stay as they are."""
    loss = await loss_of(tmp_path / "gateway", urls)
    async with running_gateway(loss.folder, prepared=loss.prepared) as gateway:
        await register(gateway)
        token = await mint(gateway)
    await asyncio.to_thread(loss.back_up)
    await move(loss, urls)
    assert await asyncio.to_thread(loss.put_back, "--complete") == 0
    async with running_gateway(loss.folder, prepared=loss.prepared) as gateway:
        assert gateway.server is not None
        assert await is_active(gateway, token)


async def test_restoring_under_a_running_gateway_is_refused(tmp_path, urls, capsys):
    """Nobody may serve from what is replaced; the message names who does."""
    loss = await loss_of(tmp_path / "gateway", urls)
    async with running_gateway(loss.folder, prepared=loss.prepared):
        await asyncio.to_thread(loss.back_up)
        assert await asyncio.to_thread(loss.put_back) == 1
    assert "Gateways serve from this database" in capsys.readouterr().err


async def test_numbers_go_on_ahead_of_all_that_were_given_out(tmp_path, urls):
    """After a restore revocations and revocation lists have numbers that nobody has seen."""
    loss = await loss_of(tmp_path / "gateway", urls)
    async with open_store(store_url(loss.prepared.settings)) as store:
        await store.revocations.revoke(Revocation("a", None, time.time(), time.time() + 60))
        await asyncio.to_thread(loss.back_up)
        for name in ("b", "c"):
            await store.revocations.revoke(Revocation(name, None, time.time(), time.time() + 60))
        seen = await store.revocation_feed.last_number()
    await move(loss, urls)
    assert await asyncio.to_thread(loss.put_back) == 0
    async with open_store(store_url(loss.prepared.settings)) as store:
        assert await store.revocation_feed.last_number() > seen
        await store.revocations.revoke(Revocation("d", None, time.time(), time.time() + 60))
        # A watcher that resumes at what it has seen before the loss hears of what is revoked after it.
        assert [each.token_id for each in await store.revocation_feed.after(seen, limit=10)] == ["d"]
        assert store.certificates.last_crl_number > 1_000_000_000


async def test_what_may_have_been_used_counts_as_used(tmp_path, urls):
    """A proof of before the restore is refused though nobody remembers it; one of after it is taken, once."""
    loss = await loss_of(tmp_path / "gateway", urls)
    await asyncio.to_thread(loss.back_up)
    await move(loss, urls)
    assert await asyncio.to_thread(loss.put_back) == 0
    async with open_store(store_url(loss.prepared.settings)) as store:
        window = store.marks.restore_time + 3_660
        assert not await store.replay.use_once("proof", "old", expire_time=window)
        assert await store.replay.use_once("proof", "new", expire_time=window + 1)
        assert not await store.replay.use_once("proof", "new", expire_time=window + 1)


def test_lifetimes_by_kind():
    """The time of a kind is what configuration says of it, else the longest; never restored, none counts."""
    marks = RestoreMarks(restore_time=1_000.0)
    assert marks.counts_as_used("dpop_proof", 1_080.0, {"dpop_proof": 80.0})
    assert not marks.counts_as_used("dpop_proof", 1_080.5, {"dpop_proof": 80.0})
    assert marks.counts_as_used("other", 1_080.5, {"dpop_proof": 80.0})
    assert not NEVER_RESTORED.counts_as_used("other", 0.0, {})


async def test_a_backup_is_one_state_while_others_write(tmp_path):
    """Rows that are written together are in a copy together, however many writers there are meanwhile."""
    url = f"sqlite:///{tmp_path}/state.db"
    async with open_store(url, migrate=True) as store:
        stop = asyncio.Event()

        async def write() -> None:
            number = 0
            while not stop.is_set():
                # A client and the counter of changes are one transaction.
                await store.clients.create(client(f"c{number}"), None)
                number += 1

        writer = asyncio.create_task(write())
        for number in range(5):
            await back_up(
                tmp_path / "state.db", tmp_path / f"copy{number}", clock=time.time, busy_timeout=2.0
            )
        stop.set()
        await writer
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy{number}")) as file:
            (clients,) = file.execute("SELECT count(*) FROM clients").fetchone()
            (changes,) = file.execute("SELECT value FROM counters WHERE name = 'clients'").fetchone()
            assert clients == changes
        assert (tmp_path / f"copy{number}").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.glob("*copy*")} == {f"copy{number}" for number in range(5)}


async def test_a_backup_replaces_nothing(tmp_path):
    """A file that exists stays as it is."""
    await upgrade(f"sqlite:///{tmp_path}/state.db")
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(StoreError, match="exists"):
        await back_up(tmp_path / "state.db", tmp_path / "copy", clock=time.time, busy_timeout=2.0)
    assert (tmp_path / "copy").read_text() == "precious"


async def test_a_damaged_backup_is_not_put_in_place(tmp_path):
    """What is there stays, where the backup is torn."""
    prepared = await prepare(tmp_path / "gateway")
    loss = Loss(prepared, "sqlite", prepared.folder, tmp_path / "copy")
    await asyncio.to_thread(loss.back_up)
    octets = bytearray(loss.backup.read_bytes())
    octets[4096 * 3 : 4096 * 9] = bytes(4096 * 6)
    loss.backup.write_bytes(octets)
    before = (prepared.folder / "countersign.db").read_bytes()
    assert await asyncio.to_thread(loss.put_back) == 1
    assert (prepared.folder / "countersign.db").read_bytes() == before


async def test_what_was_replaced_is_kept(tmp_path):
    """The lost file, with its log, stays beside the restored one under another name."""
    prepared = await prepare(tmp_path / "gateway")
    loss = Loss(prepared, "sqlite", prepared.folder, tmp_path / "copy")
    await asyncio.to_thread(loss.back_up)
    assert await asyncio.to_thread(loss.put_back) == 0
    kept = [path.name for path in prepared.folder.glob("countersign.db.replaced-*")]
    assert len(kept) == 1
    assert not list(prepared.folder.glob("*.restoring*"))


@pytest.mark.parametrize("urls", ["postgresql"], indirect=True)
async def test_postgresql_is_told_which_tools(tmp_path, urls, capsys):
    """`countersign backup` does not pretend to copy a PostgreSQL database."""
    loss = await loss_of(tmp_path / "gateway", urls)
    arguments = ["backup", "--config", loss.config, str(loss.backup)]
    assert await asyncio.to_thread(main, arguments) == 1
    assert "pg_dump" in capsys.readouterr().err
