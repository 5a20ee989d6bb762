"""What is asked about an issuer: whether it is trusted, what its lists say, and where it is at home."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.dids import DidDocument
from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from gateway.presentations.linked_domains import SERVICE_TYPE, LinkedDomains
from gateway.presentations.report import Report
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken
from gateway.presentations.status import (
    ListSource,
    StatusCheck,
    StatusError,
    StatusPolicy,
    StatusReport,
    Unreachable,
    VerifiedToken,
    check_status,
    has_status,
    parse_entries,
)
from gateway.presentations.status.rules import line
from gateway.presentations.status_lists import StatusLists
from gateway.presentations.verifier import LinkageRule, Policy
from gateway.presentations.waiting import Deadline


@dataclass(frozen=True, slots=True)
class IssuerFindings:
    """The lines about one credential's issuer, and what they are about."""

    checks: tuple[Check, ...]
    state: CredentialState | None
    linked_origin: str | None


class IssuerChecks:
    """Asks status lists and linked domains."""

    def __init__(self, lists: StatusLists, domains: LinkedDomains) -> None:
        self._lists = lists
        self._domains = domains

    async def check(
        self,
        token: SignedToken,
        document: DidDocument,
        policy: Policy,
        status_policy: StatusPolicy,
        deadline: Deadline,
    ) -> IssuerFindings:
        """Everything about the issuer of the credential *token*, verified with a key of *document*.

        What a stranger's credential names is not asked: where the issuer is not trusted, the rest is skipped.
        """
        report, issuer = Report(), document.id.text
        if not trusted(report, token.path, issuer, policy):
            report.extend(_nothing_asked(token.path))
            return IssuerFindings(report.checks, None, None)
        status = await self._status(token, issuer, policy, status_policy, deadline)
        report.extend(replace(each, path=token.path + each.path[1:]) for each in status.checks)
        origin = await self._linked_origin(report, token.path, document, policy, deadline)
        return IssuerFindings(report.checks, status.state, origin)

    async def _status(
        self,
        token: SignedToken,
        issuer: str,
        policy: Policy,
        status_policy: StatusPolicy,
        deadline: Deadline,
    ) -> StatusReport:
        if has_status(token.payload):
            checked = await deadline.wait(
                self._lists.check(
                    token.payload,
                    issuer,
                    status_policy,
                    require_assertion_method=policy.require_assertion_method,
                )
            )
            if checked is not None:
                return checked
        # Every list that is needed is unreachable then, and the policy says what follows.
        late = _too_late(token.payload)
        return check_status(token.payload, issuer, late, _nobody, now=0, policy=status_policy)

    async def _linked_origin(
        self, report: Report, path: str, document: DidDocument, policy: Policy, deadline: Deadline
    ) -> str | None:
        check, rule = PresentationCheck.ISSUER_LINKED_DOMAIN, policy.issuer_linkage
        if rule is LinkageRule.OFF:
            report.skipped(check, path, "The policy does not ask for a linked domain.")
            return None
        if rule is LinkageRule.IF_DECLARED and not document.services_of(SERVICE_TYPE):
            report.skipped(check, path, "The issuer declares no linked domain.")
            return None
        try:
            linkage = await deadline.wait(self._domains.require(document))
        except LinkageError as error:
            if error.fault is LinkageFault.NO_LINKED_DOMAIN and rule is LinkageRule.IF_DECLARED:
                report.skipped(check, path, "The issuer declares no linked domain.")
            elif error.transient:
                report.unknown(
                    check, path, error.fault, f"The linked domain could not be asked: {error.fault}."
                )
            else:
                report.failed(check, path, error.fault, f"No linked domain was verified ({error.clause}).")
            return None
        if linkage is None:
            report.unknown(check, path, "deadline_exceeded", "The linked domain did not answer in time.")
            return None
        report.passed(check, path, f"The issuer is linked to {linkage.origin}.")
        return str(linkage.origin)


def not_asked(path: str) -> tuple[Check, ...]:
    """The lines for a credential that does not verify: nothing about its issuer is asked."""
    report = Report()
    report.unreached((PresentationCheck.ISSUER_TRUSTED,), path)
    return (*report.checks, *_nothing_asked(path))


def _nothing_asked(path: str) -> tuple[Check, ...]:
    report = Report()
    report.unreached((PresentationCheck.ISSUER_LINKED_DOMAIN,), path)
    detail = "Not applied: what it is about was refused before."
    status = line(StatusCheck.ENTRY_PRESENT, Outcome.SKIPPED, path=path, detail=detail)
    return (status, *report.checks)


def _too_late(payload: Mapping[str, Any]) -> Mapping[str, ListSource]:
    """For each list that is needed, that it did not come in time."""
    try:
        return {entry.uri: Unreachable("deadline_exceeded") for entry in parse_entries(payload)}
    except StatusError:
        return {}  # `check_status` reports it.


def _nobody(token: str) -> VerifiedToken:  # noqa: ARG001 - the signature of a TokenVerifier.
    raise AssertionError("without sources nothing is verified")


def trusted(report: Report, path: str, issuer: str, policy: Policy) -> bool:
    """Whether the policy trusts *issuer*; the line goes to *report*."""
    check = PresentationCheck.ISSUER_TRUSTED
    if policy.trusted_issuers is None:
        report.skipped(check, path, "The policy accepts any issuer.")
        return True
    if issuer in policy.trusted_issuers:
        report.passed(check, path, "The issuer is one of those trusted.")
        return True
    report.failed(check, path, "issuer_not_trusted", "The issuer is not one of those trusted.")
    return False
