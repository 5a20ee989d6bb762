"""Between the wire and the rules, for tokens: parse once, and render what came back."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from countersign.v1 import access_token_pb2, client_authentication_pb2, token_service_pb2

from gateway.errors import Reason, RequestError
from gateway.jose import base64url
from gateway.tokens.binding import Binding, CertificateBinding, DpopBinding
from gateway.tokens.client_authentication import ClientCredential, ClientSecret, PrivateKeyJwt
from gateway.tokens.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    Grant,
    JwtBearerGrant,
    RefreshTokenGrant,
    TokenExchangeGrant,
    TokenRequest,
)
from gateway.tokens.mint import MintedToken
from gateway.tokens.terms import TokenTerms
from gateway.tokens.token_exchange import ACCESS_TOKEN

ORDER_CACHE_ENTRIES = 1024
MAX_KEPT_ORDER = 2048
"""Octets of a request that is kept; with the entries that bounds what is kept."""
MAX_NAMES = 100
"""Scopes, and resources, of one request."""
TERMS_CACHE_ENTRIES = 1024
_CLIENT_CREDENTIALS = ClientCredentialsGrant()


def credential_of(
    message: client_authentication_pb2.ClientAuthentication,
) -> ClientCredential | None:
    """The credential that the request carries; None where the connection's certificate is to prove it."""
    method = message.WhichOneof("method")
    if method is None:
        return None
    if method == "private_key_jwt":
        return PrivateKeyJwt(message.private_key_jwt.assertion)
    return ClientSecret(message.client_secret.secret)


@dataclass(frozen=True, slots=True)
class MintOrder:
    """A MintTokenRequest, read: for which client, what proves it, and what is asked for."""

    client_id: str
    credential: ClientCredential | None
    request: TokenRequest


_orders: OrderedDict[bytes, MintOrder] = OrderedDict()


def mint_order(message: bytes) -> MintOrder:
    """Read a serialized MintTokenRequest.

    A backend asks for the same token again and again in the same octets, and what they mean does not change:
    the latest are not read again, unless they carry a secret or anything that is used once.
    Raises `DecodeError`, and as `token_request_of`.
    """
    order = _orders.get(message)
    if order is None:
        request = token_service_pb2.MintTokenRequest.FromString(message)
        order = MintOrder(request.client_id, credential_of(request.authentication), token_request_of(request))
        names_only = order.credential is None and order.request.grant is _CLIENT_CREDENTIALS
        if names_only and len(message) <= MAX_KEPT_ORDER:
            _orders[message] = order
            if len(_orders) > ORDER_CACHE_ENTRIES:
                _orders.popitem(last=False)
    return order


def token_request_of(
    message: token_service_pb2.MintTokenRequest | token_service_pb2.BatchMintTokensItem,
) -> TokenRequest:
    """One token asked for. Raises `RequestError`: MISSING_FIELD, INVALID_FIELD."""
    name = message.WhichOneof("grant")
    if name is None:
        raise RequestError(Reason.MISSING_FIELD, "Name a grant.", field="grant")
    scope, resource = tuple(message.scope), tuple(message.resource)
    if len(scope) > MAX_NAMES:
        raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_NAMES}.", field="scope")
    if len(resource) > MAX_NAMES:
        raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_NAMES}.", field="resource")
    if name == "client_credentials":
        return TokenRequest(_CLIENT_CREDENTIALS, scope, resource)
    assert isinstance(message, token_service_pb2.MintTokenRequest)  # noqa: S101 - an item has no other grant
    return TokenRequest(_grant_of(message, name), scope, resource)


def _grant_of(message: token_service_pb2.MintTokenRequest, name: str) -> Grant:
    """Every grant but client credentials, the only one of a batch."""
    match name:
        case "authorization_code":
            code = message.authorization_code
            return AuthorizationCodeGrant(code.code, code.redirect_uri, code.code_verifier)
        case "refresh_token":
            return RefreshTokenGrant(message.refresh_token.refresh_token)
        case "token_exchange":
            exchange = message.token_exchange
            actor_type = ACCESS_TOKEN if exchange.actor_token else ""
            return TokenExchangeGrant(exchange.subject_token, ACCESS_TOKEN, exchange.actor_token, actor_type)
        case "jwt_bearer":
            return JwtBearerGrant(message.jwt_bearer.assertion)
    raise AssertionError(f"the grant {name} is read nowhere")


def fill_token(message: access_token_pb2.AccessToken, minted: MintedToken) -> None:
    """Write a minted token into *message*, which is empty."""
    terms = minted.terms
    # Those of a user's grant, and those that a proof binds, are made anew for each token.
    come_again = terms.grant_id is None and type(terms.binding) is not DpopBinding
    fill = _known if come_again else _template
    message.CopyFrom(fill(terms, minted.issue_time, minted.expire_time))
    message.value = minted.value
    message.token_id = minted.token_id


@lru_cache(maxsize=TERMS_CACHE_ENTRIES)
def _known(terms: TokenTerms, issue_time: int, expire_time: int) -> access_token_pb2.AccessToken:
    return _template(terms, issue_time, expire_time)


def _template(terms: TokenTerms, issue_time: int, expire_time: int) -> access_token_pb2.AccessToken:
    """What the tokens have in common that are minted under *terms* in one second."""
    message = access_token_pb2.AccessToken(
        type=token_type_of(terms.binding), scope=terms.scope, audience=terms.audience
    )
    message.issue_time.seconds = issue_time
    message.expire_time.seconds = expire_time
    if terms.binding is not None:
        message.confirmation.CopyFrom(confirmation_message(terms.binding))
    return message


def token_type_of(binding: Binding | None) -> access_token_pb2.TokenType:
    """How a token so bound is presented: a certificate-bound one is a bearer token too (RFC 8705 §3)."""
    if isinstance(binding, DpopBinding):
        return access_token_pb2.TOKEN_TYPE_DPOP
    return access_token_pb2.TOKEN_TYPE_BEARER


def confirmation_message(binding: Binding) -> access_token_pb2.Confirmation:
    """A binding on the wire."""
    match binding:
        case CertificateBinding(x5t_s256):
            return access_token_pb2.Confirmation(x5t_s256=base64url.decode(x5t_s256))
        case DpopBinding(jkt):
            return access_token_pb2.Confirmation(jkt=base64url.decode(jkt))
