"""The table of reasons and what a Status carries."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

import gateway.rpc.status
import signers.errors
from gateway.errors import AvailabilityError, GatewayError, Reason, RequestError
from gateway.failures import OPERATOR_PAUSE, RETRY_AFTER
from gateway.rpc.status import (
    MAX_METADATA,
    MAX_TEXT,
    STATUS,
    to_gateway_error,
    to_status_octets,
    to_status_proto,
)
from gateway.telemetry.request_id import current_request_id
from signers.errors import (
    AccessDeniedError,
    KeyUnusableError,
    SignerBusyError,
    SignerError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)

ERRORS_PROTO = Path(gateway.rpc.status.__file__).parents[2] / "protos/countersign/v1/errors.proto"

SIGNER_ERRORS = [
    kind for kind in vars(signers.errors).values() if isinstance(kind, type) and issubclass(kind, SignerError)
]


def info_of(status):
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def unpack(status, kind):
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            return message
    return None


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_the_code_that_the_api_documents(reason):
    """The table and the comments of errors.proto name the same canonical code for each reason."""
    text = ERRORS_PROTO.read_text()
    comment = re.search(rf"((?:  //[^\n]*\n)+)  ERROR_REASON_{reason} =", text).group(1)
    names = re.findall(r"\b(" + "|".join(code.name for code in grpc.StatusCode) + r")\b", comment)
    assert names[-1] == STATUS[reason].name


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_becomes_a_status(reason):
    """A Status has the code of its reason, an ErrorInfo, and a RetryInfo where waiting helps."""
    status = to_status_proto(GatewayError(reason, "what happened", metadata={"key": "value"}))
    info = info_of(status)
    assert (info.reason, info.domain, dict(info.metadata)) == (reason, "countersign", {"key": "value"})
    assert status.code == STATUS[reason].value[0]
    assert status.message == "what happened"
    has_retry = unpack(status, error_details_pb2.RetryInfo) is not None
    assert has_retry == (reason in RETRY_AFTER)


@pytest.mark.parametrize("kind", SIGNER_ERRORS)
def test_signer_errors_never_show_their_text(kind):
    """A signer's failure is unavailability to the caller, or business; what it says stays inside."""
    error = kind("the PIN 1234 of token prod was refused", key="prod")
    status = to_status_proto(error)
    expected = Reason.SIGNER_BUSY if issubclass(kind, SignerBusyError) else Reason.SIGNER_UNAVAILABLE
    assert info_of(status).reason == expected
    assert b"1234" not in status.SerializeToString()
    assert b"prod" not in status.SerializeToString()
    assert to_gateway_error(error).__cause__ is error


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (SignerThrottledError("", retry_after=2.5), 2.5),
        (SignerThrottledError("", retry_after=0.0), 0.01),
        (SignerUnavailableError("", retry_after=0.4), 0.4),
        (SignerBusyError(""), RETRY_AFTER[Reason.SIGNER_BUSY].total_seconds()),
        (SignerTimeoutError(""), RETRY_AFTER[Reason.SIGNER_UNAVAILABLE].total_seconds()),
        (AccessDeniedError(""), OPERATOR_PAUSE.total_seconds()),
        (KeyUnusableError(""), OPERATOR_PAUSE.total_seconds()),
    ],
)
def test_signer_errors_say_when_to_come_again(error, seconds):
    """RetryInfo is the signer's own, never nothing; it is long where an operator has to act first."""
    pause = unpack(to_status_proto(error), error_details_pb2.RetryInfo).retry_delay
    assert pause.ToTimedelta().total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError("inner"), Reason.DEADLINE_EXCEEDED),
        (DecodeError("inner"), Reason.INVALID_REQUEST),
        (ValueError("inner"), Reason.INTERNAL),
        (KeyError("inner"), Reason.INTERNAL),
    ],
)
def test_other_errors_tell_nothing_of_themselves(error, reason):
    """Time limits, malformed messages and defects have fixed texts."""
    status = to_status_proto(error)
    assert info_of(status).reason == reason
    assert b"inner" not in status.SerializeToString()


def test_a_cancellation_is_nobodys_answer():
    """A cancellation is raised again and never told as an error."""
    with pytest.raises(asyncio.CancelledError):
        to_status_proto(asyncio.CancelledError())


def test_a_field_at_fault_is_named():
    """An error with a field carries BadRequest with the path, the text and the reason."""
    status = to_status_proto(RequestError(Reason.INVALID_FIELD, "too long", field="client.client_id"))
    (violation,) = unpack(status, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description, violation.reason) == (
        "client.client_id",
        "too long",
        "INVALID_FIELD",
    )


def test_an_errors_own_pause_wins():
    """An error that names a time to wait overrides the table's."""
    error = AvailabilityError(Reason.SIGNER_BUSY, "busy", retry_after=timedelta(seconds=3))
    retry = unpack(to_status_proto(error), error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta() == timedelta(seconds=3)


def test_the_request_id_is_told():
    """Within a call, ErrorInfo names the request id."""
    token = current_request_id.set("abc")
    try:
        assert info_of(to_status_proto(ValueError())).metadata["request_id"] == "abc"
    finally:
        current_request_id.reset(token)


def test_long_texts_are_cut():
    """A status always fits the trailers that a client accepts."""
    error = RequestError(
        Reason.INVALID_FIELD,
        "m" * 100_000,
        field="f" * 100_000,
        metadata={f"k{number}": "v" * 100_000 for number in range(100)},
    )
    status = to_status_proto(error)
    assert len(status.message) == MAX_TEXT
    assert len(info_of(status).metadata) == MAX_METADATA
    assert status.ByteSize() * 4 / 3 < 6 * 1024


def test_the_cause_is_not_sent():
    """The stable word for our own log stays in our log."""
    status = to_status_proto(GatewayError(Reason.INVALID_CLIENT, "no", cause="client_disabled"))
    assert b"client_disabled" not in status.SerializeToString()


@pytest.mark.parametrize("request_id", ["", "abc", "0123456789abcdef", "a" * 64])
@pytest.mark.parametrize(
    "error",
    [
        AvailabilityError(Reason.OVERLOADED, "Too much.", retry_after=timedelta(seconds=1.5)),
        AvailabilityError(Reason.SHUTTING_DOWN, "Going."),
        GatewayError(Reason.INVALID_CLIENT, "m" * 1000),
        RequestError(Reason.INVALID_FIELD, "no", field="a.b"),
        RequestError(Reason.INVALID_FIELD, "no", metadata={"a": "b"}),
    ],
)
def test_octets_are_those_of_the_status(error, request_id):
    """What is put together from octets made before is the very status, for every request id."""
    token = current_request_id.set(request_id)
    try:
        for _ in range(3):
            assert status_pb2.Status.FromString(to_status_octets(error)) == to_status_proto(error)
    finally:
        current_request_id.reset(token)
    other = current_request_id.set("f" * len(request_id))
    try:
        assert status_pb2.Status.FromString(to_status_octets(error)) == to_status_proto(error)
    finally:
        current_request_id.reset(other)
