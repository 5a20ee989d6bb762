"""Between the wire and the rules, for clients."""

import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from countersign.v1 import client_service_pb2
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.errors import Reason, RequestError
from gateway.jose.errors import JoseError
from gateway.jose.jwk import JwkSet, public_jwk
from gateway.pki.certificate_identity import CertificateIdentity, IdentityKind
from gateway.pki.errors import PkiError
from gateway.pki.thumbprints import x5t_s256
from gateway.tokens.client import (
    AccessTokenFormat,
    Client,
    ClientAuthenticationMethod,
    GrantType,
    TokenExchangePolicy,
)
from signers import Algorithm, KeyUnusableError, PublicKey

_Message = client_service_pb2.Client
_MAX_KEYS: Final = 10
_MAX_JWKS: Final = 65_536
_GRANT_TYPES: Final = {
    client_service_pb2.GRANT_TYPE_CLIENT_CREDENTIALS: GrantType.CLIENT_CREDENTIALS,
    client_service_pb2.GRANT_TYPE_AUTHORIZATION_CODE: GrantType.AUTHORIZATION_CODE,
    client_service_pb2.GRANT_TYPE_REFRESH_TOKEN: GrantType.REFRESH_TOKEN,
    client_service_pb2.GRANT_TYPE_TOKEN_EXCHANGE: GrantType.TOKEN_EXCHANGE,
    client_service_pb2.GRANT_TYPE_JWT_BEARER: GrantType.JWT_BEARER,
}
_FORMATS: Final = {
    client_service_pb2.ACCESS_TOKEN_FORMAT_UNSPECIFIED: AccessTokenFormat.JWT,
    client_service_pb2.ACCESS_TOKEN_FORMAT_JWT: AccessTokenFormat.JWT,
    client_service_pb2.ACCESS_TOKEN_FORMAT_OPAQUE: AccessTokenFormat.OPAQUE,
}
_FORMAT_MESSAGES: Final = {format_: message for message, format_ in _FORMATS.items()}
_GRANT_MESSAGES: Final = {grant: message for message, grant in _GRANT_TYPES.items()}
_BLANK: Final = Client(
    client_id="",
    display_name="",
    authentication_method=ClientAuthenticationMethod.PRIVATE_KEY_JWT,
    identity=None,
    jwks=None,
    secret_hash=None,
    grant_types=frozenset(),
    scopes=frozenset(),
    audiences=frozenset(),
    default_audience=None,
    resources=frozenset(),
    certificate_bound_access_tokens=False,
    access_token_lifetime=None,
    disabled=False,
    revision=0,
    create_time=0,
    update_time=0,
)


def new_client(client_id: str, message: _Message) -> Client:
    """The client that CreateClient asks for. Raises `RequestError`."""
    if message.name:
        raise RequestError(
            Reason.INVALID_FIELD, "Leave it empty; client_id names a new client.", field="client.name"
        )
    client = replace(_BLANK, client_id=client_id)
    for change in _CHANGES.values():
        client = change(client, message)
    return client


def changed_client(message: _Message, paths: list[str]) -> Callable[[Client], Client]:
    """What UpdateClient asks for, as a function of the client as it is. Raises `RequestError`."""
    if not paths:
        raise RequestError(Reason.MISSING_FIELD, "Name the fields to change.", field="update_mask")
    changes = []
    for path in paths:
        name = "authentication" if path in _METHODS else path
        if name not in _CHANGES or (name == "authentication" and path == name):
            raise RequestError(
                Reason.INVALID_FIELD, f"There is no such field to change: {path[:64]}.", field="update_mask"
            )
        if name == "authentication" and message.WhichOneof("authentication") != path:
            raise RequestError(Reason.MISSING_FIELD, "The mask names it.", field=f"client.{path}")
        changes.append(_CHANGES[name])

    def apply(client: Client) -> Client:
        for change in changes:
            client = change(client, message)
        return client

    # Parsing happens now, so that a malformed request is refused before the database is asked.
    apply(_BLANK)
    return apply


