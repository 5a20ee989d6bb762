"""Whole enrollments, certificates on ready orders, and the same cryptography in a bare loop.

    python -m bench.enrollment [--seconds N] [--rounds N] [--calls N]

One process is the gateway's use cases, the devices, their backend and the OpenID provider: an enrollment is
of today's generation, with P-256 keys, from the device's keys to its certificate, each step durable on disk.
The bare loop does what of it is cryptography: it makes both keys, signs and verifies every message as often
as the gateway does, and builds the request and the certificate. Whoever enrolls is on both sides alike: the
device and the provider write the JSON, the JWK, the thumbprint and the base64url of what they sign in the
bare loop too, some 0.1 ms. Of the gateway's part only keys, signatures and the certificate are in the bare
loop; parsing, checking, nonces, the access token's text and the database are what the ratio shows. No network
is in either.
"""

import argparse
import asyncio
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bench.enrollment_parts import (
    DOMAIN,
    HANDLE,
    NAME,
    PROVISIONER,
    SHA256,
    URL,
    Device,
    Gateway,
    Party,
    id_token_parts,
    open_gateway,
)
from bench.facts import ReplyError
from bench.windows import Figures, document_of, window
from gateway.enrollment.accounts import AccountWish
from gateway.enrollment.answers import AccessTokenAnswer, IdTokenAnswer
from gateway.enrollment.minter import ClientTokenRequest
from gateway.enrollment.model import Account, ChallengeStatus, ChallengeType, Order
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.signed_requests import FlattenedJws, accept, parse_signed_request

ENROLL: Final = "enroll"
CERTIFICATE: Final = "certificate_on_ready_order"
BARE: Final = "enroll_bare_crypto"
RATIO: Final = "enroll_vs_bare_crypto"
TARGET: Final = 0.3

_TITLES: Final = {
    ENROLL: "whole enrollment, use cases",
    CERTIFICATE: "certificate on a ready order, use cases",
    BARE: "the cryptography of an enrollment, bare loop",
}
NAMES: Final = tuple(_TITLES)
"""These cases are measured together, if any."""

_OWNER: Final = "spiffe://countersign.bench/backend"
_CREATE: Final = "/countersign.v1.EnrollmentService/CreateAccount"
_MESSAGE: Final = bytes(2400)
"""As long as an access token, which holds a proof."""


