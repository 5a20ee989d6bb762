"""One change to the profile's answer for each check, which fails exactly that check."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.dids import did_jwk
from gateway.jose import base64url
from gateway.presentations.checks import Check, Outcome
from gateway.presentations.rules import CLAUSES, INDISPENSABLE, PresentationCheck, verdict
from gateway.presentations.verifier import LinkageRule
from signers import Algorithm
from tests.support.dids import TestSigner, jwt
from tests.support.profile_answer import AT, DIDS, ProfileAnswer, refusals, signer

ES256 = TestSigner(Algorithm.ES256)
MISSING = "claim_missing"
INVALID = "claim_invalid"


def changed(part: str, name: str, value: Any) -> Callable[[ProfileAnswer], None]:
    """Set a member of *part*; None takes it away."""

    def change(answer: ProfileAnswer) -> None:
        members = getattr(answer, part)
        if value is None:
            del members[name]
        else:
            members[name] = value

    return change


def inner(part: str, member: str, name: str, value: Any) -> Callable[[ProfileAnswer], None]:
    """Set a member of ``vp`` or ``vc``."""

    def change(answer: ProfileAnswer) -> None:
        members = getattr(answer, part)[member]
        if value is None:
            del members[name]
        else:
            members[name] = value

    return change


def policy(**changes: Any) -> Callable[[ProfileAnswer], None]:
    """Change the verifier's policy."""
    return lambda answer: answer.change_policy(**changes)


def signed_by(part: str, other: TestSigner) -> Callable[[ProfileAnswer], None]:
    """Let another key sign."""

    def change(answer: ProfileAnswer) -> None:
        answer.signers[part] = other

    return change


def raw(part: str, text: str) -> Callable[[ProfileAnswer], None]:
    """Send *text* instead of a token."""

    def change(answer: ProfileAnswer) -> None:
        answer.raw[part] = text

    return change


def another_algorithm(answer: ProfileAnswer) -> None:
    """Sign the ID token with a key of another curve, under the kid of the holder's Ed25519 key."""
    answer.signers["id"] = ES256
    answer.id_header["alg"] = "ES256"


def refused_algorithm(answer: ProfileAnswer) -> None:
    """Sign the ID token with an algorithm that no DID uses."""
    answer.signers["id"] = TestSigner(Algorithm.ES512)
    answer.id_header["alg"] = "ES512"


def another_holder(answer: ProfileAnswer) -> None:
    """Let another DID sign the ID token than the presentation."""
    other = TestSigner(Algorithm.EDDSA)
    did = did_jwk(other.public_key)
    answer.signers["id"] = other
    answer.id |= {"sub": did}
    answer.id_header["kid"] = f"{did}#0"


def another_subject(answer: ProfileAnswer) -> None:
    """Present somebody else's credential."""
    answer.vc["sub"] = DIDS["verifier"]


def flipped(token: str) -> str:
    """*token* with another signature."""
    head, _, signature = token.rpartition(".")
    octets = bytearray(base64url.decode(signature))
    octets[0] ^= 1
    return f"{head}.{base64url.encode(bytes(octets))}"


def flip_id(answer: ProfileAnswer) -> None:
    answer.raw["id_token"] = flipped(answer.id_token())


def flip_vp(answer: ProfileAnswer) -> None:
    answer.raw["vp_token"] = flipped(answer.vp_token())


def flip_vc(answer: ProfileAnswer) -> None:
    answer.raw["credential"] = flipped(answer.credential())


def duplicate_member(answer: ProfileAnswer) -> None:
    """Say aud twice."""
    payload = json.dumps(answer.id)[:-1] + ', "aud": "twice"}'
    answer.raw["id_token"] = jwt(answer.signers["id"], answer.id_header, payload.encode())


def unsecured(answer: ProfileAnswer) -> None:
    """Send a credential with alg none and no signature."""
    head = base64url.encode(json.dumps(answer.vc_header | {"alg": "none"}).encode())
    answer.raw["credential"] = f"{head}.{base64url.encode(json.dumps(answer.vc).encode())}."