def client_message(client: Client) -> _Message:
    """A client on the wire, without its secret."""
    message = _Message(
        name=f"clients/{client.client_id}",
        client_id=client.client_id,
        display_name=client.display_name,
        grant_types=sorted(_GRANT_MESSAGES[grant] for grant in client.grant_types),
        scopes=sorted(client.scopes),
        audiences=sorted(client.audiences),
        default_audience=client.default_audience or "",
        resources=sorted(client.resources),
        certificate_bound_access_tokens=client.certificate_bound_access_tokens,
        dpop_bound_access_tokens=client.dpop_bound_access_tokens,
        redirect_uris=sorted(client.redirect_uris),
        require_pushed_authorization_requests=client.require_pushed_authorization_requests,
        access_token_format=_FORMAT_MESSAGES[client.access_token_format],
        token_exchange=_exchange(client),
        introspection_signed_response_alg=client.introspection_signed_response_algorithm or "",
        disabled=client.disabled,
        etag=str(client.revision),
    )
    message.create_time.FromMicroseconds(round(client.create_time * 1_000_000))
    message.update_time.FromMicroseconds(round(client.update_time * 1_000_000))
    if client.access_token_lifetime is not None:
        message.access_token_lifetime.FromTimedelta(client.access_token_lifetime)
    _RENDERERS[client.authentication_method](client, message)
    return message


def _exchange(client: Client) -> client_service_pb2.TokenExchangePolicy | None:
    policy = client.token_exchange
    if policy == TokenExchangePolicy():
        return None
    return client_service_pb2.TokenExchangePolicy(
        impersonation=policy.impersonation, bound_subject_tokens=policy.bound_subject_tokens
    )


def _authentication(client: Client, message: _Message) -> Client:
    method = message.WhichOneof("authentication")
    if method is None:
        raise RequestError(
            Reason.MISSING_FIELD, "Name one way to authenticate.", field="client.authentication"
        )
    identity: CertificateIdentity | None = None
    jwks: JwkSet | None = None
    jwks_uri: str | None = None
    if method == "tls_client_auth":
        identity = _identity(message.tls_client_auth)
    elif method == "self_signed_tls_client_auth":
        jwks_uri = message.self_signed_tls_client_auth.jwks_uri or None
        jwks = _certificates(message.self_signed_tls_client_auth)
    elif method == "private_key_jwt":
        jwks_uri = message.private_key_jwt.jwks_uri or None
        if jwks_uri is None or message.private_key_jwt.jwks:
            # With both, the registration refuses.
            jwks = _jwks(message.private_key_jwt.jwks, "client.private_key_jwt.jwks")
    return replace(
        client, authentication_method=_METHODS[method], identity=identity, jwks=jwks, jwks_uri=jwks_uri
    )


def _identity(message: client_service_pb2.TlsClientAuth) -> CertificateIdentity:
    kind = message.WhichOneof("identity")
    if kind is None:
        raise RequestError(
            Reason.MISSING_FIELD, "Name the certificate (RFC 8705 §2.1.2).", field="client.tls_client_auth"
        )
    try:
        return CertificateIdentity.parse(IdentityKind(kind), getattr(message, kind))
    except PkiError as error:
        raise _invalid(str(error), f"tls_client_auth.{kind}") from error


def _certificates(message: client_service_pb2.SelfSignedTlsClientAuth) -> JwkSet | None:
    field = "self_signed_tls_client_auth"
    if sum(map(bool, (message.certificates, message.jwks, message.jwks_uri))) != 1:
        raise _invalid("Send certificates, a JWK Set, or its URI.", field)
    if message.jwks_uri:
        return None
    if message.jwks:
        return _jwks(message.jwks, f"client.{field}.jwks")
    if len(message.certificates) > _MAX_KEYS:
        raise _invalid(f"At most {_MAX_KEYS} certificates.", field)
    members = {"keys": [_certificate_jwk(der) for der in message.certificates]}
    return _jwks(json.dumps(members), f"client.{field}.certificates")


def _certificate_jwk(der: bytes) -> dict[str, Any]:
    field = "self_signed_tls_client_auth.certificates"
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid("It is not a DER certificate with a key that is known.", field) from error
    if not isinstance(key, PublicKey):
        raise _invalid("Its key is of an unknown kind.", field)
    try:
        members = public_jwk(key, kid=x5t_s256(der))
    except KeyUnusableError as error:
        raise _invalid("Its key is of an unknown kind.", field) from error
    return {**members, "x5c": [binascii.b2a_base64(der, newline=False).decode()]}


def _jwks(text: str, field: str) -> JwkSet:
    if not text:
        raise RequestError(Reason.MISSING_FIELD, "Send the JWK Set.", field=field)
    encoded = text.encode()
    if len(encoded) > _MAX_JWKS:
        raise _invalid(f"At most {_MAX_JWKS} bytes.", field.removeprefix("client."))
    try:
        return JwkSet.parse(encoded, max_keys=_MAX_KEYS)
    except JoseError as error:
        raise _invalid(f"The JWK Set cannot be used: {error}.", field.removeprefix("client.")) from error


def _grant_types(client: Client, message: _Message) -> Client:
    try:
        grants = frozenset(_GRANT_TYPES[grant] for grant in message.grant_types)
    except KeyError as error:
        raise RequestError(
            Reason.INVALID_FIELD, "A grant type is unknown or unspecified.", field="client.grant_types"
        ) from error
    return replace(client, grant_types=grants)


