"""gateway.presentations.status.entry: what a credential may say of its status."""

import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.presentations.status import Dialect, StatusCheck, StatusError, parse_entries

URI = "https://issuer.example/lists/1"
ENTRY = {
    "id": f"{URI}#5",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "5",
    "statusListCredential": URI,
}
MESSAGES = [{"status": hex(value), "message": f"value {value}"} for value in range(4)]


def code_of(payload):
    with pytest.raises(StatusError) as caught:
        parse_entries(payload)
    return caught.value.code


class TestParsed:
    @pytest.mark.parametrize(
        ("kind", "dialect", "purpose"),
        [
            ("RevocationList2021Status", Dialect.REVOCATION_LIST_2021, "revocation"),
            ("SuspensionList2021Status", Dialect.REVOCATION_LIST_2021, "suspension"),
            ("StatusList2021Entry", Dialect.STATUS_LIST_2021, "revocation"),
            ("BitstringStatusListEntry", Dialect.BITSTRING, "revocation"),
            (["BitstringStatusListEntry"], Dialect.BITSTRING, "revocation"),
        ],
    )
    @pytest.mark.parametrize("inner", [True, False])
    def test_each_type_of_entry(self, kind, dialect, purpose, inner):
        """An entry of each dialect is read, in ``vc`` or in the payload."""
        credential = {"credentialStatus": {**ENTRY, "type": kind}}
        (entry,) = parse_entries({"vc": credential} if inner else credential)
        assert (entry.dialect, entry.purpose, entry.index, entry.uri) == (dialect, purpose, 5, URI)
        assert entry.path == ("$.vc.credentialStatus" if inner else "$.credentialStatus")

    def test_a_token_s_reference(self):
        """A Token Status List reference is read."""
        (entry,) = parse_entries({"status": {"status_list": {"idx": 0, "uri": URI}}})
        assert (entry.dialect, entry.index, entry.size) == (Dialect.TOKEN, 0, None)

    def test_the_status_of_the_profile_s_credential(self):
        """The profile's own credential has an entry of Status List 2021 0.0.1."""
        status = {
            "id": "https://example.com/api/astatuslist/did:ion:EiBAA99TAezxKRc2wuuBnr4zzGsS2YcsOA4IPQV0KY64Xg/1#0",
            "type": "RevocationList2021Status",
            "statusListIndex": "0",
            "statusListCredential": "https://example.com/api/astatuslist/"
            "did:ion:EiBAA99TAezxKRc2wuuBnr4zzGsS2YcsOA4IPQV0KY64Xg/1",
        }
        (entry,) = parse_entries({"vc": {"credentialStatus": status}})
        assert (entry.dialect, entry.index) == (Dialect.REVOCATION_LIST_2021, 0)

    def test_a_list_by_did_url(self):
        """A list may be named by a DID URL through an Identity Hub."""
        uri = "did:web:issuer.example?service=IdentityHub&queries=W10"
        (entry,) = parse_entries({"vc": {"credentialStatus": {**ENTRY, "statusListCredential": uri}}})
        assert entry.uri == uri

    def test_several_entries_have_their_places(self):
        """Of several entries each knows where it stood."""
        entries = parse_entries({"vc": {"credentialStatus": [ENTRY, ENTRY]}})
        assert [entry.path for entry in entries] == ["$.vc.credentialStatus[0]", "$.vc.credentialStatus[1]"]

    def test_a_status_beside_the_data_model_counts(self):
        """A status that stands outside of ``vc`` is not overlooked."""
        entries = parse_entries({"vc": {"credentialStatus": ENTRY}, "credentialStatus": ENTRY})
        assert [entry.path for entry in entries] == ["$.vc.credentialStatus", "$.credentialStatus"]

    def test_no_status_is_none(self):
        """A credential without status has no entries."""
        assert parse_entries({"vc": {}}) == ()

    def test_messages_by_value(self):
        """The messages of an entry are known by their value."""
        status = {**ENTRY, "statusPurpose": "message", "statusSize": 2, "statusMessage": MESSAGES}
        (entry,) = parse_entries({"vc": {"credentialStatus": status}})
        assert (entry.size, entry.messages[2]) == (2, "value 2")


