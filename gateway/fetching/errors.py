"""Everything `gateway.fetching` may raise: one root, and a stable code for each rule.

    FetchError    fault (a `FetchFault`), host (canonical, or None where no host could be read)

A message names rules, sizes and hosts, never a path, a query or a body: those may carry secrets.
"""

from enum import StrEnum
from typing import Final


class FetchFault(StrEnum):
    """A stable code: the rule that refused, or the step that failed."""

    # The URL
    URL_MALFORMED = "url_malformed"
    SCHEME_REFUSED = "scheme_refused"
    USERINFO_REFUSED = "userinfo_refused"
    HOST_REFUSED = "host_refused"
    IP_LITERAL_REFUSED = "ip_literal_refused"
    PORT_REFUSED = "port_refused"
    # Names and addresses
    NAME_NOT_FOUND = "name_not_found"
    DNS_FAILED = "dns_failed"
    DNS_ANSWER_TOO_LARGE = "dns_answer_too_large"
    ADDRESS_REFUSED = "address_refused"
    # The connection
    CONNECT_FAILED = "connect_failed"
    TLS_FAILED = "tls_failed"
    CERTIFICATE_REFUSED = "certificate_refused"
    CONNECTION_LOST = "connection_lost"
    # The exchange
    PROTOCOL_VIOLATION = "protocol_violation"
    BODY_TRUNCATED = "body_truncated"
    BODY_TOO_LARGE = "body_too_large"
    CONTENT_ENCODING_REFUSED = "content_encoding_refused"
    CONTENT_TYPE_REFUSED = "content_type_refused"
    REDIRECT_REFUSED = "redirect_refused"
    # Bounds of our own
    DEADLINE_EXCEEDED = "deadline_exceeded"
    BUSY = "busy"
    CLOSED = "closed"


_TRANSIENT: Final = frozenset(
    {
        FetchFault.DNS_FAILED,
        FetchFault.CONNECT_FAILED,
        FetchFault.TLS_FAILED,
        FetchFault.CONNECTION_LOST,
        FetchFault.BODY_TRUNCATED,
        FetchFault.DEADLINE_EXCEEDED,
        FetchFault.BUSY,
        FetchFault.CLOSED,
    }
)


class FetchError(Exception):
    """Root of the package: *fault* is stable, *host* is the canonical host concerned, where there is one."""

    def __init__(self, fault: FetchFault, message: str, *, host: str | None = None) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.host = host

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything."""
        return self.fault in _TRANSIENT
