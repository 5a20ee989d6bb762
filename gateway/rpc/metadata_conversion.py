"""Server metadata as a typed message; absent members stay empty."""

from countersign.v1 import token_service_pb2

from gateway.tokens.metadata import ServerMetadata


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
        for name, url in metadata.endpoints.members().items():
            setattr(message, name, url)
    if metadata.mtls_endpoint_aliases is not None:
        message.mtls_endpoint_aliases.CopyFrom(
            token_service_pb2.MtlsEndpointAliases(**metadata.mtls_endpoint_aliases.members())
        )
    return message
