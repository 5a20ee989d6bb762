"""The RPCs of TokenService."""

from collections.abc import Collection, Sequence

from countersign._operations.operation import Operation
from countersign._status import error_of_status
from countersign._wire import enum_from_wire, required_time_from_wire, time_from_wire
from countersign.credentials import ClientCredential
from countersign.errors import CountersignError
from countersign.tokens import (
    AccessToken,
    EcPublicKey,
    GrantedTokens,
    JsonWebKey,
    JsonWebKeySet,
    OkpPublicKey,
    PublicKey,
    RsaPublicKey,
    ServerMetadata,
    TokenRequest,
    TokenType,
)
from countersign.v1 import access_token_pb2, client_authentication_pb2
from countersign.v1 import token_service_pb2 as pb


def mint_token(
    client_id: str, credential: ClientCredential | None, scope: Collection[str], resource: Collection[str]
) -> Operation[AccessToken]:
    def request() -> pb.MintTokenRequest:
        return pb.MintTokenRequest(
            client_id=client_id,
            authentication=proof(client_id, credential),
            client_credentials=pb.ClientCredentialsGrant(),
            scope=scope,
            resource=resource,
        )

    return Operation(
        "tokens", "MintToken", request, lambda response: access_token(response.token), takes_proof=True
    )


def redeem_code(
    client_id: str,
    credential: ClientCredential | None,
    code: str,
    redirect_uri: str,
    code_verifier: str,
    scope: Collection[str],
    resource: Collection[str],
) -> Operation[GrantedTokens]:
    def request() -> pb.MintTokenRequest:
        return pb.MintTokenRequest(
            client_id=client_id,
            authentication=proof(client_id, credential),
            authorization_code=pb.AuthorizationCodeGrant(
                code=code, redirect_uri=redirect_uri, code_verifier=code_verifier
            ),
            scope=scope,
            resource=resource,
        )

    # A second attempt after a first that took effect would revoke what the first gave.
    return Operation("tokens", "MintToken", request, _granted, repeatable=False, takes_proof=True)


def refresh_token(
    client_id: str,
    credential: ClientCredential | None,
    token: str,
    scope: Collection[str],
    resource: Collection[str],
) -> Operation[GrantedTokens]:
    def request() -> pb.MintTokenRequest:
        return pb.MintTokenRequest(
            client_id=client_id,
            authentication=proof(client_id, credential),
            refresh_token=pb.RefreshTokenGrant(refresh_token=token),
            scope=scope,
            resource=resource,
        )

    # Within the gateway's grace a second attempt gets the same successor.
    return Operation("tokens", "MintToken", request, _granted, takes_proof=True)


def exchange_token(
    client_id: str,
    credential: ClientCredential | None,
    subject_token: str,
    actor_token: str,
    scope: Collection[str],
    resource: Collection[str],
) -> Operation[AccessToken]:
    def request() -> pb.MintTokenRequest:
        return pb.MintTokenRequest(
            client_id=client_id,
            authentication=proof(client_id, credential),
            token_exchange=pb.TokenExchangeGrant(subject_token=subject_token, actor_token=actor_token),
            scope=scope,
            resource=resource,
        )

    return Operation(
        "tokens", "MintToken", request, lambda response: access_token(response.token), takes_proof=True
    )


def redeem_assertion(
    client_id: str,
    credential: ClientCredential | None,
    assertion: str,
    scope: Collection[str],
    resource: Collection[str],
) -> Operation[AccessToken]:
    def request() -> pb.MintTokenRequest:
        return pb.MintTokenRequest(
            client_id=client_id,
            authentication=proof(client_id, credential),
            jwt_bearer=pb.JwtBearerGrant(assertion=assertion),
            scope=scope,
            resource=resource,
        )

    # An assertion is used once.
    return Operation(
        "tokens",
        "MintToken",
        request,
        lambda response: access_token(response.token),
        repeatable=False,
        takes_proof=True,
    )


def _granted(response: pb.MintTokenResponse) -> GrantedTokens:
    return GrantedTokens(
        access_token(response.token),
        response.refresh_token or None,
        time_from_wire(response, "refresh_token_expire_time"),
    )


