"""The refusal of a TLS terminator's header."""

from enum import StrEnum

from gateway.errors import Reason, RequestError


class TerminatorFault(StrEnum):
    """Why the header was refused: the `cause` of the error, a stable word for our log."""

    UNTRUSTED_SENDER = "header_from_untrusted_sender"
    DUPLICATE = "header_duplicate"
    CONFLICT = "headers_conflict"
    TOO_LARGE = "header_too_large"
    MALFORMED = "header_malformed"
    CERTIFICATE_MISSING = "header_without_certificate"
    CERTIFICATE_MALFORMED = "header_certificate_malformed"


class TerminatorHeaderError(RequestError):
    """The terminator's header was refused. *fault* says why; the caller only learns that it was."""

    def __init__(self, fault: TerminatorFault, message: str) -> None:
        super().__init__(Reason.TERMINATOR_HEADER_REFUSED, message, cause=fault.value)
        self.fault = fault
