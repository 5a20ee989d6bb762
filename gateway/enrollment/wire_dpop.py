"""Judging wire-dpop-01: the access token of the backend, and the device's proof within it.

The rules are step-ca's (`wireDPOP01Validate`) and rusty-jwt-tools' (`verify_access_token`) together, with
``typ``, ``htm``, ``exp`` and single use, which one or the other leaves out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.enrollment.client_access_token import API_VERSION, SCOPE, TYP, ClientAccessToken
from gateway.enrollment.device_proof import (
    ALGORITHMS,
    DeviceProof,
    ExpectedDevice,
    ProofError,
    ProofLimits,
    check_device_proof,
    same,
)
from gateway.enrollment.identifiers import WireIdentity
from gateway.enrollment.model import Account, Challenge, Problem
from gateway.enrollment.ports import SingleUse
from gateway.enrollment.provisioners import WireDpop
from gateway.enrollment.transitions import Verdict
from gateway.enrollment.wire_names import Generation
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.jwt import Claims, require_typ
from signers import Algorithm, PublicKey

SKEW: Final = 60
"""Seconds by which the clocks of devices, backends and this CA may differ."""
MAX_LIFETIME: Final = 3600
"""Seconds: the furthest ``exp`` of token and proof."""
_MAX_TOKEN: Final = 24 * 1024  # characters; a proof in base64url twice over

TOKEN_KIND: Final = "wire_access_token"
PROOF_KIND: Final = "wire_device_proof"


@dataclass(frozen=True, slots=True)
class DpopAnswer:
    """What is judged: *token* for *challenge*, whose URL is *url*, of *identity* and *account*."""

    token: str
    challenge: Challenge
    url: str
    identity: WireIdentity
    account: Account


def judge(answer: DpopAnswer, dpop: WireDpop, now: float) -> tuple[Verdict, Sequence[SingleUse]]:
    """The verdict, and what a good answer uses up."""
    try:
        token = _token(answer, dpop, now)
        proof = _proof(answer, dpop, token, now)
    except JoseError as error:
        return _refused(f"The access token was refused: {_told(error)}."), ()
    except ProofError as error:
        return _refused(f"The device's proof was refused: {error.fault}."), ()
    evidence = {
        "client_id": answer.identity.client.text,
        "handle": answer.identity.handle.text,
        "jkt": proof.jkt,
        "token_id": token.token_id,
    }
    uses = (
        SingleUse(TOKEN_KIND, f"{token.issuer} {token.token_id}", token.expire_time + SKEW),
        SingleUse(PROOF_KIND, f"{proof.jkt} {proof.token_id}", proof.expire_time + SKEW),
    )
    return Verdict(evidence=evidence), uses


def _token(answer: DpopAnswer, dpop: WireDpop, now: float) -> ClientAccessToken:
    jws = parse_compact(answer.token, max_size=_MAX_TOKEN)
    require_typ(jws.header, TYP)
    algorithm, key = _minter_key(jws, dpop.keys())
    verify(jws, key, algorithm)
    claims = Claims.parse(jws.payload)
    token = ClientAccessToken.from_claims(claims)
    claims.numeric_date("nbf")  # Required, though `require_current` lets it be absent.
    claims.require_current(int(now), leeway=SKEW)
    if token.expire_time > now + MAX_LIFETIME + SKEW:
        raise _mismatch("exp", "the token lives too long")
    identity = answer.identity
    target = str(dpop.target.of(identity.client))
    first = identity.generation is Generation.FIRST
    for name, value, expected in (
        ("iss", token.issuer, target),
        ("aud", token.audience, target if first else answer.url),
        ("sub", token.subject, identity.client.text),
        ("client_id", claims.string("client_id"), identity.client.text),
        ("chal", token.challenge, answer.challenge.token),
        ("cnf", token.key_id, answer.account.thumbprint),
        ("scope", claims.string("scope"), SCOPE),
    ):
        if not same(value, expected):
            raise _mismatch(name, f"{name} is another one")
    if claims.numeric_date("api_version") != API_VERSION:
        raise _mismatch("api_version", "the version is another one")
    return token


def _proof(answer: DpopAnswer, dpop: WireDpop, token: ClientAccessToken, now: float) -> DeviceProof:
    identity = answer.identity
    second = identity.generation is Generation.SECOND
    expected = ExpectedDevice(
        client=identity.client,
        handle=identity.handle.text,
        target=dpop.target.of(identity.client),
        display_name=identity.display_name if second else None,
    )
    proof = check_device_proof(token.proof, expected, ProofLimits(now, MAX_LIFETIME, SKEW))
    proof.require_challenge(answer.challenge.token)
    if not same(proof.jkt, answer.account.thumbprint):
        raise _mismatch("jwk", "the proof is of another key than the account's")
    if not same(proof.nonce, token.nonce):
        raise _mismatch("nonce", "the proof has another nonce than the token")
    if second and not same(proof.audience or "", answer.url):
        raise _mismatch("aud", "the proof is for another challenge")
    return proof


def _minter_key(jws: CompactJws, keys: Sequence[tuple[Algorithm, PublicKey]]) -> tuple[Algorithm, PublicKey]:
    """The configured key that the header names: by ``jwk``, and by ``kid`` where there is one."""
    if jws.header.algorithm not in ALGORITHMS:
        raise JoseError(JoseFault.ALG_UNSUPPORTED, "the algorithm is not accepted", member="alg")
    named = jws.header.embedded_jwk
    if jws.header.kid is not None and not same(jws.header.kid, named.thumbprint):
        raise JoseError(JoseFault.INVALID_KID, "kid is not the thumbprint of jwk", member="kid")
    for algorithm, key in keys:
        if key == named.public_key:
            return algorithm, key
    raise JoseError(JoseFault.KEY_NOT_FOUND, "no minter has this key", member="jwk")


def _mismatch(member: str, message: str) -> JoseError:
    return JoseError(JoseFault.CLAIM_INVALID, message, member=member)


def _told(error: JoseError) -> str:
    return error.code.value if error.member is None else f"{error.code} ({error.member})"


def _refused(detail: str) -> Verdict:
    return Verdict(Problem("rejectedIdentifier", detail))
