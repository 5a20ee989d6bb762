"""Wallet and verifier over real HTTPS: each algorithm, each DID method, the verifier's keys in SoftHSM."""

import asyncio
import json

import jwt
import pytest
from countersign.v1 import presentation_service_pb2 as pb

from gateway.dids import did_jwk, did_key
from gateway.keys.model import KeyPurpose
from gateway.presentations.status import Dialect
from signers import Algorithm
from signers.jose_form import public_jwk
from signers.registry import SignerRegistry
from tests.support import sidetree
from tests.support.edge import free_ports
from tests.support.presenting import NAME, objections, outcomes, presenting, provision_verifier
from tests.support.scripted_server import reply
from tests.support.wallet import WalletRefusedError
from tests.support.wallet_identities import ALGORITHMS, METHODS
from tests.support.wallet_issuer import ALICE


@pytest.fixture(scope="module", params=ALGORITHMS)
def verifier_algorithm(request):
    """Of the verifier's keys."""
    return request.param


@pytest.fixture(scope="module")
def hsm(tmp_path_factory, verifier_algorithm):
    """A token with the verifier's keys."""
    return provision_verifier(tmp_path_factory.mktemp("hsm"), verifier_algorithm)


@pytest.mark.parametrize("method", METHODS)
async def test_a_credential_is_presented(tmp_path, hsm, verifier_algorithm, method):
    """The wallet verifies who asks, presents, and is accepted; every check is in the report."""
    async with presenting(tmp_path, verifier_algorithm, hsm=hsm) as stage:
        issuer = stage.issuer(method, verifier_algorithm)
        holder = stage.identity("holder", method, verifier_algorithm)
        credential = issuer.issue(holder.did, status=True)
        stage.publish(issuer)
        asked = await stage.ask()
        async with stage.http() as http:
            answered = await stage.wallet(holder, [credential], http).present(asked.authorization_request_uri)
        report = await stage.get(asked.name)

    assert answered.response.status_code == 200, answered.response.text
    assert answered.asked.origin == stage.url
    assert objections(report.verification) == []
    assert report.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED
    assert report.verification.holder == holder.did
    (presented,) = report.verification.credentials
    assert presented.issuer == issuer.identity.did
    assert dict(presented.credential["credentialSubject"])["displayName"] == "Alice Smith"
    assert presented.state == pb.CREDENTIAL_STATE_ACTIVE
    assert outcomes(report.verification)["token_signature"] == {"passed"}


async def presented(stage, holder, credential, **options):
    """What the wallet was told, and what the verifier sees."""
    asked = await stage.ask()
    async with stage.http() as http:
        wallet = stage.wallet(holder, [credential], http, **options)
        answered = await wallet.present(asked.authorization_request_uri)
    return answered, await stage.get(asked.name)


