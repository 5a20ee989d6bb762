"""``countersign doctor``: look at everything a start needs, and say in plain words what is wrong.

Every check runs, whatever the others find; the exit status is 0 only where all are well.
"""

import argparse
import asyncio
import hashlib
import ssl
import stat
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509

from gateway.application import load_roots
from gateway.cli.doctor_audit import audit_findings
from gateway.cli.doctor_database import database_findings
from gateway.cli.doctor_enrollment import issuing_findings
from gateway.cli.doctor_tracing import tracing_findings
from gateway.cli.findings import Finding
from gateway.cli.key_faults import remedy
from gateway.clock import system_clock
from gateway.config import ConfigurationError, Settings, load
from gateway.errors import GatewayError
from gateway.keys.certificates import chain_der
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.settings.keys import KeySettings
from gateway.store import StoreError, open_store
from gateway.wiring.signers import open_signers
from gateway.wiring.store import store_options, store_url
from signers import SignerError, VersionedSigner
from signers.registry import SignerRegistry

_WARN_BEFORE: Final = timedelta(days=14)
_TIMEOUT: Final = 15.0


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("doctor", help="check configuration, certificates, database and every key")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check and report; returns 0 where nothing fatal was found."""
    try:
        settings = load(arguments.config)
    except ConfigurationError as error:
        print(f"FAIL  configuration\n      {error}")
        return 1
    findings = [Finding("configuration", f"{arguments.config} reads well")]
    findings += asyncio.run(_examine(settings))
    for finding in findings:
        print(finding.line())
    return 1 if any(finding.remedy and finding.fatal for finding in findings) else 0


async def _examine(settings: Settings) -> list[Finding]:
    findings = [_server_certificate(settings), _client_roots(settings), *_database_file(settings)]
    findings += _secret_files(settings)
    findings.append(await _guarded("database", partial(_database, settings)))
    if not findings[-1].remedy:
        findings += await _guarded_all("database", partial(database_findings, settings))
        findings += await _guarded_all("audit log", partial(audit_findings, settings))
    findings += await _guarded_all("tracing", partial(tracing_findings, settings))
    async with open_signers(settings) as signers:
        findings += [
            await _guarded(_key_name(key), partial(_key, settings, signers, key)) for key in settings.keys
        ]
    findings += await _registered(settings)
    if not settings.keys:
        findings.append(
            Finding("keys", "none is declared", "add a [[keys]] section with purpose tokens", fatal=False)
        )
    return findings


async def _guarded(subject: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    async def alone() -> list[Finding]:
        return [await check()]

    return (await _guarded_all(subject, alone))[0]


async def _guarded_all(subject: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """What *check* finds, or the one finding that it failed."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await check()
    except (TimeoutError, SignerError, StoreError, GatewayError) as error:
        return [_failed(subject, error)]


def _failed(subject: str, error: Exception) -> Finding:
    if isinstance(error, TimeoutError):
        return Finding(subject, f"no answer within {_TIMEOUT:.0f} s", "see whether what it talks to hangs")
    if isinstance(error, SignerError):
        return Finding(subject, str(error), remedy(type(error)))
    if isinstance(error, StoreError):
        return Finding(subject, str(error), "follow what the message says")
    if isinstance(error, GatewayError):
        return Finding(
            subject, f"{error.message} ({error.cause})", "see that it runs, has room and lets this user write"
        )
    raise error


async def _database(settings: Settings) -> Finding:
    async with open_store(store_url(settings), options=store_options(settings)) as store:
        await store.check_writable()
    return Finding("database", "is at the needed revision and takes writes")


async def _key(settings: Settings, signers: SignerRegistry, key: KeySettings) -> Finding:
    certificate = None
    if key.certificate is not None:
        certificate = x509.load_pem_x509_certificate(settings.path(key.certificate).read_bytes())
    signer = await signers.open(
        key.uri, key.algorithm, public_key_sha256=key.public_key_sha256, certificate=certificate
    )
    await signer.check()
    version = f", version {signer.key_version}" if isinstance(signer, VersionedSigner) else ""
    return Finding(_key_name(key), f"found, signs, and the signature verifies (kid {signer.key_id}{version})")


async def _registered(settings: Settings) -> list[Finding]:
    """What the database says of the keys: which of them must be open, and whether successors can be made."""
    try:
        async with (
            asyncio.timeout(_TIMEOUT),
            open_store(store_url(settings), options=store_options(settings)) as store,
        ):
            records = await store.keys.all()
    except (StoreError, GatewayError, TimeoutError):
        return []  # The finding about the database says it.
    async with open_signers(settings) as signers:
        declared = {key.uri for key in settings.keys}
        opened = [
            await _guarded(f"registered {_record_name(record)}", partial(_open, signers, record))
            for record in records
            if record.signs and record.uri not in declared
        ]
    return [
        *opened,
        *_delegation(settings, records),
        *issuing_findings(settings, records),
        *_expiring(records),
    ]


