"""gateway.presentations.status.evaluation: every dialect, every rule, broken alone and seen by its code."""

import contextlib
import dataclasses
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jose import base64url
from gateway.presentations.checks import Outcome
from gateway.presentations.exchange import CredentialState
from gateway.presentations.status import (
    MINIMUM_ENTRIES,
    Dialect,
    FetchedList,
    KeptList,
    OnUnknown,
    StatusError,
    StatusPolicy,
    Unreachable,
    VerifiedToken,
    check_status,
    read_list,
)
from gateway.presentations.status.coding import encode_bitstring

NOW = 1_750_000_000
URI = "https://issuer.example/lists/1"
DIALECTS = list(Dialect)
W3C = [each for each in DIALECTS if each is not Dialect.TOKEN]
LAST = MINIMUM_ENTRIES - 1


class TestBits:
    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("index", [0, 1, 7, 8, LAST - 1, LAST])
    def test_a_set_bit_revokes_its_credential(self, case, refused, dialect, index):
        """A bit at the first, the last and other places revokes the credential that points there."""
        one = case(dialect).at(index)
        one.bits.set(index)
        report = one.report()
        refused(report, "status_value")
        assert report.state is CredentialState.REVOKED

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(
        ("index", "neighbor"), [(0, 1), (0, 7), (7, 0), (8, 15), (LAST, LAST - 7), (LAST, 0)]
    )
    def test_a_set_bit_touches_no_other_credential(self, case, dialect, index, neighbor):
        """The bits around it, in whatever order, stay as they are."""
        one = case(dialect).at(neighbor)
        one.bits.set(index)
        report = one.report()
        assert report.accepted
        assert report.state is CredentialState.ACTIVE

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("index", [LAST + 1, 2**31 - 1])
    def test_an_index_outside_of_the_list_is_refused(self, case, refused, dialect, index):
        """An index beyond the list says nothing, and is never taken for unset."""
        report = case(dialect).at(index).report()
        refused(report, "status_index_range")
        assert report.state is None

    @pytest.mark.parametrize("dialect", W3C)
    def test_a_suspended_credential_is_refused(self, case, refused, dialect):
        """A bit in a list for suspension suspends."""
        one = case(dialect, "suspension")
        one.bits.set(one.index)
        report = one.report()
        refused(report, "status_value")
        assert report.state is CredentialState.SUSPENDED

    @pytest.mark.parametrize("size", [1, 2, 4, 8])
    @pytest.mark.parametrize("index", [0, 3, LAST])
    def test_a_token_has_values_of_each_size(self, case, refused, size, index):
        """Token lists have values of 1, 2, 4 or 8 bits."""
        one = case(Dialect.TOKEN, size=size).at(index)
        one.bits.set(index, 1)
        refused(one.report(), "status_value")

    @pytest.mark.parametrize(
        ("value", "state", "outcome"),
        [
            (0, CredentialState.ACTIVE, Outcome.PASSED),
            (1, CredentialState.REVOKED, Outcome.FAILED),
            (2, CredentialState.SUSPENDED, Outcome.FAILED),
            (3, None, Outcome.UNKNOWN),
        ],
    )
    def test_the_values_of_a_token(self, case, value, state, outcome):
        """Valid, invalid, suspended; an application's own value is unknown and refused."""
        one = case(Dialect.TOKEN, size=2)
        one.bits.set(one.index, value)
        one.policy = StatusPolicy(on_unknown=OnUnknown.ACCEPT)
        report = one.report()
        assert (report.state, report.checks[-1].outcome) == (state, outcome)
        assert report.accepted is (value == 0)

    def test_a_published_token_list_is_read(self, case, token_vectors):
        """The draft's own lists say of each index what the draft says."""
        for vector in token_vectors:
            for index, value in vector["statuses"].items():
                one = case(Dialect.TOKEN).at(int(index))
                one.list_claims()["status_list"] = {"bits": vector["bits"], "lst": vector["lst"]}
                assert [each.value for each in one.report().statuses] == [value]


