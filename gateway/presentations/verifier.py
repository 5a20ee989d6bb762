"""A verifier: how it is known to wallets, and what it accepts. Frozen; made of the configuration once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gateway.dids import DID_ALGORITHMS, Relationship
from gateway.errors import Reason, StateError
from gateway.presentations.exchange import Formats
from gateway.presentations.request import ResponseMode
from gateway.presentations.status import StatusPolicy
from signers import Algorithm


class LinkageRule(StrEnum):
    """Whether an issuer's linked domain is checked."""

    OFF = "off"
    IF_DECLARED = "if_declared"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier accepts. The fields are those of ``[[verifiers]]``, where each is explained.

    - `trusted_issuers`: DIDs; None for any. Times are in seconds.
    """

    trusted_issuers: frozenset[str] | None
    did_methods: frozenset[str] = frozenset({"web", "ion", "jwk", "key"})
    algorithms: frozenset[Algorithm] = DID_ALGORITHMS
    require_assertion_method: bool = True
    equivalent_holder: bool = False
    issuer_linkage: LinkageRule = LinkageRule.IF_DECLARED
    status: StatusPolicy = field(default_factory=StatusPolicy)
    max_age: int = 600
    max_lifetime: int = 86_400
    clock_skew: int = 60

    @property
    def issuer_relationships(self) -> frozenset[Relationship]:
        """Under which of these an issuer's key must stand."""
        if self.require_assertion_method:
            return frozenset({Relationship.ASSERTION_METHOD})
        return frozenset({Relationship.ASSERTION_METHOD, Relationship.AUTHENTICATION})


@dataclass(frozen=True, slots=True)
class Display:
    """What a wallet shows the user of the verifier (JWT VC Presentation Profile, Registration Metadata)."""

    client_name: str
    client_purpose: str | None = None
    logo_uri: str | None = None
    tos_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Verifier:
    """One verifier.

    - `client_id`: its DID. `callers`: who may act as it; empty for every caller with the role.
    - `response_origins`: where, beside the gateway itself, answers may be sent.
    """

    name: str
    client_id: str
    policy: Policy
    display: Display
    callers: frozenset[str] = frozenset()
    response_mode: ResponseMode = ResponseMode.POST
    response_origins: frozenset[str] = frozenset()

    @property
    def vp_formats(self) -> Formats:
        """What it accepts, as its metadata say (OpenID4VP, vp_formats)."""
        names = frozenset(algorithm.value for algorithm in self.policy.algorithms)
        return MappingProxyType({"jwt_vp": names, "jwt_vc": names})


@dataclass(frozen=True, slots=True)
class Verifiers:
    """The verifiers that are configured, by name."""

    by_name: Mapping[str, Verifier]

    def named(self, name: str, *, caller: str) -> Verifier:
        """The verifier *name*, if *caller* may act as it. Raises `StateError` VERIFIER_NOT_FOUND."""
        verifier = self.by_name.get(name)
        if verifier is None or (verifier.callers and caller not in verifier.callers):
            raise StateError(Reason.VERIFIER_NOT_FOUND, "There is no such verifier.")
        return verifier
