"""The checker finds what it is there for: histories and rows with one kind of fault each."""

from dataclasses import replace
from typing import Any

import pytest

from tests.replicas import rules, stored
from tests.replicas.history import Attempt, History, Kind, Outcome, Sight, Token
from tests.replicas.stored import Certificate, RefreshToken, Stored

OK, REFUSED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.UNKNOWN


def attempt(kind: Kind, subject: str, at: float, outcome: Outcome = OK, *told: str, **more: Any) -> Attempt:
    """One that took a tenth of a second."""
    return Attempt(kind, subject, more.pop("replica", 0), at, at + 0.1, outcome, told, **more)


def history(*attempts: Attempt, tokens: tuple[Token, ...] = ()) -> History:
    """What was written down, with the tokens that clients were told."""
    written = History()
    for each in attempts:
        written.add(each)
    for token in tokens:
        written.add_token(token)
    return written


def token(family: str = "", at: float = 0.0) -> Token:
    """A token that was minted at a time."""
    return Token("t1", family, "k1", at, at + 0.1)


def asked(at: float, state: str, **more: Any) -> Attempt:
    """An introspection of the token."""
    return attempt(Kind.INTROSPECT, "t1", at, OK, state, **more)


REVOKED = attempt(Kind.REVOKE, "t1", 1.0)
MAYBE_REVOKED = attempt(Kind.REVOKE, "t1", 1.0, UNKNOWN, reason="UNAVAILABLE")
INVALID_GRANT = {"reason": "INVALID_GRANT", "family": "f1"}

GOOD = {
    "a token that was revoked": history(
        *(asked(0.5, "active"), REVOKED, asked(2.0, "inactive")), tokens=(token(),)
    ),
    "an introspection beside the revocation": history(
        *(REVOKED, asked(1.05, "active"), asked(1.05, "inactive", replica=1)), tokens=(token(),)
    ),
    "a revocation without an answer that took effect late": history(
        *(MAYBE_REVOKED, asked(3.0, "active"), asked(4.0, "inactive")), tokens=(token(),)
    ),
    "a code that was raced": history(
        attempt(Kind.REDEEM, "c1", 1.0, OK, "r1", family="f1"),
        attempt(Kind.REDEEM, "c1", 1.0, REFUSED, **INVALID_GRANT),
        asked(2.0, "inactive"),
        tokens=(token(family="f1"),),
    ),
    "a proof without an answer": history(
        attempt(Kind.PROOF, "p1", 1.0, UNKNOWN),
        attempt(Kind.PROOF, "p1", 1.0, REFUSED, reason="INVALID_DPOP_PROOF"),
    ),
    "a family that was abused": history(
        attempt(Kind.REFRESH, "r1", 1.0, OK, "r2", family="f1"),
        attempt(Kind.REFRESH, "r1", 1.5, OK, "r2", family="f1"),
        attempt(Kind.REFRESH, "r2", 2.0, OK, "r3", family="f1"),
        attempt(Kind.REUSE, "r1", 3.0, REFUSED, **INVALID_GRANT),
        attempt(Kind.REFRESH, "r3", 4.0, REFUSED, **INVALID_GRANT),
    ),
    "a presentation that was raced and watched, one replica dying meanwhile": history(
        attempt(Kind.ASK, "n1", 0.5, OK, "p1"),
        attempt(Kind.ASK, "n1", 0.5, REFUSED, reason="PRESENTATION_REQUEST_ALREADY_EXISTS"),
        attempt(Kind.WATCH, "p1", 0.6, UNKNOWN, "created", "fetched", reason="UNAVAILABLE"),
        attempt(Kind.SUBMIT, "p1", 1.0, OK, "verified aa", family="verified"),
        attempt(Kind.SUBMIT, "p1", 1.0, REFUSED, family="refused", reason="PRESENTATION_REQUEST_CLOSED"),
        attempt(Kind.LOOK, "p1", 1.0, OK, "submitted"),
        attempt(Kind.WATCH, "p1", 1.2, OK, "verified aa", replica=1),
        attempt(Kind.LOOK, "p1", 2.0, OK, "verified aa"),
    ),
    "a presentation whose verification died": history(
        attempt(Kind.SUBMIT, "p1", 1.0, UNKNOWN, family="verified"),
        attempt(Kind.SUBMIT, "p1", 1.0, REFUSED, family="verified", reason="PRESENTATION_REQUEST_CLOSED"),
        attempt(Kind.WATCH, "p1", 0.9, OK, "submitted", "expired aa"),
    ),
    "a key that was disabled, before every replica knows": history(
        attempt(Kind.DISABLE_KEY, "k1", 1.0), asked(1.5, "active"), tokens=(token(),)
    ),
}
"""What must not be taken for a fault."""

