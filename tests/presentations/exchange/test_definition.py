"""gateway.presentations.exchange.definition: what a definition may say, and the code of each refusal."""

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.presentations.exchange import (
    CredentialState,
    ExchangeError,
    ExchangeFault,
    Version,
    allowed_states,
    parse_definition,
    parse_submission,
    read_json,
)

BASE = {
    "id": "definition",
    "name": "A name",
    "purpose": "A purpose.",
    "format": {"jwt_vc": {"alg": ["ES256K"]}, "ldp_vp": {"proof_type": ["Ed25519Signature2020"]}},
    "input_descriptors": [
        {
            "id": "a",
            "name": "Employee",
            "purpose": "We ask.",
            "constraints": {
                "fields": [
                    {
                        "id": "age",
                        "path": ["$.age"],
                        "purpose": "Why.",
                        "name": "Age",
                        "filter": {"type": "number", "minimum": 18},
                        "predicate": "preferred",
                        "optional": True,
                        "intent_to_retain": True,
                    }
                ],
                "limit_disclosure": "preferred",
                "subject_is_issuer": "preferred",
                "is_holder": [{"field_id": ["age"], "directive": "required"}],
                "same_subject": [{"field_id": ["age"], "directive": "preferred"}],
                "statuses": {"revoked": {"directive": "disallowed"}},
            },
        }
    ],
}


def code_of(document):
    with pytest.raises(ExchangeError) as caught:
        parse_definition(document)
    return caught.value.code


def changed(path, value):
    """`BASE` with the value at *path*, names and indices, replaced; ``...`` removes it."""
    document = copy.deepcopy(BASE)
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


DESCRIPTOR = ("input_descriptors", 0)
CONSTRAINTS = (*DESCRIPTOR, "constraints")
FIELD = (*CONSTRAINTS, "fields", 0)


class TestParsed:
    def test_every_member_is_read(self):
        """A definition with every member of 2.x becomes a value that has them."""
        definition = parse_definition(BASE)
        assert definition.version is Version.V2
        assert definition.format == {
            "jwt_vc": frozenset({"ES256K"}),
            "ldp_vp": frozenset({"Ed25519Signature2020"}),
        }
        field = definition.input_descriptors[0].constraints.fields[0]
        assert (field.id, field.optional, field.intent_to_retain) == ("age", True, True)
        assert [str(each.text) for each in field.paths] == ["$.age"]

    def test_a_schema_makes_it_version_1(self, profile):
        """The profile's definition, with a schema and without constraints, is of 1.0.0."""
        definition = parse_definition(profile["definition"])
        assert definition.version is Version.V1
        assert definition.input_descriptors[0].schema[0].uri == "VerifiedEmployee"

    def test_its_states_are_told(self):
        """A caller learns which states a descriptor accepts before it refuses a credential."""
        constraints = parse_definition(BASE).input_descriptors[0].constraints
        assert allowed_states(constraints) == {CredentialState.ACTIVE}
        document = changed((*CONSTRAINTS, "statuses"), {"revoked": {"directive": "allowed"}})
        constraints = parse_definition(document).input_descriptors[0].constraints
        assert allowed_states(constraints) == {CredentialState.ACTIVE, CredentialState.REVOKED}


FAULT = ExchangeFault
ONE_FIELD = BASE["input_descriptors"][0]["constraints"]["fields"]


