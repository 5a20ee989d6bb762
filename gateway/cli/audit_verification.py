"""What ``countersign audit verify`` trusts, reads and prints."""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.audit.checkpoint import TrustedKeys, from_line
from gateway.audit.continuation import joined
from gateway.audit.export import Range, export
from gateway.audit.faults import AuditError, AuditFault
from gateway.audit.lines import MAX_LINE, EndLine, HeaderLine, KeyLine, parse_line
from gateway.audit.ports import AuditRepository
from gateway.audit.verification import Verdict, seen_checkpoints, verify_lines
from gateway.config import ConfigurationError
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk, JwkSet
from signers import PublicKey

_LAST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose checkpoints count.

    - *keys*: public keys; *key_ids*: thumbprints (RFC 7638) of keys that an export brings along.
    - *seen*: files with checkpoints that were seen before: earlier exports, or the gateway's log.
    """

    keys: tuple[Jwk, ...]
    key_ids: frozenset[str]
    seen: tuple[Path, ...]

    def with_offered(self, offered: Iterable[Jwk]) -> TrustedKeys:
        """The keys, and those *offered* whose thumbprint is trusted."""
        return TrustedKeys([*self.keys, *(key for key in offered if key.thumbprint in self.key_ids)])


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whose checkpoints count."""
    parser.add_argument(
        "--keys",
        type=Path,
        action="append",
        default=[],
        help="a JWK Set, as countersign audit keys prints it",
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="KEY",
        help="a PEM file of a public key, or the id (RFC 7638 thumbprint) of a key in the export",
    )
    parser.add_argument(
        "--seen",
        type=Path,
        action="append",
        default=[],
        help="an earlier export, or a log of the gateway: the chain must hold the checkpoints in it",
    )


def trusted_by(arguments: argparse.Namespace, *, otherwise: Sequence[Jwk] = ()) -> Trust:
    """What the options say; *otherwise* where they name no key. Raises `ConfigurationError`."""
    keys: list[Jwk] = [key for path in arguments.keys for key in key_set(path)]
    key_ids: set[str] = set()
    for text in arguments.trust:
        path = Path(text)
        if path.is_file():
            keys.append(_pem_key(path))
        else:
            key_ids.add(text)
    if not keys and not key_ids:
        keys = list(otherwise)
    if not keys and not key_ids:
        raise ConfigurationError("name the keys whose checkpoints count, with --keys or --trust.")
    return Trust(tuple(keys), frozenset(key_ids), tuple(arguments.seen))


def key_set(path: Path) -> tuple[Jwk, ...]:
    """The keys of a JWK Set. Raises `ConfigurationError`."""
    try:
        return JwkSet.parse(_read(path)).keys
    except JoseError as error:
        raise ConfigurationError(f"{path}: it is not a JWK Set: {error}.") from error


def verify_files(paths: Sequence[Path], trust: Trust) -> Verdict:
    """Verify exports of which each goes on where the one before ended. Raises as `verify_file`."""
    *earlier, last = paths
    verdicts = [(str(path), verify_file(path, trust, goes_on=True)) for path in earlier]
    return joined([*verdicts, (str(last), verify_file(last, trust))])


def verify_file(path: Path, trust: Trust, *, goes_on: bool = False) -> Verdict:
    """Verify an export. Where another *goes_on* from it, checkpoints seen before may be of that one.

    Raises `AuditError`, `ConfigurationError`.
    """
    try:
        with path.open("rb") as file:
            return _verify(file, trust, upto=_end_of(file) if goes_on else _LAST)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from error


async def verify_database(
    repository: AuditRepository, issuer: str, keys: Sequence[Jwk], trust: Trust
) -> Verdict:
    """Verify the whole log in the database, as an export of it. Raises `AuditError`, `AvailabilityError`."""
    head = await repository.head()
    # On disk, since the log may be larger than memory; and deleted with its handle.
    with tempfile.TemporaryFile() as file:
        lines = export(repository, Range(1, head.sequence_number), issuer=issuer, keys=keys, now=time.time())
        async for line in lines:
            file.write(line + b"\n")
        file.seek(0)
        later = await repository.checkpoints(first=head.sequence_number + 1, last=_LAST)
        # Segments and checkpoints that came while the file was written are no fault.
        newest = await repository.head()
        verdict = _verify(
            file, trust, [each.jws for each in later if each.head.sequence_number > newest.sequence_number]
        )
    if verdict.head != head:
        raise AuditError(
            AuditFault.TRUNCATED,
            f"segment {verdict.head.sequence_number}",
            f"the last segment is this, and the head of the chain names segment {head.sequence_number}",
        )
    return verdict


def print_verdict(verdict: Verdict) -> None:
    """Say what was verified."""
    head, first = verdict.head, verdict.after.sequence_number + 1
    print(
        f"ok    segments {first} to {head.sequence_number} with {verdict.records} "
        f"records follow from each other; the last hash is {head.hash.hex()}"
    )
    last = verdict.last_checkpoint
    if last is None:
        print("warn  there is no checkpoint: nothing of it is signed")
    else:
        print(
            f"ok    {verdict.checkpoints} checkpoints of {verdict.issuer} hold; the last was signed at "
            f"{datetime.fromtimestamp(last.sign_time, tz=UTC):%Y-%m-%dT%H:%M:%SZ} for segment "
            f"{last.head.sequence_number}"
        )
        if verdict.unsigned:
            print(f"warn  {verdict.unsigned} segments behind it are not signed yet")
    if verdict.seen:
        print(f"ok    {verdict.seen} checkpoints that were seen before are in this chain")


def _verify(file: IO[bytes], trust: Trust, later: Sequence[str] = (), *, upto: int = _LAST) -> Verdict:
    keys = trust.with_offered(_offered(file))
    file.seek(0)
    texts = [*later, *(jws for path in trust.seen for jws in _checkpoints_in(path))]
    seen = seen_checkpoints(texts, keys)
    return verify_lines(_lines(file), keys, {number: seen[number] for number in seen if number <= upto})


def _end_of(file: IO[bytes]) -> int:
    """The last segment that an export says it has; without an end line none counts, and it is truncated."""
    last = b""
    for line in _lines(file):
        last = line
    file.seek(0)
    try:
        end = parse_line(last, 1)
    except AuditError:
        return 0
    return end.head.sequence_number if isinstance(end, EndLine) else 0


def _offered(file: IO[bytes]) -> list[Jwk]:
    """The keys at the beginning of an export."""
    offered: list[Jwk] = []
    for number, line in enumerate(_lines(file), 1):
        parsed = parse_line(line, number)
        if isinstance(parsed, KeyLine):
            offered.append(parsed.key)
        elif not isinstance(parsed, HeaderLine):
            break
    return offered


def _checkpoints_in(path: Path) -> list[str]:
    """Raises `ConfigurationError` where there is none."""
    try:
        with path.open("rb") as file:
            found = [jws for line in _lines(file) if (jws := from_line(line)) is not None]
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from error
    if not found:
        raise ConfigurationError(f"{path}: there is no checkpoint in it.")
    return found


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines without their ends; a longer one than any is cut, and so refused."""
    while line := file.readline(MAX_LINE + 1):
        yield line.rstrip(b"\n")


def _pem_key(path: Path) -> Jwk:
    try:
        key = load_pem_public_key(_read(path))
    except ValueError as error:
        raise ConfigurationError(f"{path}: it is not a public key in PEM.") from error
    if not isinstance(key, PublicKey):
        raise ConfigurationError(f"{path}: no checkpoint is signed by a key of this kind.")
    return Jwk(key)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from error
