"""What the database holds in the end, beside what clients were told."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.replicas.history import History, Kind, Outcome
from tests.replicas.verdict import Violation


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed certificate; `content` is the digest of its DER in hex."""

    name: str
    serial: str
    order: str | None
    content: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`successor` is a digest in hex, empty where it was not used."""

    digest: str
    grant: str
    successor: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows that the checker looks at. Digests are in hex.

    - `revoked_tokens`: token ids. `revoked_grants`: grant ids. `numbers`: of all revocations;
      `last_number` that of their counter.
    - `code_grants`: the grant of each code that was used.
    - `presentations`: the state of each request, by its name; `presentation_nonces` their nonces' digests.
    - `active_keys`: how many are active, by purpose and algorithm; `key_states` by key id.
    """

    revoked_tokens: frozenset[str]
    revoked_grants: frozenset[str]
    numbers: tuple[int, ...]
    last_number: int
    code_grants: dict[str, str]
    refresh_tokens: tuple[RefreshToken, ...]
    certificates: tuple[Certificate, ...]
    presentations: dict[str, str]
    presentation_nonces: tuple[str, ...]
    active_keys: dict[tuple[str, str], int]
    key_states: dict[str, str]


async def look(url: str) -> Stored:
    """Read it all."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _look(connection)
    finally:
        await connection.close()


async def _look(connection: Any) -> Stored:
    revocations = await connection.fetch("SELECT token_id, sequence_number FROM revocations")
    grants = await connection.fetch(
        "SELECT grant_id, sequence_number FROM grants WHERE revoke_time IS NOT NULL"
    )
    codes = await connection.fetch(
        "SELECT digest, grant_id FROM authorization_codes WHERE grant_id IS NOT NULL"
    )
    refresh = await connection.fetch("SELECT digest, grant_id, successor FROM refresh_tokens")
    certificates = await connection.fetch(
        "SELECT certificate_id, serial, order_id, der, revoke_time FROM enrollment_certificates"
        " WHERE der IS NOT NULL"
    )
    asked = await connection.fetch("SELECT request_id, status, nonce_digest FROM presentation_requests")
    keys = await connection.fetch("SELECT key_id, purpose, algorithm, state FROM keys")
    return Stored(
        revoked_tokens=frozenset(row["token_id"] for row in revocations),
        revoked_grants=frozenset(row["grant_id"] for row in grants),
        numbers=tuple(row["sequence_number"] for row in (*revocations, *grants)),
        last_number=await connection.fetchval("SELECT value FROM counters WHERE name = 'revocations'"),
        code_grants={row["digest"].hex(): row["grant_id"] for row in codes},
        refresh_tokens=tuple(
            RefreshToken(row["digest"].hex(), row["grant_id"], (row["successor"] or b"").hex())
            for row in refresh
        ),
        certificates=tuple(
            Certificate(
                row["certificate_id"],
                row["serial"],
                row["order_id"],
                hashlib.sha256(row["der"]).hexdigest(),
                row["revoke_time"] is not None,
            )
            for row in certificates
        ),
        presentations={f"presentationRequests/{row['request_id']}": row["status"] for row in asked},
        presentation_nonces=tuple(row["nonce_digest"].hex() for row in asked),
        active_keys=Counter((row["purpose"], row["algorithm"]) for row in keys if row["state"] == "active"),
        key_states={row["key_id"]: row["state"] for row in keys},
    )


def violations(history: History, stored: Stored) -> list[Violation]:
    """What clients were told and the database does not hold, and what is doubled in it."""
    rules = (_revocations, _families, _successions, _certificates, _presentations, _keys)
    return [violation for rule in rules for violation in rule(history, stored)]


def _told(history: History, kind: Kind) -> set[str]:
    return {each.subject for each in history.of(kind) if each.outcome is Outcome.OK}


def _revocations(history: History, stored: Stored) -> Iterator[Violation]:
    for token_id in sorted(history.revoked() - stored.revoked_tokens):
        yield Violation("stored", token_id, "its revocation is gone", tuple(history.about(token_id)))
    if sorted(stored.numbers) != list(range(1, stored.last_number + 1)):
        yield Violation("stored", "revocations", "their numbers have a gap, or one is there twice")


def _families(history: History, stored: Stored) -> Iterator[Violation]:
    """What clients were told of codes and refresh tokens is there."""
    known = {token.digest for token in stored.refresh_tokens}
    for attempt in history.attempts:
        if attempt.kind in (Kind.REDEEM, Kind.REFRESH) and attempt.outcome is Outcome.OK:
            for lost in sorted(set(attempt.told) - known):
                yield Violation("stored", lost, "a refresh token is gone", tuple(history.about(lost)))
    for code in sorted(_told(history, Kind.REDEEM) - stored.code_grants.keys()):
        yield Violation("stored", code, "the use of a code is gone", tuple(history.about(code)))


def _successions(history: History, stored: Stored) -> Iterator[Violation]:
    """In each family one refresh token is unused, and each used one has a successor of its own."""
    known = {token.digest for token in stored.refresh_tokens}
    unused: Counter[str] = Counter()
    for token in stored.refresh_tokens:
        unused[token.grant] += not token.successor
        if token.successor and token.successor not in known:
            evidence = tuple(history.about(token.digest))
            yield Violation("stored", token.digest, "its successor is gone", evidence)
    for successor, count in Counter(each.successor for each in stored.refresh_tokens).items():
        if successor and count > 1:
            yield Violation("stored", successor, f"the successor of {count} tokens")
    for grant, count in unused.items():
        if count != 1:
            yield Violation("stored", grant, f"{count} refresh tokens of one family are unused")


def _certificates(history: History, stored: Stored) -> Iterator[Violation]:
    for what, values in (
        ("serial number", [each.serial for each in stored.certificates]),
        # A certificate of the gateway's own, such as that of an OCSP responder, has no order.
        ("order", [each.order for each in stored.certificates if each.order]),
    ):
        for value, count in Counter(values).items():
            if count > 1:
                yield Violation("stored", str(value), f"{count} certificates have this {what}")
    contents = {each.name: each.content for each in stored.certificates}
    revoked = {each.name for each in stored.certificates if each.revoked}
    for attempt in history.of(Kind.CERTIFICATE):
        name = attempt.subject.rpartition("/")[2]
        if attempt.outcome is Outcome.OK and contents.get(name) != attempt.told[0]:
            yield Violation("stored", attempt.subject, "another certificate, or none", (attempt,))
    for subject in sorted(_told(history, Kind.REVOKE_CERTIFICATE)):
        if subject.rpartition("/")[2] not in revoked:
            yield Violation("stored", subject, "its revocation is gone", tuple(history.about(subject)))


def _presentations(history: History, stored: Stored) -> Iterator[Violation]:
    """Every request that was made is there, under a nonce of its own, with the result that was told."""
    for nonce, count in Counter(stored.presentation_nonces).items():
        if count > 1:
            yield Violation("stored", nonce, f"{count} presentation requests have this nonce")
    for attempt in history.of(Kind.ASK):
        for name in set(attempt.told) - stored.presentations.keys():
            yield Violation("stored", name, "a presentation request is gone", tuple(history.about(name)))
    for attempt in history.of(Kind.SUBMIT):
        kept = stored.presentations.get(attempt.subject)
        if attempt.outcome is Outcome.OK and kept and kept != attempt.told[0].partition(" ")[0]:
            yield Violation("stored", attempt.subject, "another result than was told", (attempt,))


def _keys(history: History, stored: Stored) -> Iterator[Violation]:
    for kind, count in stored.active_keys.items():
        if count > 1:
            yield Violation("stored", " ".join(kind), f"{count} keys are active")
    for key_id in sorted(_told(history, Kind.ROTATE_KEY)):
        if stored.key_states.get(key_id, "prepared") == "prepared":
            yield Violation("stored", key_id, "its activation is gone", tuple(history.about(key_id)))
    for key_id in sorted(_told(history, Kind.DISABLE_KEY)):
        if stored.key_states.get(key_id) != "disabled":
            yield Violation("stored", key_id, "it is not disabled", tuple(history.about(key_id)))
