"""What clients did and what they were told: all that the checker knows of a run.

Times are seconds since the run began, by one monotonic clock for all clients. A call took effect at one
moment between `began` and `ended`, if at all; one whose outcome is unknown at any later moment, or never.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What was asked. In brackets what an attempt's `subject` is, and after it what `told` is."""

    MINT = "mint"
    """[the call] ids of the tokens that were minted."""
    REVOKE = "revoke"
    """[token id] nothing."""
    INTROSPECT = "introspect"
    """[token id] ``active`` or ``inactive``."""
    REDEEM = "redeem"
    """[digest of a code] digest of the family's first refresh token."""
    REFRESH = "refresh"
    """[digest of a refresh token] digest of its successor."""
    REUSE = "reuse"
    """[digest of a refresh token whose successor was used] nothing: it is to be refused."""
    PROOF = "proof"
    """[digest of a DPoP proof] nothing."""
    ASSERTION = "assertion"
    """[digest of a client assertion] nothing."""
    NONCE = "nonce"
    """[nonce of a signed request] nothing."""
    CLIENT_NONCE = "client nonce"
    """[nonce of a device's proof] nothing."""
    PUSHED = "pushed request"
    """[digest of a request URI] digest of the code that was made for it."""
    ASK = "presentation request"
    """[nonce, which the verifier chose, with a state] the request's name."""
    SUBMIT = "presentation"
    """[name of a request] the final state with a digest of the result. `family` is what it is to be."""
    LOOK = "look at a request"
    """[name of a request] the state, with a digest of the result where it is final."""
    WATCH = "watch of a request"
    """[name of a request] every state, as `LOOK` has them, also where the stream then broke off."""
    STEP = "step"
    """[the call] nothing: what comes before something else, and can be asked again without harm."""
    FINALIZE = "finalize"
    """[order] the certificate's name."""
    CERTIFICATE = "certificate"
    """[certificate's name] digest of its DER, serial number in hex."""
    REVOKE_CERTIFICATE = "revoke certificate"
    """[certificate's name] nothing."""
    OCSP = "ocsp"
    """[certificate's name] ``active`` or ``inactive``."""
    CRL = "crl"
    """[provisioner] number, digest of its DER, then the serial numbers on it."""
    PREPARE_KEY = "prepare key"
    """[the call] key id."""
    ROTATE_KEY = "rotate key"
    """[key id] nothing."""
    DISABLE_KEY = "disable key"
    """[key id] nothing."""
    ACTIVE_KEY = "active key"
    """[purpose] key id."""


class Outcome(StrEnum):
    """What became of an attempt, as far as its client knows."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """No answer, or that the gateway could not do it now: it may have taken effect, or may yet."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call at one replica. `reason` says why it did not succeed; `family` is what it belongs to."""

    kind: Kind
    subject: str
    replica: int
    began: float
    ended: float
    outcome: Outcome
    told: tuple[str, ...] = ()
    reason: str = ""
    family: str = ""

    def line(self) -> str:
        """For a report."""
        words = [
            f"{self.began:9.3f} to {self.ended:9.3f}",
            f"replica {self.replica}",
            self.kind,
            self.subject,
        ]
        words += [f"family {self.family}"] if self.family else []
        return "  ".join([*words, self.outcome, self.reason, " ".join(self.told)]).rstrip()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that a client was told. `key_id` is what signed it, empty for an opaque one."""

    token_id: str
    family: str
    key_id: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Sight:
    """A watcher was told of a revocation: of `subject`, a token id or a family."""

    watcher: int
    subject: str
    at: float


@dataclass
class History:
    """Everything, in the order in which it was written down."""

    attempts: list[Attempt] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    token_twice: list[Token] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    watchers: set[int] = field(default_factory=set)
    """Those that were connected again at the end, until they had nothing more to tell."""

    def add(self, attempt: Attempt) -> None:
        """Write down an attempt."""
        self.attempts.append(attempt)

    def add_token(self, token: Token) -> None:
        """Write down a token that a client was told."""
        if token.token_id in self.tokens:
            self.token_twice.append(token)
        self.tokens.setdefault(token.token_id, token)

    def by_subject(self, *kinds: Kind) -> dict[str, list[Attempt]]:
        """The attempts of *kinds* on each subject."""
        found: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            if attempt.kind in kinds:
                found[attempt.subject].append(attempt)
        return found

    def of(self, kind: Kind) -> Iterator[Attempt]:
        """The attempts of *kind*."""
        return (attempt for attempt in self.attempts if attempt.kind is kind)

    def revoked(self) -> set[str]:
        """The tokens whose revocation was acknowledged and must be found.

        A token whose key was disabled is no token any more: to revoke it then succeeds and records nothing
        (RFC 7009 §2.2).
        """
        disabled: dict[str, float] = {}
        for attempt in self.of(Kind.DISABLE_KEY):
            disabled[attempt.subject] = min(attempt.began, disabled.get(attempt.subject, attempt.began))
        return {
            attempt.subject
            for attempt in self.of(Kind.REVOKE)
            if attempt.outcome is Outcome.OK
            and disabled.get(self._key_of(attempt.subject), attempt.ended) >= attempt.ended
        }

    def _key_of(self, token_id: str) -> str:
        token = self.tokens.get(token_id)
        return "" if token is None else token.key_id

    def about(self, *names: str) -> Sequence[Attempt]:
        """Every attempt that has to do with one of *names*."""
        wanted = {name for name in names if name}
        return [
            attempt
            for attempt in self.attempts
            if attempt.subject in wanted or attempt.family in wanted or wanted.intersection(attempt.told)
        ]

    def write(self, path: Path) -> None:
        """One JSON object a line."""
        with path.open("w") as file:
            for kept in (*self.attempts, *self.tokens.values(), *self.sights):
                file.write(json.dumps(asdict(kept)) + "\n")
