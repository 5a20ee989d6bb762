"""What is asked for with a VerifiedEmployee, and the limits of the profile."""

import json
from uuid import UUID

import pytest

from gateway.errors import Reason, RequestError
from gateway.presentations.definitions import definition_of
from gateway.presentations.verified_employee import LIMITS, verified_employee_definition
from tests.support.profile_answer import ProfileAnswer, refusals

ID = UUID(int=1)


def asked(*claims: str, purpose: str = "") -> ProfileAnswer:
    """The profile's answer to such a question."""
    answer = ProfileAnswer(definition=json.loads(verified_employee_definition(ID, claims, purpose)))
    answer.submission["definition_id"] = str(ID)
    return answer


async def test_the_profiles_own_employee_is_one():
    """The published credential has what is asked for, in each claim that it has."""
    result = await asked("givenName", "surname", "jobTitle", "preferredLanguage", "mail").verify()
    assert result.accepted


async def test_a_claim_that_is_asked_for_must_be_there():
    """The vector has no photo."""
    assert refusals(await asked("photo").verify()) == {("pe_field_present", "")}


@pytest.mark.parametrize("name", [name for name, limit in LIMITS.items() if limit is not None])
async def test_a_claim_keeps_its_limit(name):
    """As long as the profile allows passes, one character more does not, and neither does nothing."""
    for length, accepted in ((LIMITS[name], True), (LIMITS[name] + 1, False), (0, False)):
        answer = asked(name)
        answer.vc["vc"]["credentialSubject"][name] = "x" * length
        assert (await answer.verify()).accepted is accepted, length


async def test_another_type_is_no_employee():
    """The type is required, whatever the claims are."""
    answer = asked()
    answer.vc["vc"]["type"] = ["VerifiableCredential", "Employee"]
    assert refusals(await answer.verify()) == {("pe_schema_matched", "")}


def test_the_purpose_is_the_callers():
    """Or a sentence that says what is asked for."""
    for purpose in ("", "To let you in."):
        (descriptor,) = definition_of(verified_employee_definition(ID, (), purpose)).input_descriptors
        assert descriptor.purpose
        assert not purpose or descriptor.purpose == purpose


@pytest.mark.parametrize("arguments", [(("age",), ""), ((), "x" * 2049)])
def test_what_the_type_does_not_have_is_refused(arguments):
    """A claim of another name, and a purpose beyond its bound."""
    with pytest.raises(RequestError) as caught:
        verified_employee_definition(ID, *arguments)
    assert caught.value.reason is Reason.INVALID_FIELD