class TestRefused:
    @pytest.mark.parametrize(
        ("path", "value", "code"),
        [
            (("id",), ..., FAULT.MISSING_MEMBER),
            (("id",), "", FAULT.INVALID_MEMBER),
            (("id",), "x" * 257, FAULT.INVALID_MEMBER),
            (("frame",), {}, FAULT.UNKNOWN_MEMBER),
            (("name",), 1, FAULT.INVALID_MEMBER),
            (("format",), {}, FAULT.INVALID_MEMBER),
            (("format",), {"jwt vc": {}}, FAULT.INVALID_MEMBER),
            (("format",), {"jwt_vc": {"alg": []}}, FAULT.INVALID_MEMBER),
            (("format",), {"jwt_vc": {"algs": ["ES256"]}}, FAULT.UNKNOWN_MEMBER),
            (("input_descriptors",), [], FAULT.INVALID_MEMBER),
            (("input_descriptors",), {}, FAULT.INVALID_MEMBER),
            (("input_descriptors",), [BASE["input_descriptors"][0]] * 33, FAULT.TOO_MANY_ITEMS),
            (("input_descriptors",), [BASE["input_descriptors"][0]] * 2, FAULT.DUPLICATE_DESCRIPTOR),
            (("input_descriptors",), ["a"], FAULT.INVALID_MEMBER),
            ((*DESCRIPTOR, "constraint"), {}, FAULT.UNKNOWN_MEMBER),
            (CONSTRAINTS, ..., FAULT.MISSING_MEMBER),
            ((*CONSTRAINTS, "limit_disclosure"), "always", FAULT.INVALID_MEMBER),
            ((*CONSTRAINTS, "subject_is_issuer"), True, FAULT.INVALID_MEMBER),
            ((*CONSTRAINTS, "statuses"), {}, FAULT.INVALID_MEMBER),
            ((*CONSTRAINTS, "statuses"), {"expired": {"directive": "required"}}, FAULT.UNKNOWN_MEMBER),
            ((*CONSTRAINTS, "statuses"), {"active": {"directive": "maybe"}}, FAULT.INVALID_MEMBER),
            ((*CONSTRAINTS, "is_holder", 0, "field_id"), ["x"], FAULT.UNKNOWN_FIELD_ID),
            ((*CONSTRAINTS, "same_subject", 0, "field_id"), ["x"], FAULT.UNKNOWN_FIELD_ID),
            ((*CONSTRAINTS, "is_holder", 0, "directive"), ..., FAULT.MISSING_MEMBER),
            ((*CONSTRAINTS, "fields"), ONE_FIELD * 2, FAULT.DUPLICATE_FIELD_ID),
            ((*FIELD, "path"), [], FAULT.INVALID_MEMBER),
            ((*FIELD, "path"), ["$."], FAULT.PATH_INVALID),
            ((*FIELD, "path"), ["$..book[(@.length-1)]"], FAULT.PATH_INVALID),
            ((*FIELD, "path"), ["credentialSubject.age"], FAULT.PATH_INVALID),
            ((*FIELD, "path"), ["$" + "[0]" * 400], FAULT.INVALID_MEMBER),
            ((*FIELD, "filters"), {}, FAULT.UNKNOWN_MEMBER),
            ((*FIELD, "filter"), ..., FAULT.PREDICATE_WITHOUT_FILTER),
            ((*FIELD, "filter"), {"type": "string", "pattern": "x"}, FAULT.PREDICATE_FILTER_UNSUITABLE),
            ((*FIELD, "filter"), {"type": "string"}, FAULT.PREDICATE_FILTER_UNSUITABLE),
            ((*FIELD, "filter"), {"not": {"type": "null"}}, FAULT.PREDICATE_FILTER_UNSUITABLE),
            ((*FIELD, "predicate"), "always", FAULT.INVALID_MEMBER),
            ((*FIELD, "optional"), "true", FAULT.INVALID_MEMBER),
        ],
    )
    def test_one_wrong_member_is_refused(self, path, value, code):
        """A definition with one thing wrong is refused by that thing's code."""
        assert code_of(changed(path, value)) is code

    @pytest.mark.parametrize("member", ["name", "optional", "intent_to_retain"])
    def test_version_1_has_no_members_of_2(self, member):
        """What 2.x added is not known in 1.0.0."""
        document = changed((*DESCRIPTOR, "schema"), [{"uri": "Employee"}])
        field = document["input_descriptors"][0]["constraints"]["fields"][0]
        for name in {"name", "optional", "intent_to_retain"} - {member}:
            del field[name]
        assert code_of(document) is FAULT.UNKNOWN_MEMBER

    def test_in_version_1_each_descriptor_has_a_schema(self):
        """A descriptor without schema beside one that has one is refused."""
        document = {"id": "d", "input_descriptors": [{"id": "a", "schema": [{"uri": "x"}]}, {"id": "b"}]}
        assert code_of(document) is FAULT.MISSING_MEMBER

    def test_an_error_says_where(self):
        """The path of a refusal leads to the member."""
        with pytest.raises(ExchangeError) as caught:
            parse_definition(changed((*FIELD, "optional"), 1))
        assert caught.value.path == "$.input_descriptors[0].constraints.fields[0].optional"


