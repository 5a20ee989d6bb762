"""gateway.presentations.exchange.evaluation: each rule, broken alone, seen by its code."""

import pytest

from gateway.presentations.checks import Outcome
from gateway.presentations.exchange import (
    CredentialState,
    Presented,
    PresentedCredential,
    PresentedPresentation,
    evaluate,
    parse_definition,
    parse_format_table,
    parse_submission,
)


class TestProfile:
    """The vectors of the JWT VC Presentation Profile."""

    def of(self, profile, submission=None):
        token, vp, vc = profile["vp_token"], profile["vp"], profile["vc"]
        encoded = vp["vp"]["verifiableCredential"][0]
        presented = Presented(
            token,
            (PresentedPresentation(token, "jwt_vp", vp, "EdDSA"),),
            (PresentedCredential(encoded, "jwt_vc", vc, vc["iss"], vc["sub"], vp["iss"], "EdDSA"),),
        )
        return evaluate(
            parse_definition(profile["definition"]),
            parse_submission(submission or profile["submission"]),
            presented,
            vp_formats=parse_format_table(profile["vp_formats"]),
        )

    def test_the_published_response_satisfies_the_published_request(self, profile):
        """The profile's own response, with its path from the presentation, is accepted."""
        report = self.of(profile)
        assert report.accepted
        assert list(report.credentials) == ["VerifiedEmployeeVC"]
        assert {check.outcome for check in report.checks} == {Outcome.PASSED}

    def test_the_path_from_the_payload_is_accepted_too(self, profile):
        """What other wallets send for the same response, a path through ``vp``, is accepted."""
        profile["submission"]["descriptor_map"][0]["path_nested"]["path"] = "$.vp.verifiableCredential[0]"
        assert self.of(profile).accepted

    def test_another_type_is_refused(self, profile, refused):
        """A request for another type of credential is not satisfied by this one."""
        profile["definition"]["input_descriptors"][0]["schema"][0]["uri"] = "Passport"
        refused(self.of(profile), "pe_schema_matched")

    def test_an_algorithm_outside_of_the_metadata_is_refused(self, profile, refused):
        """The formats of the verifier's metadata hold for the presentation and for the credential."""
        profile["vp_formats"] = {"jwt_vc": {"alg": ["ES256K"]}, "jwt_vp": {"alg": ["ES256K"]}}
        refused(self.of(profile), "pe_format_accepted", "pe_format_accepted")