BAD = {
    "active after its end was acknowledged": history(REVOKED, asked(2.0, "active"), tokens=(token(),)),
    "active again after it was inactive": history(
        *(MAYBE_REVOKED, asked(2.0, "inactive"), asked(4.0, "active", replica=1)), tokens=(token(),)
    ),
    "inactive though nothing ended it": history(asked(2.0, "inactive"), tokens=(token(),)),
    "told twice": history(
        attempt(Kind.MINT, "m1", 1.0, OK, "t1"),
        attempt(Kind.MINT, "m2", 1.0, OK, "t1"),
        tokens=(token(), token()),
    ),
    "refused with NO_ACTIVE_KEY": history(attempt(Kind.MINT, "m1", 1.0, REFUSED, reason="NO_ACTIVE_KEY")),
    "the redeem was accepted twice": history(
        attempt(Kind.REDEEM, "c1", 1.0, family="f1"),
        attempt(Kind.REDEEM, "c1", 1.0, family="f1", replica=1),
    ),
    "the redeem was lost": history(attempt(Kind.REDEEM, "c1", 1.0, REFUSED, **INVALID_GRANT)),
    "the proof was accepted twice": history(
        attempt(Kind.PROOF, "p1", 1.0), attempt(Kind.PROOF, "p1", 1.0, replica=1)
    ),
    "the assertion was accepted twice": history(
        attempt(Kind.ASSERTION, "a1", 1.0), attempt(Kind.ASSERTION, "a1", 1.0, replica=1)
    ),
    "the nonce was accepted twice": history(
        attempt(Kind.NONCE, "n1", 1.0), attempt(Kind.NONCE, "n1", 1.0, replica=1)
    ),
    "the client nonce was accepted twice": history(
        attempt(Kind.CLIENT_NONCE, "n1", 1.0), attempt(Kind.CLIENT_NONCE, "n1", 1.0, replica=1)
    ),
    "the pushed request was accepted twice": history(
        attempt(Kind.PUSHED, "u1", 1.0, OK, "c1"), attempt(Kind.PUSHED, "u1", 1.0, OK, "c2", replica=1)
    ),
    "the presentation request was accepted twice": history(
        attempt(Kind.ASK, "n1", 1.0, OK, "p1"), attempt(Kind.ASK, "n1", 1.0, OK, "p2", replica=1)
    ),
    "the presentation request was lost": history(
        attempt(Kind.ASK, "n1", 1.0, REFUSED, reason="PRESENTATION_REQUEST_ALREADY_EXISTS")
    ),
    "the presentation was accepted twice": history(
        attempt(Kind.SUBMIT, "p1", 1.0, OK, "verified aa", family="verified"),
        attempt(Kind.SUBMIT, "p1", 1.0, OK, "verified aa", family="verified", replica=1),
    ),
    "the presentation was lost": history(
        attempt(Kind.SUBMIT, "p1", 1.0, REFUSED, reason="PRESENTATION_REQUEST_CLOSED")
    ),
    "2 results": history(
        attempt(Kind.LOOK, "p1", 1.0, OK, "verified aa"),
        attempt(Kind.LOOK, "p1", 1.0, OK, "verified bb", replica=1),
    ),
    "the result is not of the accepted answer": history(
        attempt(Kind.SUBMIT, "p1", 1.0, OK, "refused aa", family="verified"),
    ),
    "its watcher was not told the result": history(
        attempt(Kind.WATCH, "p1", 1.0, OK, "created", "submitted"),
        attempt(Kind.SUBMIT, "p1", 1.0, OK, "verified aa", family="verified"),
    ),
    "a watch went back": history(attempt(Kind.WATCH, "p1", 1.0, OK, "fetched", "created")),
    "it went back": history(
        attempt(Kind.LOOK, "p1", 1.0, OK, "verified aa"),
        attempt(Kind.LOOK, "p1", 2.0, OK, "submitted", replica=1),
    ),
    "2 successors": history(
        attempt(Kind.REFRESH, "r1", 1.0, OK, "r2", family="f1"),
        attempt(Kind.REFRESH, "r1", 1.0, OK, "r3", family="f1"),
    ),
    "2 predecessors": history(
        attempt(Kind.REFRESH, "r1", 1.0, OK, "r3", family="f1"),
        attempt(Kind.REFRESH, "r2", 1.0, OK, "r3", family="f1"),
    ),
    "ended though nobody abused it": history(attempt(Kind.REFRESH, "r1", 1.0, REFUSED, **INVALID_GRANT)),
    "a used refresh token gave tokens": history(attempt(Kind.REUSE, "r1", 1.0, OK, family="f1")),
    "2 certificates of one order": history(
        attempt(Kind.FINALIZE, "o1", 1.0, OK, "c1"), attempt(Kind.FINALIZE, "o1", 2.0, OK, "c2")
    ),
    "2 orders of one certificate": history(
        attempt(Kind.FINALIZE, "o1", 1.0, OK, "c1"), attempt(Kind.FINALIZE, "o2", 2.0, OK, "c1")
    ),
    "2 contents of one certificate": history(
        attempt(Kind.CERTIFICATE, "c1", 1.0, OK, "aa", "01"),
        attempt(Kind.CERTIFICATE, "c1", 2.0, OK, "bb", "01"),
    ),
    "2 certificates with one serial number": history(
        attempt(Kind.CERTIFICATE, "c1", 1.0, OK, "aa", "01"),
        attempt(Kind.CERTIFICATE, "c2", 2.0, OK, "bb", "01"),
    ),
    "no certificate in the end": history(attempt(Kind.FINALIZE, "o1", 1.0, UNKNOWN)),
    "told after number 7": history(
        attempt(Kind.CRL, "wire", 1.0, OK, "7", "aa"), attempt(Kind.CRL, "wire", 2.0, OK, "6", "bb")
    ),
    "another content under the same number": history(
        attempt(Kind.CRL, "wire", 1.0, OK, "7", "aa"), attempt(Kind.CRL, "wire", 2.0, OK, "7", "bb")
    ),
    "listed though nobody revoked it": history(
        attempt(Kind.CERTIFICATE, "c1", 1.0, OK, "aa", "01"),
        attempt(Kind.CRL, "wire", 2.0, OK, "7", "aa", "01"),
    ),
    "an earlier key is active": history(
        attempt(Kind.ROTATE_KEY, "k1", 1.0),
        attempt(Kind.ROTATE_KEY, "k2", 3.0),
        attempt(Kind.ACTIVE_KEY, "tokens", 5.0, OK, "k1"),
    ),
    "signed token t1 after its end": history(attempt(Kind.DISABLE_KEY, "k1", 1.0), tokens=(token(at=3.0),)),
}
"""One fault each, under what the checker says of it."""


