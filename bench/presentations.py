"""Verifications of a wallet's answer with one credential, and its bare signature checks in a loop.

    python -m bench.presentations [--seconds N] [--rounds N] [--calls N]

The use case alone, without a network: the holder has a long-form did:ion, the issuer a did:web whose document
is warm, all keys are Ed25519. The bare loop verifies the three signatures of the same answer. The cold case
fetches the issuer's document anew for each answer, from an HTTPS server on loopback; its p99 is the figure.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.facts import ReplyError
from bench.windows import document_of, window
from gateway.dids import DidResolver, default_methods
from gateway.dids.did_url import MAX_DID_URL
from gateway.fetching import GuardedClient
from gateway.jose import CompactJws, parse_compact
from gateway.jose import verify as verify_jws
from gateway.presentations.definitions import definition_of
from gateway.presentations.issuer_checks import IssuerChecks
from gateway.presentations.linked_domains import LinkedDomains
from gateway.presentations.status_lists import StatusLists
from gateway.presentations.verification import PresentationVerifier, VerificationInput
from gateway.presentations.verifier import Display, Policy, Verifier
from signers import Algorithm, PublicKey
from tests.support.dids import HOST, web_host
from tests.support.scripted_server import reply
from tests.support.wallet_identities import Identity, identity
from tests.support.wallet_issuer import EmployeeIssuer

WARM: Final = "verify_presentation"
COLD: Final = "verify_presentation_cold_did_web"
BARE: Final = "verify_presentation_bare_signatures"
RATIO: Final = "verify_presentation_vs_bare_signatures"
TARGET: Final = 0.3

_TITLES: Final = {
    WARM: "an answer verified, DIDs warm, use case",
    COLD: "an answer verified, issuer's did:web cold",
    BARE: "the signatures of the answer, bare loop",
}
NAMES: Final = tuple(_TITLES)
"""These cases are measured together, if any."""

_NONCE: Final = "bench-nonce-of-some-length"
_CLIENT_ID: Final = "did:web:verifier.bench.example"
_DEFINITION: Final = json.dumps(
    {"id": "bench", "input_descriptors": [{"id": "employee", "schema": [{"uri": "VerifiedEmployee"}]}]}
)
_ENTRY: Final = {
    "id": "employee",
    "format": "jwt_vp",
    "path": "$",
    "path_nested": {"id": "employee", "format": "jwt_vc", "path": "$.vp.verifiableCredential[0]"},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is verified, and the signatures in it with their keys."""

    asked: VerificationInput
    signatures: tuple[tuple[CompactJws, PublicKey], ...]


async def measure(*, seconds: float, rounds: int, calls: int = 16) -> dict[str, Any]:
    """Figures in the shape of `bench.report.document`: cases, ratios, CPU ratios and targets."""
    async with web_host() as host:
        issuer = identity("web", Algorithm.EDDSA, host=f"{HOST}:{host.server.port}")
        host.server.routes["/.well-known/did.json"] = reply(body=issuer.document or b"")
        answer = _answer(identity("ion", Algorithm.EDDSA), issuer)
        with _verifier(host.client) as warm:
            await window(lambda: _verify(warm, answer), 0.5, 1)
            windows = [
                {
                    WARM: await window(lambda: _verify(warm, answer), seconds, 1),
                    BARE: await window(lambda: _bare(answer), seconds, 1),
                    COLD: await window(lambda: _cold(host.client, answer), seconds, calls),
                }
                for _ in range(rounds)
            ]
    return document_of(windows, _TITLES, ratio=(RATIO, TARGET), measured=WARM, base=BARE)


async def _verify(verifier: PresentationVerifier, answer: Answer) -> None:
    result = await verifier.verify(answer.asked)
    if not result.accepted:
        raise ReplyError("an answer that holds was refused")


async def _cold(client: GuardedClient, answer: Answer) -> None:
    with _verifier(client) as verifier:
        await _verify(verifier, answer)


async def _bare(answer: Answer) -> None:
    for jws, key in answer.signatures:
        verify_jws(jws, key, Algorithm.EDDSA)


@contextmanager
def _verifier(client: GuardedClient) -> Iterator[PresentationVerifier]:
    """A use case that has seen no DID yet."""
    resolver = DidResolver(default_methods(client))
    yield PresentationVerifier(resolver, IssuerChecks(StatusLists(client, resolver), LinkedDomains(client)))


def _answer(holder: Identity, issuer: Identity) -> Answer:
    now = int(time.time())
    credential = EmployeeIssuer(issuer).issue(holder.did)
    times = {"iat": now, "exp": now + 3600, "nonce": _NONCE, "aud": _CLIENT_ID}
    presentation = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [credential],
    }
    submission = {"id": "s", "definition_id": "bench", "descriptor_map": [_ENTRY]}
    vp_token = holder.sign({"iss": holder.did, "vp": presentation, **times})
    id_token = holder.sign(
        {
            "iss": "https://self-issued.me/v2/openid-vc",
            "sub": holder.did,
            "_vp_token": {"presentation_submission": submission},
            # As long as the measurement may take: only the signature and the rules cost anything.
            **times,
        }
    )
    policy = Policy(trusted_issuers=frozenset({issuer.did}), max_age=86_400)
    asked = VerificationInput(
        verifier=Verifier("bench", _CLIENT_ID, policy, Display("Bench")),
        definition=definition_of(_DEFINITION),
        nonce=_NONCE,
        id_token=id_token,
        vp_token=vp_token,
    )
    signed = ((id_token, holder), (vp_token, holder), (credential, issuer))
    return Answer(asked, tuple((_parsed(token), each.key.public_key()) for token, each in signed))


def _parsed(token: str) -> CompactJws:
    return parse_compact(token, max_size=len(token), max_kid=MAX_DID_URL)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.presentations", description="Measure verifications."
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one window (3)")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each case (5)")
    parser.add_argument("--calls", type=int, default=16, help="answers under way in the cold case (16)")
    options = parser.parse_args()
    figures = asyncio.run(measure(seconds=options.seconds, rounds=options.rounds, calls=options.calls))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