def _signed_response_algorithm(client: Client, message: _Message) -> Client:
    name = message.introspection_signed_response_alg
    try:
        algorithm = Algorithm(name) if name else None
    except ValueError as error:
        raise _invalid("The algorithm is unknown.", "introspection_signed_response_alg") from error
    return replace(client, introspection_signed_response_algorithm=algorithm)


def _format(client: Client, message: _Message) -> Client:
    chosen = _FORMATS.get(message.access_token_format)
    if chosen is None:
        raise RequestError(Reason.INVALID_FIELD, "It is unknown.", field="client.access_token_format")
    return replace(client, access_token_format=chosen)


def _lifetime(client: Client, message: _Message) -> Client:
    if not message.HasField("access_token_lifetime"):
        return replace(client, access_token_lifetime=None)
    duration = message.access_token_lifetime
    if duration.nanos:
        raise _invalid("It is whole seconds.", "access_token_lifetime")
    try:
        lifetime = timedelta(seconds=duration.seconds)
    except OverflowError as error:
        raise _invalid("It is out of range.", "access_token_lifetime") from error
    return replace(client, access_token_lifetime=lifetime)


def _invalid(message: str, field: str) -> RequestError:
    return RequestError(Reason.INVALID_CLIENT_METADATA, message, field=f"client.{field}")


def _render_identity(client: Client, message: _Message) -> None:
    if client.identity is not None:
        setattr(message.tls_client_auth, client.identity.kind.value, client.identity.value)


def _render_certificates(client: Client, message: _Message) -> None:
    message.self_signed_tls_client_auth.SetInParent()
    keys = client.jwks.keys if client.jwks is not None else ()
    message.self_signed_tls_client_auth.certificates.extend(key.x5c[0] for key in keys)
    message.self_signed_tls_client_auth.jwks_uri = client.jwks_uri or ""


def _render_jwks(client: Client, message: _Message) -> None:
    message.private_key_jwt.jwks_uri = client.jwks_uri or ""
    if client.jwks is not None:
        message.private_key_jwt.jwks = json.dumps(client.jwks.members(), separators=(",", ":"))


_METHODS: Final[Mapping[str, ClientAuthenticationMethod]] = {m.value: m for m in ClientAuthenticationMethod}
_CHANGES: Final[Mapping[str, Callable[[Client, _Message], Client]]] = {
    "display_name": lambda client, message: replace(client, display_name=message.display_name),
    "authentication": _authentication,
    "grant_types": _grant_types,
    "scopes": lambda client, message: replace(client, scopes=frozenset(message.scopes)),
    "audiences": lambda client, message: replace(client, audiences=frozenset(message.audiences)),
    "default_audience": lambda client, message: replace(
        client, default_audience=message.default_audience or None
    ),
    "resources": lambda client, message: replace(client, resources=frozenset(message.resources)),
    "certificate_bound_access_tokens": lambda client, message: replace(
        client, certificate_bound_access_tokens=message.certificate_bound_access_tokens
    ),
    "dpop_bound_access_tokens": lambda client, message: replace(
        client, dpop_bound_access_tokens=message.dpop_bound_access_tokens
    ),
    "redirect_uris": lambda client, message: replace(client, redirect_uris=frozenset(message.redirect_uris)),
    "require_pushed_authorization_requests": lambda client, message: replace(
        client, require_pushed_authorization_requests=message.require_pushed_authorization_requests
    ),
    "access_token_format": _format,
    "introspection_signed_response_alg": _signed_response_algorithm,
    "token_exchange": lambda client, message: replace(
        client,
        token_exchange=TokenExchangePolicy(
            message.token_exchange.impersonation, message.token_exchange.bound_subject_tokens
        ),
    ),
    "access_token_lifetime": _lifetime,
    "disabled": lambda client, message: replace(client, disabled=message.disabled),
}
_RENDERERS: Final[Mapping[ClientAuthenticationMethod, Callable[[Client, _Message], None]]] = {
    ClientAuthenticationMethod.TLS_CLIENT_AUTH: _render_identity,
    ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH: _render_certificates,
    ClientAuthenticationMethod.PRIVATE_KEY_JWT: _render_jwks,
    ClientAuthenticationMethod.CLIENT_SECRET_BASIC: lambda _, m: m.client_secret_basic.SetInParent(),
    ClientAuthenticationMethod.CLIENT_SECRET_POST: lambda _, m: m.client_secret_post.SetInParent(),
    ClientAuthenticationMethod.NONE: lambda _, m: m.none.SetInParent(),
}
