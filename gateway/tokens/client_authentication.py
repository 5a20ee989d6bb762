"""Who is this OAuth client? One method is pinned per client, and only that one proves it (RFC 6749 §2.3).

Every refusal is INVALID_CLIENT with the same text, so that nobody learns from it which clients exist or which
method they use; the log gets the cause.
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from gateway.clock import Clock
from gateway.errors import AuthenticationError, Reason
from gateway.jose.errors import JoseError
from gateway.pki.errors import PkiError
from gateway.principal import Call
from gateway.proofs.client_certificate import ClientCertificate
from gateway.proofs.dpop_proof import DpopProof
from gateway.tokens.client import Client, ClientAuthenticationMethod
from gateway.tokens.client_assertion import ClientAssertionVerifier
from gateway.tokens.client_keys import ClientKeys, with_certificate
from gateway.tokens.ports import ClientRepository

CLIENT_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
"""What a client id may look like."""

MATCH_CACHE_ENTRIES: Final = 1024

_SECRET_METHODS: Final = frozenset(
    {ClientAuthenticationMethod.CLIENT_SECRET_BASIC, ClientAuthenticationMethod.CLIENT_SECRET_POST}
)


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """A signed client assertion, compact JWS (RFC 7523 §2.2)."""

    assertion: str

    def __repr__(self) -> str:
        return "PrivateKeyJwt(assertion=<redacted>)"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret that the gateway generated at registration.

    `method` is how it was sent where the door knows different ways; then only the registered one counts.
    """

    secret: str
    method: ClientAuthenticationMethod | None = None

    def __repr__(self) -> str:
        return "ClientSecret(secret=<redacted>)"


ClientCredential: TypeAlias = PrivateKeyJwt | ClientSecret


class CertificateTrust(Protocol):
    """The roots that issue client certificates: `gateway.client_roots.ClientRoots`."""

    def verify(self, presented: ClientCertificate, now: float) -> None:
        """Build a chain from *presented* to a root that is valid at *now*. Raises `PkiError`."""
        ...


class SingleUseProofs(Protocol):
    """Where DPoP proofs are used up: `gateway.tokens.dpop.DpopDoor`."""

    async def use(self, proof: DpopProof) -> None:
        """Use *proof* up. Raises `RequestError` INVALID_DPOP_PROOF, `AvailabilityError`."""
        ...


