"""What each RPC asks of its caller: one table, and a refusal for whatever it does not list."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import AuthenticationError, AuthorizationError, Reason
from gateway.principal import ANONYMOUS, Principal, Role


@dataclass(frozen=True, slots=True)
class Policy:
    """Any one of `roles` opens the method. `public` opens it to everyone.

    `proves_itself` marks methods whose request authenticates an OAuth client by itself (RFC 6749 §2.3): the
    use case refuses what it cannot authenticate, so no role is asked for at the door.
    """

    roles: frozenset[Role] = frozenset()
    public: bool = False
    proves_itself: bool = False


_PUBLIC = Policy(public=True)
_CLIENT = Policy(proves_itself=True)
_ADMIN = Policy(roles=frozenset({Role.ADMIN}))
_AUDITOR = Policy(roles=frozenset({Role.AUDITOR}))
_ENROLLER = Policy(roles=frozenset({Role.ENROLLER}))
_RESOURCE_SERVER = Policy(roles=frozenset({Role.RESOURCE_SERVER}))
_LOGIN = Policy(roles=frozenset({Role.LOGIN}))
_VERIFIER = Policy(roles=frozenset({Role.VERIFIER}))

POLICIES: Mapping[str, Policy] = {
    "/countersign.v1.TokenService/MintToken": _CLIENT,
    "/countersign.v1.TokenService/BatchMintTokens": _CLIENT,
    "/countersign.v1.TokenService/RevokeToken": _CLIENT,
    "/countersign.v1.TokenService/CreateClientNonce": _ENROLLER,
    "/countersign.v1.TokenService/MintClientAccessToken": _ENROLLER,
    "/countersign.v1.TokenService/GetServerMetadata": _PUBLIC,
    "/countersign.v1.TokenService/GetJwks": _PUBLIC,
    "/countersign.v1.AuthorizationService/PushAuthorizationRequest": _CLIENT,
    "/countersign.v1.AuthorizationService/CreateAuthorizationCode": _LOGIN,
    "/countersign.v1.IntrospectionService/IntrospectToken": _CLIENT,
    "/countersign.v1.IntrospectionService/BatchIntrospectTokens": _CLIENT,
    "/countersign.v1.IntrospectionService/WatchRevocations": _RESOURCE_SERVER,
    "/countersign.v1.KeyService/ListKeys": _ADMIN,
    "/countersign.v1.KeyService/GetKey": _ADMIN,
    "/countersign.v1.KeyService/CreateKey": _ADMIN,
    "/countersign.v1.KeyService/RotateKey": _ADMIN,
    "/countersign.v1.KeyService/DisableKey": _ADMIN,
    "/countersign.v1.KeyService/CheckKey": _ADMIN,
    "/countersign.v1.ClientService/CreateClient": _ADMIN,
    "/countersign.v1.ClientService/GetClient": _ADMIN,
    "/countersign.v1.ClientService/ListClients": _ADMIN,
    "/countersign.v1.ClientService/UpdateClient": _ADMIN,
    "/countersign.v1.ClientService/DeleteClient": _ADMIN,
    "/countersign.v1.ClientService/RotateClientSecret": _ADMIN,
    "/countersign.v1.EnrollmentService/ListProvisioners": _ENROLLER,
    "/countersign.v1.EnrollmentService/CreateNonce": _ENROLLER,
    "/countersign.v1.EnrollmentService/CreateAccount": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetAccount": _ENROLLER,
    "/countersign.v1.EnrollmentService/UpdateAccount": _ENROLLER,
    "/countersign.v1.EnrollmentService/DeactivateAccount": _ENROLLER,
    "/countersign.v1.EnrollmentService/RolloverAccountKey": _ENROLLER,
    "/countersign.v1.EnrollmentService/CreateOrder": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetOrder": _ENROLLER,
    "/countersign.v1.EnrollmentService/ListOrders": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetAuthorization": _ENROLLER,
    "/countersign.v1.EnrollmentService/DeactivateAuthorization": _ENROLLER,
    "/countersign.v1.EnrollmentService/AnswerChallenge": _ENROLLER,
    "/countersign.v1.EnrollmentService/FinalizeOrder": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetCertificate": _ENROLLER,
    "/countersign.v1.EnrollmentService/RevokeCertificate": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetRenewalInfo": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetCertificateRevocationList": _ENROLLER,
    "/countersign.v1.EnrollmentService/GetOcspResponse": _ENROLLER,
    "/countersign.v1.EnrollmentService/CreateExternalAccountKey": _ADMIN,
    "/countersign.v1.EnrollmentService/ListExternalAccountKeys": _ADMIN,
    "/countersign.v1.EnrollmentService/DeleteExternalAccountKey": _ADMIN,
    "/countersign.v1.PresentationService/CreatePresentationRequest": _VERIFIER,
    "/countersign.v1.PresentationService/GetPresentationRequest": _VERIFIER,
    "/countersign.v1.PresentationService/WatchPresentationRequest": _VERIFIER,
    "/countersign.v1.PresentationService/GetRequestObject": _VERIFIER,
    "/countersign.v1.PresentationService/SubmitPresentation": _VERIFIER,
    "/countersign.v1.PresentationService/VerifyPresentation": _VERIFIER,
    "/countersign.v1.AuditService/GetAuditLogHead": _AUDITOR,
    "/countersign.v1.AuditService/ExportAuditLog": _AUDITOR,
    "/grpc.health.v1.Health/Check": _PUBLIC,
    "/grpc.health.v1.Health/Watch": _PUBLIC,
    "/grpc.health.v1.Health/List": _PUBLIC,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _PUBLIC,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _PUBLIC,
    "/grpc.channelz.v1.Channelz/GetTopChannels": _ADMIN,
    "/grpc.channelz.v1.Channelz/GetServers": _ADMIN,
    "/grpc.channelz.v1.Channelz/GetServer": _ADMIN,
    "/grpc.channelz.v1.Channelz/GetServerSockets": _ADMIN,
    "/grpc.channelz.v1.Channelz/GetChannel": _ADMIN,
    "/grpc.channelz.v1.Channelz/GetSubchannel": _ADMIN,
    "/grpc.channelz.v1.Channelz/GetSocket": _ADMIN,
}


def authorize(method: str, principal: Principal) -> None:
    """Let *principal* call *method* (full gRPC name), or raise.

    Runs before the request is validated and before anything is looked up (AIP-211).
    Raises `AuthenticationError` CALLER_UNAUTHENTICATED, `AuthorizationError` PERMISSION_DENIED.
    """
    policy = POLICIES.get(method)
    if policy is not None and (policy.public or policy.proves_itself):
        return
    if principal is ANONYMOUS:
        raise AuthenticationError(
            Reason.CALLER_UNAUTHENTICATED,
            "This method needs an authenticated caller: connect with a client certificate that the gateway "
            "trusts, or send an access token of this gateway.",
        )
    if policy is None or not (policy.roles & principal.roles):
        raise AuthorizationError(
            Reason.PERMISSION_DENIED,
            "The caller has none of the roles that this method asks for.",
            metadata={"caller": principal.name},
            cause="no_role" if policy is not None else "method_not_listed",
        )
