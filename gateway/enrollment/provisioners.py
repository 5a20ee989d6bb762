"""Provisioners: what an operator decided about one kind of enrollment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.enrollment.authorities import CertificateAuthorities, IssuingAuthority
from gateway.enrollment.identifiers import Identifier, IdentifierType, names_of
from gateway.enrollment.model import ChallengeType, Order
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_names import Generation
from gateway.errors import Reason, StateError
from gateway.oidc.id_token import IdToken
from gateway.oidc.mapping import ClaimMapping
from gateway.pki.profile import CertificateProfile
from signers import Algorithm, PublicKey


class IdTokenSource(Protocol):
    """The users' OpenID provider: `gateway.oidc.verifier.IdTokenVerifier`."""

    async def verify(self, token: str) -> IdToken:
        """The verified token. Raises `IdTokenError`, `ProviderError`."""
        ...


@dataclass(frozen=True, slots=True)
class WireOidc:
    """wire-oidc-01: who the user is. *target* is shown to clients; *mappings* read the token's claims."""

    tokens: IdTokenSource
    target: str
    mappings: Mapping[Generation, ClaimMapping]


@dataclass(frozen=True, slots=True)
class WireDpop:
    """wire-dpop-01: whose device it is. *keys* gives the minters' keys that are honored now."""

    target: TargetTemplate
    keys: Callable[[], Sequence[tuple[Algorithm, PublicKey]]]


@dataclass(frozen=True, slots=True)
class Provisioner:
    """One way to get certificates.

    - *name*: 1 to 64 of ``[a-z0-9-]``; *url*: what its URLs begin with, without a slash at the end.
    - *challenges*: those offered.
    - *order_lifetime*: seconds.
    - *external_account_required*: new accounts are bound to a key that an administrator gave out.
    - *terms_url*: terms of service that a new account must agree to; None where there are none.
    """

    name: str
    url: str
    challenges: frozenset[ChallengeType]
    profile: CertificateProfile
    authority: CertificateAuthorities
    order_lifetime: int
    oidc: WireOidc | None = None
    dpop: WireDpop | None = None
    external_account_required: bool = False
    terms_url: str | None = None

    def ca(self, key_id: str) -> IssuingAuthority | None:
        """The CA whose subject key identifier is *key_id*, hex; None where there is none, or no more."""
        return next((each for each in self.authority.known() if each.key_id == key_id), None)

    def challenge_url(self, authorization_id: str, challenge_id: str) -> str:
        """The URL that names a challenge: to ACME clients, in ``aud`` and in ``acme_aud``."""
        return f"{self.url}/challenge/{authorization_id}/{challenge_id}"

    def proof_target(self, order: Order, kind: ChallengeType) -> str | None:
        """Where the device of *order* goes for its proof; None for the challenges of names and addresses."""
        if kind is ChallengeType.WIRE_OIDC and self.oidc is not None:
            return self.oidc.target
        wire = names_of(order.identifiers).wire
        if kind is ChallengeType.WIRE_DPOP and self.dpop is not None and wire is not None:
            return str(self.dpop.target.of(wire.client))
        return None

    def offered(self, identifier: Identifier) -> tuple[ChallengeType, ...]:
        """The challenges for *identifier*, in a fixed order; none where it is not certified here."""
        kinds = _WILDCARD if identifier.wildcard else _BY_TYPE[identifier.type]
        if identifier.type is IdentifierType.WIRE_ID and not self.challenges.issuperset(kinds):
            return ()
        return tuple(kind for kind in kinds if kind in self.challenges)


_BY_TYPE: Final[Mapping[IdentifierType, tuple[ChallengeType, ...]]] = {
    IdentifierType.WIRE_ID: (ChallengeType.WIRE_OIDC, ChallengeType.WIRE_DPOP),
    IdentifierType.WIRE_DEVICE: (ChallengeType.WIRE_DPOP,),
    IdentifierType.WIRE_USER: (ChallengeType.WIRE_OIDC,),
    IdentifierType.DNS: (ChallengeType.HTTP, ChallengeType.DNS, ChallengeType.TLS_ALPN),
    # RFC 8738 §4 to §6: dns-01 cannot show control over an address.
    IdentifierType.IP: (ChallengeType.HTTP, ChallengeType.TLS_ALPN),
}
_WILDCARD: Final = (ChallengeType.DNS,)
"""RFC 8555 §7.1.3 leaves it to the CA; nothing but DNS shows control over a whole domain."""


class Provisioners:
    """All provisioners, by name."""

    def __init__(self, provisioners: Iterable[Provisioner]) -> None:
        self._by_name = {each.name: each for each in provisioners}

    @property
    def all(self) -> tuple[Provisioner, ...]:
        """Every provisioner, in the order configured."""
        return tuple(self._by_name.values())

    def get(self, name: str) -> Provisioner:
        """The provisioner *name*. Raises `StateError` ENROLLMENT_NOT_FOUND."""
        found = self._by_name.get(name)
        if found is None:
            raise StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such provisioner.", field="parent")
        return found
