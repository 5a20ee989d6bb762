"""The RPCs of ClientService."""

from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask

from countersign._operations.operation import Operation, Page
from countersign._wire import enum_from_wire, enum_to_wire, required_time_from_wire, span_to_wire
from countersign.clients import (
    AccessTokenFormat,
    AuthenticationMethod,
    CertificateName,
    Client,
    ClientChanges,
    ClientSecretBasicAuth,
    ClientSecretPostAuth,
    ClientWithSecret,
    GrantType,
    NoAuth,
    PrivateKeyJwtAuth,
    SelfSignedTlsClientAuth,
    TlsClientAuth,
    TokenExchangePolicy,
)
from countersign.v1 import client_service_pb2 as pb

_COLLECTION = "clients/"


def create_client(
    client_id: str | None, request_id: str, fields: ClientChanges
) -> Operation[ClientWithSecret]:
    def request() -> pb.CreateClientRequest:
        return pb.CreateClientRequest(
            request_id=request_id, client_id=client_id, client=pb.Client(**_to_wire(fields))
        )

    return Operation("clients", "CreateClient", request, _with_secret)


def get_client(client_id: str) -> Operation[Client]:
    return Operation(
        "clients",
        "GetClient",
        lambda: pb.GetClientRequest(name=_COLLECTION + client_id),
        lambda response: _client(response.client),
    )


def list_clients(page_size: int, page_token: str) -> Operation[Page[Client]]:
    def result(response: pb.ListClientsResponse) -> Page[Client]:
        return Page(tuple(_client(client) for client in response.clients), response.next_page_token)

    return Operation(
        "clients",
        "ListClients",
        lambda: pb.ListClientsRequest(page_size=page_size, page_token=page_token),
        result,
    )


def update_client(client_id: str, etag: str | None, changes: ClientChanges) -> Operation[Client]:
    def request() -> pb.UpdateClientRequest:
        values = _to_wire(changes)
        return pb.UpdateClientRequest(
            client=pb.Client(name=_COLLECTION + client_id, etag=etag, **values),
            update_mask=FieldMask(paths=sorted(values)),
        )

    # A second attempt after a first that took effect would meet another etag.
    return Operation(
        "clients", "UpdateClient", request, lambda response: _client(response.client), repeatable=False
    )


def delete_client(client_id: str, etag: str | None) -> Operation[None]:
    # A second attempt after a first that took effect would not find the client.
    return Operation(
        "clients",
        "DeleteClient",
        lambda: pb.DeleteClientRequest(name=_COLLECTION + client_id, etag=etag),
        lambda _: None,
        repeatable=False,
    )


def rotate_client_secret(client_id: str, etag: str | None) -> Operation[ClientWithSecret]:
    # A second attempt generates another secret, which is as good; with an etag it would meet another one.
    return Operation(
        "clients",
        "RotateClientSecret",
        lambda: pb.RotateClientSecretRequest(name=_COLLECTION + client_id, etag=etag),
        _with_secret,
        repeatable=etag is None,
    )


def _with_secret(response: pb.CreateClientResponse | pb.RotateClientSecretResponse) -> ClientWithSecret:
    return ClientWithSecret(_client(response.client), response.client_secret or None)


def _to_wire(fields: ClientChanges) -> dict[str, Any]:
    values = cast("dict[str, Any]", dict(fields))
    if "authentication" in values:
        name, method = _method_to_wire(values.pop("authentication"))
        values[name] = method
    if "grant_types" in values:
        values["grant_types"] = [enum_to_wire(pb.GrantType, each) for each in values["grant_types"]]
    if "token_exchange" in values:
        policy = values["token_exchange"]
        values["token_exchange"] = pb.TokenExchangePolicy(
            impersonation=policy.impersonation, bound_subject_tokens=policy.bound_subject_tokens
        )
    if "access_token_format" in values:
        values["access_token_format"] = enum_to_wire(pb.AccessTokenFormat, values["access_token_format"])
    if "access_token_lifetime" in values:
        values["access_token_lifetime"] = span_to_wire(values["access_token_lifetime"])
    return values


def _method_to_wire(method: AuthenticationMethod) -> tuple[str, Any]:
    match method:
        case TlsClientAuth(kind, value):
            name = {kind.value: value}
            return "tls_client_auth", pb.TlsClientAuth(**name)
        case SelfSignedTlsClientAuth(certificates, jwks_uri):
            message = pb.SelfSignedTlsClientAuth(certificates=certificates, jwks_uri=jwks_uri or "")
            return "self_signed_tls_client_auth", message
        case PrivateKeyJwtAuth(jwks, jwks_uri):
            return "private_key_jwt", pb.PrivateKeyJwtAuth(jwks=jwks, jwks_uri=jwks_uri or "")
        case ClientSecretBasicAuth():
            return "client_secret_basic", pb.ClientSecretBasicAuth()
        case ClientSecretPostAuth():
            return "client_secret_post", pb.ClientSecretPostAuth()
        case NoAuth():
            return "none", pb.NoAuth()


def _method_from_wire(client: pb.Client) -> AuthenticationMethod | None:  # noqa: PLR0911 - one a method.
    match client.WhichOneof("authentication"):
        case "tls_client_auth":
            kind = client.tls_client_auth.WhichOneof("identity")
            if kind is None:  # A kind of name that is newer than this client.
                return None
            return TlsClientAuth(CertificateName(kind), getattr(client.tls_client_auth, kind))
        case "self_signed_tls_client_auth":
            own = client.self_signed_tls_client_auth
            return SelfSignedTlsClientAuth(tuple(own.certificates), own.jwks_uri or None)
        case "private_key_jwt":
            return PrivateKeyJwtAuth(client.private_key_jwt.jwks, client.private_key_jwt.jwks_uri or None)
        case "client_secret_basic":
            return ClientSecretBasicAuth()
        case "client_secret_post":
            return ClientSecretPostAuth()
        case "none":
            return NoAuth()
        case _:
            return None


def _client(client: pb.Client) -> Client:
    lifetime = client.access_token_lifetime
    return Client(
        client_id=client.client_id,
        display_name=client.display_name,
        authentication=_method_from_wire(client),
        grant_types=frozenset(
            enum_from_wire(GrantType, pb.GrantType, number) for number in client.grant_types
        ),
        scopes=frozenset(client.scopes),
        audiences=frozenset(client.audiences),
        default_audience=client.default_audience or None,
        resources=frozenset(client.resources),
        certificate_bound_access_tokens=client.certificate_bound_access_tokens,
        access_token_lifetime=lifetime.ToTimedelta() if client.HasField("access_token_lifetime") else None,
        disabled=client.disabled,
        create_time=required_time_from_wire(client.create_time),
        update_time=required_time_from_wire(client.update_time),
        etag=client.etag,
        dpop_bound_access_tokens=client.dpop_bound_access_tokens,
        redirect_uris=frozenset(client.redirect_uris),
        introspection_signed_response_alg=client.introspection_signed_response_alg,
        token_exchange=TokenExchangePolicy(
            client.token_exchange.impersonation, client.token_exchange.bound_subject_tokens
        ),
        require_pushed_authorization_requests=client.require_pushed_authorization_requests,
        access_token_format=enum_from_wire(
            AccessTokenFormat, pb.AccessTokenFormat, client.access_token_format or pb.ACCESS_TOKEN_FORMAT_JWT
        ),
    )
