"""Who a certificate or a client id is to the gateway: the entries of ``[[callers]]``, for every door.

A certificate makes a principal only where its chain leads to the configured roots. A certificate that a
client registered for itself passes the TLS handshake too, and stays `ANONYMOUS` here; it can still
authenticate its OAuth client, by being the very one that was registered.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from gateway.client_roots import ClientRoots
from gateway.clock import Clock
from gateway.pki import CertificateIdentity, IdentityKind, PkiError, PkiFault, names_of
from gateway.principal import ANONYMOUS, Principal, Role
from gateway.proofs.client_certificate import ClientCertificate
from gateway.settings.callers import CallerSettings

logger = logging.getLogger(__name__)

CACHE_ENTRIES: Final = 1024
RECHECK: Final = 1.0
"""Seconds after which a chain that verified is verified again."""
REFUSAL_LIFETIME: Final = 5.0
"""Seconds that a chain which did not verify is not tried again."""

_SPIFFE = "spiffe://"


@dataclass(frozen=True, slots=True)
class Grant:
    """What configuration gives a caller."""

    roles: frozenset[Role] = frozenset()
    resources: frozenset[str] = frozenset()

    def __or__(self, other: "Grant") -> "Grant":
        return Grant(self.roles | other.roles, self.resources | other.resources)


class CallerDirectory:
    """The entries of ``[[callers]]``, parsed. All entries that match a caller are united.

    Raises `PkiError` where an entry's certificate name cannot be read.
    """

    def __init__(self, entries: Sequence[CallerSettings]) -> None:
        certificates: list[tuple[CertificateIdentity, Grant]] = []
        clients: dict[str, Grant] = {}
        for entry in entries:
            grant = Grant(frozenset(entry.roles), frozenset(entry.resources))
            if entry.client_id is not None:
                clients[entry.client_id] = clients.get(entry.client_id, Grant()) | grant
            else:
                certificates.append((_identity(entry), grant))
        self._certificates = tuple(certificates)
        self._clients = clients

    def of_certificate(self, certificate: x509.Certificate) -> Grant:
        """What the names of *certificate*, a verified leaf, are granted. Raises `PkiError`."""
        granted = Grant()
        for identity, grant in self._certificates:
            try:
                identity.match(certificate)
            except PkiError as error:
                if error.code is not PkiFault.SUBJECT_MISMATCH:
                    raise
            else:
                granted |= grant
        return granted

    def of_client(self, client_id: str) -> Grant:
        """What a caller with a token of this OAuth client is granted."""
        return self._clients.get(client_id, Grant())


def _identity(entry: CallerSettings) -> CertificateIdentity:
    for kind in IdentityKind:
        value: str | None = getattr(entry, kind.value)
        if value is not None:
            return CertificateIdentity.parse(kind, value)
    raise AssertionError("an entry without client_id names a certificate: CallerSettings sees to it")


def principal_name(certificate: x509.Certificate) -> str:
    """What a certificate calls its holder: the SPIFFE ID, else the subject (RFC 4514), else the thumbprint.

    A SPIFFE ID is the only URI of its certificate (SPIFFE X509-SVID §2). Raises `PkiError`.
    """
    names = names_of(certificate)
    if len(names.alternative.uri) == 1:
        (uri,) = names.alternative.uri
        if uri.startswith(_SPIFFE):
            return uri
    return names.subject.rfc4514


@dataclass(frozen=True, slots=True)
class _Known:
    """What a certificate stands for, from *start* until before *end*, under the roots of *generation*."""

    certificate: ClientCertificate
    principal: Principal
    generation: int
    start: float
    end: float


class CertificatePrincipals:
    """Principals by certificate.

    That the chain leads to the roots is asked again after `RECHECK` seconds, and never concluded beyond the
    dates of a presented certificate; in between a call costs one look into a table.
    """

    def __init__(self, *, roots: ClientRoots, directory: CallerDirectory, clock: Clock) -> None:
        self._roots = roots
        self._directory = directory
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def principal(self, certificate: ClientCertificate) -> Principal:
        """The principal of *certificate*, or `ANONYMOUS` where its chain does not lead to the roots now."""
        now = self._clock()
        known = self._known.get(certificate.der)
        if (
            known is not None
            # The very same object: with other intermediates the answer may be another.
            and known.certificate is certificate
            and known.generation == self._roots.generation
            and known.start <= now < known.end
        ):
            return known.principal
        known = self._establish(certificate, now)
        self._known[certificate.der] = known
        if len(self._known) > CACHE_ENTRIES:
            self._known.popitem(last=False)
        return known.principal

    def _establish(self, certificate: ClientCertificate, now: float) -> _Known:
        generation = self._roots.generation
        leaf = certificate.certificate
        try:
            self._roots.verify(certificate, now)
            grant = self._directory.of_certificate(leaf)
            name = principal_name(leaf) or f"x5t#S256:{certificate.x5t_s256}"
        except PkiError as error:
            logger.info(
                "A client certificate establishes no caller: %s",
                error.code,
                extra={"certificate_x5t_s256": certificate.x5t_s256},
            )
            # To seek a chain in vain costs a hundred times what the rest of a call's stages do.
            return _Known(certificate, ANONYMOUS, generation, now, now + REFUSAL_LIFETIME)
        expiry = min(each.not_valid_after_utc.timestamp() for each in (leaf, *certificate.intermediates))
        # An intermediate that was presented and not needed may have expired: then every call asks anew.
        end = max(now, min(now + RECHECK, expiry))
        return _Known(certificate, Principal(name, grant.roles, grant.resources), generation, now, end)
