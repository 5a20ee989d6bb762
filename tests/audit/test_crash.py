"""Replicas that race and are killed: one chain without gap or fork, and every token told is in it."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.audit.checkpoint import TrustedKeys
from gateway.audit.verification import verify_lines
from gateway.cli.audit import open_log
from gateway.tokens.client import GrantType
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from tests.support.audit_log import exported, recorded
from tests.support.authorizations import SECRET, web_client
from tests.support.gateway import Prepared, call_of, make_key, opened_application, prepare
from tests.support.stores import DATABASES, REPOSITORY, empty_database

TOLD = (25, 60)
"""Lines of each replica after which it is killed, in the midst of the next; the second goes on for longer."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


async def prepared_log(folder: Path, url: str) -> Prepared:
    """A gateway with the log on, and a client that mints."""
    prepared = await prepare(
        folder,
        database_url=url,
        audit={"enabled": True, "checkpoint_interval": 1},
        keys=[
            {"purpose": purpose, "algorithm": "ES256", "uri": make_key(folder, purpose)}
            for purpose in ("tokens", "audit")
        ],
    )
    async with opened_application(folder, prepared=prepared) as app:
        await web_client(
            app, grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}), redirect_uris=frozenset()
        )
    return prepared


async def told_until_killed(prepared: Prepared, lines: int) -> list[str]:
    """Start a replica, listen to *lines* of it, kill it, and take what it had told until then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.audit_process", str(prepared.folder / "countersign.toml"), "web", SECRET),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        told = [await process.stdout.readline() for _ in range(lines)]
    finally:
        process.kill()
    told += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


async def test_what_was_told_is_on_record_whenever_a_replica_is_killed(tmp_path, url):
    """Two replicas mint on one database, and one after the other is killed with -9: nothing told is missing.

    Whoever starts next goes on where they were.
    """
    prepared = await prepared_log(tmp_path, url)
    told = await asyncio.gather(*(told_until_killed(prepared, lines) for lines in TOLD))
    async with opened_application(tmp_path, prepared=prepared) as app:
        request = TokenRequest(ClientCredentialsGrant())
        last = await app.minter.mint(call_of(), "web", ClientSecret(SECRET), request)
        await app.checkpointer.sign_now()
    async with open_log(prepared.settings) as log:
        verdict = verify_lines(await exported(log.repository, log.keys), TrustedKeys(log.keys))
        records = await recorded(log.repository)
        writers = {each.writer for each in await log.repository.segments(after=0, limit=100_000)}
    minted = [record["token_id"] for record in records if record["event"] == "token.minted"]
    assert all(len(lines) >= wanted for lines, wanted in zip(told, TOLD, strict=True))
    assert set().union(*told) <= set(minted)
    assert len(minted) == len(set(minted))
    assert minted[-1] == last.token_id
    assert verdict.checkpoints
    # Those that were killed, the one that prepared the database, and the last.
    assert len(writers) == len(TOLD) + 2