@pytest.mark.parametrize("name", GOOD)
def test_what_may_happen_is_no_fault(name):
    """Answers that overlap, calls without an answer, races and abuse are what they are."""
    assert rules.violations(GOOD[name]) == []


@pytest.mark.parametrize("message", BAD)
def test_each_fault_is_found(message):
    """The checker says what is wrong, and shows the attempts that prove it."""
    found = rules.violations(BAD[message])
    assert {violation.message for violation in found} == {message}
    assert all(violation.evidence for violation in found)
    assert all(each.line() in str(found[0]) for each in found[0].evidence)


def test_a_certificate_that_was_lost():
    """It is good though its revocation was acknowledged, or revoked though nobody did that."""
    good, revoked = (attempt(Kind.OCSP, "c1", 3.0, OK, state) for state in ("active", "inactive"))
    end = attempt(Kind.REVOKE_CERTIFICATE, "c1", 1.0)
    assert [each.message for each in rules.violations(history(end, good))] == [
        "active after its end was acknowledged"
    ]
    assert [each.message for each in rules.violations(history(revoked))] == [
        "inactive though nothing ended it"
    ]


def test_watchers_that_differ():
    """One misses an acknowledged revocation, one hears it twice, and two hear two in another order."""
    written = history(REVOKED, attempt(Kind.REVOKE, "t2", 2.0))
    written.watchers = {0, 1, 2}
    heard = {0: ["t1", "t2"], 1: ["t2", "t1", "t1"], 2: ["t1"]}
    written.sights = [Sight(who, subject, 3.0) for who, subjects in heard.items() for subject in subjects]
    assert sorted(each.message for each in rules.violations(written)) == [
        "told in another order",
        "watcher 1 was told twice",
        "watcher 2 was not told",
    ]