class TestRefused:
    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("id", URI),
            ("statusListIndex", 5),
            ("statusListIndex", "-1"),
            ("statusListIndex", "5.0"),
            ("statusListIndex", " 5"),
            ("statusListIndex", "05"),
            ("statusListIndex", "٥"),
            ("statusListIndex", "1e3"),
            ("statusListIndex", "2147483648"),
            ("statusListIndex", "9" * 100),
            ("statusListIndex", None),
            ("statusListCredential", None),
            ("statusListCredential", "http://issuer.example/lists/1"),
            ("statusListCredential", "file:///etc/passwd"),
            ("statusListCredential", "https://issuer.example/ lists"),
            ("statusListCredential", "https://" + "x" * 5000),
            ("statusPurpose", None),
            ("statusPurpose", ["revocation"]),
            ("statusPurpose", "message"),
            ("statusSize", 0),
            ("statusSize", 3),
            ("statusSize", "1"),
            ("statusSize", True),
            ("statusSize", 2),
            ("statusMessage", []),
            ("statusMessage", MESSAGES),
            ("statusMessage", [{"status": "0x0", "message": "a"}, {"status": "0x0", "message": "b"}]),
            ("statusMessage", [{"status": "0", "message": "a"}, {"status": "0x1", "message": "b"}]),
            ("statusMessage", [{"status": "0x0", "message": 1}, {"status": "0x1", "message": "b"}]),
        ],
    )
    def test_one_wrong_member_is_refused(self, member, value):
        """An entry with one thing wrong is refused."""
        entry = copy.deepcopy(ENTRY) | {member: value}
        assert code_of({"vc": {"credentialStatus": entry}}) is StatusCheck.ENTRY_WELL_FORMED

    @pytest.mark.parametrize(
        "status",
        [
            "x",
            {"status_list": {"idx": -1, "uri": URI}},
            {"status_list": {"idx": True, "uri": URI}},
            {"status_list": {"idx": "0", "uri": URI}},
            {"status_list": {"idx": 2**31, "uri": URI}},
            {"status_list": {"idx": 0, "uri": "http://x.example/1"}},
            {"status_list": {"idx": 0}},
        ],
    )
    def test_a_malformed_reference_is_refused(self, status):
        """A Token Status List reference with one thing wrong is refused."""
        assert code_of({"status": status}) is StatusCheck.ENTRY_WELL_FORMED

    @pytest.mark.parametrize(
        "payload",
        [
            {"vc": {"credentialStatus": {**ENTRY, "type": "StatusList2020Entry"}}},
            {"vc": {"credentialStatus": {**ENTRY, "type": ["A", "B"]}}},
            {"vc": {"credentialStatus": {"id": "x"}}},
            {"status": {"identifier_list": {}}},
        ],
    )
    def test_an_unknown_kind_is_told_apart(self, payload):
        """A kind that is not supported has a code of its own."""
        assert code_of(payload) is StatusCheck.ENTRY_TYPE

    @pytest.mark.parametrize("value", [None, [], [None], "", 0])
    def test_an_empty_status_is_not_none(self, value):
        """A status that says nothing is malformed, and not taken for none."""
        assert code_of({"vc": {"credentialStatus": value}}) is StatusCheck.ENTRY_WELL_FORMED

    def test_the_number_of_entries_is_bounded(self):
        """A credential has at most eight entries."""
        assert code_of({"vc": {"credentialStatus": [ENTRY] * 9}}) is StatusCheck.ENTRY_WELL_FORMED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)


class TestAnything:
    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from([*ENTRY, "statusSize", "statusMessage"]), json_values)
    def test_an_entry_is_parsed_or_refused(self, member, value):
        """Whatever a member is, the entry is a value or a StatusError."""
        with contextlib.suppress(StatusError):
            parse_entries({"vc": {"credentialStatus": {**ENTRY, member: value}}})

    @settings(max_examples=200, deadline=None)
    @given(st.dictionaries(st.sampled_from(["status", "vc", "credentialStatus"]), json_values, max_size=3))
    def test_a_credential_is_parsed_or_refused(self, payload):
        """Whatever a payload is, it has entries or is refused by a StatusError."""
        with contextlib.suppress(StatusError):
            parse_entries(payload)