class TestSubmission:
    def test_the_exchange_of_these_tests_is_accepted(self, exchange):
        """Nothing is wrong with what the other tests break."""
        report = exchange.report()
        assert report.accepted
        assert list(report.credentials) == ["a"]

    def test_a_submission_for_another_definition_is_refused(self, exchange, refused):
        """The submission names the definition that was asked."""
        exchange.submission["definition_id"] = "another"
        refused(exchange.report(), "pe_definition_id")

    def test_an_unknown_descriptor_is_refused(self, exchange, refused):
        """An entry for a descriptor that the definition does not have is refused."""
        exchange.submission["descriptor_map"].append(exchange.entry("b", 0))
        refused(exchange.report(), "pe_descriptor_known")

    def test_a_descriptor_submitted_twice_is_refused(self, exchange, refused):
        """One descriptor refers to one container."""
        exchange.submission["descriptor_map"].append(exchange.entry("a", 0))
        refused(exchange.report(), "pe_descriptor_unique")

    def test_a_descriptor_that_was_not_submitted_is_missing(self, exchange, refused):
        """Without submission requirements every descriptor is required."""
        exchange.add("b")
        exchange.submission["descriptor_map"].pop()
        refused(exchange.report(), "pe_descriptor_submitted")

    def test_one_credential_may_satisfy_two_descriptors(self, exchange):
        """Two descriptors may be answered by the same credential."""
        exchange.add("b")
        exchange.submission["descriptor_map"][1] = exchange.entry("b", 0)
        assert exchange.report().accepted

    @pytest.mark.parametrize(
        "path",
        ["$.vp.verifiableCredential[7]", "$.vp.verifiableCredential", "$.vp.type[0]", "$"],
        ids=["nothing there", "the array", "another text", "the presentation itself"],
    )
    def test_a_path_that_leads_to_no_verified_credential_is_refused(self, exchange, refused, path):
        """Only the exact text of a verified credential is one."""
        exchange.submission["descriptor_map"][0]["path_nested"]["path"] = path
        refused(exchange.report(), "pe_descriptor_located")

    def test_a_path_into_a_presentation_that_was_not_verified_is_refused(self, exchange, refused):
        """The first level must be a verified presentation."""
        exchange.submission["descriptor_map"][0]["path"] = "$.vp"
        refused(exchange.report(), "pe_descriptor_located")

    def test_two_roots_must_not_lead_to_different_credentials(self, exchange, refused):
        """A path that means one credential from the payload and another one from ``vp`` is refused."""
        exchange.payloads *= 2
        presented = exchange.presented()
        vp = {
            **presented.presentations[0].payload,
            "verifiableCredential": [presented.credentials[1].encoded],
        }
        presentation = PresentedPresentation(presented.target, "jwt_vp", vp, "ES256K")
        exchange.submission["descriptor_map"][0] = exchange.entry("a", 0, "$.verifiableCredential")
        report = evaluate(
            parse_definition(exchange.definition),
            parse_submission(exchange.submission),
            Presented(presented.target, (presentation,), presented.credentials),
        )
        refused(report, "pe_descriptor_located")

    def test_a_token_that_is_an_array_is_entered_by_index(self, exchange):
        """With several presentations the path starts at ``$[n]``."""
        presented = exchange.presented()
        exchange.submission["descriptor_map"][0]["path"] = "$[1]"
        target = ["header.another.signature", presented.target]
        report = evaluate(
            parse_definition(exchange.definition),
            parse_submission(exchange.submission),
            Presented(target, presented.presentations, presented.credentials),
        )
        assert report.accepted

    @pytest.mark.parametrize("root", ["$.verifiableCredential", "$.vp.verifiableCredential"])
    def test_a_submission_inside_of_the_presentation_starts_there(self, exchange, root):
        """Embedded in the presentation, an entry leads to the credential from either root."""
        presented = exchange.presented()
        exchange.submission["descriptor_map"] = [{"id": "a", "format": "jwt_vc", "path": f"{root}[0]"}]
        report = evaluate(
            parse_definition(exchange.definition),
            parse_submission(exchange.submission),
            Presented(presented.presentations[0], (), presented.credentials),
        )
        assert report.accepted


class TestFormats:
    def test_a_format_that_is_declared_wrongly_is_refused(self, exchange, refused):
        """An entry says the format that the credential is in."""
        exchange.submission["descriptor_map"][0]["path_nested"]["format"] = "ldp_vc"
        refused(exchange.report(), "pe_format_declared")

    @pytest.mark.parametrize("place", ["definition", "descriptor", "vp_formats"])
    def test_a_format_that_is_not_listed_is_refused(self, exchange, refused, place):
        """Every list of formats that there is holds."""
        listed = {"ldp_vc": {"proof_type": ["Ed25519Signature2020"]}}
        if place == "vp_formats":
            exchange.vp_formats = {**listed, "jwt_vp": {"alg": ["ES256K"]}}
        else:
            (exchange.definition if place == "definition" else exchange.descriptor)["format"] = listed
        refused(exchange.report(), "pe_format_accepted")

    def test_an_algorithm_that_is_not_listed_is_refused(self, exchange, refused):
        """A format comes with its algorithms."""
        exchange.definition["format"] = {"jwt_vc": {"alg": ["EdDSA"]}}
        refused(exchange.report(), "pe_format_accepted")

    def test_a_format_without_algorithms_accepts_each(self, exchange):
        """A format that lists none accepts every algorithm."""
        exchange.definition["format"] = {"jwt_vc": {}}
        assert exchange.report().accepted

    def test_a_presentation_format_is_held_to_its_list(self, exchange, refused):
        """Where presentation formats are listed, the envelope's is among them."""
        exchange.definition["format"] = {"jwt_vc": {}, "ldp_vp": {}}
        refused(exchange.report(), "pe_format_accepted")