SUBMISSION = {
    "id": "s",
    "definition_id": "d",
    "descriptor_map": [
        {
            "id": "a",
            "format": "jwt_vp",
            "path": "$",
            "path_nested": {"id": "a", "format": "jwt_vc", "path": "$.v"},
        }
    ],
}


class TestSubmission:
    def refuse(self, **entry):
        document = copy.deepcopy(SUBMISSION)
        document["descriptor_map"][0].update(entry)
        with pytest.raises(ExchangeError) as caught:
            parse_submission(document)
        return caught.value.code

    def test_levels_become_steps(self):
        """An entry is read as the steps from the embed target to the credential."""
        entry = parse_submission(SUBMISSION).entries[0]
        assert [(step.format, step.path.text) for step in entry.steps] == [("jwt_vp", "$"), ("jwt_vc", "$.v")]

    def test_unknown_members_of_a_wallet_are_ignored(self):
        """Wallets send more than the specification knows."""
        assert parse_submission({**SUBMISSION, "comment": "hello"}).id == "s"

    @pytest.mark.parametrize("path", ["$..v", "$[*]", "$[0,1]", "$[0:2]", "$[?@.a]"])
    def test_a_path_is_one_place(self, path):
        """A wallet's path selects one value and is no search."""
        assert self.refuse(path=path) is FAULT.PATH_NOT_SINGULAR

    def test_the_id_is_the_same_on_each_level(self):
        """Nested levels are about the same descriptor."""
        nested = {"id": "b", "format": "jwt_vc", "path": "$"}
        assert self.refuse(path_nested=nested) is FAULT.NESTED_ID_MISMATCH

    def test_nesting_is_bounded(self):
        """Four levels are enough for everybody."""
        nested = {"id": "a", "format": "jwt_vp", "path": "$"}
        for _ in range(3):
            nested = {**nested, "path_nested": nested}
        assert self.refuse(path_nested=nested) is FAULT.NESTING_TOO_DEEP

    @pytest.mark.parametrize(
        ("entry", "code"),
        [
            ({"path": "v"}, FAULT.PATH_INVALID),
            ({"path": 1}, FAULT.INVALID_MEMBER),
            ({"format": None}, FAULT.INVALID_MEMBER),
            ({"id": ""}, FAULT.INVALID_MEMBER),
            ({"path_nested": None}, FAULT.INVALID_MEMBER),
            ({"path_nested": {}}, FAULT.MISSING_MEMBER),
        ],
    )
    def test_a_malformed_entry_is_refused(self, entry, code):
        """Each member of an entry is of its type."""
        assert self.refuse(**entry) is code

    def test_the_map_is_bounded(self):
        """A descriptor map has at most 64 entries."""
        with pytest.raises(ExchangeError) as caught:
            parse_submission({**SUBMISSION, "descriptor_map": SUBMISSION["descriptor_map"] * 65})
        assert caught.value.code is FAULT.TOO_MANY_ITEMS


class TestText:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b'{"id":1,"id":2}', FAULT.INVALID_JSON),
            (b"[]", FAULT.INVALID_JSON),
            (b"{", FAULT.INVALID_JSON),
            (b"\xff", FAULT.INVALID_JSON),
            (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", FAULT.TOO_DEEP),
            (b'{"a":"' + b"x" * 10_000_000 + b'"}', FAULT.TOO_LARGE),
        ],
        ids=["duplicate", "array", "open", "bytes", "deep", "10 MB"],
    )
    def test_a_text_is_strict_bounded_json(self, data, code):
        """Texts that parsers could read differently, or that are too much, are refused."""
        with pytest.raises(ExchangeError) as caught:
            read_json(data)
        assert caught.value.code is code


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=20,
)
MEMBERS = st.sampled_from(
    [
        "id",
        "path",
        "filter",
        "type",
        "format",
        "constraints",
        "fields",
        "descriptor_map",
        "path_nested",
        "$ref",
    ]
)


