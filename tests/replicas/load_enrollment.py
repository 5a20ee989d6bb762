"""Devices that enroll: nonces used twice, orders finalized at two replicas at once, certificates revoked."""

import asyncio
import base64
import hashlib
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

import grpc
from countersign import DeviceKey, GatewayClient, Pkce, UnavailableError, WireDevice
from countersign._enrollment import METHOD_PREFIX, WIRE_DPOP, WIRE_OIDC, challenge_of, passed
from countersign.v1 import enrollment_service_pb2 as pb
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.cli.demo_provider import DemoProvider
from tests.replicas.cluster import DOMAIN, LOGIN_CLIENT, REDIRECT, USER
from tests.replicas.fleet import Fleet
from tests.replicas.history import Kind, Outcome
from tests.replicas.rules import ACTIVE, INACTIVE

PROVISIONER: Final = "wire"
_REVOKED_PART: Final = 0.4


@dataclass(frozen=True, slots=True)
class Finalization:
    """An order that is ready, and the request that it is finalized with."""

    order: str
    request: bytes


@dataclass
class Enrollments:
    """What devices got, to be asked about in the end."""

    issuer: x509.Certificate
    finalizations: list[Finalization] = field(default_factory=list)
    certificates: dict[str, pb.Certificate] = field(default_factory=dict)


async def enroll(fleet: Fleet, enrollments: Enrollments, provider: DemoProvider) -> None:
    """From an account to a certificate, and sometimes to its end."""
    key, device = await asyncio.to_thread(DeviceKey.generate), _new_device()
    account = await _account(fleet, key)
    order = await _answered_order(fleet, account, key, device, provider)
    csr = (await asyncio.to_thread(DeviceKey.generate)).wire_request(device)
    finalization = Finalization(order, csr)
    await fleet.race(
        Kind.FINALIZE,
        order,
        lambda client: client.finalize_order(order, csr),
        told=lambda done: [done.certificate],
    )
    enrollments.finalizations.append(finalization)
    name = await finalize(fleet, finalization)
    await fetch(fleet, enrollments, name)
    await ask_status(fleet, enrollments, name)
    if fleet.random.random() < _REVOKED_PART:
        der = enrollments.certificates[name].certificate_der
        await fleet.persist(
            Kind.REVOKE_CERTIFICATE,
            name,
            lambda client: client.revoke_certificate(
                account=account, certificate_der=der, reason=pb.REVOCATION_REASON_SUPERSEDED
            ),
        )
        replicas = range(len(fleet.clients))
        await asyncio.gather(*(ask_status(fleet, enrollments, name, replica=each) for each in replicas))


async def finalize(fleet: Fleet, finalization: Finalization) -> str:
    """Ask until the order has its certificate: while another replica signs it is not ready. The name."""
    while True:
        attempt, done = await fleet.persist(
            Kind.FINALIZE,
            finalization.order,
            lambda client: client.finalize_order(finalization.order, finalization.request),
            told=lambda done: [done.certificate],
        )
        if done is not None:
            name: str = done.certificate
            return name
        if attempt.reason != "ORDER_NOT_READY":
            raise RuntimeError(attempt.line())
        await asyncio.sleep(0.2)


async def fetch(fleet: Fleet, enrollments: Enrollments, name: str, *, replica: int | None = None) -> None:
    """The certificate; it must be of the CA. Without *replica* until it is answered."""

    def told(found: pb.Certificate) -> list[str]:
        leaf = x509.load_der_x509_certificate(found.certificate_der)
        leaf.verify_directly_issued_by(enrollments.issuer)
        return [hashlib.sha256(found.certificate_der).hexdigest(), f"{leaf.serial_number:040x}"]

    if replica is None:
        _, found = await fleet.persist(
            Kind.CERTIFICATE, name, lambda client: client.get_certificate(name), told=told
        )
    else:
        _, found = await fleet.attempt(
            Kind.CERTIFICATE, name, lambda client: client.get_certificate(name), told=told, replica=replica
        )
    if found is not None:
        enrollments.certificates[name] = found


async def ask_status(
    fleet: Fleet, enrollments: Enrollments, name: str, *, replica: int | None = None
) -> None:
    """Ask whether the certificate is good, by OCSP."""
    leaf = x509.load_der_x509_certificate(enrollments.certificates[name].certificate_der)
    question = ocsp.OCSPRequestBuilder().add_certificate(leaf, enrollments.issuer, hashes.SHA256()).build()
    states = {ocsp.OCSPCertStatus.GOOD: ACTIVE, ocsp.OCSPCertStatus.REVOKED: INACTIVE}

    async def call(client: GatewayClient) -> ocsp.OCSPResponse:
        answer = ocsp.load_der_ocsp_response(
            await client.get_ocsp_response(question.public_bytes(Encoding.DER))
        )
        if answer.response_status is ocsp.OCSPResponseStatus.TRY_LATER:
            # What UNAVAILABLE is in OCSP (RFC 6960 §2.3).
            raise UnavailableError("tryLater", code=grpc.StatusCode.UNAVAILABLE, reason="OCSP_TRY_LATER")
        return answer

    await fleet.attempt(
        Kind.OCSP, name, call, told=lambda answer: [states[answer.certificate_status]], replica=replica
    )


