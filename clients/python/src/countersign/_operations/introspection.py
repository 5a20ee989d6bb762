"""The RPCs of IntrospectionService."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from countersign._operations.operation import Operation
from countersign._operations.tokens import proof
from countersign._wire import enum_from_wire, enum_to_wire, required_time_from_wire, time_from_wire
from countersign.credentials import ClientCredential
from countersign.tokens import Actor, IntrospectedToken, Revocation, RevocationBatch, TokenType, TokenTypeHint
from countersign.v1 import access_token_pb2
from countersign.v1 import introspection_service_pb2 as pb


def introspect_token(
    token: str, hint: TokenTypeHint | None, client_id: str, credential: ClientCredential | None
) -> Operation[IntrospectedToken | None]:
    def request() -> pb.IntrospectTokenRequest:
        return pb.IntrospectTokenRequest(
            token=token,
            token_type_hint=_hint(hint),
            client_id=client_id,
            authentication=proof(client_id, credential),
        )

    return Operation("introspection", "IntrospectToken", request, _active)


def batch_introspect_tokens(
    tokens: Sequence[str], hint: TokenTypeHint | None, client_id: str, credential: ClientCredential | None
) -> Operation[list[IntrospectedToken | None]]:
    def request() -> pb.BatchIntrospectTokensRequest:
        return pb.BatchIntrospectTokensRequest(
            items=[
                pb.BatchIntrospectTokensItem(token=token, token_type_hint=_hint(hint)) for token in tokens
            ],
            client_id=client_id,
            authentication=proof(client_id, credential),
        )

    def result(response: pb.BatchIntrospectTokensResponse) -> list[IntrospectedToken | None]:
        return [_active(each) for each in response.results]

    return Operation("introspection", "BatchIntrospectTokens", request, result)


def introspect_token_signed(
    token: str, client_id: str, credential: ClientCredential | None
) -> Operation[str]:
    def request() -> pb.IntrospectTokenRequest:
        return pb.IntrospectTokenRequest(
            token=token,
            client_id=client_id,
            authentication=proof(client_id, credential),
            sign_response=True,
        )

    return Operation("introspection", "IntrospectToken", request, lambda response: response.signed_response)


def watch_revocations(cursor: str) -> Operation[RevocationBatch]:
    def result(response: pb.WatchRevocationsResponse) -> RevocationBatch:
        return RevocationBatch(
            tuple(
                Revocation(
                    token_id=each.token_id,
                    grant_id=each.grant_id,
                    revoke_time=required_time_from_wire(each.revoke_time),
                    expire_time=required_time_from_wire(each.expire_time),
                )
                for each in response.revocations
            ),
            response.cursor,
        )

    return Operation(
        "introspection", "WatchRevocations", lambda: pb.WatchRevocationsRequest(cursor=cursor), result
    )


def _hint(hint: TokenTypeHint | None) -> Any:
    return None if hint is None else enum_to_wire(pb.TokenTypeHint, hint)


def _active(
    answer: pb.IntrospectTokenResponse | pb.BatchIntrospectTokensResult,
) -> IntrospectedToken | None:
    if not answer.active:
        return None
    token = answer.token
    return IntrospectedToken(
        scope=tuple(token.scope),
        client_id=token.client_id,
        username=token.username,
        token_type=enum_from_wire(TokenType, access_token_pb2.TokenType, token.token_type)
        if token.token_type
        else None,
        issue_time=required_time_from_wire(token.issue_time),
        not_before_time=time_from_wire(token, "not_before_time"),
        expire_time=required_time_from_wire(token.expire_time),
        subject=token.subject,
        audience=tuple(token.audience),
        issuer=token.issuer,
        token_id=token.token_id,
        x5t_s256=token.confirmation.x5t_s256 or None,
        additional_claims=MessageToDict(token.additional_claims),
        jkt=token.confirmation.jkt or None,
        auth_time=time_from_wire(token, "auth_time"),
        acr=token.acr,
        amr=tuple(token.amr),
        grant_id=token.grant_id,
        actor=_actor(token.actor) if token.HasField("actor") else None,
    )


def _actor(actor: pb.Actor) -> Actor:
    return Actor(actor.subject, _actor(actor.prior) if actor.HasField("prior") else None)