ROWS = Stored(
    revoked_tokens=frozenset({"t1"}),
    revoked_grants=frozenset({"g2"}),
    numbers=(1, 2),
    last_number=2,
    code_grants={"c1": "g1"},
    refresh_tokens=(RefreshToken("r1", "g1", "r2"), RefreshToken("r2", "g1", "")),
    certificates=(Certificate("x1", "01", "o1", "aa", revoked=True),),
    presentations={"p1": "verified"},
    presentation_nonces=("n1", "n2"),
    active_keys={("tokens", "ES256"): 1},
    key_states={"k1": "disabled", "k2": "active"},
)
TOLD = history(
    REVOKED,
    attempt(Kind.REDEEM, "c1", 1.0, OK, "r1", family="c1"),
    attempt(Kind.REFRESH, "r1", 2.0, OK, "r2", family="c1"),
    attempt(Kind.CERTIFICATE, "accounts/a/certificates/x1", 1.0, OK, "aa", "01"),
    attempt(Kind.REVOKE_CERTIFICATE, "accounts/a/certificates/x1", 2.0),
    attempt(Kind.ASK, "n1", 1.0, OK, "p1"),
    attempt(Kind.SUBMIT, "p1", 2.0, OK, "verified aa", family="verified"),
    attempt(Kind.ROTATE_KEY, "k2", 1.0),
    attempt(Kind.DISABLE_KEY, "k1", 2.0),
)

LOST: dict[str, dict[str, Any]] = {
    "its revocation is gone": {"revoked_tokens": frozenset()},
    "their numbers have a gap, or one is there twice": {"numbers": (1, 1)},
    "the use of a code is gone": {"code_grants": {}},
    "a refresh token is gone": {"refresh_tokens": (RefreshToken("r2", "g1", ""),)},
    "its successor is gone": {
        "refresh_tokens": (*ROWS.refresh_tokens, RefreshToken("r8", "g1", "r9")),
    },
    "the successor of 2 tokens": {
        "refresh_tokens": (*ROWS.refresh_tokens, RefreshToken("r0", "g1", "r2")),
    },
    "2 refresh tokens of one family are unused": {
        "refresh_tokens": (*ROWS.refresh_tokens, RefreshToken("r3", "g1", "")),
    },
    "2 certificates have this serial number": {
        "certificates": (*ROWS.certificates, Certificate("x2", "01", "o2", "bb", revoked=False)),
    },
    "2 certificates have this order": {
        "certificates": (*ROWS.certificates, Certificate("x2", "02", "o1", "bb", revoked=False)),
    },
    "another certificate, or none": {
        "certificates": (Certificate("x1", "01", "o1", "bb", revoked=True),),
    },
    "a presentation request is gone": {"presentations": {}},
    "another result than was told": {"presentations": {"p1": "refused"}},
    "2 presentation requests have this nonce": {"presentation_nonces": ("n1", "n1")},
    "2 keys are active": {"active_keys": {("tokens", "ES256"): 2}},
    "its activation is gone": {"key_states": {"k1": "disabled", "k2": "prepared"}},
    "it is not disabled": {"key_states": {"k1": "retired", "k2": "active"}},
}
"""What the rows lack or have twice, under what the checker says of it."""


def test_rows_that_fit():
    """What clients were told is there, once."""
    assert stored.violations(TOLD, ROWS) == []


def test_a_revocation_after_the_key_was_disabled():
    """It succeeds and records nothing, which is no loss; one from before is."""
    disabled = attempt(Kind.DISABLE_KEY, "k1", 0.5)
    rows = replace(ROWS, revoked_tokens=frozenset(), numbers=(1, 2))
    after, before = (
        history(*attempts, tokens=(token(),))
        for attempts in ((disabled, REVOKED), (REVOKED, replace(disabled, began=3.0, ended=3.1)))
    )
    assert stored.violations(after, rows) == []
    assert [each.message for each in stored.violations(before, rows)] == ["its revocation is gone"]


@pytest.mark.parametrize("message", LOST)
def test_rows_that_do_not_fit(message):
    """Each loss and each double is found."""
    found = stored.violations(TOLD, replace(ROWS, **LOST[message]))
    assert {violation.message for violation in found} == {message}


def test_a_revoked_certificate_that_the_database_has_as_good():
    """Its acknowledged revocation is missed."""
    rows = replace(ROWS, certificates=(Certificate("x1", "01", "o1", "aa", revoked=False),))
    assert [each.message for each in stored.violations(TOLD, rows)] == ["its revocation is gone"]
