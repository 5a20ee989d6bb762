"""Who sends a request, whatever the door: one client certificate and one principal for each.

- The certificate is that of the TLS connection, or, where the connection is a trusted terminator's, the one
  that the terminator forwards; then the terminator's own counts for nothing else.
- The principal is that of the certificate (`gateway.callers`), unless the call brings an access token: then
  the token decides, and a token that does not hold is refused even where the certificate would have done.
"""

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from gateway.callers import CertificatePrincipals
from gateway.errors import AuthenticationError, Reason
from gateway.limits.peers import site_of_forwarded, site_of_peer
from gateway.pki import DistinguishedName, names_of
from gateway.principal import ANONYMOUS, Principal
from gateway.proofs.client_certificate import ClientCertificate
from gateway.proofs.terminator import (
    HeaderFormat,
    TerminatorHeader,
    TerminatorPolicy,
    resolve_client_certificate,
)
from gateway.settings.server import TerminatorSettings

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

MAX_AUTHORIZATION: Final = 16 * 1024
"""Characters of an ``authorization`` entry."""
PLAIN_ENTRIES: Final = 256
PLAIN_NAMES: Final = 16
"""How many combinations of names are remembered, and of how many names, none of which matters here."""
_SPIFFE = "spiffe://"
_DPOP = "dpop"


class TokenAuthenticator(Protocol):
    """Access tokens of this gateway, as credentials of its own API."""

    async def authenticate(self, token: str, scheme: str, certificate: ClientCertificate | None) -> Principal:
        """Whose *token* it is. *scheme* is in lower case (``bearer``); *certificate* is the call's.

        Raises `AuthenticationError` INVALID_TOKEN for anything that does not hold, a scheme unknown to it and
        a token bound to another certificate included.
        """
        ...

    async def authenticate_with_proof(
        self, token: str, proofs: Sequence[str | bytes], *, path: str, method: str
    ) -> Principal:
        """As `authenticate`, for a token under the scheme ``dpop`` (RFC 9449 §7.1).

        *proofs* are all ``dpop`` headers of a request of HTTP *method* for *path*. Raises `DpopNonceError`
        too.
        """
        ...