class TestMessages:
    MESSAGES = (
        {"status": "0x0", "message": "pending"},
        {"status": "0x1", "message": "accepted"},
        {"status": "0x2", "message": "declined"},
        {"status": "0x3", "message": "delayed"},
    )

    def test_a_message_is_told_and_decides_nothing(self, case):
        """A list for messages says its message for the value, and the credential stays active."""
        one = case(Dialect.BITSTRING, "message", size=2)
        one.entry |= {"statusSize": 2, "statusMessage": list(self.MESSAGES)}
        one.bits.set(one.index, 2)
        report = one.report()
        assert report.accepted
        assert [(each.value, each.message) for each in report.statuses] == [(2, "declined")]
        assert report.state is CredentialState.ACTIVE

    def test_a_purpose_of_its_own_is_unknown_once_set(self, case, refused):
        """What an issuer's own purpose means is not known, so a set bit is refused."""
        one = case(Dialect.BITSTRING)
        one.entry["statusPurpose"] = "mood"
        one.list_claims()["vc"]["credentialSubject"]["statusPurpose"] = ["revocation", "mood"]
        assert one.report().accepted
        one.claims = None
        one.bits.set(one.index)
        one.list_claims()["vc"]["credentialSubject"]["statusPurpose"] = ["revocation", "mood"]
        refused(one.report(), "status_value", Outcome.UNKNOWN)


@pytest.mark.parametrize("dialect", DIALECTS)
class TestRules:
    def test_a_forged_list_is_refused(self, case, refused, dialect):
        """A list whose signature does not verify is refused."""
        one = case(dialect)
        body = bytearray(one.signed())
        body[-5] ^= 1
        one.source = FetchedList(bytes(body), NOW)
        refused(one.report(), "status_list_signature")

    def test_a_list_of_another_dialect_is_refused(self, case, refused, dialect):
        """An entry is answered by a list of its own kind only."""
        one = case(dialect)
        other = case(DIALECTS[DIALECTS.index(dialect) - 1])
        one.source = FetchedList(other.signed(), NOW)
        refused(one.report(), "status_list_type")

    def test_another_list_is_refused(self, case, refused, dialect):
        """A list that says it is another one is refused, though well signed."""
        one = case(dialect)
        one.list_claims()["sub" if dialect is Dialect.TOKEN else "jti"] = "https://issuer.example/lists/2"
        refused(one.report(), "status_list_identity")

    def test_a_list_of_another_issuer_is_refused(self, case, refused, dialect):
        """Nobody else speaks for an issuer's credentials."""
        one = case(dialect)
        one.credential_issuer = "did:web:other.example"
        refused(one.report(), "status_list_issuer")

    def test_a_delegate_may_issue_the_list(self, case, dialect):
        """Unless the policy says who does."""
        one = case(dialect)
        one.credential_issuer = "did:web:other.example"
        one.policy = StatusPolicy(
            list_issuers={"did:web:other.example": frozenset({"did:web:issuer.example"})}
        )
        assert one.report().accepted

    @pytest.mark.parametrize(
        ("name", "value", "good"),
        [
            ("exp", NOW - 60, False),
            ("exp", NOW - 59, True),
            ("iat", NOW + 61, False),
            ("iat", NOW + 60, True),
            ("nbf", NOW + 61, False),
        ],
    )
    def test_a_list_is_valid_in_its_time(self, case, refused, dialect, name, value, good):
        """A list before or after its time is refused, but for the leeway."""
        one = case(dialect)
        one.list_claims()[name] = value
        if good:
            assert one.report().accepted
        else:
            refused(one.report(), "status_list_validity")

    def test_an_old_copy_is_unknown(self, case, refused, dialect):
        """A copy kept longer than the list's own time to live is not believed."""
        one = case(dialect)
        if dialect is not Dialect.TOKEN:
            one.list_claims()["vc"]["credentialSubject"]["ttl"] = 3_600_000
        one.fetched_at = NOW - 3600 - 60
        assert one.report().accepted
        one.fetched_at -= 1
        refused(one.report(), "status_list_freshness", Outcome.UNKNOWN)

    def test_a_list_older_than_the_policy_allows_is_unknown(self, case, refused, dialect):
        """A replayed old list is not believed where the policy bounds its age."""
        one = case(dialect)
        one.policy = StatusPolicy(max_age=900)
        refused(one.report(), "status_list_freshness", Outcome.UNKNOWN)

    def test_an_unreachable_list_is_unknown_and_refused(self, case, refused, dialect):
        """No list, no answer; and no answer is no."""
        one = case(dialect)
        one.source = Unreachable("deadline_exceeded")
        report = one.report()
        refused(report, "status_list_available", Outcome.UNKNOWN)
        assert report.state is None
        assert "deadline_exceeded" in report.checks[-1].detail

    def test_the_policy_may_accept_an_unreachable_list(self, case, dialect):
        """A verifier may decide otherwise, and the report still says unknown."""
        one = case(dialect)
        one.source = Unreachable("deadline_exceeded")
        one.policy = StatusPolicy(on_unknown=OnUnknown.ACCEPT)
        report = one.report()
        assert report.accepted
        assert report.state is None
        assert report.checks[-1].outcome is Outcome.UNKNOWN

    def test_no_policy_accepts_a_list_that_is_wrong(self, case, refused, dialect):
        """Leniency about missing lists does not reach a forged one."""
        one = case(dialect)
        one.policy = StatusPolicy(on_unknown=OnUnknown.ACCEPT)
        one.source = FetchedList(b"not a token", NOW)
        refused(one.report(), "status_list_signature")

    def test_a_kept_list_is_held_to_the_same_rules(self, case, refused, dialect):
        """A list from the cache is checked again at each use, but for its signature."""
        one = case(dialect)
        kept = one.report().lists[URI]
        one.source = kept
        assert one.report().accepted
        one.source = KeptList(dataclasses.replace(kept.status_list, expires_at=NOW - 100), NOW)
        refused(one.report(), "status_list_validity")

    def test_a_revoked_state_may_be_accepted(self, case, dialect):
        """A definition may allow revoked credentials; the state is reported."""
        one = case(dialect)
        one.bits.set(one.index)
        one.policy = StatusPolicy(accepted_states=frozenset(CredentialState))
        report = one.report()
        assert report.accepted
        assert report.state is CredentialState.REVOKED

    def test_every_check_has_its_clause(self, case, dialect):
        """A line of the report says where its rule is written."""
        for check in case(dialect).report().checks:
            assert check.clause
            assert check.path.startswith("$.")


