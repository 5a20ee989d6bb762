"""What the API promises beyond what buf checks."""

from collections.abc import Iterator

import pytest
from countersign.v1 import (
    authorization_service_pb2,
    client_service_pb2,
    enrollment_service_pb2,
    errors_pb2,
    introspection_service_pb2,
    key_service_pb2,
    presentation_service_pb2,
    token_service_pb2,
)
from countersign.v1.reason import Reason as ClientReason
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.errors import Reason
from signers.algorithms import Algorithm

FILES = [
    authorization_service_pb2,
    client_service_pb2,
    enrollment_service_pb2,
    introspection_service_pb2,
    key_service_pb2,
    presentation_service_pb2,
    token_service_pb2,
]
SERVICES = [service for file in FILES for service in file.DESCRIPTOR.services_by_name.values()]


def messages_below(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    if message.full_name in seen or not message.full_name.startswith("countersign."):
        return
    seen.add(message.full_name)
    yield message
    for field in message.fields:
        if field.message_type is not None:
            yield from messages_below(field.message_type, seen)


def fields(*, requests: bool) -> list[FieldDescriptor]:
    seen: set[str] = set()
    return [
        field
        for service in SERVICES
        for method in service.methods
        for message in messages_below(method.input_type if requests else method.output_type, seen)
        for field in message.fields
    ]


def behaviors(field: FieldDescriptor) -> set[int]:
    return set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def test_reasons_mirror_the_gateway():
    """Every reason of the gateway is in the API and the other way round, by name."""
    names = {name.removeprefix("ERROR_REASON_") for name, number in errors_pb2.ErrorReason.items() if number}
    assert names == {each.value for each in Reason} == {each.value for each in ClientReason}


def test_algorithms_mirror_the_signers():
    """Every algorithm of the signers is in the API and the other way round, by name."""
    names = {
        name.removeprefix("SIGNATURE_ALGORITHM_")
        for name, number in key_service_pb2.SignatureAlgorithm.items()
        if number
    }
    assert names == {each.name for each in Algorithm}


@pytest.mark.parametrize("field", fields(requests=True), ids=lambda field: field.full_name)
def test_request_fields_say_how_they_behave(field):
    """Every field that a request can hold is required, optional, or for output only (AIP-203)."""
    kinds = {
        field_behavior_pb2.REQUIRED,
        field_behavior_pb2.OPTIONAL,
        field_behavior_pb2.OUTPUT_ONLY,
        field_behavior_pb2.IDENTIFIER,
    }
    assert len(behaviors(field) & kinds) == 1


SECRET_FIELDS = {
    "value",
    "assertion",
    "secret",
    "token",
    "client_secret",
    "code",
    "code_verifier",
    "refresh_token",
    "subject_token",
    "actor_token",
    "id_token",
    "vp_token",
    "response_code",
}
CODES_OF_RULES = {"countersign.v1.PresentationCheck.code"}


def test_secrets_are_marked():
    """Every string that is a secret is marked for redaction, and nothing else is."""
    found = {
        field.full_name: field.GetOptions().debug_redact
        for field in fields(requests=True) + fields(requests=False)
        if field.type == FieldDescriptor.TYPE_STRING
    }
    expected = {
        name: name.rsplit(".", 1)[-1] in SECRET_FIELDS and name not in CODES_OF_RULES for name in found
    }
    assert found == expected
