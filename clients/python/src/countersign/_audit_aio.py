# ruff: noqa: ASYNC109 - a gRPC call takes its deadline as an argument and sends it to the server.
"""Reading the audit log, for asyncio."""

from collections.abc import AsyncIterator
from datetime import datetime

from countersign._aio import AsyncCaller
from countersign._operations import audit as audit_calls
from countersign.audit import AuditExportBatch, AuditLogHead


class AsyncAudit(AsyncCaller):
    """The audit log; for callers with the role auditor."""

    async def get_audit_log_head(self, *, timeout: float | None = None) -> AuditLogHead:
        """Return where the audit log ends, and its last signed checkpoint."""
        return await self._call(audit_calls.get_audit_log_head(), timeout)

    def export_audit_log(
        self,
        first: int | datetime | None = None,
        last: int | datetime | None = None,
        *,
        max_segments: int = 0,
        timeout: float = 600.0,
    ) -> AsyncIterator[AuditExportBatch]:
        """Yield the lines of one export, which ``countersign audit verify`` checks offline.

        *first* and *last* are included: numbers of segments, times, or None for the end of the log on that
        side. *max_segments*: 0 for the gateway's default. The call is not repeated once lines came: what
        breaks off then is no export, and another one has to begin at *first* again.
        """
        return self._streamed(audit_calls.export_audit_log(first, last, max_segments), timeout)