class TestW3cRules:
    @pytest.mark.parametrize("dialect", W3C)
    def test_a_list_for_another_purpose_is_refused(self, case, refused, dialect):
        """An entry about revocation is not answered by a list about suspension."""
        one = case(dialect)
        other = case(dialect, "suspension")
        one.source = FetchedList(other.signed(), NOW)
        refused(one.report(), "status_list_purpose")

    @pytest.mark.parametrize("dialect", W3C)
    def test_a_short_list_is_refused(self, case, refused, dialect):
        """A list of fewer than 131,072 entries hides nobody, and is refused."""
        one = case(dialect).at(5)
        text = encode_bitstring(bytes(MINIMUM_ENTRIES // 8 - 1), multibase=False)
        one.list_claims()["vc"]["credentialSubject"]["encodedList"] = text
        refused(one.report(), "status_list_length")

    def test_the_minimum_counts_entries_and_not_bits(self, case, refused):
        """Values of two bits need a list of twice the bits."""
        one = case(Dialect.BITSTRING, "message").at(5)
        one.entry |= {"statusSize": 2, "statusMessage": list(TestMessages.MESSAGES)}
        refused(one.report(), "status_list_length")

    @pytest.mark.parametrize("dialect", W3C)
    def test_a_credential_that_names_another_issuer_is_refused(self, case, refused, dialect):
        """The issuer of a list credential is whose key verified it."""
        one = case(dialect)
        one.list_claims()["vc"]["issuer"] = "did:web:other.example"
        refused(one.report(), "status_list_issuer")

    @pytest.mark.parametrize("dialect", W3C)
    def test_a_credential_of_another_type_is_no_list(self, case, refused, dialect):
        """A credential that is no list credential is refused, though its subject looks like one."""
        one = case(dialect)
        one.list_claims()["vc"]["type"] = ["VerifiableCredential"]
        refused(one.report(), "status_list_type")

    @pytest.mark.parametrize("dialect", W3C)
    def test_the_data_model_s_own_times_hold_as_well(self, case, refused, dialect):
        """An ``expirationDate`` in the credential counts beside ``exp``."""
        one = case(dialect)
        one.list_claims()["vc"]["expirationDate"] = "2020-01-01T00:00:00Z"
        refused(one.report(), "status_list_validity")

    def test_a_list_in_the_form_of_data_model_2_is_read(self, case):
        """A list credential that is the payload itself is understood."""
        one = case(Dialect.BITSTRING)
        claims = one.list_claims()
        inner = claims["vc"]
        one.claims = {
            "iss": claims["iss"],
            "id": URI,
            "issuer": {"id": claims["iss"]},
            "validFrom": "2020-01-01T00:00:00Z",
            "validUntil": "2099-01-01T00:00:00Z",
            **inner,
        }
        one.typ = "vc+jwt"
        assert one.report().accepted


class TestToken:
    def test_a_token_without_its_type_is_refused(self, case, refused):
        """A status list token says so in its ``typ``."""
        one = case(Dialect.TOKEN)
        one.typ = "JWT"
        refused(one.report(), "status_list_type")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda claims: claims.pop("iat"), "status_list_well_formed"),
            (lambda claims: claims.pop("status_list"), "status_list_well_formed"),
            (lambda claims: claims["status_list"].update(bits=3), "status_list_well_formed"),
            (lambda claims: claims["status_list"].update(bits=True), "status_list_well_formed"),
            (lambda claims: claims["status_list"].update(lst=""), "status_list_well_formed"),
            (lambda claims: claims["status_list"].update(lst="eN+="), "status_list_encoding"),
            (lambda claims: claims["status_list"].update(lst="AAAA"), "status_list_compression"),
            (lambda claims: claims.pop("sub"), "status_list_well_formed"),
            (lambda claims: claims.update(ttl=0), "status_list_well_formed"),
            (lambda claims: claims.update(exp="soon"), "status_list_well_formed"),
        ],
    )
    def test_a_malformed_token_is_refused(self, case, refused, change, code):
        """Each claim of a status list token is there and of its type."""
        one = case(Dialect.TOKEN)
        change(one.list_claims())
        refused(one.report(), code)


