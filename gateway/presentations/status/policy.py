"""What a verifier decides about statuses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.presentations.credential_state import CredentialState

MINIMUM_ENTRIES: Final = 131_072  # 16 KiB of single bits: the herd that a holder hides in
MAX_INFLATED: Final = 8 * 1024 * 1024  # octets


class OnUnknown(StrEnum):
    """What follows where a status cannot be established because its list cannot be had."""

    FAIL = "fail"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class StatusPolicy:
    """Decisions of one verifier; the defaults fail closed.

    - `on_unknown`: where a list is unreachable or stale, or a status type is not supported. `ACCEPT` reports
      the unknown and goes on; it never covers a list that is wrong.
    - `required`: whether a credential without any status is refused.
    - `accepted_states`: the states that pass.
    - `list_issuers`: for an issuer of credentials, who else may issue its lists.
    - `leeway`: seconds of clock difference forgiven each way.
    - `max_age`: seconds that a list may be old (by its ``iat`` or the like); None for no such bound.
    - `max_inflated`: octets that a list may have, decompressed.
    """

    on_unknown: OnUnknown = OnUnknown.FAIL
    required: bool = False
    accepted_states: frozenset[CredentialState] = frozenset({CredentialState.ACTIVE})
    list_issuers: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    leeway: int = 60
    max_age: int | None = None
    max_inflated: int = MAX_INFLATED

    def may_issue_lists(self, list_issuer: str, credential_issuer: str) -> bool:
        """Whether *list_issuer* may say what became of credentials of *credential_issuer*."""
        return list_issuer == credential_issuer or list_issuer in self.list_issuers.get(
            credential_issuer, frozenset()
        )
