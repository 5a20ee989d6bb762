"""Types of the services in countersign/v1/audit_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from countersign._multicallable import AsyncUnaryStream, AsyncUnaryUnary, UnaryStream, UnaryUnary
from countersign.v1 import audit_service_pb2


class AuditServiceStub:
    def __init__(self, channel: Any) -> None: ...
    GetAuditLogHead: UnaryUnary[audit_service_pb2.GetAuditLogHeadRequest, audit_service_pb2.GetAuditLogHeadResponse]
    ExportAuditLog: UnaryStream[audit_service_pb2.ExportAuditLogRequest, audit_service_pb2.ExportAuditLogResponse]

class AuditServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    GetAuditLogHead: AsyncUnaryUnary[audit_service_pb2.GetAuditLogHeadRequest, audit_service_pb2.GetAuditLogHeadResponse]
    ExportAuditLog: AsyncUnaryStream[audit_service_pb2.ExportAuditLogRequest, audit_service_pb2.ExportAuditLogResponse]

class AuditServiceServicer:
    def GetAuditLogHead(
        self, request: audit_service_pb2.GetAuditLogHeadRequest, context: Any
    ) -> Awaitable[audit_service_pb2.GetAuditLogHeadResponse] | audit_service_pb2.GetAuditLogHeadResponse: ...
    def ExportAuditLog(
        self, request: audit_service_pb2.ExportAuditLogRequest, context: Any
    ) -> AsyncIterator[audit_service_pb2.ExportAuditLogResponse] | Iterator[audit_service_pb2.ExportAuditLogResponse]: ...

def add_AuditServiceServicer_to_server(servicer: AuditServiceServicer, server: Any) -> None: ...
