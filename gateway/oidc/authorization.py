"""The authorization request and its answer: code flow with PKCE, state and nonce, as pure functions.

OpenID Connect Core §3.1.2, RFC 7636, RFC 9207, RFC 9700 §2.1.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from gateway.jose import base64url
from gateway.oidc.errors import AuthorizationResponseError, OidcFault, ProviderError
from gateway.oidc.metadata import ProviderMetadata

LOGIN_LIFETIME: Final = 600  # seconds that a user has to log in
MAX_CODE: Final = 2048  # characters
_MAX_PARAMETERS: Final = 32
_ENTROPY: Final = 32  # octets, 43 characters of base64url: what RFC 7636 §4.1 asks of a verifier at least
_ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}")  # RFC 6749 §4.1.2.1
_VISIBLE: Final = re.compile(r"[\x20-\x7e]+")  # VSCHAR, RFC 6749 appendix A
_OWN_PARAMETERS: Final = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    }
)


@dataclass(frozen=True, slots=True)
class LoginWishes:
    """What is asked for beyond a login.

    - `scopes`: beside ``openid``.
    - `claims`: the ``claims`` request parameter (Core §5.5) as JSON members; None leaves it out.
    - `max_age`: seconds since the user authenticated; the ID token is then checked for it.
    - `acr_values`: acceptable classes of authentication, in order; checked likewise.
    - `parameters`: further parameters, such as ``prompt``, ``login_hint`` and ``ui_locales``.
    """

    scopes: tuple[str, ...] = ()
    claims: Mapping[str, Any] | None = None
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """What must be kept, and kept from others, until the user comes back; used once.

    The keeper ties it to the user's browser and finds it by `state`. `expire_time` is in seconds since the
    epoch.
    """

    issuer: str
    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    expire_time: float
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()


def begin_login(
    metadata: ProviderMetadata, *, client_id: str, redirect_uri: str, wishes: LoginWishes, now: float
) -> tuple[str, PendingLogin]:
    """The URL to send the browser to, and what to keep. *now* is in seconds since the epoch.

    State, nonce and PKCE verifier have 256 random bits each; the challenge method is S256. A query of the
    provider's endpoint is kept (RFC 6749 §3.1). Raises `ProviderError` with `ENDPOINT_MISSING`, or with
    `METADATA_INVALID` where the endpoint's query already names a parameter of ours.
    """
    endpoint = metadata.authorization_endpoint
    if endpoint is None:
        message = "the provider has no authorization endpoint"
        raise ProviderError(OidcFault.ENDPOINT_MISSING, message, member="authorization_endpoint")
    pending = PendingLogin(
        issuer=metadata.issuer,
        redirect_uri=redirect_uri,
        state=secrets.token_urlsafe(_ENTROPY),
        nonce=secrets.token_urlsafe(_ENTROPY),
        code_verifier=secrets.token_urlsafe(_ENTROPY),
        expire_time=now + LOGIN_LIFETIME,
        max_age=wishes.max_age,
        acr_values=wishes.acr_values,
    )
    parameters = _parameters(client_id, pending, wishes)
    path, separator, query = endpoint.partition("?")
    if {name for name, _ in parse_qsl(query, keep_blank_values=True)} & set(parameters):
        message = "the endpoint's query names a parameter of ours"
        raise ProviderError(OidcFault.METADATA_INVALID, message, member="authorization_endpoint")
    return f"{path}?{query}{'&' if separator and query else ''}{urlencode(parameters)}", pending


def code_challenge(verifier: str) -> str:
    """The S256 challenge of *verifier* (RFC 7636 §4.2)."""
    return base64url.encode(hashlib.sha256(verifier.encode("ascii")).digest())


def read_authorization_response(
    parameters: Sequence[tuple[str, str]], pending: PendingLogin, metadata: ProviderMetadata, *, now: float
) -> str:
    """The authorization code in *parameters*, the decoded query of the redirect as pairs.

    The state is compared in constant time, before anything else is believed. ``iss`` must be the issuer where
    it is present, and present where the provider promises it (RFC 9207 §2.4). Raises
    `AuthorizationResponseError`; with `AUTHORIZATION_REFUSED` its `error` is the provider's code.
    """
    values = dict(parameters)
    if len(parameters) > _MAX_PARAMETERS or len(values) != len(parameters):
        raise _refused(OidcFault.RESPONSE_MALFORMED, "a parameter is repeated, or there are too many")
    if not hmac.compare_digest(values.get("state", "").encode(), pending.state.encode()):
        raise _refused(OidcFault.STATE_MISMATCH, "the state is another one", "state")
    if now >= pending.expire_time:
        raise _refused(OidcFault.RESPONSE_EXPIRED, "the login took too long")
    issuer = values.get("iss")
    if issuer is None and metadata.response_iss_parameter_supported:
        raise _refused(OidcFault.RESPONSE_ISSUER_MISMATCH, "the answer names no issuer", "iss")
    if issuer is not None and issuer != pending.issuer:
        raise _refused(OidcFault.RESPONSE_ISSUER_MISMATCH, "the answer is another issuer's", "iss")
    if "error" in values:
        error = values["error"] if _ERROR.fullmatch(values["error"]) else None
        message = "the provider refused"
        raise AuthorizationResponseError(OidcFault.AUTHORIZATION_REFUSED, message, error=error)
    code = values.get("code", "")
    if len(code) > MAX_CODE or not _VISIBLE.fullmatch(code):
        raise _refused(OidcFault.RESPONSE_MALFORMED, "the answer carries no code", "code")
    return code


def _parameters(client_id: str, pending: PendingLogin, wishes: LoginWishes) -> dict[str, str]:
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": pending.redirect_uri,
        "scope": " ".join(dict.fromkeys(("openid", *wishes.scopes))),
        "state": pending.state,
        "nonce": pending.nonce,
        "code_challenge": code_challenge(pending.code_verifier),
        "code_challenge_method": "S256",
    }
    if wishes.claims is not None:
        parameters["claims"] = json.dumps(wishes.claims, separators=(",", ":"))
    if wishes.max_age is not None:
        parameters["max_age"] = str(wishes.max_age)
    if wishes.acr_values:
        parameters["acr_values"] = " ".join(wishes.acr_values)
    taken = wishes.parameters.keys() & (_OWN_PARAMETERS | parameters.keys())
    if taken:
        raise ValueError(f"{', '.join(sorted(taken))}: set by the flow itself")
    return {**parameters, **wishes.parameters}


def _refused(fault: OidcFault, message: str, member: str | None = None) -> AuthorizationResponseError:
    return AuthorizationResponseError(fault, message, member=member)
