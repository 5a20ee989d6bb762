"""A client as the JSON document that its row holds.

Everything but the client id and the revision, which are columns. Times are microseconds since the epoch, the
secret's hash is base64, a JWK Set is as RFC 7517 writes it with DER certificates in ``x5c``.
"""

import binascii
import json
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

from gateway.jose.errors import JoseError
from gateway.jose.jwk import JwkSet
from gateway.pki.certificate_identity import CertificateIdentity, IdentityKind
from gateway.pki.errors import PkiError
from gateway.store.database import to_microseconds, to_seconds
from gateway.store.failures import StoreCause, unavailable
from gateway.tokens.client import (
    AccessTokenFormat,
    Client,
    ClientAuthenticationMethod,
    GrantType,
    TokenExchangePolicy,
)
from signers import Algorithm

_MICROSECOND = timedelta(microseconds=1)
# The bound was kept when the set was registered; what is stored is read back whatever it is now.
_ANY_NUMBER = 2**31


def to_document(client: Client) -> str:
    """The document of *client*."""
    lifetime = client.access_token_lifetime
    members = {
        "access_token_format": client.access_token_format.value,
        "access_token_lifetime": None if lifetime is None else lifetime // _MICROSECOND,
        "audiences": sorted(client.audiences),
        "authentication_method": client.authentication_method.value,
        "certificate_bound_access_tokens": client.certificate_bound_access_tokens,
        "create_time": to_microseconds(client.create_time),
        "default_audience": client.default_audience,
        "disabled": client.disabled,
        "display_name": client.display_name,
        "dpop_bound_access_tokens": client.dpop_bound_access_tokens,
        "grant_types": sorted(client.grant_types),
        "identity": None if client.identity is None else [client.identity.kind, client.identity.value],
        "introspection_signed_response_algorithm": client.introspection_signed_response_algorithm,
        "jwks": None if client.jwks is None else client.jwks.members(),
        "jwks_uri": client.jwks_uri,
        "redirect_uris": sorted(client.redirect_uris),
        "require_pushed_authorization_requests": client.require_pushed_authorization_requests,
        "resources": sorted(client.resources),
        "scopes": sorted(client.scopes),
        "secret_hash": None if client.secret_hash is None else b64encode(client.secret_hash).decode(),
        "token_exchange": [client.token_exchange.impersonation, client.token_exchange.bound_subject_tokens],
        "update_time": to_microseconds(client.update_time),
    }
    # With ASCII escapes, text that PostgreSQL cannot hold (NUL, a lone surrogate) is held all the same.
    return json.dumps(members, separators=(",", ":"))


def from_document(client_id: str, revision: int, document: str) -> Client:
    """The client that *document* holds; `AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        return _client(client_id, revision, json.loads(document))
    except (KeyError, TypeError, ValueError, binascii.Error, JoseError, PkiError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def own_certificates(document: str) -> list[bytes]:
    """DER of each key's own certificate, the first of its ``x5c``; a fraction of what parsing all costs.

    Raises `AvailabilityError` (``store_corrupt``).
    """
    try:
        jwks = json.loads(document)["jwks"]
        keys = [] if jwks is None else jwks["keys"]
        return [b64decode(key["x5c"][0], validate=True) for key in keys if key.get("x5c")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def _client(client_id: str, revision: int, members: dict[str, Any]) -> Client:
    identity, jwks, secret_hash = members["identity"], members["jwks"], members["secret_hash"]
    lifetime = members["access_token_lifetime"]
    signed = members.get("introspection_signed_response_algorithm")
    return Client(
        client_id=client_id,
        display_name=members["display_name"],
        authentication_method=ClientAuthenticationMethod(members["authentication_method"]),
        identity=None
        if identity is None
        else CertificateIdentity.parse(IdentityKind(identity[0]), identity[1]),
        jwks=None if jwks is None else JwkSet.from_members(jwks, max_keys=_ANY_NUMBER),
        secret_hash=None if secret_hash is None else b64decode(secret_hash, validate=True),
        grant_types=frozenset(GrantType(name) for name in members["grant_types"]),
        scopes=frozenset(members["scopes"]),
        audiences=frozenset(members["audiences"]),
        default_audience=members["default_audience"],
        resources=frozenset(members["resources"]),
        certificate_bound_access_tokens=members["certificate_bound_access_tokens"],
        access_token_lifetime=None if lifetime is None else timedelta(microseconds=lifetime),
        disabled=members["disabled"],
        revision=revision,
        create_time=to_seconds(members["create_time"]),
        update_time=to_seconds(members["update_time"]),
        # Documents of earlier programs hold none of these.
        dpop_bound_access_tokens=members.get("dpop_bound_access_tokens", False),
        redirect_uris=frozenset(members.get("redirect_uris", ())),
        require_pushed_authorization_requests=members.get("require_pushed_authorization_requests", False),
        access_token_format=AccessTokenFormat(members.get("access_token_format", "jwt")),
        token_exchange=TokenExchangePolicy(*members.get("token_exchange", ())),
        introspection_signed_response_algorithm=None if signed is None else Algorithm(signed),
        jwks_uri=members.get("jwks_uri"),
    )