def version_1(exchange, *schemas):
    exchange.descriptor["schema"] = [
        {"uri": schema} if isinstance(schema, str) else schema for schema in schemas
    ]


class TestSchema:
    @pytest.mark.parametrize("uri", ["Employee", "https://www.w3.org/2018/credentials/v1"])
    def test_a_type_and_a_context_name_the_schema(self, exchange, uri):
        """The schema of a JWT credential is its type or its context."""
        version_1(exchange, "Passport", uri)
        assert exchange.report().accepted

    def test_the_credential_schema_names_it_too(self, exchange):
        """So is the id of its ``credentialSchema``."""
        exchange.payloads[0]["vc"]["credentialSchema"] = {"id": "https://example.com/s", "type": "JsonSchema"}
        version_1(exchange, "https://example.com/s")
        assert exchange.report().accepted

    def test_another_schema_is_refused(self, exchange, refused):
        """One of the schemas must be the credential's, exactly."""
        version_1(exchange, "employee")
        refused(exchange.report(), "pe_schema_matched")

    def test_a_required_schema_must_be_there(self, exchange, refused):
        """A schema marked as required is not replaced by another one."""
        version_1(exchange, "Employee", {"uri": "Passport", "required": True})
        refused(exchange.report(), "pe_schema_matched")


class TestFields:
    def test_a_field_that_is_not_there_is_refused(self, exchange, refused):
        """A field must lead to a value."""
        exchange.ask({"path": ["$.vc.credentialSubject.passport", "$.nothing"]})
        refused(exchange.report(), "pe_field_present")

    def test_an_optional_field_may_be_absent(self, exchange):
        """An optional field that is not there is skipped."""
        exchange.ask({"path": ["$.vc.type"]}, {"path": ["$.nothing"], "optional": True})
        report = exchange.report()
        assert report.accepted
        assert Outcome.SKIPPED in {check.outcome for check in report.checks}

    def test_an_optional_field_that_is_there_must_pass(self, exchange, refused):
        """An optional field's value passes the filter, where there is a value."""
        path = ["$.vc.credentialSubject.age"]
        exchange.ask({"path": path, "optional": True, "filter": {"type": "string"}})
        refused(exchange.report(), "pe_field_filter")

    def test_a_value_that_does_not_pass_the_filter_is_refused(self, exchange, refused):
        """The filter is applied to the value."""
        exchange.ask({"path": ["$.vc.credentialSubject.age"], "filter": {"type": "number", "minimum": 31}})
        refused(exchange.report(), "pe_field_filter")

    def test_null_is_a_value(self, exchange):
        """JSON null is there, and passes a filter for null."""
        exchange.payloads[0]["vc"]["credentialSubject"]["age"] = None
        exchange.ask({"path": ["$.vc.credentialSubject.age"], "filter": {"type": "null"}})
        assert exchange.report().accepted

    @pytest.mark.parametrize(
        "path",
        [
            "$.credentialSubject.age",
            "$.vc.credentialSubject.age",
            "$.issuer",
            "$.issuanceDate",
            "$.iss",
            "$.expirationDate",
            "$.id",
            "$.credentialSubject.id",
            "$.@context",
            "$['@context'][0]",
            "$..age",
        ],
    )
    def test_a_path_reads_the_claims_and_the_data_model(self, exchange, path):
        """A path reaches the JWT's claims as they are and as members of the data model."""
        exchange.ask({"path": [path]})
        assert exchange.report().accepted

    def test_registered_claims_become_members(self, exchange):
        """``nbf`` is the issuance date in the data model's spelling."""
        exchange.ask({"path": ["$.issuanceDate"], "filter": {"const": "2023-11-14T22:13:20Z"}})
        assert exchange.report().accepted

    def test_in_version_1_the_first_path_with_a_result_decides(self, exchange, refused):
        """1.0.0 ends at the first result, whether it passes the filter or not."""
        version_1(exchange, "Employee")
        path = ["$.vc.credentialSubject.given_name", "$.vc.credentialSubject.age"]
        exchange.ask({"path": path, "filter": {"type": "number"}})
        refused(exchange.report(), "pe_field_filter")

    def test_in_version_2_the_first_path_that_passes_decides(self, exchange):
        """2.x goes on to the next path where a result does not pass."""
        path = ["$.vc.credentialSubject.given_name", "$.vc.credentialSubject.age"]
        exchange.ask({"path": path, "filter": {"type": "number"}})
        assert exchange.report().accepted

    def test_of_several_nodes_the_first_counts(self, exchange, refused):
        """A query that selects several values is judged by the first one."""
        exchange.ask({"path": ["$.vc.type[*]"], "filter": {"const": "Employee"}})
        refused(exchange.report(), "pe_field_filter")


