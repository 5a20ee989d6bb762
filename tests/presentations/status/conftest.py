"""Credentials with a status, lists signed with a real key, and the check of one against the other."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.jose import Claims, assemble, encode_header, parse_compact, signing_input, verify
from gateway.jose.strict_json import parse_object
from gateway.presentations.checks import Outcome
from gateway.presentations.status import (
    MAX_TOKEN,
    Dialect,
    FetchedList,
    ListSource,
    StatusBits,
    StatusPolicy,
    StatusReport,
    VerifiedToken,
    check_status,
    credential_claims,
    token_claims,
)
from signers import Algorithm

ISSUER = "did:web:issuer.example"
URI = "https://issuer.example/lists/1"
NOW = 1_750_000_000
VECTORS = Path(__file__).parents[2] / "vectors"

ENTRY_TYPES = {
    (Dialect.REVOCATION_LIST_2021, "revocation"): "RevocationList2021Status",
    (Dialect.REVOCATION_LIST_2021, "suspension"): "SuspensionList2021Status",
    (Dialect.STATUS_LIST_2021, "revocation"): "StatusList2021Entry",
    (Dialect.STATUS_LIST_2021, "suspension"): "StatusList2021Entry",
    (Dialect.BITSTRING, "revocation"): "BitstringStatusListEntry",
    (Dialect.BITSTRING, "suspension"): "BitstringStatusListEntry",
    (Dialect.BITSTRING, "message"): "BitstringStatusListEntry",
    (Dialect.BITSTRING, "refresh"): "BitstringStatusListEntry",
}


class ListIssuer:
    """Signs lists with Ed25519 and verifies them as the gateway's key resolution would."""

    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.identifier = ISSUER

    def sign(self, claims: dict[str, Any], typ: str | None = "JWT") -> bytes:
        message = signing_input(encode_header(Algorithm.EDDSA, None, typ), json.dumps(claims).encode())
        return assemble(message, self.key.sign(message)).encode()

    def verify(self, token: str) -> VerifiedToken:
        jws = parse_compact(token, max_size=MAX_TOKEN)
        verify(jws, self.key.public_key(), Algorithm.EDDSA)
        members = parse_object(jws.payload, max_size=MAX_TOKEN)
        Claims(members).require_issuer(self.identifier)
        return VerifiedToken(self.identifier, jws.header.typ, members)


class StatusCase:
    """One credential and its list: change a part, then `report` it."""

    def __init__(
        self, issuer: ListIssuer, dialect: Dialect, purpose: str = "revocation", size: int = 1
    ) -> None:
        self.issuer = issuer
        self.dialect = dialect
        self.purpose = purpose
        entries = 131_072
        self.bits = StatusBits(dialect, entries=entries, size=size)
        self.index = 94_567
        self.typ = "statuslist+jwt" if dialect is Dialect.TOKEN else "JWT"
        self.entry: dict[str, Any] = {"status_list": {"idx": self.index, "uri": URI}}
        if dialect is not Dialect.TOKEN:
            self.entry = {
                "id": f"{URI}#{self.index}",
                "type": ENTRY_TYPES[dialect, purpose],
                "statusListIndex": str(self.index),
                "statusListCredential": URI,
            }
            if dialect is not Dialect.REVOCATION_LIST_2021:
                self.entry["statusPurpose"] = purpose
        self.claims: dict[str, Any] | None = None
        self.policy = StatusPolicy()
        self.now: float = NOW
        self.fetched_at: float = NOW
        self.source: ListSource | None = None
        self.credential_issuer = ISSUER

    def at(self, index: int) -> "StatusCase":
        """Point to another place in the list."""
        if self.dialect is Dialect.TOKEN:
            self.entry["status_list"]["idx"] = index
        else:
            self.entry["statusListIndex"] = str(index)
            self.entry["id"] = f"{URI}#{index}"
        return self

    def list_claims(self) -> dict[str, Any]:
        """The claims of the list; change what is returned, and it is signed so."""
        if self.claims is None:
            times = {"issued_at": NOW - 1000, "expires_at": NOW + 100_000}
            if self.dialect is Dialect.TOKEN:
                self.claims = token_claims(self.bits, uri=URI, issuer=ISSUER, ttl=3600, **times)
            else:
                self.claims = credential_claims(
                    self.bits, uri=URI, issuer=ISSUER, purposes=[self.purpose], **times
                )
        return self.claims

    def payload(self) -> dict[str, Any]:
        if self.dialect is Dialect.TOKEN:
            return {"iss": ISSUER, "status": self.entry}
        return {"iss": ISSUER, "vc": {"type": ["VerifiableCredential"], "credentialStatus": self.entry}}

    def signed(self) -> bytes:
        return self.issuer.sign(self.list_claims(), self.typ)

    def report(self) -> StatusReport:
        source = self.source or FetchedList(self.signed(), self.fetched_at)
        return check_status(
            copy.deepcopy(self.payload()),
            self.credential_issuer,
            {URI: source},
            self.issuer.verify,
            now=self.now,
            policy=self.policy,
        )


@pytest.fixture(scope="session")
def list_issuer() -> ListIssuer:
    """Who signs the lists of these tests."""
    return ListIssuer()


@pytest.fixture
def case(list_issuer):
    """Makes a credential and its list in a dialect."""

    def make(dialect: Dialect, purpose: str = "revocation", size: int = 1) -> StatusCase:
        return StatusCase(list_issuer, dialect, purpose, size)

    return make


@pytest.fixture
def refused():
    """Asserts that a report is refused by exactly this code and outcome."""

    def check(report: StatusReport, code: str, outcome: Outcome = Outcome.FAILED) -> None:
        accepted = (Outcome.PASSED, Outcome.SKIPPED)
        objections = [
            (str(each.code), each.outcome) for each in report.checks if each.outcome not in accepted
        ]
        assert objections == [(code, outcome)]
        assert not report.accepted

    return check


@pytest.fixture
def token_vectors() -> list[dict[str, Any]]:
    """The published lists of the Token Status List draft."""
    return json.loads((VECTORS / "token_status_list.json").read_text())["lists"]