class TestAnything:
    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_a_definition_is_parsed_or_refused(self, data):
        """Whatever stands in any place of a definition, it is a value or an ExchangeError."""
        document = copy.deepcopy(BASE)
        places = [((), document)]
        for path, value in places:
            if isinstance(value, dict | list):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                places.extend(((*path, step), child) for step, child in items)
        path, _ = data.draw(st.sampled_from(places[1:]))
        wild = data.draw(json_values | st.dictionaries(MEMBERS, json_values, max_size=3))
        with contextlib.suppress(ExchangeError):
            parse_definition(changed(path, wild))

    @settings(max_examples=200, deadline=None)
    @given(json_values | st.dictionaries(MEMBERS, json_values, max_size=4))
    def test_a_submission_is_parsed_or_refused(self, document):
        """Whatever a wallet sends as submission, it is a value or an ExchangeError."""
        with contextlib.suppress(ExchangeError):
            parse_submission(document)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
    def test_a_text_is_read_or_refused(self, data):
        """Whatever octets come, they are an object or an ExchangeError."""
        with contextlib.suppress(ExchangeError):
            assert isinstance(read_json(data), dict)


# SOURCE: decentralized-identity/presentation-exchange, test/presentation-definition/multi_group_example.json
# at commit 1c24b0b766f1d8cd9e3a7d28a3f5a88719bf8b9b:
# the last input descriptor, and the requirement that it answers.
LICENSE = {
    "id": "32f54163-7166-48f1-93d8-ff217bdb0653",
    "submission_requirements": [
        {
            "name": "Eligibility to Drive on US Roads",
            "purpose": "We need to verify eligibility to drive on US roads via US or EU driver's license, "
            "but no biometric or identifying information contained there.",
            "rule": "pick",
            "count": 1,
            "from": "C",
        }
    ],
    "input_descriptors": [
        {
            "id": "drivers_license_input_2",
            "name": "Driver's License from one of 50 US States",
            "group": ["C"],
            "constraints": {
                "fields": [
                    {
                        "path": ["$.credentialSchema.id", "$.vc.credentialSchema.id"],
                        "filter": {
                            "type": "string",
                            "const": "hub://did:foo:123/Collections/schema.us.gov/american_drivers_license.json",
                        },
                    },
                    {
                        "path": ["$.issuer", "$.vc.issuer", "$.iss"],
                        "purpose": "We can only accept digital driver's licenses issued by the 50 US states' "
                        "automative affairs agencies.",
                        "filter": {
                            "type": "string",
                            "pattern": "did:example:gov1|did:web:dmv.ca.gov|did:example:oregonDMV",
                        },
                    },
                    {
                        "path": [
                            "$.credentialSubject.birth_date",
                            "$.vc.credentialSubject.birth_date",
                            "$.birth_date",
                        ],
                        "purpose": "We must confirm that the driver was at least 21 years old on "
                        "April 16, 2020.",
                        "filter": {"type": "string", "format": "date", "forrmatMaximum": "1999-05-16"},
                    },
                ]
            },
        }
    ],
}


class TestPublishedExample:
    def test_a_misspelled_keyword_is_not_ignored(self):
        """The specification's own example misspells the keyword that checks the age; that is refused."""
        assert code_of(LICENSE) is FAULT.FILTER_KEYWORD_UNSUPPORTED

    @pytest.mark.parametrize(
        ("born", "accepted"), [("1990-01-31", True), ("1990-02-31", False), (None, False)]
    )
    def test_the_example_without_it_is_evaluated(self, exchange, born, accepted):
        """Without the misspelled keyword the example accepts a license with a date of birth."""
        exchange.definition = copy.deepcopy(LICENSE)
        fields = exchange.definition["input_descriptors"][0]["constraints"]["fields"]
        del fields[2]["filter"]["forrmatMaximum"]
        exchange.submission["definition_id"] = LICENSE["id"]
        exchange.submission["descriptor_map"] = [exchange.entry("drivers_license_input_2", 0)]
        claims = exchange.payloads[0]
        claims["iss"] = "did:web:dmv.ca.gov"
        claims["vc"]["credentialSchema"] = {"id": fields[0]["filter"]["const"], "type": "JsonSchema"}
        claims["vc"]["credentialSubject"] = {"birth_date": born} if born else {"name": "Pat"}
        assert exchange.report().accepted is accepted
