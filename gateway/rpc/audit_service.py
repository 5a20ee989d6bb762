"""countersign.v1.AuditService: convert, call, convert back."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeAlias

import grpc
from countersign.v1 import audit_service_pb2, audit_service_pb2_grpc

from gateway.audit.reading import AuditReader
from gateway.rpc.audit_conversion import asked_export, chunk_message, head_message

_Context: TypeAlias = grpc.aio.ServicerContext


class AuditService(audit_service_pb2_grpc.AuditServiceServicer):
    """Reads the audit log, for auditors."""

    def __init__(self, reader: AuditReader) -> None:
        self._reader = reader

    async def GetAuditLogHead(
        self, request: audit_service_pb2.GetAuditLogHeadRequest, context: _Context
    ) -> audit_service_pb2.GetAuditLogHeadResponse:
        """Where the log ends."""
        return audit_service_pb2.GetAuditLogHeadResponse(head=head_message(await self._reader.end()))

    async def ExportAuditLog(
        self, request: audit_service_pb2.ExportAuditLogRequest, context: _Context
    ) -> AsyncIterator[audit_service_pb2.ExportAuditLogResponse]:
        """One export. A caller that reads slowly is waited for, and no more is read for it meanwhile."""
        async with aclosing(self._reader.export(asked_export(request))) as chunks:
            async for chunk in chunks:
                yield chunk_message(chunk)