ADULT = {"type": "number", "minimum": 18}


class TestPredicate:
    def field(self, predicate):
        return {"path": ["$.vc.credentialSubject.age"], "filter": ADULT, "predicate": predicate}

    def test_a_preferred_predicate_accepts_the_value(self, exchange):
        """Where a predicate is preferred, the value itself will do."""
        assert exchange.ask(self.field("preferred")).report().accepted

    def test_a_required_predicate_refuses_the_value(self, exchange, refused):
        """Where a predicate is required, the value must not be disclosed in its stead."""
        refused(exchange.ask(self.field("required")).report(), "pe_field_predicate")

    @pytest.mark.parametrize("predicate", ["required", "preferred"])
    def test_the_derived_boolean_is_accepted(self, exchange, predicate):
        """The derived true shows the predicate."""
        exchange.payloads[0]["vc"]["credentialSubject"]["age"] = True
        assert exchange.ask(self.field(predicate)).report().accepted

    @pytest.mark.parametrize("predicate", ["required", "preferred"])
    def test_the_derived_false_is_refused(self, exchange, refused, predicate):
        """The derived false shows that the predicate does not hold."""
        exchange.payloads[0]["vc"]["credentialSubject"]["age"] = False
        refused(exchange.ask(self.field(predicate)).report(), "pe_field_predicate")

    def test_without_predicate_a_boolean_is_a_value(self, exchange, refused):
        """Nobody who did not ask for a derived value is given one."""
        exchange.payloads[0]["vc"]["credentialSubject"]["age"] = True
        exchange.ask({"path": ["$.vc.credentialSubject.age"], "filter": ADULT})
        refused(exchange.report(), "pe_field_filter")


class TestDisclosure:
    def test_a_claim_that_was_not_asked_for_is_refused(self, exchange, refused):
        """Only the fields asked for may be disclosed."""
        exchange.constraints["limit_disclosure"] = "required"
        exchange.ask({"path": ["$.vc.credentialSubject.given_name"]})
        refused(exchange.report(), "pe_limit_disclosure")

    @pytest.mark.parametrize("path", ["$.vc.credentialSubject", "$.credentialSubject", "$"])
    def test_a_field_covers_what_is_below_it(self, exchange, path):
        """Whoever asks for an object asks for its members, from either view."""
        exchange.constraints["limit_disclosure"] = "required"
        assert exchange.ask({"path": [path]}).report().accepted

    def test_the_subject_identifier_is_no_claim(self, exchange):
        """The subject's id is disclosed with every credential."""
        exchange.payloads[0]["vc"]["credentialSubject"] = {"id": exchange.subject, "age": 30}
        exchange.constraints["limit_disclosure"] = "required"
        assert exchange.ask({"path": ["$.vc.credentialSubject.age"]}).report().accepted

    def test_a_claim_beside_the_data_model_covers_nothing_in_it(self, exchange, refused):
        """A member of the payload that is called like the data model's is not the data model's."""
        exchange.payloads[0]["credentialSubject"] = "decoy"
        exchange.constraints["limit_disclosure"] = "required"
        refused(exchange.ask({"path": ["$.credentialSubject"]}).report(), "pe_limit_disclosure")

    def test_without_fields_nothing_may_be_disclosed(self, exchange, refused):
        """A descriptor that asks for no field wants no claim."""
        exchange.descriptor["constraints"] = {"limit_disclosure": "required"}
        refused(exchange.report(), "pe_limit_disclosure")

    def test_preferred_is_reported_and_decides_nothing(self, exchange):
        """A preference that is not met is reported as failed and does not count."""
        exchange.constraints["limit_disclosure"] = "preferred"
        report = exchange.report()
        assert report.accepted
        assert [each.code for each in report.checks if each.outcome is Outcome.FAILED] == [
            "pe_limit_disclosure"
        ]

    def test_claims_of_a_token_without_data_model_are_its_other_members(self, exchange, refused):
        """Of a plain token, what is no registered claim is about the subject."""
        exchange.payloads[0] = {
            "iss": exchange.issuer,
            "vct": "x",
            "given_name": "Pat",
            "address": {"city": "X"},
        }
        exchange.constraints["limit_disclosure"] = "required"
        assert exchange.ask({"path": ["$.given_name"]}, {"path": ["$.address"]}).report().accepted
        refused(exchange.ask({"path": ["$.given_name"]}).report(), "pe_limit_disclosure")


