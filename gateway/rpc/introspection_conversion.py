"""Between the rules and the wire, for introspection."""

from countersign.v1 import introspection_service_pb2

from gateway.introspection.feed import FeedBatch
from gateway.introspection.introspect import ActiveToken
from gateway.introspection.refresh_tokens import ActiveRefreshToken
from gateway.rpc.token_conversion import confirmation_message, token_type_of
from gateway.tokens.access_token import AccessToken
from gateway.tokens.actor import Actor


def introspected_message(token: ActiveToken) -> introspection_service_pb2.IntrospectedToken:
    """An active token on the wire."""
    message = introspection_service_pb2.IntrospectedToken(
        scope=token.scope,
        client_id=token.client_id,
        subject=token.subject,
        audience=token.audience,
        issuer=token.issuer,
    )
    message.issue_time.seconds = token.issue_time
    message.expire_time.seconds = token.expire_time
    if token.binding is not None:
        message.confirmation.CopyFrom(confirmation_message(token.binding))
    match token:
        case AccessToken():
            _add_access_token(message, token)
        case ActiveRefreshToken():
            pass  # RFC 7662 §2.2: it has no type, and no id that would name it in a revocation.
    return message


def _add_access_token(message: introspection_service_pb2.IntrospectedToken, token: AccessToken) -> None:
    message.token_type = token_type_of(token.binding)
    message.token_id = token.token_id
    message.grant_id = token.grant_id or ""
    if token.actor is not None:
        message.actor.CopyFrom(_actor(token.actor))
    if token.authentication is None:
        return
    if token.authentication.time is not None:
        message.auth_time.seconds = token.authentication.time
    message.acr = token.authentication.acr or ""
    message.amr.extend(token.authentication.amr)


def _actor(actor: Actor) -> introspection_service_pb2.Actor:
    prior = None if actor.prior is None else _actor(actor.prior)
    return introspection_service_pb2.Actor(subject=actor.subject, prior=prior)


def revocations_message(batch: FeedBatch) -> introspection_service_pb2.WatchRevocationsResponse:
    """A batch of the feed on the wire."""
    response = introspection_service_pb2.WatchRevocationsResponse(cursor=batch.cursor)
    for item in batch.items:
        message = response.revocations.add()
        if item.token_id is not None:
            message.token_id = item.token_id
        else:
            message.grant_id = item.grant_id or ""
        message.revoke_time.FromMicroseconds(round(item.revoke_time * 1_000_000))
        message.expire_time.FromMicroseconds(round(item.expire_time * 1_000_000))
    return response