class RequestCallers:
    """Resolves the caller of every request, the same for gRPC and for HTTPS."""

    def __init__(
        self, *, principals: CertificatePrincipals, tokens: TokenAuthenticator, terminator: TerminatorSettings
    ) -> None:
        self._principals = principals
        self._tokens = tokens
        self._terminators = _Terminators(terminator.trusted)
        # The header is looked for even where no terminator is trusted, because a client that sends it
        # believes, or wants to make others believe, that it counts: it is refused and not ignored.
        self._header = terminator.header.lower()
        self._address_header = terminator.address_header
        self._policy = TerminatorPolicy(
            (TerminatorHeader(terminator.header, HeaderFormat(terminator.format)),)
        )
        # Names of metadata beside which the connection's certificate alone says who calls.
        self._plain: set[tuple[str, ...]] = set()

    async def resolve(
        self,
        transport: ClientCertificate | None,
        metadata: Metadata,
        *,
        path: str | None = None,
        method: str = "POST",
    ) -> tuple[Principal, ClientCertificate | None]:
        """The principal, perhaps `ANONYMOUS`, and the client's certificate, if any.

        *transport* is the certificate of the TLS connection; *metadata* the request's headers or gRPC
        metadata, names in lower case. *path* (for gRPC the full method) and the HTTP *method* are what a DPoP
        proof beside an access token must be for; a door that names no path takes no such tokens.

        Raises `TerminatorHeaderError`, `ClientCertificateError`, and `AuthenticationError` INVALID_TOKEN.
        """
        principal = ANONYMOUS if transport is None else self._principals.principal(transport)
        names = tuple([key for key, _ in metadata])
        if names in self._plain:
            return principal, transport
        trusted = transport is not None and self._terminators.include(transport, principal)
        certificate = transport
        if trusted or self._mentions_certificate(names):
            certificate = resolve_client_certificate(
                transport, metadata, trusted=trusted, policy=self._policy
            )
        if certificate is not transport:
            principal = ANONYMOUS if certificate is None else self._principals.principal(certificate)
        if "authorization" in names:
            token, scheme = _token([value for key, value in metadata if key == "authorization"])
            if scheme == _DPOP and path is not None:
                proofs = [value for key, value in metadata if key == _DPOP]
                principal = await self._tokens.authenticate_with_proof(
                    token, proofs, path=path, method=method
                )
            else:
                principal = await self._tokens.authenticate(token, scheme, certificate)
        elif not self._terminators and not self._mentions_certificate(names):
            self._remember_plain(names)
        return principal, certificate

    def _remember_plain(self, names: tuple[str, ...]) -> None:
        if len(self._plain) >= PLAIN_ENTRIES:
            self._plain.clear()
        if len(names) <= PLAIN_NAMES:
            self._plain.add(names)

    @property
    def forwards_addresses(self) -> bool:
        """Whether a terminator says which address it serves."""
        return bool(self._address_header)

    def site(self, transport: ClientCertificate | None, metadata: Metadata, peer: str) -> str:
        """What stands for a caller that has no name (`gateway.limits.peers`).

        It is that of *peer*, the connection's other end, and of a trusted terminator's connection the address
        that the terminator saw: what it added last, as all before that came from the caller.
        """
        if transport is not None and self._address_header and self.is_terminator(transport):
            values = [value for name, value in metadata if name == self._address_header]
            if values and isinstance(values[-1], str):
                return site_of_forwarded(values[-1].rpartition(",")[2])
        return site_of_peer(peer)

    def is_terminator(self, transport: ClientCertificate) -> bool:
        """Whether a connection with this certificate is a trusted terminator's."""
        return self._terminators.include(transport, self._principals.principal(transport))

    def _mentions_certificate(self, names: Sequence[str]) -> bool:
        """Whether there is anything to resolve: names are in lower case; a chain's begins the same."""
        return any(name.startswith(self._header) for name in names)


def _token(authorization: Sequence[str | bytes]) -> tuple[str, str]:
    """The token and its scheme, in lower case (RFC 9110 §11.1). Raises `AuthenticationError`."""
    if len(authorization) > 1:
        raise _refused("authorization_repeated")
    value = authorization[0]
    if not isinstance(value, str) or len(value) > MAX_AUTHORIZATION:
        raise _refused("authorization_malformed")
    scheme, separator, token = value.partition(" ")
    token = token.strip(" ")
    if not separator or not token or " " in token or not value.isascii():
        raise _refused("authorization_malformed")
    return token, scheme.lower()


def _refused(cause: str) -> AuthenticationError:
    return AuthenticationError(
        Reason.INVALID_TOKEN,
        "The authorization metadata must be one entry with a scheme and an access token of this gateway.",
        cause=cause,
    )


class _Terminators:
    """The peers whose certificate header counts, by SPIFFE ID or by subject (RFC 4514, compared as names)."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """Raises `PkiError` where an entry is neither."""
        self._uris = frozenset(entry for entry in trusted if entry.startswith(_SPIFFE))
        self._subjects = frozenset(
            DistinguishedName.parse(entry) for entry in trusted if not entry.startswith(_SPIFFE)
        )

    def __bool__(self) -> bool:
        return bool(self._uris or self._subjects)

    def include(self, certificate: ClientCertificate, principal: Principal) -> bool:
        """Whether the peer is one of them. *principal* is what the verified *certificate* established."""
        if principal is ANONYMOUS or not self:
            return False
        if principal.name.startswith(_SPIFFE):
            return principal.name in self._uris
        return bool(self._subjects) and names_of(certificate.certificate).subject in self._subjects