class TestSubjects:
    def test_a_credential_of_another_issuer_is_not_self_attested(self, exchange, refused):
        """``subject_is_issuer`` wants the subject's own word."""
        exchange.constraints["subject_is_issuer"] = "required"
        refused(exchange.report(), "pe_subject_is_issuer")

    def test_a_self_attested_credential_is_accepted(self, exchange):
        """A credential that its subject issued is self-attested."""
        exchange.constraints["subject_is_issuer"] = "required"
        exchange.issuer = exchange.subject
        assert exchange.report().accepted

    def test_a_credential_without_subject_is_not_self_attested(self, exchange, refused):
        """Nobody's word is not the subject's."""
        exchange.constraints["subject_is_issuer"] = "required"
        exchange.subject = None
        refused(exchange.report(), "pe_subject_is_issuer")

    def hold(self, exchange, directive="required"):
        exchange.ask({"id": "name", "path": ["$.vc.credentialSubject.given_name"]})
        exchange.constraints["is_holder"] = [{"field_id": ["name"], "directive": directive}]

    def test_the_subject_may_submit(self, exchange):
        """``is_holder`` is satisfied by the subject."""
        self.hold(exchange)
        assert exchange.report().accepted

    @pytest.mark.parametrize("holder", ["did:web:thief.example", None])
    def test_another_holder_is_refused(self, exchange, refused, holder):
        """``is_holder`` is not satisfied by somebody else, nor by nobody."""
        self.hold(exchange)
        exchange.holder = holder
        refused(exchange.report(), "pe_is_holder")

    def test_a_preferred_holder_decides_nothing(self, exchange):
        """``is_holder`` with ``preferred`` is a wish."""
        self.hold(exchange, "preferred")
        exchange.holder = "did:web:other.example"
        assert exchange.report().accepted

    def test_a_credential_without_subject_has_no_holder(self, exchange, refused):
        """An unnamed subject is never the holder."""
        self.hold(exchange)
        exchange.subject = exchange.holder = None
        refused(exchange.report(), "pe_is_holder")

    def test_of_several_subjects_the_one_of_the_field_counts(self, exchange, refused):
        """The subject of a claim is the one whose object it stands in."""
        subjects = [{"id": exchange.holder, "x": 1}, {"id": "did:web:child.example", "name": "Kim"}]
        exchange.payloads[0]["vc"]["credentialSubject"] = subjects
        exchange.ask({"id": "name", "path": ["$.vc.credentialSubject[1].name"]})
        exchange.constraints["is_holder"] = [{"field_id": ["name"], "directive": "required"}]
        refused(exchange.report(), "pe_is_holder")

    def test_a_decoy_beside_the_data_model_has_no_subject_in_it(self, exchange):
        """A list of the payload that is longer than the data model's is not looked up in that."""
        exchange.payloads[0]["credentialSubject"] = [1, 2, 3]
        exchange.payloads[0]["vc"]["credentialSubject"] = [{"id": "did:web:other.example"}]
        exchange.subject = exchange.holder = "did:web:other.example"
        exchange.ask({"id": "name", "path": ["$.credentialSubject[2]"]})
        exchange.constraints["is_holder"] = [{"field_id": ["name"], "directive": "required"}]
        assert exchange.report().accepted

    def test_an_optional_field_that_is_absent_binds_nobody(self, exchange):
        """Where nothing was submitted there is nothing to hold."""
        exchange.ask({"path": ["$.vc.type"]}, {"id": "x", "path": ["$.x"], "optional": True})
        exchange.constraints["is_holder"] = [{"field_id": ["x"], "directive": "required"}]
        assert exchange.report().accepted

    def same(self, exchange):
        exchange.ask({"id": "a1", "path": ["$.vc.type"]})
        exchange.add("b", constraints={"fields": [{"id": "b1", "path": ["$.vc.type"]}]})
        rule = {"field_id": ["a1", "b1"], "directive": "required"}
        exchange.constraints["same_subject"] = [rule]

    def test_two_credentials_about_one_subject_are_accepted(self, exchange):
        """``same_subject`` reaches across descriptors."""
        self.same(exchange)
        assert exchange.report().accepted

    def test_two_credentials_about_two_subjects_are_refused(self, exchange, refused):
        """``same_subject`` is broken by a second subject."""
        self.same(exchange)
        subjects = [{"id": "did:web:other.example"}]
        exchange.payloads[1]["vc"]["credentialSubject"] = subjects
        exchange.definition["input_descriptors"][1]["constraints"]["fields"][0]["path"] = [
            "$.vc.credentialSubject[0]"
        ]
        refused(exchange.report(), "pe_same_subject")

    def test_a_field_of_a_descriptor_that_was_not_submitted_is_missing(self, exchange, refused):
        """What was not submitted is not shown to be about the same subject."""
        self.same(exchange)
        exchange.submission["descriptor_map"].pop()
        refused(exchange.report(), "pe_same_subject", "pe_descriptor_submitted")


