"""The RPCs of AuditService."""

from datetime import datetime

from countersign._operations.operation import Operation
from countersign._wire import required_time_from_wire, time_to_wire
from countersign.audit import AuditCheckpoint, AuditExportBatch, AuditLogHead
from countersign.v1 import audit_service_pb2 as pb


def get_audit_log_head() -> Operation[AuditLogHead]:
    return Operation(
        "audit", "GetAuditLogHead", pb.GetAuditLogHeadRequest, lambda response: _head(response.head)
    )


def export_audit_log(
    first: int | datetime | None, last: int | datetime | None, max_segments: int
) -> Operation[AuditExportBatch]:
    def request() -> pb.ExportAuditLogRequest:
        return pb.ExportAuditLogRequest(
            first_sequence_number=first if isinstance(first, int) else None,
            start_time=time_to_wire(first) if isinstance(first, datetime) else None,
            last_sequence_number=last if isinstance(last, int) else None,
            end_time=time_to_wire(last) if isinstance(last, datetime) else None,
            max_segments=max_segments,
        )

    return Operation(
        "audit",
        "ExportAuditLog",
        request,
        lambda response: AuditExportBatch(tuple(response.lines), response.next_sequence_number or None),
    )


def _head(head: pb.AuditLogHead) -> AuditLogHead:
    signed = head.last_checkpoint
    return AuditLogHead(
        head.sequence_number,
        head.hash,
        head.pruned_sequence_number,
        AuditCheckpoint(signed.sequence_number, required_time_from_wire(signed.sign_time), signed.jws)
        if head.HasField("last_checkpoint")
        else None,
        head.enabled,
    )