def no_submission(answer: ProfileAnswer) -> None:
    del answer.id["_vp_token"]


def submission_member(name: str, value: Any) -> Callable[[ProfileAnswer], None]:
    """Change a member of the submission."""

    def change(answer: ProfileAnswer) -> None:
        answer.submission[name] = value

    return change


def entry(**changes: Any) -> Callable[[ProfileAnswer], None]:
    """Change members of the only entry of the descriptor map."""
    return lambda answer: answer.submission["descriptor_map"][0].update(changes)


def nested(**changes: Any) -> Callable[[ProfileAnswer], None]:
    """Change members of the nested path of the only entry."""
    return lambda answer: answer.submission["descriptor_map"][0]["path_nested"].update(changes)


def descriptor(**changes: Any) -> Callable[[ProfileAnswer], None]:
    """Change members of the only input descriptor."""
    return lambda answer: answer.definition["input_descriptors"][0].update(changes)


def constrained(**constraints: Any) -> Callable[[ProfileAnswer], None]:
    """Give the only input descriptor constraints."""
    return descriptor(constraints=constraints)


def second_descriptor(answer: ProfileAnswer) -> None:
    """Ask for something that is not there as well."""
    answer.definition["input_descriptors"].append({"id": "other", "schema": [{"uri": "Other"}]})


def unknown_entry(answer: ProfileAnswer) -> None:
    """Submit for a descriptor that nobody asked for, too."""
    entries = answer.submission["descriptor_map"]
    entries.append(json.loads(json.dumps(entries[0]).replace("VerifiedEmployeeVC", "other")))


def same_entry(answer: ProfileAnswer) -> None:
    """Submit twice for one descriptor."""
    entries = answer.submission["descriptor_map"]
    entries.append(entries[0])


FIELD = {"path": ["$.vc.credentialSubject.displayName"], "id": "name"}
NUMBER = {"type": "string", "const": "Bob"}
GROUPED: dict[str, Any] = {"name": "A", "rule": "pick", "count": 2, "from": "A"}


def requirement(answer: ProfileAnswer) -> None:
    """Ask for two of a group of which one is sent."""
    answer.definition["input_descriptors"][0]["group"] = ["A"]
    second_descriptor(answer)
    answer.definition["input_descriptors"][1]["group"] = ["A"]
    answer.definition["submission_requirements"] = [GROUPED]


