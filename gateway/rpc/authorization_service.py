"""countersign.v1.AuthorizationService: convert, call, convert back."""

from typing import Final, TypeAlias

import grpc
from countersign.v1 import authorization_service_pb2, authorization_service_pb2_grpc

from gateway.errors import Reason, RequestError
from gateway.rpc.dpop import ProvenCalls
from gateway.rpc.token_conversion import MAX_NAMES, credential_of
from gateway.tokens.authorization import Authentication
from gateway.tokens.authorization_requests import AuthorizationDraft, AuthorizationRequests
from gateway.tokens.dpop import DpopDoor

_Context: TypeAlias = grpc.aio.ServicerContext
_PUSH: Final = "/countersign.v1.AuthorizationService/PushAuthorizationRequest"


class AuthorizationService(authorization_service_pb2_grpc.AuthorizationServiceServicer):
    """Keeps authorization requests, and makes codes for applications that log users in."""

    def __init__(self, authorizations: AuthorizationRequests, dpop: DpopDoor) -> None:
        self._authorizations = authorizations
        self._pushing = ProvenCalls(dpop, _PUSH)

    async def PushAuthorizationRequest(
        self, request: authorization_service_pb2.PushAuthorizationRequestRequest, context: _Context
    ) -> authorization_service_pb2.PushAuthorizationRequestResponse:
        """RFC 9126."""
        if not request.HasField("request"):
            raise RequestError(Reason.MISSING_FIELD, "Send the request.", field="request")
        pushed = await self._authorizations.push(
            self._pushing.current(context),
            request.client_id,
            credential_of(request.authentication),
            _draft(request.request, "request."),
        )
        response = authorization_service_pb2.PushAuthorizationRequestResponse(request_uri=pushed.request_uri)
        response.expires_in.seconds = pushed.expires_in
        return response

    async def CreateAuthorizationCode(
        self, request: authorization_service_pb2.CreateAuthorizationCodeRequest, context: _Context
    ) -> authorization_service_pb2.CreateAuthorizationCodeResponse:
        """RFC 6749 §4.1.2."""
        match request.WhichOneof("request"):
            case "request_uri":
                asked: AuthorizationDraft | str = request.request_uri
            case "authorization_request":
                asked = _draft(request.authorization_request, "authorization_request.")
            case _:
                raise RequestError(Reason.MISSING_FIELD, "Name what the client asked for.", field="request")
        issued = await self._authorizations.issue_code(
            request.client_id,
            asked,
            subject=request.subject,
            authentication=Authentication(
                time=request.auth_time.seconds if request.HasField("auth_time") else None,
                acr=request.acr or None,
                amr=tuple(request.amr),
            ),
        )
        response = authorization_service_pb2.CreateAuthorizationCodeResponse(
            code=issued.code,
            redirect_uri=issued.request.redirect_uri,
            state=issued.request.state or "",
            issuer=issued.issuer,
        )
        response.expire_time.FromMicroseconds(round(issued.expire_time * 1_000_000))
        return response


def _draft(message: authorization_service_pb2.AuthorizationRequest, prefix: str) -> AuthorizationDraft:
    for name in ("scope", "resource"):
        if len(getattr(message, name)) > MAX_NAMES:
            raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_NAMES}.", field=prefix + name)
    return AuthorizationDraft(
        redirect_uri=message.redirect_uri,
        code_challenge=message.code_challenge,
        scope=tuple(message.scope),
        resource=tuple(message.resource),
        dpop_jkt=message.dpop_jkt,
        state=message.state,
        prompt=message.prompt,
        max_age=_max_age(message, prefix),
    )


def _max_age(message: authorization_service_pb2.AuthorizationRequest, prefix: str) -> str:
    """As a form has it."""
    if not message.HasField("max_age"):
        return ""
    if message.max_age.nanos or message.max_age.seconds < 0:
        raise RequestError(Reason.INVALID_FIELD, "max_age is whole seconds.", field=f"{prefix}max_age")
    return str(message.max_age.seconds)
