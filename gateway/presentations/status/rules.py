"""The codes of status checks, where each rule is written, and the one error of the package."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.presentations.checks import Check, Outcome


class StatusCheck(StrEnum):
    """A stable code: the rule that was applied."""

    ENTRY_PRESENT = "status_entry_present"
    ENTRY_TYPE = "status_entry_type"
    ENTRY_WELL_FORMED = "status_entry_well_formed"
    LIST_AVAILABLE = "status_list_available"
    LIST_SIGNATURE = "status_list_signature"
    LIST_TYPE = "status_list_type"
    LIST_WELL_FORMED = "status_list_well_formed"
    LIST_ENCODING = "status_list_encoding"
    LIST_COMPRESSION = "status_list_compression"
    LIST_SIZE = "status_list_size"
    LIST_IDENTITY = "status_list_identity"
    LIST_ISSUER = "status_list_issuer"
    LIST_VALIDITY = "status_list_validity"
    LIST_FRESHNESS = "status_list_freshness"
    LIST_PURPOSE = "status_list_purpose"
    LIST_LENGTH = "status_list_length"
    INDEX_RANGE = "status_index_range"
    VALUE = "status_value"


_BITSTRING: Final = "Bitstring Status List 1.0"
_TOKEN: Final = "Token Status List"

CLAUSES: Final[Mapping[StatusCheck, str]] = {
    StatusCheck.ENTRY_PRESENT: "The verifier's policy",
    StatusCheck.ENTRY_TYPE: f"{_BITSTRING} §2.1 (type); {_TOKEN} §6 (status)",
    StatusCheck.ENTRY_WELL_FORMED: f"{_BITSTRING} §2.1; Status List 2021 §2.1; {_TOKEN} §6",
    StatusCheck.LIST_AVAILABLE: f"{_BITSTRING} §3.2 (STATUS_RETRIEVAL_ERROR)",
    StatusCheck.LIST_SIGNATURE: f"{_BITSTRING} §3.2 (STATUS_VERIFICATION_ERROR); {_TOKEN} §8.3",
    StatusCheck.LIST_TYPE: f"{_BITSTRING} §2.2 (type); {_TOKEN} §5.1 (typ)",
    StatusCheck.LIST_WELL_FORMED: f"{_BITSTRING} §2.2; {_TOKEN} §5.1",
    StatusCheck.LIST_ENCODING: f"{_BITSTRING} §3.4 (MALFORMED_VALUE_ERROR); {_TOKEN} §4.2",
    StatusCheck.LIST_COMPRESSION: f"{_BITSTRING} §3.4 (expansion); {_TOKEN} §4.1",
    StatusCheck.LIST_SIZE: "The verifier's policy (decompression is bounded)",
    StatusCheck.LIST_IDENTITY: f"{_BITSTRING} §2.2 (id); {_TOKEN} §8.3 (sub)",
    StatusCheck.LIST_ISSUER: "The verifier's policy (who may speak for the issuer)",
    StatusCheck.LIST_VALIDITY: f"{_BITSTRING} §2.2 (validity); {_TOKEN} §8.3 (iat, exp)",
    StatusCheck.LIST_FRESHNESS: f"{_BITSTRING} §2.2 (ttl); {_TOKEN} §5.1 (ttl)",
    StatusCheck.LIST_PURPOSE: f"{_BITSTRING} §3.2 (statusPurpose)",
    StatusCheck.LIST_LENGTH: f"{_BITSTRING} §3.2 (STATUS_LIST_LENGTH_ERROR)",
    StatusCheck.INDEX_RANGE: f"{_BITSTRING} §3.2 (RANGE_ERROR); {_TOKEN} §8.3",
    StatusCheck.VALUE: f"{_BITSTRING} §3.2 (status); {_TOKEN} §7",
}


class StatusError(Exception):
    """A status entry or a status list breaks the rule *code*; *message* is one sentence without values."""

    def __init__(self, code: StatusCheck, message: str, *, path: str = "$") -> None:
        super().__init__(f"{code} at {path}: {message}")
        self.code = code
        self.message = message
        self.path = path


def line(
    code: StatusCheck,
    outcome: Outcome,
    *,
    path: str,
    detail: str,
    advisory: bool = False,
    reason: str = "",
) -> Check:
    """One line of a status report."""
    return Check(code, outcome, CLAUSES[code], path, detail, advisory, reason)