class ClientAuthenticator:
    """Authenticates OAuth clients for every door, and then uses the call's DPoP proof up.

    In this order, so that nobody who is no client of ours takes room among the used proofs, or uses up a
    proof that he found. A public client proves nothing, so its proofs are used up for the asking.
    """

    def __init__(
        self,
        *,
        clients: ClientRepository,
        trust: CertificateTrust,
        assertions: ClientAssertionVerifier,
        keys: ClientKeys,
        proofs: SingleUseProofs,
        clock: Clock,
    ) -> None:
        self._proofs = proofs
        self._clients = clients
        self._trust = trust
        self._assertions = assertions
        self._keys = keys
        self._clock = clock
        # The certificate whose name was last found to be the client's: the very same two objects.
        self._matched: OrderedDict[str, tuple[Client, ClientCertificate]] = OrderedDict()

    def recognized(self, call: Call, client_id: str) -> Client | None:
        """The enabled client *client_id* as it was a moment ago, by the name in the call's certificate, where
        both were matched before and nothing has to be asked; else None, which concludes nothing.
        """
        known = self._matched.get(client_id)
        # The very same objects: a client that was changed is another, and so is a certificate beside which
        # other intermediates were presented.
        if (
            known is None
            or known[1] is not call.certificate
            or known[0] is not self._clients.at_hand(client_id)
        ):
            return None
        try:
            self._trust.verify(known[1], self._clock())
        except PkiError:
            return None
        return known[0]

    async def authenticate_recent(
        self, call: Call, client_id: str, secret: ClientSecret | None
    ) -> Client | None:
        """The client *client_id* as it was a moment ago, proven by *secret* or else by the name in the call's
        certificate; None where neither proves it, which only `authenticate` may conclude.

        The call's proof is left as it is: `use_proof` comes before anything is done for the client.
        """
        client = await self._clients.recent(client_id) if CLIENT_ID_PATTERN.fullmatch(client_id) else None
        if client is None or client.disabled:
            return None
        try:
            if secret is not None:
                _match_secret(client, secret)
            elif client.authentication_method is ClientAuthenticationMethod.TLS_CLIENT_AUTH:
                self._match_name(client, call.certificate)
            else:
                return None
        except AuthenticationError:
            return None
        return client

    async def authenticate(self, call: Call, client_id: str, credential: ClientCredential | None) -> Client:
        """The enabled client *client_id*, proven by *credential*, or by the call's certificate without one.

        A public client (method ``none``) proves nothing: what it sends must be proof enough for itself. The
        call's DPoP proof is used up. Raises `AuthenticationError` INVALID_CLIENT, `RequestError`
        INVALID_DPOP_PROOF, `AvailabilityError`.
        """
        if not CLIENT_ID_PATTERN.fullmatch(client_id):
            raise refused("client_id_malformed")
        client = await self._clients.get(client_id)
        if client is None:
            raise refused("client_unknown")
        if client.disabled:
            raise refused("client_disabled")
        method = client.authentication_method
        if isinstance(credential, PrivateKeyJwt):
            _require(method is ClientAuthenticationMethod.PRIVATE_KEY_JWT, "method_not_registered")
            await self._assertions.verify(client, credential.assertion)
        elif isinstance(credential, ClientSecret):
            _match_secret(client, credential)
        elif method is ClientAuthenticationMethod.TLS_CLIENT_AUTH:
            self._match_name(client, call.certificate)
        elif method is ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH:
            await self._match_registered(client, call.certificate)
        elif method is not ClientAuthenticationMethod.NONE:
            raise refused("credential_missing")
        await self.use_proof(call)
        return client

    async def use_proof(self, call: Call) -> None:
        """Use up the DPoP proof of *call*, whose client is known.

        Raises `RequestError` INVALID_DPOP_PROOF, `AvailabilityError`.
        """
        # A proof that came with the caller's own token was used up with that.
        if call.proof is not None and call.proof is not call.principal.proof:
            await self._proofs.use(call.proof)

    def _match_name(self, client: Client, certificate: ClientCertificate | None) -> None:
        """RFC 8705 §2.1: a chain to the PKI's own roots, and exactly the registered name in the leaf.

        The chain is built here although TLS did so too: the handshake also lets registered self-signed
        certificates pass, and one of those that is CA:TRUE could have issued this leaf.
        """
        if certificate is None:
            raise refused("certificate_missing")
        if client.identity is None:
            raise refused("identity_missing")
        try:
            self._trust.verify(certificate, self._clock())
            known = self._matched.get(client.client_id)
            if known is None or known[0] is not client or known[1] is not certificate:
                client.identity.match(certificate.certificate)
                self._remember(client, certificate)
        except PkiError as error:
            raise refused(f"certificate_{error.code}") from error

    def _remember(self, client: Client, certificate: ClientCertificate) -> None:
        self._matched[client.client_id] = client, certificate
        if len(self._matched) > MATCH_CACHE_ENTRIES:
            self._matched.popitem(last=False)

    async def _match_registered(self, client: Client, certificate: ClientCertificate | None) -> None:
        """RFC 8705 §2.2: the very certificate that was registered; no chain, no name."""
        if certificate is None:
            raise refused("certificate_missing")
        try:
            certificate.require_valid_at(self._clock())
            await self._keys.find(client, lambda keys: with_certificate(keys, certificate.der))
        except JoseError:
            # It is always that no key has the certificate, which the cause says already.
            raise refused("certificate_not_registered") from None
        except PkiError as error:
            raise refused(f"certificate_{error.code}") from error


def _match_secret(client: Client, credential: ClientSecret) -> None:
    """The one method that is registered, and its secret."""
    method = client.authentication_method
    _require(method in _SECRET_METHODS and credential.method in {None, method}, "method_not_registered")
    presented = hashlib.sha256(credential.secret.encode("utf-8", "surrogatepass")).digest()
    if client.secret_hash is None or not hmac.compare_digest(presented, client.secret_hash):
        raise refused("secret_mismatch")


def _require(condition: bool, cause: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise refused(cause)


def refused(cause: str) -> AuthenticationError:
    """The one answer to a client that is not proven; *cause* is for our log only."""
    return AuthenticationError(Reason.INVALID_CLIENT, "Client authentication failed.", cause=cause)