async def verifier_keys(hsm, algorithm, monkeypatch):
    """The public keys of the verifier, by purpose."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.softhsm2_conf))
    async with SignerRegistry() as registry:
        return {
            purpose: (await registry.open(hsm.uri(purpose), algorithm)).public_key
            for purpose in (KeyPurpose.PRESENTATION_REQUESTS, KeyPurpose.LINKED_DOMAINS)
        }


async def test_the_verifier_may_be_a_did_ion(tmp_path, hsm, verifier_algorithm, monkeypatch):
    """A verifier whose long-form DID has both keys and the linked domain is verified by the wallet."""
    (port,) = free_ports(1)
    keys = await verifier_keys(hsm, verifier_algorithm, monkeypatch)
    entries = [
        sidetree.key_entry("r", public_jwk(keys[KeyPurpose.PRESENTATION_REQUESTS]), "authentication"),
        sidetree.key_entry("l", public_jwk(keys[KeyPurpose.LINKED_DOMAINS]), "assertionMethod"),
    ]
    domain = sidetree.service_entry("d", f"https://localhost:{port}")
    did = sidetree.long_form([sidetree.replace(entries, [domain])])
    async with presenting(
        tmp_path, verifier_algorithm, hsm=hsm, port=port, presentations={"did": did}
    ) as stage:
        holder, issuer = stage.identity("holder", "ion", verifier_algorithm), stage.issuer()
        answered, report = await presented(stage, holder, issuer.issue(holder.did))
        async with stage.http() as http:
            document = await http.get(f"{stage.url}/.well-known/did.json")
    assert (answered.asked.client_id, answered.asked.origin) == (did, stage.url)
    assert report.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED
    assert document.status_code == 404


@pytest.mark.parametrize("make", [did_jwk, did_key])
async def test_the_verifier_may_be_its_key(tmp_path, hsm, verifier_algorithm, monkeypatch, make):
    """A did:jwk or did:key signs requests; it has no linked domain, which a wallet may refuse."""
    keys = await verifier_keys(hsm, verifier_algorithm, monkeypatch)
    did = make(keys[KeyPurpose.PRESENTATION_REQUESTS])
    async with presenting(tmp_path, verifier_algorithm, hsm=hsm, presentations={"did": did}) as stage:
        holder, issuer = stage.identity("holder", "jwk", verifier_algorithm), stage.issuer()
        credential = issuer.issue(holder.did)
        answered, report = await presented(stage, holder, credential, check_linkage=False)
        with pytest.raises(WalletRefusedError, match="linked domain: no_linked_domain"):
            await presented(stage, holder, credential)
    assert answered.asked.client_id == did
    assert report.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED


@pytest.mark.parametrize("dialect", sorted(Dialect))
async def test_a_revoked_credential_is_refused(tmp_path, dialect):
    """In each dialect of status lists the credential counts until its bit is set, and not afterwards."""
    async with presenting(tmp_path) as stage:
        holder, issuer = stage.identity("holder", "key", Algorithm.EDDSA), stage.issuer(dialect=dialect)
        good, bad = issuer.issue(holder.did, status=True), issuer.issue(holder.did, status=True)
        issuer.revoke(bad)
        stage.publish(issuer)
        _, accepted = await presented(stage, holder, good)
        answered, refused = await presented(stage, holder, bad)
    assert accepted.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED
    assert answered.response.status_code == 400
    assert objections(refused.verification) == ["status_value"]


async def test_a_wallet_of_the_other_path_is_understood(tmp_path):
    """Paths that start at ``$.vp``, as other wallets send them, lead to the same credential."""
    async with presenting(tmp_path) as stage:
        holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256K), stage.issuer()
        _, report = await presented(stage, holder, issuer.issue(holder.did), nested_root="$.vp")
    assert report.state == pb.PRESENTATION_REQUEST_STATE_VERIFIED


async def test_every_step_is_seen_by_whoever_watches(tmp_path):
    """The watch tells created, fetched and verified, and then ends."""
    async with presenting(tmp_path) as stage, stage.stub() as stub:
        holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer()
        asked = await stage.ask()
        call = stub.WatchPresentationRequest(pb.WatchPresentationRequestRequest(name=asked.name))
        watch = aiter(call)
        states = [(await anext(watch)).request.state]
        async with stage.http() as http, asyncio.timeout(20):
            wallet = stage.wallet(holder, [issuer.issue(holder.did)], http)
            read = await wallet.read(asked.authorization_request_uri)
            states.append((await anext(watch)).request.state)
            await wallet.send(read, wallet.answer(read))
            states += [response.request.state async for response in watch]
    assert states[:2] == [pb.PRESENTATION_REQUEST_STATE_CREATED, pb.PRESENTATION_REQUEST_STATE_FETCHED]
    assert states[-1] == pb.PRESENTATION_REQUEST_STATE_VERIFIED


@pytest.mark.parametrize("back", [True, False], ids=["links", "links elsewhere"])
async def test_an_issuer_that_declares_a_domain_must_be_linked_to_it(tmp_path, back):
    """The report names the origin of a linked issuer, and refuses one whose domain does not link back."""
    async with presenting(tmp_path) as stage:
        service = {"id": "#d", "type": "LinkedDomains", "serviceEndpoint": stage.origin}
        issuer = stage.issuer()
        issuer.identity = stage.identity("issuer", "web", Algorithm.ES256, services=[service])
        resource = issuer.did_configuration(stage.origin if back else "https://else.example")
        stage.others.routes["/.well-known/did-configuration.json"] = reply(body=resource)
        holder = stage.identity("holder", "jwk", Algorithm.ES256)
        _, report = await presented(stage, holder, issuer.issue(holder.did))
    if back:
        assert report.verification.credentials[0].linked_origin == stage.origin
    else:
        assert objections(report.verification) == ["issuer_linked_domain"]


async def test_two_credentials_answer_two_descriptors(tmp_path):
    """A definition of 2.x with requirements is answered by two issuers' credentials in one presentation."""
    fields = [{"path": ["$.vc.type"], "filter": {"type": "array", "contains": {"const": "VerifiedEmployee"}}}]
    descriptors = [
        {"id": f"of-{name}", "group": ["A"], "constraints": {"fields": [*fields, _titled(name)]}}
        for name in ("one", "two")
    ]
    definition = {
        "id": "two-employers",
        "submission_requirements": [{"rule": "pick", "count": 2, "from": "A"}],
        "input_descriptors": descriptors,
    }
    async with presenting(tmp_path) as stage, stage.http() as http:
        holder = stage.identity("holder", "jwk", Algorithm.ES256)
        issuers = [stage.issuer("jwk", algorithm) for algorithm in (Algorithm.ES256K, Algorithm.EDDSA)]
        credentials = [
            issuer.issue(holder.did, employee=ALICE | {"jobTitle": name})
            for issuer, name in zip(issuers, ("one", "two"), strict=True)
        ]
        asked = await stage.ask(presentation_definition=json.dumps(definition))
        wallet = stage.wallet(holder, credentials, http)
        await wallet.present(asked.authorization_request_uri)
        report = await stage.get(asked.name)
    assert objections(report.verification) == []
    assert [each.descriptor_id for each in report.verification.credentials] == ["of-one", "of-two"]
    assert {each.issuer for each in report.verification.credentials} == {
        each.identity.did for each in issuers
    }