def batch_mint_tokens(
    client_id: str, credential: ClientCredential | None, items: Sequence[TokenRequest]
) -> Operation[list[AccessToken | CountersignError]]:
    def request() -> pb.BatchMintTokensRequest:
        return pb.BatchMintTokensRequest(
            client_id=client_id,
            authentication=proof(client_id, credential),
            items=[
                pb.BatchMintTokensItem(
                    client_credentials=pb.ClientCredentialsGrant(), scope=item.scope, resource=item.resource
                )
                for item in items
            ],
        )

    def result(response: pb.BatchMintTokensResponse) -> list[AccessToken | CountersignError]:
        return [
            error_of_status(each.error) if each.WhichOneof("outcome") == "error" else access_token(each.token)
            for each in response.results
        ]

    return Operation("tokens", "BatchMintTokens", request, result, takes_proof=True)


def revoke_token(token: str, client_id: str, credential: ClientCredential | None) -> Operation[None]:
    def request() -> pb.RevokeTokenRequest:
        return pb.RevokeTokenRequest(
            client_id=client_id, authentication=proof(client_id, credential), token=token
        )

    return Operation("tokens", "RevokeToken", request, lambda _: None)


def revoke_token_id(token_id: str) -> Operation[None]:
    return Operation(
        "tokens", "RevokeToken", lambda: pb.RevokeTokenRequest(token_id=token_id), lambda _: None
    )


def get_server_metadata() -> Operation[ServerMetadata]:
    return Operation("tokens", "GetServerMetadata", pb.GetServerMetadataRequest, _server_metadata)


def get_jwks() -> Operation[JsonWebKeySet]:
    def result(response: pb.GetJwksResponse) -> JsonWebKeySet:
        return JsonWebKeySet(
            keys=tuple(JsonWebKey(key.kid, key.alg, key.use, _public_key(key)) for key in response.keys),
            document=response.jwks_json,
            max_age=response.max_age.ToTimedelta(),
        )

    return Operation("tokens", "GetJwks", pb.GetJwksRequest, result)


def proof(
    client_id: str, credential: ClientCredential | None
) -> client_authentication_pb2.ClientAuthentication | None:
    """A fresh proof; None leaves it to the certificate of the connection."""
    return credential.authentication(client_id) if credential is not None else None


def access_token(token: access_token_pb2.AccessToken) -> AccessToken:
    return AccessToken(
        value=token.value,
        token_type=enum_from_wire(TokenType, access_token_pb2.TokenType, token.type),
        issue_time=required_time_from_wire(token.issue_time),
        expire_time=required_time_from_wire(token.expire_time),
        scope=tuple(token.scope),
        token_id=token.token_id,
        audience=tuple(token.audience),
        x5t_s256=token.confirmation.x5t_s256 or None,
        jkt=token.confirmation.jkt or None,
    )


def _public_key(key: pb.JsonWebKey) -> PublicKey | None:
    match key.WhichOneof("public_key"):
        case "ec":
            return EcPublicKey(key.ec.crv, key.ec.x, key.ec.y)
        case "okp":
            return OkpPublicKey(key.okp.crv, key.okp.x)
        case "rsa":
            return RsaPublicKey(key.rsa.n, key.rsa.e)
        case _:
            return None


def _server_metadata(response: pb.GetServerMetadataResponse) -> ServerMetadata:
    metadata = response.metadata
    aliases = {field.name: value for field, value in metadata.mtls_endpoint_aliases.ListFields()}
    return ServerMetadata(
        issuer=metadata.issuer,
        token_endpoint=metadata.token_endpoint,
        introspection_endpoint=metadata.introspection_endpoint,
        revocation_endpoint=metadata.revocation_endpoint,
        jwks_uri=metadata.jwks_uri,
        mtls_endpoint_aliases=aliases,
        scopes_supported=tuple(metadata.scopes_supported),
        grant_types_supported=tuple(metadata.grant_types_supported),
        token_endpoint_auth_methods_supported=tuple(metadata.token_endpoint_auth_methods_supported),
        token_endpoint_auth_signing_alg_values_supported=tuple(
            metadata.token_endpoint_auth_signing_alg_values_supported
        ),
        tls_client_certificate_bound_access_tokens=metadata.tls_client_certificate_bound_access_tokens,
        document=response.metadata_json,
        dpop_signing_alg_values_supported=tuple(metadata.dpop_signing_alg_values_supported),
    )
