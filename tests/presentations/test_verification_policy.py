"""What a verifier's policy and its definition change about the verdict."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.dids import DidResolver, IonPolicy, SidetreeNode, default_methods, did_jwk
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.issuer_checks import IssuerChecks
from gateway.presentations.linked_domains import LinkedDomains
from gateway.presentations.result import VerificationResult
from gateway.presentations.status import Dialect, StatusBits, StatusPolicy, credential_claims
from gateway.presentations.status_lists import StatusLists
from gateway.presentations.verification import PresentationVerifier
from signers import Algorithm
from tests.support.dids import SettableClock, TestSigner, WebHost, document, jwt, method_entry, web_host
from tests.support.profile_answer import AT, DIDS, ProfileAnswer, refusals, signer
from tests.support.scripted_server import reply

SHORT = ":".join(DIDS["holder"].split(":")[:3])
BINDING = {("holder_binding", "holder_mismatch")}


def verifier(host: WebHost) -> PresentationVerifier:
    """The use case with a Sidetree node on *host*, at the time of the vectors."""
    clock = SettableClock(float(AT))
    node = SidetreeNode(host.client, f"{host.origin}/ion")
    policy = IonPolicy(unsafe_non_canonical_ion=True)
    resolver = DidResolver(default_methods(host.client, ion_policy=policy, ion_node=node), clock=clock)
    lists = StatusLists(host.client, resolver, clock=clock)
    return PresentationVerifier(resolver, IssuerChecks(lists, LinkedDomains(host.client)), clock=clock)


async def in_short_form(node: Callable[[TestSigner], bytes], **policy: Any) -> VerificationResult:
    """The report on a credential about the holder's short form, which *node* answers for."""
    async with web_host() as host:
        host.server.routes[f"/ion/identifiers/{SHORT}"] = node(signer("holder"))
        answer = ProfileAnswer()
        answer.vc["sub"] = SHORT
        answer.change_policy(**policy)
        return await verifier(host).verify(answer.asked())


def resolved(key: TestSigner, *, metadata: dict[str, Any] | None = None) -> bytes:
    """A node's answer with *key* as the only one."""
    entry = method_entry(SHORT, "key-1", key.jwk)
    members = document(SHORT, entry) | {"assertionMethod": []}
    result = {"didDocument": members, "didDocumentMetadata": metadata or {}}
    return reply(body=json.dumps(result).encode())


async def test_a_short_form_is_another_holder_by_default():
    """The profile compares exactly, whatever a node would say."""
    assert refusals(await in_short_form(resolved)) == BINDING


async def test_a_short_form_is_the_holder_where_the_policy_says_so():
    """Both forms have the same keys now."""
    assert refusals(await in_short_form(resolved, equivalent_holder=True)) == set()


@pytest.mark.parametrize(
    "node",
    [
        lambda _: resolved(TestSigner(Algorithm.EDDSA)),
        lambda _: reply(404),
        lambda _: reply(503),
        lambda key: resolved(key, metadata={"deactivated": True}),
    ],
    ids=["other key", "unknown", "down", "deactivated"],
)
async def test_forms_that_differ_now_are_not_one_holder(node):
    """Rotated, unknown, unreachable or deactivated: the long form's own keys prove nothing about it."""
    assert refusals(await in_short_form(node, equivalent_holder=True)) == BINDING


async def test_another_did_is_never_equivalent():
    """The switch is about one did:ion; the same key under another method is another holder."""
    answer = ProfileAnswer()
    answer.vc["sub"] = did_jwk(signer("holder").public_key)
    answer.change_policy(equivalent_holder=True)
    assert refusals(await answer.verify()) == BINDING


async def suspended(statuses: dict[str, Any] | None, *, second: bool = False) -> VerificationResult:
    """The report on a suspended credential, under a definition with *statuses*."""
    async with web_host() as host:
        uri = f"{host.origin}/list"
        bits = StatusBits(Dialect.REVOCATION_LIST_2021)
        bits.set(7)
        span = {"issued_at": AT - 10, "expires_at": AT + 3600}
        claims = credential_claims(bits, uri=uri, issuer=DIDS["issuer"], purposes=["suspension"], **span)
        header = {"alg": "EdDSA", "kid": f"{DIDS['issuer']}#key-1"}
        body = jwt(signer("issuer"), header, claims).encode()
        host.server.routes["/list"] = reply(body=body, content_type="application/jwt")
        answer = ProfileAnswer(at_time=None)
        answer.change_policy(status=StatusPolicy())
        answer.vc["vc"]["credentialStatus"] = {
            "type": "SuspensionList2021Status",
            "statusListIndex": "7",
            "statusListCredential": uri,
        }
        if statuses is not None:
            answer.definition["input_descriptors"][0]["constraints"] = {"statuses": statuses}
        if second:
            strict = {"id": "strict", "schema": [{"uri": "VerifiedEmployee"}]}
            answer.definition["input_descriptors"].append(strict)
            entries = answer.submission["descriptor_map"]
            entries.append(json.loads(json.dumps(entries[0]).replace("VerifiedEmployeeVC", "strict")))
        return await verifier(host).verify(answer.asked())


async def test_a_suspended_credential_is_refused_by_default():
    """Without a word about statuses only an active credential will do."""
    assert refusals(await suspended(None)) == {("status_value", "")}


@pytest.mark.parametrize("directive", ["allowed", "required"])
async def test_a_definition_may_accept_a_suspended_credential(directive):
    """The state is told with the credential."""
    result = await suspended({"suspended": {"directive": directive}})
    assert refusals(result) == set()
    assert result.credentials[0].state is CredentialState.SUSPENDED


async def test_what_one_descriptor_accepts_another_does_not():
    """Submitted for both, the credential must suit both."""
    result = await suspended({"suspended": {"directive": "allowed"}}, second=True)
    assert refusals(result) == {("status_value", "")}


async def test_a_disallowed_state_is_refused_twice_over():
    """By the status and by the definition."""
    result = await suspended({"suspended": {"directive": "disallowed"}})
    assert refusals(result) == {("status_value", ""), ("pe_statuses", "")}


async def test_any_issuer_is_reported_as_such():
    """The line about trust is skipped, and the verdict stands."""
    answer = ProfileAnswer()
    answer.change_policy(trusted_issuers=None)
    result = await answer.verify()
    assert result.accepted
    assert [c.outcome for c in result.checks if c.code == "issuer_trusted"] == ["skipped"]
