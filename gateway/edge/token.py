"""POST /oauth2/token and /oauth2/revoke: convert, call, convert back."""

from json.encoder import encode_basestring_ascii as _text

from gateway.edge.credentials import client_claim
from gateway.edge.dpop import ProvenRequests
from gateway.edge.exchange import EdgeRequest
from gateway.edge.grants import token_request
from gateway.edge.oauth_errors import NO_STORE
from gateway.edge.response import Response
from gateway.introspection.document import token_type_name
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.grants import TokenExchangeGrant
from gateway.tokens.metadata import TOKEN_PATH
from gateway.tokens.mint import MintedToken, TokenMinter
from gateway.tokens.revocation import TokenRevoker
from gateway.tokens.token_exchange import ACCESS_TOKEN


class TokenEndpoint:
    """RFC 6749 §3.2."""

    def __init__(self, minter: TokenMinter, dpop: DpopDoor) -> None:
        self._minter = minter
        self._proven = ProvenRequests(dpop, TOKEN_PATH)

    async def __call__(self, request: EdgeRequest) -> Response:
        """Mint one token."""
        form = request.form()
        claim = client_claim(request.basic, form)
        client_id, asked = claim.require_client_id(), token_request(form)
        call = self._proven.call(request)
        minted = await self._minter.mint(call, client_id, claim.credential, asked)
        exchanged = isinstance(asked.grant, TokenExchangeGrant)
        response = Response(_document(minted, exchanged=exchanged), 200, NO_STORE, "application/json")
        self._proven.give_nonce(call, response)
        return response


class RevocationEndpoint:
    """RFC 7009."""

    def __init__(self, revoker: TokenRevoker) -> None:
        self._revoker = revoker

    async def __call__(self, request: EdgeRequest) -> Response:
        """Revoke one token. ``token_type_hint`` is advice that is not needed (RFC 7009 §2.1)."""
        form = request.form()
        claim = client_claim(request.basic, form)
        await self._revoker.revoke(
            request.call, claim.require_client_id(), claim.credential, form.require("token")
        )
        return Response(status_code=200, headers=NO_STORE)


def _document(minted: MintedToken, *, exchanged: bool) -> str:
    """RFC 6749 §5.1, RFC 8693 §2.2.1."""
    # Written out, as the token itself is: an encoder over a dict costs more than all else here.
    terms = minted.terms
    members = [
        f'"access_token":{_text(minted.value)}',
        f'"token_type":{_text(token_type_name(terms.binding))}',
        f'"expires_in":{minted.expire_time - minted.issue_time}',
    ]
    if terms.scope:
        members.append(f'"scope":{_text(" ".join(terms.scope))}')
    if minted.refresh_token is not None:
        members.append(f'"refresh_token":{_text(minted.refresh_token.value)}')
    if exchanged:
        members.append(f'"issued_token_type":{_text(ACCESS_TOKEN)}')
    return f"{{{','.join(members)}}}"
