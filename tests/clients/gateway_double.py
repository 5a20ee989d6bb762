"""A gateway that answers as told: the real services, over real TLS, without the rules behind them.

Every RPC takes the next of its answers: a message, a `google.rpc.Status` to fail with, or a coroutine
function of the request and the context. The last answer is kept and given again.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from countersign.v1 import (
    audit_service_pb2_grpc,
    authorization_service_pb2_grpc,
    client_service_pb2_grpc,
    enrollment_service_pb2_grpc,
    introspection_service_pb2_grpc,
    key_service_pb2_grpc,
    presentation_service_pb2_grpc,
    token_service_pb2_grpc,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

Answer: TypeAlias = Message | Callable[[Any, Any], Awaitable[Any]]

SERVICES = {
    token_service_pb2_grpc.TokenServiceServicer: token_service_pb2_grpc.add_TokenServiceServicer_to_server,
    authorization_service_pb2_grpc.AuthorizationServiceServicer: (
        authorization_service_pb2_grpc.add_AuthorizationServiceServicer_to_server
    ),
    introspection_service_pb2_grpc.IntrospectionServiceServicer: (
        introspection_service_pb2_grpc.add_IntrospectionServiceServicer_to_server
    ),
    key_service_pb2_grpc.KeyServiceServicer: key_service_pb2_grpc.add_KeyServiceServicer_to_server,
    client_service_pb2_grpc.ClientServiceServicer: (
        client_service_pb2_grpc.add_ClientServiceServicer_to_server
    ),
    enrollment_service_pb2_grpc.EnrollmentServiceServicer: (
        enrollment_service_pb2_grpc.add_EnrollmentServiceServicer_to_server
    ),
    audit_service_pb2_grpc.AuditServiceServicer: audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
    presentation_service_pb2_grpc.PresentationServiceServicer: (
        presentation_service_pb2_grpc.add_PresentationServiceServicer_to_server
    ),
}


def status(code: grpc.StatusCode, message: str, *details: Message) -> status_pb2.Status:
    """A `google.rpc.Status` with *details*."""
    packed = [AnyMessage() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)


def failure(
    code: grpc.StatusCode,
    reason: str,
    *details: Message,
    domain: str = "countersign",
    message: str = "It failed.",
    **metadata: str,
) -> status_pb2.Status:
    """What the gateway answers where it refuses: ErrorInfo and further *details*."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    return status(code, message, info, *details)


@dataclass
class Call:
    """One call as it arrived."""

    method: str
    request: Any
    metadata: dict[str, str]
    subjects: list[str]
    seconds_left: float | None


@dataclass
class GatewayDouble:
    """The answers to give, and the calls that came."""

    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    calls: list[Call] = field(default_factory=list)

    def will(self, method: str, *answers: Answer) -> None:
        """Answer *method* (``MintToken``) with *answers* in turn, the last one for ever."""
        self.answers[method] = list(answers)

    def requests(self, method: str) -> list[Any]:
        """The requests that *method* got, in order."""
        return [call.request for call in self.calls if call.method == method]

    def add_to(self, server: Any) -> None:
        """Serve every RPC of every service on *server*."""
        for base, add in SERVICES.items():
            names = [name for name in vars(base) if name[0].isupper()]
            add(type(base.__name__, (base,), {name: self._handler(name) for name in names})(), server)

    def _handler(self, method: str) -> Callable[[Any, Any, Any], Awaitable[Any]]:
        async def handle(_servicer: Any, request: Any, context: Any) -> Any:
            auth = context.auth_context()
            self.calls.append(
                Call(
                    method,
                    request,
                    dict(context.invocation_metadata()),
                    [each.decode() for each in auth.get("x509_common_name", [])],
                    context.time_remaining(),
                )
            )
            answers = self.answers[method]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, status_pb2.Status):
                await context.abort_with_status(rpc_status.to_status(answer))
            return answer if isinstance(answer, Message) else await answer(request, context)

        return handle
