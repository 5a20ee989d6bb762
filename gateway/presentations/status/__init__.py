"""Status lists of four dialects: what a credential points to, what the list says, and what follows.

Pure: no I/O, no clock; a list's octets come as an argument, together with how to verify them. `parse_entries`
says which lists are needed, `check_status` applies every rule and reports each as a `Check`. Start with
`evaluation`.
"""

from gateway.presentations.status.entry import Dialect, StatusEntry, has_status, parse_entries
from gateway.presentations.status.evaluation import check_status
from gateway.presentations.status.issuing import StatusBits, credential_claims, token_claims
from gateway.presentations.status.policy import MINIMUM_ENTRIES, OnUnknown, StatusPolicy
from gateway.presentations.status.report import (
    EntryStatus,
    FetchedList,
    KeptList,
    ListSource,
    StatusReport,
    Unreachable,
)
from gateway.presentations.status.rules import StatusCheck, StatusError
from gateway.presentations.status.status_list import (
    MAX_TOKEN,
    StatusList,
    TokenVerifier,
    VerifiedToken,
    read_list,
)

__all__ = [
    "MAX_TOKEN",
    "MINIMUM_ENTRIES",
    "Dialect",
    "EntryStatus",
    "FetchedList",
    "KeptList",
    "ListSource",
    "OnUnknown",
    "StatusBits",
    "StatusCheck",
    "StatusEntry",
    "StatusError",
    "StatusList",
    "StatusPolicy",
    "StatusReport",
    "TokenVerifier",
    "Unreachable",
    "VerifiedToken",
    "check_status",
    "credential_claims",
    "has_status",
    "parse_entries",
    "read_list",
    "token_claims",
]