def _titled(name):
    return {"path": ["$.vc.credentialSubject.jobTitle"], "filter": {"type": "string", "const": name}}


async def test_an_answer_that_came_another_way_is_verified(tmp_path):
    """`VerifyPresentation` judges an answer that the caller carried, and stores nothing."""
    async with presenting(tmp_path) as stage, stage.stub() as stub:
        holder, issuer = stage.identity("holder", "jwk", Algorithm.ES256), stage.issuer()
        asked = await stage.ask()
        async with stage.http() as http:
            wallet = stage.wallet(holder, [issuer.issue(holder.did)], http)
            read = await wallet.read(asked.authorization_request_uri)
        form = wallet.answer(read)
        verified = await stub.VerifyPresentation(
            pb.VerifyPresentationRequest(
                verifier=NAME,
                presentation_definition=json.dumps(read.definition),
                nonce=read.nonce,
                id_token=form["id_token"],
                vp_token=form["vp_token"],
            )
        )
        still = await stage.get(asked.name)
    assert objections(verified.verification) == []
    assert still.state == pb.PRESENTATION_REQUEST_STATE_FETCHED


async def test_the_wallet_refuses_a_request_that_somebody_changed(tmp_path):
    """A request object with another redirect URI does not verify, so nothing is sent there."""
    async with presenting(tmp_path) as stage, stage.http() as http:
        asked = await stage.ask()
        token = (await http.get(asked.request_uri)).text
        header, _, signature = token.split(".")
        claims = jwt.decode(token, options={"verify_signature": False})
        forged = claims | {"redirect_uri": "https://attacker.example/"}
        payload = jwt.encode(forged, "k" * 32).split(".")[1]
        wallet = stage.wallet(stage.identity("holder", "jwk", Algorithm.ES256), [], http)
        with pytest.raises(WalletRefusedError, match="Signature verification failed"):
            await wallet.verify(f"{header}.{payload}.{signature}")
