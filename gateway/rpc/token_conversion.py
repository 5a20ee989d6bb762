"""Between the wire and the rules, for tokens: parse once, and render what came back."""

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
from gateway.tokens.token_exchange import ACCESS_TOKEN

MAX_NAMES = 100
"""Scopes, and resources, of one request."""
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


def token_request_of(
    message: token_service_pb2.MintTokenRequest | token_service_pb2.BatchMintTokensItem,
) -> TokenRequest:
    """One token asked for. Raises `RequestError`: MISSING_FIELD, INVALID_FIELD."""
    if message.WhichOneof("grant") is None:
        raise RequestError(Reason.MISSING_FIELD, "Name a grant.", field="grant")
    scope, resource = tuple(message.scope), tuple(message.resource)
    if len(scope) > MAX_NAMES:
        raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_NAMES}.", field="scope")
    if len(resource) > MAX_NAMES:
        raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_NAMES}.", field="resource")
    return TokenRequest(_grant_of(message), scope, resource)


def _grant_of(message: token_service_pb2.MintTokenRequest | token_service_pb2.BatchMintTokensItem) -> Grant:
    if isinstance(message, token_service_pb2.MintTokenRequest):
        match message.WhichOneof("grant"):
            case "authorization_code":
                code = message.authorization_code
                return AuthorizationCodeGrant(code.code, code.redirect_uri, code.code_verifier)
            case "refresh_token":
                return RefreshTokenGrant(message.refresh_token.refresh_token)
            case "token_exchange":
                exchange = message.token_exchange
                actor_type = ACCESS_TOKEN if exchange.actor_token else ""
                return TokenExchangeGrant(
                    exchange.subject_token, ACCESS_TOKEN, exchange.actor_token, actor_type
                )
            case "jwt_bearer":
                return JwtBearerGrant(message.jwt_bearer.assertion)
    return _CLIENT_CREDENTIALS


def minted_message(minted: MintedToken) -> access_token_pb2.AccessToken:
    """A minted token on the wire."""
    token = minted.token
    message = access_token_pb2.AccessToken(
        value=minted.value,
        type=token_type_of(token.binding),
        scope=token.scope,
        token_id=token.token_id,
        audience=token.audience,
    )
    message.issue_time.seconds = token.issue_time
    message.expire_time.seconds = token.expire_time
    if token.binding is not None:
        message.confirmation.CopyFrom(confirmation_message(token.binding))
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
