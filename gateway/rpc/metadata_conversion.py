"""Server metadata as a typed message; absent members stay empty."""

from countersign.v1 import token_service_pb2

from gateway.tokens.metadata import Endpoints, ServerMetadata


def metadata_message(metadata: ServerMetadata) -> token_service_pb2.ServerMetadata:
    """The message of *metadata*."""
    message = token_service_pb2.ServerMetadata(
        issuer=metadata.issuer,
        jwks_uri=metadata.jwks_uri or "",
        grant_types_supported=metadata.grant_types_supported,
        token_endpoint_auth_methods_supported=metadata.token_endpoint_auth_methods_supported,
        token_endpoint_auth_signing_alg_values_supported=(
            metadata.token_endpoint_auth_signing_alg_values_supported
        ),
        tls_client_certificate_bound_access_tokens=metadata.tls_client_certificate_bound_access_tokens,
        dpop_signing_alg_values_supported=metadata.dpop_signing_alg_values_supported,
    )
    if metadata.endpoints is not None:
        _fill(message, metadata.endpoints)
    if metadata.mtls_endpoint_aliases is not None:
        _fill(message.mtls_endpoint_aliases, metadata.mtls_endpoint_aliases)
    return message


def _fill(
    message: token_service_pb2.ServerMetadata | token_service_pb2.MtlsEndpointAliases, endpoints: Endpoints
) -> None:
    """The endpoints that gRPC clients may want too; an endpoint without a field is in the JSON only."""
    for name, url in endpoints.members().items():
        if name in message.DESCRIPTOR.fields_by_name:
            setattr(message, name, url)
