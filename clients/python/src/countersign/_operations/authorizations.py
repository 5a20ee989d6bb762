"""The RPCs of AuthorizationService."""

from datetime import datetime
from typing import Any

from countersign._operations.operation import Operation
from countersign._operations.tokens import proof
from countersign._wire import required_time_from_wire, span_to_wire, time_to_wire
from countersign.authorizations import AuthorizationCode, AuthorizationRequest, PushedRequest
from countersign.credentials import ClientCredential
from countersign.v1 import authorization_service_pb2 as pb


def push_authorization_request(
    client_id: str, credential: ClientCredential | None, request: AuthorizationRequest
) -> Operation[PushedRequest]:
    def build() -> pb.PushAuthorizationRequestRequest:
        return pb.PushAuthorizationRequestRequest(
            client_id=client_id, authentication=proof(client_id, credential), request=_request(request)
        )

    def result(response: pb.PushAuthorizationRequestResponse) -> PushedRequest:
        return PushedRequest(response.request_uri, response.expires_in.ToTimedelta())

    return Operation("authorizations", "PushAuthorizationRequest", build, result, takes_proof=True)


def create_authorization_code(
    client_id: str,
    request: AuthorizationRequest | str,
    subject: str,
    auth_time: datetime | None,
    acr: str,
    amr: tuple[str, ...],
) -> Operation[AuthorizationCode]:
    def build() -> pb.CreateAuthorizationCodeRequest:
        asked: dict[str, Any] = (
            {"request_uri": request}
            if isinstance(request, str)
            else {"authorization_request": _request(request)}
        )
        return pb.CreateAuthorizationCodeRequest(
            client_id=client_id,
            subject=subject,
            auth_time=time_to_wire(auth_time),
            acr=acr,
            amr=amr,
            **asked,
        )

    def result(response: pb.CreateAuthorizationCodeResponse) -> AuthorizationCode:
        return AuthorizationCode(
            code=response.code,
            expire_time=required_time_from_wire(response.expire_time),
            redirect_uri=response.redirect_uri,
            state=response.state,
            issuer=response.issuer,
        )

    # A request URI is used once; a code that nobody received expires within a minute.
    return Operation(
        "authorizations",
        "CreateAuthorizationCode",
        build,
        result,
        repeatable=not isinstance(request, str),
    )


def _request(request: AuthorizationRequest) -> pb.AuthorizationRequest:
    return pb.AuthorizationRequest(
        redirect_uri=request.redirect_uri,
        scope=request.scope,
        resource=request.resource,
        code_challenge=request.code_challenge,
        dpop_jkt=request.dpop_jkt,
        state=request.state,
        prompt=request.prompt,
        max_age=span_to_wire(request.max_age),
    )