async def ask_list(fleet: Fleet, *, replica: int | None = None) -> None:
    """The revocation list, and who is on it."""

    def told(response: pb.GetCertificateRevocationListResponse) -> list[str]:
        crl = x509.load_der_x509_crl(response.crl_der)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        listed = [f"{entry.serial_number:040x}" for entry in crl]
        return [str(number), hashlib.sha256(response.crl_der).hexdigest(), *listed]

    await fleet.attempt(
        Kind.CRL,
        PROVISIONER,
        lambda client: client.get_certificate_revocation_list(f"provisioners/{PROVISIONER}"),
        told=told,
        replica=replica,
    )


def _new_device() -> WireDevice:
    user = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    client_id = f"wireapp://{user}!{secrets.randbits(63):x}@{DOMAIN}"
    return WireDevice(client_id, "alice", USER["name"], DOMAIN)


async def _account(fleet: Fleet, key: DeviceKey) -> str:
    """The account of *key*; each nonce is used at two replicas at once."""
    while True:
        step = f"account-{fleet.number()}"
        _, nonce = await fleet.persist(Kind.STEP, step, lambda client: client.create_nonce())
        assert nonce is not None
        signed = key.signed_request(
            {"termsOfServiceAgreed": True}, url=f"{METHOD_PREFIX}CreateAccount", nonce=nonce
        )
        raced = await fleet.race(
            Kind.NONCE,
            nonce,
            lambda client, signed=signed: client.create_account(f"provisioners/{PROVISIONER}", signed),
        )
        for _, account in raced:
            if account is not None:
                name: str = account.name
                return name


async def _answered_order(
    fleet: Fleet, account: str, key: DeviceKey, device: WireDevice, provider: DemoProvider
) -> str:
    """A new order whose challenges are answered, so that it is ready."""
    step = f"order-{fleet.number()}"
    _, order = await fleet.persist(
        Kind.STEP, step, lambda client: client.create_order(account, device.identifiers())
    )
    assert order is not None
    found = []
    for each in order.authorizations:
        _, authorization = await fleet.persist(
            Kind.STEP, step, lambda client, each=each: client.get_authorization(each)
        )
        assert authorization is not None
        found.append(authorization)
    dpop, oidc = challenge_of(found, WIRE_DPOP), challenge_of(found, WIRE_OIDC)
    token = await _device_token(fleet, dpop, key, device)
    _, answer = await fleet.persist(
        Kind.STEP, step, lambda client: client.answer_challenge(dpop.name, access_token=token)
    )
    assert answer is not None
    passed(answer)
    key_authorization = key.key_authorization(oidc.token)
    id_token = _log_in(provider, oidc.url, key_authorization)
    _, answer = await fleet.persist(
        Kind.STEP, step, lambda client: client.answer_challenge(oidc.name, id_token=id_token)
    )
    assert answer is not None
    passed(answer)
    name: str = order.name
    return name


async def _device_token(fleet: Fleet, dpop: pb.Challenge, key: DeviceKey, device: WireDevice) -> str:
    """The device's access token, from a proof that is used at two replicas at once."""
    while True:
        step = f"device-{fleet.number()}"
        _, nonce = await fleet.persist(
            Kind.STEP, step, lambda client: client.create_client_nonce(device.client_id)
        )
        assert nonce is not None
        proof = key.dpop_proof(
            device,
            target=dpop.target,
            nonce=nonce,
            challenge=dpop.token,
            audience=dpop.url,
            now=int(time.time()),
        )
        raced = await fleet.race(
            Kind.CLIENT_NONCE,
            nonce,
            lambda client, proof=proof: client.mint_client_access_token(
                device.client_id,
                proof,
                handle=device.handle,
                display_name=device.display_name,
                domain=device.domain,
            ),
        )
        for attempt, token in raced:
            if attempt.outcome is Outcome.OK and token is not None:
                return token


def _log_in(provider: DemoProvider, url: str, key_authorization: str) -> str:
    """An ID token for the challenge, by the code flow, without a browser in between."""
    pkce = Pkce()
    claims = {"keyauth": key_authorization, "acme_aud": url}
    wanted = {"id_token": {name: {"value": value} for name, value in claims.items()}}
    location = provider.authorize(
        {
            "client_id": LOGIN_CLIENT,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "code_challenge_method": "S256",
            "code_challenge": pkce.challenge,
            "nonce": secrets.token_urlsafe(16),
            "claims": json.dumps(wanted),
        }
    )
    assert location is not None
    (code,) = parse_qs(urlsplit(location).query)["code"]
    tokens = provider.redeem({"code": code, "code_verifier": pkce.verifier})
    assert tokens is not None
    id_token: str = tokens["id_token"]
    return id_token