async def _open(signers: SignerRegistry, record: KeyRecord) -> Finding:
    pin = hashlib.sha256(record.public_key_der).hexdigest()
    signer = await signers.open(record.uri, record.algorithm, public_key_sha256=pin)
    await signer.check()
    return Finding(f"registered {_record_name(record)}", "found, signs, and the signature verifies")


def _delegation(settings: Settings, records: Sequence[KeyRecord]) -> list[Finding]:
    if not any(policy.delegated for policy in settings.rotations):
        return []
    issuers = [
        record
        for record in records
        if record.purpose is KeyPurpose.DELEGATION and record.state is KeyState.ACTIVE
    ]
    if len(issuers) != 1:
        found = "none is active" if not issuers else f"{len(issuers)} are active"
        return [
            Finding(
                "delegating key",
                found,
                "have exactly one active key of purpose delegation: declare it in [[keys]]",
            )
        ]
    if not issuers[0].chain_pem:
        return [
            Finding(
                "delegating key",
                "has no certificate",
                "countersign keys request-cert, have it signed (or --self-signed), then keys import-cert",
            )
        ]
    return [Finding("delegating key", f"{_record_name(issuers[0])} has its certificate")]


def _expiring(records: Sequence[KeyRecord]) -> list[Finding]:
    now = system_clock()
    findings = []
    for record in records:
        if not record.signs:
            continue
        if record.sign_until is not None and record.sign_until <= now:
            findings.append(
                Finding(
                    f"registered {_record_name(record)}",
                    "was delegated for a time that is over, and signs no more",
                    "see the log for why it was not renewed; the delegating key must answer",
                )
            )
        for der in chain_der(record.chain_pem)[:1]:
            left = x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp() - now
            if record.issuer_key_id is None and left < _WARN_BEFORE.total_seconds():
                word = "has expired" if left < 0 else f"expires in {left / 86_400:.0f} days"
                findings.append(
                    Finding(
                        f"certificate of {_record_name(record)}",
                        word,
                        "have it renewed, then countersign keys import-cert",
                        fatal=left < 0,
                    )
                )
    return findings


def _record_name(record: KeyRecord) -> str:
    return f"key for {record.purpose.value} ({record.algorithm.value}, {record.key_id[:8]}…)"


def _server_certificate(settings: Settings) -> Finding:
    subject = "server certificate"
    certificate_file = settings.path(settings.server.certificate)
    key_file = settings.path(settings.server.private_key)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate_file, key_file)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except (OSError, ssl.SSLError, ValueError) as error:
        return Finding(
            subject, f"{certificate_file} and {key_file}: {error}", "name a PEM certificate and its own key"
        )
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < timedelta():
        return Finding(subject, "has expired", "renew it; running workers pick the new file up by themselves")
    if left < _WARN_BEFORE:
        return Finding(subject, f"expires in {left.days} days", "renew it soon", fatal=False)
    return Finding(subject, f"matches its key and is valid for {left.days} days")


def _client_roots(settings: Settings) -> Finding:
    try:
        load_roots(settings)
    except ConfigurationError as error:
        return Finding("client roots", str(error), "name a PEM bundle of the roots of client certificates")
    return Finding("client roots", f"{settings.server.client_ca} reads well")


def _database_file(settings: Settings) -> list[Finding]:
    url = store_url(settings)
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path.exists():
        return []
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return [Finding("database file", f"{path} has mode {mode:04o}", f"chmod 600 {path}", fatal=False)]
    return [Finding("database file", f"{path} is private to its owner")]


def _secret_files(settings: Settings) -> list[Finding]:
    """Files with secrets, beside those of keys and PINs, which are refused where others can read them."""
    named = (
        settings.server.private_key,
        settings.store.password_file,
        settings.upstream.client_secret_file,
        settings.tracing.headers_file,
        *settings.tokens.dpop_nonce_secrets,
        *settings.enrollment.nonce_secrets,
    )
    exposed = [
        path
        for path in (settings.path(each) for each in named if each is not None)
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if not exposed:
        return [Finding("secret files", "are private to their owner")]
    return [
        Finding(
            "secret files",
            f"{path} has mode {stat.S_IMODE(path.stat().st_mode):04o}",
            f"chmod 600 {path}",
            fatal=False,
        )
        for path in exposed
    ]


def _key_name(key: KeySettings) -> str:
    return f"key for {key.purpose.value} ({key.algorithm.value})"