async def measure(*, seconds: float, rounds: int, calls: int) -> dict[str, Any]:
    """Figures in the shape of `bench.report.document`: cases, ratios, CPU ratios and targets."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        async with open_gateway(Path(folder)) as gateway:
            numbers = itertools.count(1)
            await window(lambda: _enroll(gateway, next(numbers)), 0.5, calls)
            windows = [await _round(gateway, numbers, seconds, calls) for _ in range(rounds)]
    return document_of(windows, _TITLES, ratio=(RATIO, TARGET), measured=ENROLL, base=BARE)


async def _round(
    gateway: Gateway, numbers: Iterator[int], seconds: float, calls: int
) -> Mapping[str, Figures]:
    enrolled = await window(lambda: _enroll(gateway, next(numbers)), seconds, calls)
    bare = await window(_bare_crypto, seconds, 1)
    ready = [await _ready(gateway, next(numbers)) for _ in range(int(enrolled.per_second * seconds / 2) or 1)]
    left = iter(ready)
    issued = await window(lambda: _finalize(gateway, *next(left)), seconds, calls)
    return {ENROLL: enrolled, BARE: bare, CERTIFICATE: issued}


async def _enroll(gateway: Gateway, number: int) -> None:
    account, order, request = await _ready(gateway, number)
    await _finalize(gateway, account, order, request)


async def _ready(gateway: Gateway, number: int) -> tuple[Account, Order, bytes]:
    """An order with both proofs shown, and the request for its certificate."""
    enrollment, device, key = gateway.enrollment, Device(number), Party()
    nonce = enrollment.nonces.issue(subject=_OWNER)
    header = {"jwk": key.jwk, "nonce": nonce, "url": _CREATE}
    signed = parse_signed_request(FlattenedJws(*key.jws(header, {}).split(".")))
    jwk = signed.require_jwk()
    await accept(signed, key=jwk, url=_CREATE, nonces=enrollment.nonces, subject=_OWNER)
    wish = AccountWish.parse(signed.payload)
    account, _ = await enrollment.accounts.create(PROVISIONER, _OWNER, jwk, wish, url=_CREATE)
    order = await enrollment.orders.create(account, OrderWish(device.identifiers()))
    await _answer_dpop(gateway, account, order, device, key)
    await _answer_oidc(gateway, account, order)
    return account, order, device.request(ec.generate_private_key(ec.SECP256R1()))


async def _answer_dpop(gateway: Gateway, account: Account, order: Order, device: Device, key: Party) -> None:
    authorization, challenge, token, url = _challenge(gateway, order, ChallengeType.WIRE_DPOP)
    nonce = gateway.minter.issue_nonce(device.client_id)
    proof = device.proof(key, nonce=nonce, challenge=token, audience=url)
    asked = ClientTokenRequest(device.client_id, HANDLE, NAME, None, DOMAIN, proof, nonce)
    minted = await gateway.minter.mint(asked)
    answered = await gateway.enrollment.challenges.answer(
        account, authorization, challenge, AccessTokenAnswer(minted.value)
    )
    _require(answered.challenge.status is ChallengeStatus.VALID)


async def _answer_oidc(gateway: Gateway, account: Account, order: Order) -> None:
    authorization, challenge, token, url = _challenge(gateway, order, ChallengeType.WIRE_OIDC)
    id_token = gateway.provider.id_token(key_authorization=account.key_authorization(token), audience=url)
    answered = await gateway.enrollment.challenges.answer(
        account, authorization, challenge, IdTokenAnswer(id_token)
    )
    _require(answered.challenge.status is ChallengeStatus.VALID)


async def _finalize(gateway: Gateway, account: Account, order: Order, request: bytes) -> None:
    issuing = gateway.enrollment.issuing
    done = await issuing.finalize(account, order.order_id, request)
    _require(done.certificate_id is not None)
    _require(bool((await issuing.certificate(account, done.certificate_id or "")).der))


def _challenge(gateway: Gateway, order: Order, kind: ChallengeType) -> tuple[str, str, str, str]:
    """The ids of the challenge of *kind* and its authorization, its token and its URL."""
    provisioner = gateway.enrollment.provisioners.get(PROVISIONER)
    for authorization in order.authorizations:
        for each in authorization.challenges:
            if each.type is kind:
                ids = authorization.authorization_id, each.challenge_id
                return *ids, each.token, provisioner.challenge_url(*ids)
    raise ReplyError(f"no {kind} is offered")


async def _bare_crypto() -> None:
    """What of an enrollment is cryptography, and nothing between: 2 keys, 6 signatures, 7 verifications.

    Signed are the request for the account, the proof, the access token, the ID token, the request for the
    certificate and the certificate. Each is verified by whoever gets it, the proof by the minter and by the
    CA, and the certificate before it is given out. The device's key is read from the two messages that bring
    it. What the device and the provider sign they write as in an enrollment; the gateway's token is as long.
    """
    minter, provider, issuer = _BARE_PARTIES
    device, certified = Party(), ec.generate_private_key(ec.SECP256R1())
    numbers = device.key.public_key().public_numbers()
    brought = [ec.EllipticCurvePublicNumbers(numbers.x, numbers.y, numbers.curve).public_key() for _ in "ab"]
    header = {"jwk": device.jwk, "nonce": _NONCE, "url": _CREATE}
    proof = _DEVICE.proof_parts(device, nonce=_NONCE, challenge=_TOKEN, audience=_CHALLENGE_URL)
    id_token = id_token_parts(key_authorization=f"{_TOKEN}.{device.thumbprint}", audience=_CHALLENGE_URL)
    for message, signature, verifying in (
        (*device.signed(header, {})[1:], brought[:1]),
        (*device.signed(*proof)[1:], brought),
        (_MESSAGE, minter.key.sign(_MESSAGE, SHA256), [minter.key.public_key()]),
        (*provider.signed(*id_token)[1:], [provider.key.public_key()]),
    ):
        for public_key in verifying:
            public_key.verify(signature, message, SHA256)
    request = x509.load_der_x509_csr(_DEVICE.request(certified))
    _require(request.is_signature_valid)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(request.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW)
        .not_valid_after(_NOW + timedelta(days=90))
        .add_extension(request.extensions[0].value, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(certified.public_key()), critical=False)
    )
    certificate = builder.sign(issuer.key, hashes.SHA256())
    issuer.key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, SHA256)
    certificate.public_bytes(Encoding.DER)


_BARE_PARTIES: Final = Party(), Party(), Party()
_DEVICE: Final = Device(1)
_NONCE: Final = "n" * 60
_TOKEN: Final = "t" * 32
_CHALLENGE_URL: Final = f"{URL}/challenge/{_TOKEN}/{_TOKEN}"
_NOW: Final = datetime.now(UTC)


def _require(condition: bool) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise ReplyError("an enrollment did not come out as it should")


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.enrollment", description="Measure enrollments.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one window (3)")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each case (5)")
    parser.add_argument("--calls", type=int, default=32, help="enrollments under way (32)")
    options = parser.parse_args()
    figures = asyncio.run(measure(seconds=options.seconds, rounds=options.rounds, calls=options.calls))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