MUTATIONS: list[tuple[str, str, Callable[[ProfileAnswer], None]]] = [
    ("response_shape", "not_a_jwt", raw("vp_token", "[1]")),
    ("response_shape", "too_many_presentations", raw("vp_token", "[]")),
    ("response_shape", "invalid_json", raw("vp_token", '["a"')),
    ("token_well_formed", "malformed_compact", raw("id_token", "a.b")),
    ("token_well_formed", "duplicate_member", duplicate_member),
    ("token_well_formed", "alg_none", unsecured),
    ("token_well_formed", "crit_unsupported", changed("vp_header", "crit", ["exp"])),
    ("token_well_formed", "b64_unsupported", changed("vp_header", "b64", False)),
    ("token_type", "typ_mismatch", changed("vc_header", "typ", "at+jwt")),
    ("token_embedded_key", "embedded_key", changed("vp_header", "jku", "https://evil.example/jwks")),
    ("token_embedded_key", "embedded_key", changed("id_header", "jwk", signer("holder").jwk)),
    ("token_algorithm", "algorithm_refused", refused_algorithm),
    ("token_signer", "not_a_did", changed("vc", "iss", "https://issuer.example")),
    ("token_key_id", "did_key_refused", changed("vc_header", "kid", f"{DIDS['holder']}#key-1")),
    ("token_key_id", "did_key_refused", changed("id_header", "kid", f"{DIDS['holder']}/path#key-1")),
    ("token_key", "did_key_refused", changed("vp_header", "kid", f"{DIDS['holder']}#key-2")),
    ("token_key", "did_key_refused", another_algorithm),
    ("token_key", "did_key_refused", policy(require_assertion_method=True)),
    ("token_signature", "did_key_refused", flip_id),
    ("token_signature", "did_key_refused", flip_vp),
    ("token_signature", "did_key_refused", flip_vc),
    ("token_signature", "did_key_refused", signed_by("vc", signer("holder"))),
    ("id_token_issuer", "issuer_mismatch", changed("id", "iss", "https://self-issued.me/v2")),
    ("id_token_issuer", "issuer_mismatch", changed("id", "iss", DIDS["holder"])),
    ("id_token_subject", "sub_jwk_present", changed("id", "sub_jwk", {})),
    ("id_token_audience", "audience_mismatch", changed("id", "aud", DIDS["issuer"])),
    ("id_token_audience", "audience_mismatch", changed("id", "aud", None)),
    ("id_token_nonce", "nonce_mismatch", changed("id", "nonce", "another")),
    ("id_token_nonce", MISSING, changed("id", "nonce", None)),
    ("id_token_validity", "expired", changed("id", "exp", AT - 61)),
    ("id_token_validity", MISSING, changed("id", "exp", None)),
    ("id_token_validity", "not_yet_valid", changed("id", "nbf", AT + 61)),
    ("id_token_freshness", "too_old", changed("id", "iat", AT - 661)),
    ("id_token_freshness", "issued_in_future", changed("id", "iat", AT + 61)),
    ("id_token_freshness", "too_long_lived", changed("id", "exp", AT + 86_461)),
    ("id_token_freshness", INVALID, changed("id", "iat", "now")),
    ("submission_well_formed", "submission_missing", no_submission),
    ("submission_well_formed", "invalid_member", submission_member("descriptor_map", [])),
    ("submission_well_formed", "path_not_singular", entry(path="$..*")),
    ("submission_well_formed", "nested_id_mismatch", nested(id="other")),
    ("presentation_well_formed", "context_missing", inner("vp", "vp", "@context", None)),
    ("presentation_well_formed", "type_missing", inner("vp", "vp", "type", ["Other"])),
    ("presentation_holder", "holder_mismatch", another_holder),
    ("presentation_audience", "audience_mismatch", changed("vp", "aud", "https://other.example")),
    ("presentation_nonce", "nonce_mismatch", changed("vp", "nonce", "another")),
    ("presentation_validity", "expired", changed("vp", "exp", AT - 61)),
    ("presentation_freshness", "too_old", changed("vp", "iat", AT - 661)),
    ("credential_well_formed", "context_missing", inner("vc", "vc", "@context", ["https://x.example"])),
    ("credential_well_formed", "subject_empty", inner("vc", "vc", "credentialSubject", {})),
    ("credential_consistent", "claims_differ", inner("vc", "vc", "issuer", DIDS["holder"])),
    ("credential_consistent", "claims_differ", inner("vc", "vc", "issuanceDate", "2020-01-01T00:00:00Z")),
    ("credential_consistent", "date_malformed", inner("vc", "vc", "issuanceDate", "soon")),
    ("credential_validity", "expired", changed("vc", "exp", AT - 61)),
    ("credential_validity", "not_yet_valid", changed("vc", "nbf", AT + 61)),
    ("holder_binding", "holder_mismatch", another_subject),
    ("holder_binding", "holder_mismatch", changed("vc", "sub", None)),
    ("issuer_trusted", "issuer_not_trusted", policy(trusted_issuers=frozenset({DIDS["holder"]}))),
    ("issuer_linked_domain", "no_linked_domain", policy(issuer_linkage=LinkageRule.REQUIRED)),
    ("pe_definition_id", "", submission_member("definition_id", "other")),
    ("pe_descriptor_known", "", unknown_entry),
    ("pe_descriptor_unique", "", same_entry),
    ("pe_descriptor_submitted", "", second_descriptor),
    ("pe_descriptor_located", "", nested(path="$.vp.verifiableCredential[1]")),
    ("pe_format_declared", "", nested(format="jwt_vc_json")),
    ("pe_format_accepted", "", changed("definition", "format", {"jwt_vc": {"alg": ["ES384"]}})),
    ("pe_schema_matched", "", descriptor(schema=[{"uri": "Other"}])),
    ("pe_field_present", "", constrained(fields=[{"path": ["$.vc.credentialSubject.nothing"]}])),
    ("pe_field_filter", "", constrained(fields=[FIELD | {"filter": NUMBER}])),
    ("pe_field_predicate", "", constrained(fields=[FIELD | {"filter": NUMBER, "predicate": "required"}])),
    ("pe_limit_disclosure", "", constrained(fields=[FIELD], limit_disclosure="required")),
    ("pe_subject_is_issuer", "", constrained(subject_is_issuer="required")),
    ("pe_statuses", "", constrained(statuses={"active": {"directive": "required"}})),
    ("pe_submission_requirement", "", requirement),
]


