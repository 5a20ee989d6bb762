"""The exchange of a code for tokens: the request, how a client proves itself in it, and the answer.

RFC 6749 §4.1.3, §5.1 and §5.2; RFC 7636 §4.5; RFC 7523 §2.2; OpenID Connect Core §3.1.3 and §9.
"""

import base64
import json
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import quote_plus, urlencode

from gateway.fetching import Fetched, FetchRequest
from gateway.jose.errors import JoseError
from gateway.jose.jws import assemble, encode_header, signing_input
from gateway.jose.jwt import Claims
from gateway.jose.strict_json import parse_object
from gateway.oidc.authorization import PendingLogin
from gateway.oidc.errors import AuthorizationResponseError, OidcFault, ProviderError
from gateway.oidc.metadata import ProviderMetadata
from signers import Signer

MAX_TOKEN_RESPONSE: Final = 128 * 1024  # octets
_MAX_TOKEN: Final = 16 * 1024  # characters
_ASSERTION_LIFETIME: Final = 60  # seconds
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}")
_OK: Final = 200
_SERVER_ERRORS: Final = 500
_TOO_MANY_REQUESTS: Final = 429

Form = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ClientProof:
    """How a client proved itself in one request: fields of the header and of the form."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    form: Form = field(default=(), repr=False)


class ClientAuthentication(Protocol):
    """A way for a client to prove itself to a provider (Core §9)."""

    async def prove(self, *, client_id: str, issuer: str, now: float) -> ClientProof:
        """The proof for one request. Raises `signers.SignerError` where a key is needed and fails."""
        ...


@dataclass(frozen=True, slots=True)
class PublicClient:
    """No proof (``none``): PKCE alone binds the code."""

    async def prove(self, *, client_id: str, issuer: str, now: float) -> ClientProof:  # noqa: ARG002 - protocol
        """Names the client."""
        return ClientProof(form=(("client_id", client_id),))


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """``client_secret_basic``: both halves are form-encoded before base64 (RFC 6749 §2.3.1)."""

    secret: str = field(repr=False)

    async def prove(self, *, client_id: str, issuer: str, now: float) -> ClientProof:  # noqa: ARG002 - protocol
        """The Authorization field."""
        pair = f"{quote_plus(client_id)}:{quote_plus(self.secret)}"
        credentials = base64.b64encode(pair.encode("ascii")).decode("ascii")
        return ClientProof(headers=(("Authorization", f"Basic {credentials}"),))


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """``private_key_jwt``: an assertion signed by *signer* (RFC 7523 §2.2), good for a minute and one use.

    Its audience is the issuer, as FAPI 2.0 asks, or *audience* for a provider that insists on another.
    *key_id* is the ``kid`` that the provider knows the key by; None takes the signer's.
    """

    signer: Signer
    key_id: str | None = None
    audience: str | None = None

    async def prove(self, *, client_id: str, issuer: str, now: float) -> ClientProof:
        """The assertion, newly signed."""
        issued = math.floor(now)
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.audience or issuer,
            "jti": secrets.token_urlsafe(24),
            "iat": issued,
            "exp": issued + _ASSERTION_LIFETIME,
        }
        header = encode_header(self.signer.algorithm, self.key_id or self.signer.key_id, "JWT")
        octets = signing_input(header, json.dumps(claims, separators=(",", ":")).encode())
        assertion = assemble(octets, await self.signer.sign(octets))
        form = (
            ("client_id", client_id),
            ("client_assertion_type", _ASSERTION_TYPE),
            ("client_assertion", assertion),
        )
        return ClientProof(form=form)


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """A successful answer (RFC 6749 §5.1). `expires_in` is in seconds, None where not told."""

    access_token: str = field(repr=False)
    token_type: str
    id_token: str = field(repr=False)
    expires_in: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None


def code_exchange_request(
    metadata: ProviderMetadata, pending: PendingLogin, code: str, proof: ClientProof
) -> FetchRequest:
    """The request that exchanges *code*. Raises `ProviderError` with `ENDPOINT_MISSING`."""
    if metadata.token_endpoint is None:
        message = "the provider has no token endpoint"
        raise ProviderError(OidcFault.ENDPOINT_MISSING, message, member="token_endpoint")
    form: Sequence[tuple[str, str]] = (
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", pending.redirect_uri),
        ("code_verifier", pending.code_verifier),
        *proof.form,
    )
    return FetchRequest(
        metadata.token_endpoint,
        method="POST",
        headers=proof.headers,
        body=urlencode(form).encode("ascii"),
        content_type="application/x-www-form-urlencoded",
    )


def read_token_response(fetched: Fetched, *, retry_after: float) -> TokenResponse:
    """The tokens in *fetched*.

    Raises `AuthorizationResponseError`: `CODE_REFUSED`, `CLIENT_REFUSED` (our own credentials are at fault)
    or `TOKEN_RESPONSE_INVALID`; and `ProviderError` with `PROVIDER_STATUS` for 5xx and 429.
    """
    if fetched.status >= _SERVER_ERRORS or fetched.status == _TOO_MANY_REQUESTS:
        message = f"the token endpoint answered {fetched.status}"
        raise ProviderError(OidcFault.PROVIDER_STATUS, message, retry_after=retry_after)
    if fetched.status != _OK:
        raise _error_response(fetched)
    try:
        claims = Claims(parse_object(fetched.body, max_size=MAX_TOKEN_RESPONSE))
        token_type = claims.string("token_type")
        return TokenResponse(
            access_token=claims.string("access_token", max_length=_MAX_TOKEN),
            token_type=token_type,
            id_token=claims.string("id_token", max_length=_MAX_TOKEN),
            expires_in=claims.optional_numeric_date("expires_in"),
            refresh_token=claims.optional_string("refresh_token", max_length=_MAX_TOKEN),
            scope=claims.optional_string("scope"),
        )
    except JoseError as error:
        message = f"the token response was refused as {error.code}"
        raise AuthorizationResponseError(
            OidcFault.TOKEN_RESPONSE_INVALID, message, member=error.member
        ) from error


def _error_response(fetched: Fetched) -> AuthorizationResponseError:
    """RFC 6749 §5.2; an answer that is not of its form is an error without a code."""
    code: str | None = None
    try:
        text = Claims(parse_object(fetched.body, max_size=MAX_TOKEN_RESPONSE)).optional_string("error")
        code = text if text is not None and _ERROR.fullmatch(text) else None
    except JoseError:
        code = None  # A proxy's page, say; the status alone is the answer.
    fault = OidcFault.CLIENT_REFUSED if code == "invalid_client" else OidcFault.CODE_REFUSED
    return AuthorizationResponseError(fault, f"the token endpoint answered {fetched.status}", error=code)