class TestCredential:
    def check(self, payload, **policy):
        return check_status(
            payload, "did:web:issuer.example", {}, None, now=NOW, policy=StatusPolicy(**policy)
        )

    def test_a_credential_without_status_is_active(self):
        """What cannot be revoked is active, and the report says that there was nothing to check."""
        report = self.check({"iss": "x", "vc": {}})
        assert report.accepted
        assert report.state is CredentialState.ACTIVE
        assert report.checks[0].outcome is Outcome.SKIPPED

    def test_a_policy_may_require_a_status(self, refused):
        """A verifier may refuse what cannot be revoked."""
        refused(self.check({"iss": "x", "vc": {}}, required=True), "status_entry_present")

    def test_an_unknown_type_is_not_taken_for_none(self, refused):
        """A status of a kind that is not supported is unknown, and refused."""
        report = self.check({"vc": {"credentialStatus": {"type": "Unheard", "id": "https://x.example"}}})
        refused(report, "status_entry_type", Outcome.UNKNOWN)

    def test_a_malformed_entry_is_refused(self, refused):
        """A malformed status is wrong, whatever the policy says about unknown ones."""
        report = self.check({"vc": {"credentialStatus": "x"}}, on_unknown=OnUnknown.ACCEPT)
        refused(report, "status_entry_well_formed")

    def test_a_list_that_was_not_fetched_is_unknown(self, case, refused):
        """A source that the caller did not give counts as unreachable."""
        refused(self.check(case(Dialect.TOKEN).payload()), "status_list_available", Outcome.UNKNOWN)

    def test_the_worst_of_several_entries_counts(self, case):
        """A credential that is revoked in one list is revoked, whatever another one says."""
        one = case(Dialect.BITSTRING)
        one.bits.set(one.index)
        one.list_claims()["vc"]["credentialSubject"]["statusPurpose"] = ["revocation", "suspension"]
        first = dict(one.entry)
        good = {**first, "statusListIndex": "3", "statusPurpose": "suspension"}
        one.entry = [good, first]
        report = one.report()
        assert not report.accepted
        assert report.state is CredentialState.REVOKED
        assert [each.value for each in report.statuses] == [0, 1]

    def test_a_list_is_read_once_for_several_entries(self, case):
        """Two entries in one list have it verified and unpacked once."""
        one = case(Dialect.BITSTRING)
        one.entry = [{**one.entry, "statusListIndex": str(index)} for index in (1, 2)]
        calls = []
        verify = one.issuer.verify
        source = FetchedList(one.signed(), NOW)

        def counted(token):
            calls.append(token)
            return verify(token)

        report = check_status(one.payload(), "did:web:issuer.example", {URI: source}, counted, now=NOW)
        assert report.accepted
        assert len(calls) == 1