def ids(value: Any) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    ("code", "reason", "mutate"),
    MUTATIONS,
    ids=ids,
)
async def test_one_change_fails_one_check(code, reason, mutate):
    """The check of that rule fails with its reason; every other holds or was not reached."""
    answer = ProfileAnswer()
    mutate(answer)
    result = await answer.verify()
    assert refusals(result) == {(code, reason)}
    assert not result.accepted
    assert result.credentials == ()


async def test_a_method_that_is_not_accepted_is_not_resolved():
    """The DID of a method outside of the policy is refused without asking anybody."""
    answer = ProfileAnswer()
    answer.change_policy(did_methods=frozenset({"web"}))
    result = await answer.verify()
    assert refusals(result) == {("did_method", "did_method_refused")}
    assert {check.outcome for check in result.checks if check.code == "did_resolved"} == {Outcome.SKIPPED}


def test_every_rule_has_a_change():
    """No code of the table is without a change, but for three that have tests of their own."""
    elsewhere = {"request_state", "did_resolved", "did_method"}
    assert set(PresentationCheck) - elsewhere <= {code for code, _, _ in MUTATIONS}
    assert set(CLAUSES) == set(PresentationCheck)


async def test_a_report_has_the_same_lines_whatever_fails():
    """A rule that was not reached is reported as skipped: no line is missing because another failed."""
    whole = {(check.code, check.path) for check in (await ProfileAnswer().verify()).checks}
    for change in (flip_vc, flip_id, changed("vc", "iss", "nobody"), raw("id_token", "x")):
        answer = ProfileAnswer()
        change(answer)
        result = await answer.verify()
        missing = {code for code, path in whole - {(c.code, c.path) for c in result.checks}}
        assert {code for code in missing if not code.startswith(("pe_", "status_"))} <= {
            "submission_well_formed"
        }


@pytest.mark.parametrize("code", sorted(INDISPENSABLE))
async def test_no_verdict_without_what_is_indispensable(code):
    """A report in which an indispensable rule did not pass accepts nothing, even if nothing failed."""
    checks = (await ProfileAnswer().verify()).checks
    assert verdict(checks)
    assert not verdict(check for check in checks if check.code != code)


def test_an_empty_report_accepts_nothing():
    """No line is no verdict."""
    assert not verdict(())
    assert not verdict((Check("x", Outcome.PASSED, "", "$", ""),))


async def test_a_relative_kid_names_a_key_of_the_signer():
    """The profile allows a fragment alone, which stands for iss or sub."""
    answer = ProfileAnswer()
    for header in (answer.id_header, answer.vp_header, answer.vc_header):
        header["kid"] = "#key-1"
    assert (await answer.verify()).accepted


async def test_details_hold_no_claims():
    """What a report says of an answer is names and numbers: no value of a claim, no token, no nonce."""
    answer = ProfileAnswer()
    answer.vc["vc"]["credentialSubject"]["displayName"] = "Zaphod"
    answer.id["nonce"] = "a-secret-nonce"
    result = await answer.verify()
    text = json.dumps([[check.detail, check.reason] for check in result.checks])
    assert "Zaphod" not in text
    assert "a-secret-nonce" not in text
