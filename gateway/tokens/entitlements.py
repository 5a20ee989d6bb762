"""Who a client is and what it gets by client credentials: decided once, believed for a moment."""

import contextlib
from collections import OrderedDict
from typing import Final, NamedTuple

from gateway.errors import GatewayError
from gateway.principal import Call
from gateway.proofs.client_certificate import ClientCertificate
from gateway.tokens.binding import binding_of
from gateway.tokens.client import Client
from gateway.tokens.client_authentication import ClientAuthenticator, ClientCredential, PrivateKeyJwt
from gateway.tokens.grants import Granted, TokenRequest, decide
from gateway.tokens.terms import TokenTerms

TERMS_CACHE_ENTRIES: Final = 1024


class _Last(NamedTuple):
    """What a client asked for last by its certificate, and what it got."""

    client: Client
    certificate: ClientCertificate
    request: TokenRequest
    terms: TokenTerms


class Entitlements:
    """Clients and the terms of their tokens, by client credentials (RFC 6749 §4.4). One event loop's."""

    def __init__(self, issuer: str, authenticator: ClientAuthenticator) -> None:
        self._issuer = issuer
        self._authenticator = authenticator
        self._last: OrderedDict[str, _Last] = OrderedDict()
        self._known: OrderedDict[tuple[str, TokenRequest, str | None], tuple[Client, TokenTerms]] = (
            OrderedDict()
        )

    def at_hand(
        self, call: Call, client_id: str, credential: ClientCredential | None, request: TokenRequest
    ) -> tuple[Client, TokenTerms] | None:
        """As `find`, where the client asks by its certificate for what it asked for last, in the very same
        octets; None where anything has to be asked or decided.
        """
        last = self._last.get(client_id)
        if (
            last is None
            or last.request is not request
            or last.certificate is not call.certificate
            or credential is not None
            or call.proof is not None
            or self._authenticator.recognized(call, client_id) is not last.client
        ):
            return None
        return last.client, last.terms

    async def find(
        self, call: Call, client_id: str, credential: ClientCredential | None, request: TokenRequest
    ) -> tuple[Client, TokenTerms]:
        """Who the client is, and what it gets.

        Raises as `ClientAuthenticator.authenticate`, `decide` and `binding_of`.
        """
        if not isinstance(credential, PrivateKeyJwt):  # An assertion is used up by the first look at it.
            # A token that was minted a moment earlier lives as long, so what was true a moment ago suffices
            # to mint. A refusal is due to what is true now.
            recent = await self._authenticator.authenticate_recent(call, client_id, credential)
            if recent is not None:
                terms = None
                with contextlib.suppress(GatewayError):
                    terms = self.terms(call, recent, request)
                if terms is not None:
                    if call.proof is not None:
                        await self._authenticator.use_proof(call)
                    elif credential is None and call.certificate is not None:
                        self._keep(_Last(recent, call.certificate, request, terms))
                    return recent, terms
        client = await self._authenticator.authenticate(call, client_id, credential)
        return client, self.terms(call, client, request)

    def terms(self, call: Call, client: Client, request: TokenRequest) -> TokenTerms:
        """What *client*, authenticated, gets.

        That depends on the three and on nothing else, so what was decided for the very same client, as it is
        registered, is not decided again. Raises as `decide` and `binding_of`.
        """
        if call.proof is not None:
            return self.terms_of(call, client, decide(client, request))
        key = (client.client_id, request, None if call.certificate is None else call.certificate.x5t_s256)
        known = self._known.get(key)
        if known is not None and known[0] is client:
            return known[1]
        terms = self.terms_of(call, client, decide(client, request))
        self._known[key] = client, terms
        if len(self._known) > TERMS_CACHE_ENTRIES:
            self._known.popitem(last=False)
        return terms

    def terms_of(self, call: Call, client: Client, granted: Granted) -> TokenTerms:
        """The terms of a token for what was *granted*, by whatever grant, bound as *call* proves."""
        return TokenTerms(
            issuer=self._issuer,
            subject=granted.subject,
            audience=granted.audience,
            client_id=client.client_id,
            scope=granted.scope,
            binding=binding_of(call, client),
            grant_id=granted.grant_id,
            authentication=granted.authentication,
            actor=granted.actor,
        )

    def _keep(self, last: _Last) -> None:
        self._last[last.client.client_id] = last
        if len(self._last) > TERMS_CACHE_ENTRIES:
            self._last.popitem(last=False)