class TestHostile:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_decompression_bomb_ends_at_the_bound(self, case, refused, dialect):
        """A list that unpacks to a gigabyte costs no more than the bound."""
        one = case(dialect)
        if dialect is Dialect.TOKEN:
            bomb = base64url.encode(zlib.compress(bytes(64 * 1024 * 1024), 9))
            one.list_claims()["status_list"]["lst"] = bomb
        else:
            bomb = base64url.encode(gzip.compress(bytes(64 * 1024 * 1024), 9))
            one.list_claims()["vc"]["credentialSubject"]["encodedList"] = bomb
        refused(one.report(), "status_list_size")

    def test_a_list_of_any_size_is_bounded(self, case, refused):
        """Octets beyond the bound are not even decoded."""
        one = case(Dialect.TOKEN)
        one.source = FetchedList(b"x" * (13 * 1024 * 1024), NOW)
        refused(one.report(), "status_list_size")

    @pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{}", b'{"proof":{}}', b"a.b.c", b"<html>"])
    def test_what_is_no_token_is_refused(self, case, refused, body):
        """A list that is no compact JWT does not verify."""
        one = case(Dialect.BITSTRING)
        one.source = FetchedList(body, NOW)
        refused(one.report(), "status_list_signature")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
PLACES = [
    *(("vc", name) for name in ("id", "issuer", "type", "credentialSubject", "validFrom", "expirationDate")),
    *(("vc", "credentialSubject", name) for name in ("type", "statusPurpose", "encodedList", "ttl")),
    *((name,) for name in ("jti", "iat", "nbf", "exp", "sub", "ttl", "status_list", "vc")),
    *(("status_list", name) for name in ("bits", "lst")),
]


class TestAnything:
    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(PLACES), json_values, st.sampled_from(["JWT", "statuslist+jwt", None]))
    def test_a_list_is_read_or_refused(self, place, value, typ):
        """Whatever stands in any place of a verified list, it is a list or a StatusError."""
        text = encode_bitstring(bytes(16), multibase=False)
        subject = {"type": "BitstringStatusList", "statusPurpose": "revocation", "encodedList": text}
        claims = {
            "jti": URI,
            "iat": NOW,
            "sub": URI,
            "vc": {"type": ["BitstringStatusListCredential"], "credentialSubject": subject},
        }
        if typ == "statuslist+jwt":
            claims["status_list"] = {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}
        target = claims
        for name in place[:-1]:
            target = target.setdefault(name, {})
        target[place[-1]] = value
        token = VerifiedToken("did:web:issuer.example", typ, claims)
        with contextlib.suppress(StatusError):
            read_list(b"a.b.c", lambda _: token, max_inflated=1024)
