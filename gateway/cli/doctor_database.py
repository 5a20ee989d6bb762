"""What `countersign doctor` finds at the database, beyond that it answers."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.cli.findings import Finding
from gateway.clock import system_clock
from gateway.config import Settings
from gateway.store import Store, StoreOptions, open_store
from gateway.store.condition import MAX_COUNTED, ServerCondition, overdue_rows, server_condition
from gateway.store.migrations import HEAD_REVISION, SchemaState, schema_state
from gateway.store.options import SqliteUrl, parse_url
from gateway.store.replicas import Replica
from gateway.wiring.store import store_options, store_url

_MIB: Final = 1024 * 1024
_LITTLE: Final = 1024 * _MIB
_TOO_LITTLE: Final = 100 * _MIB
_LARGE_LOG: Final = 1024 * _MIB
_OVERDUE: Final = 1_800.0
"""Seconds after which a row that expired should be gone: the purge runs every minute, and slows to an hour
only where it fails."""
_NOTICEABLE: Final = 1.0  # seconds


async def database_findings(settings: Settings) -> list[Finding]:
    """All of them. Raises `StoreError`, `AvailabilityError`."""
    url, options = store_url(settings), store_options(settings)
    target = parse_url(url)
    findings = [_schema(await schema_state(url, options=options))]
    async with open_store(url, options=options) as store:
        findings.append(_replicas(await store.replicas.alive(), settings.tokens.clock_skew))
        findings.append(await _purge(store))
        if isinstance(target, SqliteUrl):
            return [*findings, *_sqlite_disk(target.path)]
        findings.append(await _clock(store, settings.tokens.clock_skew))
    return [*findings, *postgresql_findings(await server_condition(target.dsn, options), settings, options)]


def _schema(state: SchemaState) -> Finding:
    subject = "migrations"
    if state.revision == HEAD_REVISION:
        return Finding(subject, f"the database is at revision {HEAD_REVISION}, and nothing is to be done")
    return Finding(
        subject,
        f"the database is at revision {state.revision}, this program was made for {HEAD_REVISION}",
        "finish the upgrade: replace this program too",
        fatal=False,
    )


def _replicas(alive: Sequence[Replica], allowed_skew: float) -> Finding:
    subject = "replicas"
    if not alive:
        return Finding(subject, "none is alive")
    worst = max(alive, key=lambda each: abs(each.skew))
    if abs(worst.skew) > max(allowed_skew, _NOTICEABLE):
        return Finding(
            subject,
            f"{worst.host}'s clock (process {worst.process_id}) is {worst.skew:+.1f} s off the database's",
            "synchronize its clock (chrony, systemd-timesyncd): tokens and proofs are refused by such clocks",
        )
    builds = sorted({f"{each.build} (revision {each.program:04d})" for each in alive})
    said = f"{len(alive)} alive, of {' and '.join(builds)}, clocks within {abs(worst.skew):.1f} s"
    if len(builds) > 1:
        return Finding(subject, said, "finish the upgrade: all of one version", fatal=False)
    return Finding(subject, said)


async def _purge(store: Store) -> Finding:
    overdue = await overdue_rows(store.database, now=system_clock(), grace=_OVERDUE)
    many = [f"{name} ({'over ' if count == MAX_COUNTED else ''}{count:,})" for name, count in overdue.items()]
    if not many:
        return Finding("purge", "no rows are left that expired half an hour ago")
    return Finding(
        "purge",
        f"rows that expired over half an hour ago are left in {', '.join(many)}",
        "see the log for 'Purging expired rows failed'; while no gateway runs, nothing is purged",
        fatal=False,
    )


async def _clock(store: Store, allowed_skew: float) -> Finding:
    before = system_clock()
    there = await store.replicas.database_clock()
    # Half of the way there and back is all that is not known.
    skew = (before + system_clock()) / 2 - there
    if abs(skew) > max(allowed_skew, _NOTICEABLE):
        return Finding(
            "clock",
            f"this machine's is {skew:+.1f} s off the database's",
            "synchronize both (chrony, systemd-timesyncd); more than tokens.clock_skew is refused",
        )
    return Finding("clock", f"this machine's is within {abs(skew):.1f} s of the database's")


def _sqlite_disk(path: Path) -> list[Finding]:
    free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
    log = path.with_name(f"{path.name}-wal")
    log_size = log.stat().st_size if log.exists() else 0
    return [sqlite_space(free, size), sqlite_log(log_size)]


def sqlite_space(free: int, size: int) -> Finding:
    """*free* bytes beside a file of *size* bytes."""
    said = f"{free // _MIB:,} MiB are free, the file has {size // _MIB:,} MiB"
    if free < _TOO_LITTLE:
        return Finding("disk", said, "make room: without any the gateway refuses every write")
    if free < max(_LITTLE, size // 10):
        return Finding(
            "disk", said, "make room soon; a backup on the same disk needs the file's size", fatal=False
        )
    return Finding("disk", said)


def sqlite_log(size: int) -> Finding:
    """A write-ahead log of *size* bytes."""
    said = f"the write-ahead log has {size // _MIB:,} MiB"
    if size > _LARGE_LOG:
        return Finding(
            "write-ahead log",
            said,
            "end what reads the file so long (a sqlite3 shell, a backup): it keeps the log from shrinking",
            fatal=False,
        )
    return Finding("write-ahead log", said)


def postgresql_findings(server: ServerCondition, settings: Settings, options: StoreOptions) -> list[Finding]:
    """What is said of *server*, for gateways of *settings*."""
    findings = [
        _durability(server),
        _isolation(server),
        _connections(server, settings),
        _pooler(server, options),
    ]
    if server.in_recovery:
        findings.append(
            Finding("server", "is a standby and takes no writes", "name the primary in store.url")
        )
    largest = ", ".join(
        f"{each.name} {each.size // _MIB:,} MiB (about {each.rows:,} rows)" for each in server.largest
    )
    return [*findings, Finding("table sizes", largest or "there are none")]


def _durability(server: ServerCondition) -> Finding:
    risky = [
        f"{name} = {server.settings[name]}"
        for name in ("fsync", "full_page_writes", "synchronous_commit")
        if server.settings.get(name) == "off"
    ]
    if not risky:
        return Finding("durability", "what is acknowledged survives a crash of the server")
    return Finding(
        "durability",
        ", ".join(risky),
        "turn it on: after a crash revoked tokens and used codes may come back",
        fatal=False,
    )


def _isolation(server: ServerCondition) -> Finding:
    level = server.settings.get("default_transaction_isolation", "read committed")
    if level == "read committed":
        return Finding("isolation", f"{level} by default, as the gateway asks for in its transactions")
    return Finding(
        "isolation",
        f"{level} by default",
        "ALTER ROLE … SET default_transaction_isolation = 'read committed': single statements fail for it",
        fatal=False,
    )


def _connections(server: ServerCondition, settings: Settings) -> Finding:
    # One more each for being told of changes, see `StoreSettings.notify`.
    per_worker = settings.store.pool_size + (1 if settings.store.notify else 0)
    needed = per_worker * settings.server.workers
    said = f"{server.connections_left} of {server.settings.get('max_connections', '?')} are left"
    if server.connections_left < needed:
        return Finding(
            "connections",
            f"{said}, and one more replica of {settings.server.workers} workers may open {needed}",
            "raise max_connections, lower store.pool_size or workers, or put a pooler between",
            fatal=False,
        )
    return Finding("connections", f"{said}, a replica opens up to {needed}")


def _pooler(server: ServerCondition, options: StoreOptions) -> Finding:
    if not server.behind_pooler:
        return Finding("pooler", "there is none")
    if options.prepared_statements:
        return Finding(
            "pooler",
            "there is one between, and store.statement_cache is on",
            "set store.statement_cache = false, unless the pooler gives each client a connection of its own",
            fatal=False,
        )
    if options.notifications:
        return Finding(
            "pooler",
            "there is one between, and store.notify is on",
            "set store.notify = false, unless the pooler gives each client a connection of its own",
            fatal=False,
        )
    return Finding("pooler", "there is one between, and no statement is kept prepared")
