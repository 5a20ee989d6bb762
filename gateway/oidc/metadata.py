"""What a provider says about itself (OpenID Connect Discovery 1.0 §3 and §4, RFC 8414, RFC 9207)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.fetching import FetchError, FetchRequest
from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims
from gateway.jose.strict_json import parse_object
from gateway.oidc.errors import OidcFault, ProviderError

MAX_METADATA_SIZE: Final = 64 * 1024  # octets
WELL_KNOWN: Final = "/.well-known/openid-configuration"
_MAX_NAMES: Final = 256

UrlCheck = Callable[[str], object]
"""Refuses a URL that could not be fetched by raising `FetchError`."""


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The members that are acted upon. URLs are as published; every one that is fetched is checked again
    then.

    Absent lists have the default of the specification, or are empty where it names none.
    """

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    id_token_algorithms: frozenset[str] = frozenset()
    token_auth_methods: frozenset[str] = frozenset({"client_secret_basic"})
    code_challenge_methods: frozenset[str] = frozenset()
    claims_parameter_supported: bool = False
    response_iss_parameter_supported: bool = field(default=False)


def discovery_request(issuer: str) -> FetchRequest:
    """The request for the metadata of *issuer* (Discovery §4.1: any final slash of the issuer is dropped)."""
    return FetchRequest(issuer.removesuffix("/") + WELL_KNOWN)


def parse_metadata(data: bytes, *, issuer: str, check_url: UrlCheck) -> ProviderMetadata:
    """The metadata in *data*, which must be about *issuer*, character for character (Discovery §4.3).

    A mismatch would let one provider answer in another's name. Every endpoint must pass *check_url*. Raises
    `ProviderError` with `METADATA_INVALID` or `METADATA_ISSUER_MISMATCH`.
    """
    try:
        members = parse_object(data, max_size=MAX_METADATA_SIZE)
        claims = Claims(members)
        if claims.string("issuer") != issuer:
            message = "the metadata is another issuer's"
            raise ProviderError(OidcFault.METADATA_ISSUER_MISMATCH, message, member="issuer")
        return ProviderMetadata(
            issuer=issuer,
            jwks_uri=_url(claims, "jwks_uri", check_url) or claims.string("jwks_uri"),
            authorization_endpoint=_url(claims, "authorization_endpoint", check_url),
            token_endpoint=_url(claims, "token_endpoint", check_url),
            id_token_algorithms=_names(claims, "id_token_signing_alg_values_supported"),
            token_auth_methods=_names(claims, "token_endpoint_auth_methods_supported")
            or frozenset({"client_secret_basic"}),
            code_challenge_methods=_names(claims, "code_challenge_methods_supported"),
            claims_parameter_supported=_flag(members, "claims_parameter_supported"),
            response_iss_parameter_supported=_flag(members, "authorization_response_iss_parameter_supported"),
        )
    except JoseError as error:
        message = f"the metadata was refused as {error.code}"
        raise ProviderError(OidcFault.METADATA_INVALID, message, member=error.member) from error


def _url(claims: Claims, name: str, check_url: UrlCheck) -> str | None:
    url = claims.optional_string(name)
    if url is None:
        return None
    try:
        check_url(url)
    except FetchError as error:
        message = f"{name} was refused as {error.fault}"
        raise ProviderError(OidcFault.METADATA_INVALID, message, member=name) from error
    return url


def _names(claims: Claims, name: str) -> frozenset[str]:
    return frozenset(claims.strings(name, max_items=_MAX_NAMES)) if name in claims else frozenset()


def _flag(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise ProviderError(OidcFault.METADATA_INVALID, f"{name} is not a boolean", member=name)
    return value
