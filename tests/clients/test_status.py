"""From a `google.rpc.Status` to a typed error."""

from datetime import timedelta

import grpc
import pytest
from countersign import (
    AuthenticationError,
    ConflictError,
    CountersignError,
    InvalidRequestError,
    PermissionDeniedError,
    Reason,
    UnavailableError,
)
from countersign._status import error_of_call, error_of_status
from countersign.errors import CLASS_OF_REASON
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from tests.clients.gateway_double import failure, status

CODE = grpc.StatusCode


def test_every_reason_has_a_class():
    """No reason of the API is without its class of error."""
    assert set(CLASS_OF_REASON) == set(Reason)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.INVALID_SCOPE, InvalidRequestError),
        (Reason.INVALID_CLIENT, AuthenticationError),
        (Reason.UNAUTHORIZED_CLIENT, PermissionDeniedError),
        (Reason.ETAG_MISMATCH, ConflictError),
        (Reason.SIGNER_BUSY, UnavailableError),
    ],
)
def test_reason_decides_the_class(reason, kind):
    """The reason chooses the class, whatever the code."""
    error = error_of_status(failure(CODE.UNKNOWN, reason))
    assert type(error) is kind
    assert error.reason == reason


def test_newer_reason_falls_back_to_the_code():
    """A reason that this client does not know is kept, and the code chooses the class."""
    error = error_of_status(failure(CODE.ALREADY_EXISTS, "ORDER_ALREADY_EXISTS"))
    assert type(error) is ConflictError
    assert error.reason == "ORDER_ALREADY_EXISTS"


def test_foreign_domain_is_not_believed():
    """A proxy's ErrorInfo does not speak for the gateway."""
    error = error_of_status(failure(CODE.UNAVAILABLE, "INVALID_SCOPE", domain="mesh.example", who="proxy"))
    assert type(error) is UnavailableError
    assert error.reason is None
    assert error.metadata == {}


def test_unknown_details_are_passed_over():
    """Details of types that the client does not read do no harm."""
    info = error_details_pb2.DebugInfo(detail="x")
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2))
    error = error_of_status(status(CODE.UNAVAILABLE, "No.", info, retry))
    assert error.retry_after == timedelta(seconds=2)


def test_code_without_class():
    """A code that no class fits gives the root, a number that no code has gives UNKNOWN."""
    assert type(error_of_status(status(CODE.DATA_LOSS, "Lost."))) is CountersignError
    assert error_of_status(status_pb2.Status(code=99)).code is CODE.UNKNOWN


class CancelledByTheServer:
    """What gRPC reports of a call that a server cancelled when it began to shut down."""

    def code(self):
        return CODE.CANCELLED

    def details(self):
        return "CANCELLED"

    def initial_metadata(self):
        return ()

    trailing_metadata = initial_metadata


def test_a_call_that_the_server_cancelled_may_be_repeated():
    """A server that shuts down cancels what it has not begun: for the caller it is not available."""
    error = error_of_call(CancelledByTheServer(), "request-1")

    assert (UnavailableError, CODE.UNAVAILABLE) == (type(error), error.code)
