"""What is recorded of calls through real doors: who called, with which certificate, and nothing secret."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from countersign import ClientSecretPostAuth, DeviceKey, GrantType, WireDevice
from countersign.v1 import enrollment_service_pb2 as pb
from countersign.v1 import presentation_service_pb2 as presentations_pb
from cryptography import x509

from gateway.audit.ports import AuditRepository
from gateway.proofs.client_certificate import ClientCertificate
from gateway.store import open_store
from signers import Algorithm
from tests.support.audit_log import octets, recorded
from tests.support.edge import TOKEN
from tests.support.enrolling_gateway import BACKEND, enrolling_gateway
from tests.support.gateway import ADMIN, RESOURCE, running_gateway
from tests.support.pki import Issued
from tests.support.presenting import NAME, VERIFIER, presenting
from tests.support.wire import DOMAIN, HANDLE, SECOND, TEAM
from tests.support.wire import NAME as DISPLAY_NAME

ON = {"enabled": True}
DEVICE = WireDevice(SECOND, HANDLE, DISPLAY_NAME, DOMAIN, TEAM)


@asynccontextmanager
async def log_in(folder: Path) -> AsyncIterator[AuditRepository]:
    """The log of the gateway in *folder*, beside it."""
    async with open_store(f"sqlite:///{folder}/countersign.db") as store:
        yield store.audit


def thumbprint(issued: Issued) -> str:
    """Of the certificate, as tokens and records name it."""
    return ClientCertificate.from_pem(issued.chain_pem).x5t_s256


async def test_a_record_names_caller_certificate_and_request(tmp_path):
    """Of gRPC and of HTTPS: the principal, its certificate, and the id of the call."""
    async with running_gateway(tmp_path, audit=ON) as gateway, log_in(tmp_path) as log:
        async with gateway.client(gateway.admin) as admin:
            made = await admin.create_client(
                "billing",
                authentication=ClientSecretPostAuth(),
                grant_types=[GrantType.CLIENT_CREDENTIALS],
                audiences=[RESOURCE],
                default_audience=RESOURCE,
            )
        url = f"https://localhost:{gateway.server.ports.https}{TOKEN}"
        form = {
            "grant_type": "client_credentials",
            "client_id": "billing",
            "client_secret": made.client_secret,
        }
        async with httpx.AsyncClient(
            verify=ssl.create_default_context(cadata=gateway.root.pem.decode()), trust_env=False
        ) as client:
            answer = await client.post(url, data=form, headers={"x-request-id": "mint-1"})
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        created, minted = (await recorded(log))[1:]
        held = await octets(log)
    assert (created["event"], created["caller"]) == ("client.created", ADMIN)
    assert created["certificate"] == thumbprint(gateway.admin)
    assert created["request_id"] == gateway.log.records[0].request_id
    assert (minted["event"], minted["caller"], minted["certificate"]) == ("token.minted", "", None)
    assert (minted["client_id"], minted["request_id"]) == ("billing", "mint-1")
    assert not [secret for secret in (made.client_secret, token) if secret.encode() in held]


async def test_an_enrollment_is_on_record(tmp_path):
    """The token that vouches for the device, the certificate, its revocation; no proof and no ID token."""
    said: list[str] = []
    async with enrolling_gateway(tmp_path, audit=ON) as served, log_in(tmp_path) as log:

        async def login(challenge: pb.Challenge, keyauth: str) -> str:
            said.append(served.id_token(challenge.url, keyauth))
            return said[-1]

        async with served.client() as client:
            certificate = await client.enroll_wire_device(
                "wire",
                DEVICE,
                account_key=DeviceKey.generate(),
                certificate_key=DeviceKey.generate(),
                login=login,
            )
            account = certificate.name.partition("/certificates/")[0]
            await client.revoke_certificate(
                account=account,
                certificate_der=certificate.certificate_der,
                reason=pb.REVOCATION_REASON_SUPERSEDED,
            )
        records = [each for each in await recorded(log) if not each["event"].startswith("key.")]
        held = await octets(log)
    vouched, issued, revoked = records
    leaf = x509.load_der_x509_certificate(certificate.certificate_der)
    assert {each["caller"] for each in records} == {BACKEND}
    assert {each["certificate"] for each in records} == {thumbprint(served.backend)}
    assert (vouched["event"], vouched["subject"]) == ("device_token.minted", SECOND)
    assert (issued["event"], issued["provisioner"]) == ("certificate.issued", "wire")
    assert issued["serial_number"] == f"{leaf.serial_number:040x}" == revoked["serial_number"]
    assert issued["not_after"] == int(leaf.not_valid_after_utc.timestamp())
    assert account.endswith(issued["account_id"])
    assert (revoked["event"], revoked["revocation_reason"]) == ("certificate.revoked", "superseded")
    assert said
    assert not [token for token in said if token.encode() in held]
    # No compact JWS at all: tokens and proofs begin alike.
    assert b"eyJ" not in held


async def test_a_verification_is_on_record_with_its_verdict(tmp_path):
    """An answer that is accepted, and one that is not with the rules that it broke; nobody's claims."""
    async with presenting(tmp_path, audit=ON) as stage, stage.stub() as stub, log_in(tmp_path) as log:
        issuer = stage.issuer("jwk", Algorithm.ES256)
        holder = stage.identity("holder", "jwk", Algorithm.ES256)
        credential = issuer.issue(holder.did, status=True)
        stage.publish(issuer)
        query = presentations_pb.VerifiedEmployeeQuery(required_claims=["jobTitle"])
        names = []
        for given in (None, "not a presentation"):
            made = await stub.CreatePresentationRequest(
                presentations_pb.CreatePresentationRequestRequest(verifier=NAME, verified_employee=query)
            )
            fetched = await stub.GetRequestObject(
                presentations_pb.GetRequestObjectRequest(name=made.request.name)
            )
            async with httpx.AsyncClient() as nobody:
                wallet = stage.wallet(holder, [credential], nobody, check_linkage=False)
                form = wallet.answer(await wallet.verify(fetched.request_object))
            await stub.SubmitPresentation(
                presentations_pb.SubmitPresentationRequest(
                    id_token=form["id_token"],
                    vp_token=given or form["vp_token"],
                    state_parameter=form["state"],
                )
            )
            names.append(made.request.name.removeprefix("presentationRequests/"))
        accepted, refused = [each for each in await recorded(log) if each["event"] == "presentation.verified"]
        held = await octets(log)
    assert [accepted["presentation_request_id"], refused["presentation_request_id"]] == names
    assert (accepted["accepted"], accepted["failed_checks"], accepted["credentials"]) == (True, [], 1)
    assert (refused["accepted"], refused["credentials"]) == (False, 0)
    assert refused["failed_checks"]
    assert (accepted["verifier"], accepted["caller"]) == (NAME, VERIFIER)
    for secret in (form["id_token"], form["vp_token"], holder.did, "Engineer"):
        assert secret.encode() not in held
        assert base64.b64encode(secret.encode()) not in held
    assert json.loads(held.splitlines()[-1])["type"] == "end"