STATES = CredentialState


class TestStatuses:
    @pytest.mark.parametrize(
        ("state", "directives", "outcome"),
        [
            (STATES.ACTIVE, {"active": "required"}, Outcome.PASSED),
            (STATES.REVOKED, {"active": "required"}, Outcome.FAILED),
            (STATES.REVOKED, {"revoked": "disallowed"}, Outcome.FAILED),
            (STATES.SUSPENDED, {"revoked": "disallowed"}, Outcome.PASSED),
            (STATES.SUSPENDED, {"suspended": "allowed"}, Outcome.SKIPPED),
            (STATES.REVOKED, {"revoked": "required"}, Outcome.PASSED),
            (None, {"active": "required"}, Outcome.UNKNOWN),
            (None, {"revoked": "disallowed"}, Outcome.UNKNOWN),
            (None, {"revoked": "allowed"}, Outcome.SKIPPED),
        ],
    )
    def test_each_directive_on_each_state(self, exchange, state, directives, outcome):
        """A directive passes, fails or stays unknown by the state; unknown is refused."""
        exchange.state = state
        exchange.constraints["statuses"] = {name: {"directive": value} for name, value in directives.items()}
        report = exchange.report()
        assert [check.outcome for check in report.checks if check.code == "pe_statuses"] == [outcome]
        assert report.accepted is (outcome in (Outcome.PASSED, Outcome.SKIPPED))


class TestVerdict:
    def test_a_descriptor_that_fails_gives_no_credential(self, exchange):
        """Only what holds is handed on."""
        exchange.add("b", constraints={"fields": [{"path": ["$.nothing"]}]})
        report = exchange.report()
        assert not report.accepted
        assert list(report.credentials) == ["a"]

    def test_every_check_has_its_clause_and_path(self, exchange):
        """A line of the report says which rule, where it is written and where it was applied."""
        for check in exchange.report().checks:
            assert check.clause
            assert check.path.startswith("$")
            assert check.detail.endswith(".")

    def test_no_check_repeats_a_claim(self, exchange):
        """Values of the credential stay out of the report."""
        exchange.payloads[0]["vc"]["credentialSubject"]["given_name"] = "Xyzzy"
        exchange.ask({"path": ["$.vc.credentialSubject.given_name"], "filter": {"const": "Plugh"}})
        assert "Xyzzy" not in str(exchange.report().checks)
