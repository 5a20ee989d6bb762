"""The test vectors of the JWT VC Presentation Profile, verified end to end and offline."""

import pytest

from gateway.dids import Relationship, parse_did, parse_did_jws, verify_did_jws
from gateway.dids.did_ion import IonPolicy, IonResolver
from gateway.presentations.checks import Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.status import StatusPolicy
from tests.support.profile_answer import AT, DIDS, VECTOR, ProfileAnswer, refusals


def published(**changes: object) -> ProfileAnswer:
    """The answer with its tokens as published, octet for octet."""
    raw = {"id_token": VECTOR["id_token"], "vp_token": VECTOR["vp_token"]}
    return ProfileAnswer(raw=raw, **changes)


async def test_the_request_verifies_with_the_switch_on():
    """The verifier's request object is signed by the key in its DID."""
    resolver = IonResolver(IonPolicy(unsafe_non_canonical_ion=True))
    document = (await resolver.resolve(parse_did(DIDS["verifier"]))).document
    jws = parse_did_jws(VECTOR["request"])
    key = verify_did_jws(jws, document, any_of=frozenset({Relationship.AUTHENTICATION}))
    assert key.method_id == f"{DIDS['verifier']}#key-1"


async def test_the_answer_is_accepted_with_the_switch_on():
    """ID token, presentation and credential hold, and the report says what was presented."""
    result = await published().verify()
    assert refusals(result) == set()
    assert result.accepted
    assert result.holder == DIDS["holder"]
    (credential,) = result.credentials
    assert (credential.descriptor_id, credential.issuer) == ("VerifiedEmployeeVC", DIDS["issuer"])
    assert credential.types == ("VerifiableCredential", "VerifiedEmployee")
    assert credential.credential["credentialSubject"]["displayName"] == "Pat Smith"
    assert (result.evaluation_time, result.at_time) == (AT, True)


async def test_the_answer_is_refused_with_the_switch_off():
    """Each of the three DIDs is unresolvable, as Sidetree has it, and nothing else fails."""
    result = await published(non_canonical=False).verify()
    assert not result.accepted
    assert refusals(result) == {("did_resolved", "did_unresolvable")}
    refused = [check.path for check in result.checks if check.outcome is Outcome.FAILED]
    assert refused == ["$.id_token", "$.vp_token", "$.vp_token.vp.verifiableCredential[0]"]
    assert result.credentials == ()
    assert result.holder is None


async def test_the_list_that_is_nowhere_is_unknown_and_fails_by_default():
    """The vector's status list cannot be had; what was only tolerated refuses under the default policy."""
    tolerant = await published().verify()
    unknown = [check for check in tolerant.checks if check.outcome is Outcome.UNKNOWN]
    assert [(check.code, check.advisory) for check in unknown] == [("status_list_available", True)]
    assert tolerant.credentials[0].state is None
    answer = published()
    answer.change_policy(status=StatusPolicy())
    strict = await answer.verify()
    assert not strict.accepted
    assert refusals(strict) == {("status_list_available", "dns_failed")}


async def test_the_vectors_as_of_now_have_expired():
    """Without `at_time` they are judged by the clock, and the result does not say otherwise."""
    result = await published(at_time=None).verify()
    assert not result.accepted
    assert not result.at_time
    assert {code for code, _ in refusals(result)} == {
        "id_token_validity",
        "id_token_freshness",
        "presentation_validity",
        "presentation_freshness",
    }


async def test_a_credential_without_a_status_is_active():
    """A status may be absent; the line says that it was skipped."""
    answer = ProfileAnswer()
    del answer.vc["vc"]["credentialStatus"]
    result = await answer.verify()
    assert result.accepted
    assert result.credentials[0].state is CredentialState.ACTIVE


@pytest.mark.parametrize("root", ["$", "$.vp"])
async def test_a_nested_path_may_start_at_either_root(root):
    """Wallets write the path from the payload or from its vp."""
    answer = ProfileAnswer()
    answer.submission["descriptor_map"][0]["path_nested"]["path"] = f"{root}.verifiableCredential[0]"
    assert (await answer.verify()).accepted


async def test_a_presentation_may_bring_the_submission_itself():
    """Without `_vp_token` the submission of the only presentation counts, with paths inside of it."""
    answer = ProfileAnswer()
    submission = answer.id.pop("_vp_token")["presentation_submission"]
    nested = submission["descriptor_map"][0].pop("path_nested")
    submission["descriptor_map"][0] |= {"format": "jwt_vc", "path": nested["path"]}
    answer.vp["vp"]["presentation_submission"] = submission
    assert (await answer.verify()).accepted


async def test_presentations_may_come_as_an_array():
    """Paths then start with an index."""
    answer = ProfileAnswer()
    answer.submission["descriptor_map"][0]["path"] = "$[0]"
    token = answer.vp_token()
    answer.raw["vp_token"] = f'["{token}"]'
    result = await answer.verify()
    assert result.accepted
    assert any(check.path == "$.vp_token[0]" for check in result.checks)
