"""Users who authorize clients, at the level of the use cases."""

from dataclasses import replace
from typing import Any

from countersign import Pkce

from gateway.principal import Call
from gateway.proofs.dpop import DpopPolicy, DpopVerifier
from gateway.proofs.target_uri import TargetUri
from gateway.tokens.authorization import Authentication
from gateway.tokens.authorization_requests import AuthorizationDraft
from gateway.tokens.client import Client, ClientAuthenticationMethod, GrantType
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import AuthorizationCodeGrant, RefreshTokenGrant, TokenRequest
from gateway.tokens.mint import MintedToken
from signers import Algorithm
from tests.support.dpop import TARGET, MemoryReplays, Prover
from tests.support.gateway import RESOURCE, OpenedApplication, call_of

REDIRECT = "https://app.example.org/callback"
OTHER = "https://other.example.org"
SECRET = "s3cret"
USER = "alice"
AUTHENTICATION = Authentication(1_700_000_000, "urn:example:gold", ("pwd", "otp"))
PKCE = Pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
"""The verifier of RFC 7636 Appendix B."""
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def web_client(app: OpenedApplication, client_id: str = "web", **changes: Any) -> Client:
    """A confidential client with a secret, whose refresh tokens therefore rotate."""
    import hashlib  # noqa: PLC0415 - once

    values: dict[str, Any] = {
        "authentication_method": ClientAuthenticationMethod.CLIENT_SECRET_BASIC,
        "identity": None,
        "secret_hash": hashlib.sha256(SECRET.encode()).digest(),
        "grant_types": frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN}),
        "redirect_uris": frozenset({REDIRECT}),
        "audiences": frozenset({RESOURCE, OTHER}),
        "default_audience": RESOURCE,
        "certificate_bound_access_tokens": False,
    }
    return await app.register(client_id, **(values | changes))


async def public_client(app: OpenedApplication, client_id: str = "app", **changes: Any) -> Client:
    """A client without credentials."""
    values: dict[str, Any] = {
        "authentication_method": ClientAuthenticationMethod.NONE,
        "secret_hash": None,
    }
    return await web_client(app, client_id, **(values | changes))


def draft(**changes: Any) -> AuthorizationDraft:
    """A good request."""
    return replace(AuthorizationDraft(REDIRECT, CHALLENGE), **changes)


async def code_for(app: OpenedApplication, client_id: str = "web", **changes: Any) -> str:
    """A code that *USER* agreed to."""
    issued = await app.authorizations.issue_code(
        client_id, draft(**changes), subject=USER, authentication=AUTHENTICATION
    )
    return issued.code


def code_request(code: str, **changes: Any) -> TokenRequest:
    """The exchange of *code*; *changes* are of the grant, or `scope` and `resource`."""
    outer = {name: changes.pop(name) for name in ("scope", "resource") if name in changes}
    grant = replace(AuthorizationCodeGrant(code, REDIRECT, PKCE.verifier), **changes)
    return TokenRequest(grant, **outer)


async def redeem(
    app: OpenedApplication, code: str, client_id: str = "web", *, call: Call | None = None, **changes: Any
) -> MintedToken:
    """Exchange *code* as *client_id*, which has the secret, or none where it is ``app``."""
    credential = None if client_id == "app" else ClientSecret(SECRET)
    return await app.minter.mint(call or call_of(), client_id, credential, code_request(code, **changes))


async def refresh(
    app: OpenedApplication,
    token: str,
    client_id: str = "web",
    *,
    call: Call | None = None,
    scope: tuple[str, ...] = (),
    resource: tuple[str, ...] = (),
) -> MintedToken:
    """Use *token* as *client_id*."""
    credential = None if client_id == "app" else ClientSecret(SECRET)
    request = TokenRequest(RefreshTokenGrant(token), scope, resource)
    return await app.minter.mint(call or call_of(), client_id, credential, request)


async def tokens_for(app: OpenedApplication, client_id: str = "web", **changes: Any) -> MintedToken:
    """What a new code gives; its refresh token is there."""
    minted = await redeem(app, await code_for(app, client_id, **changes), client_id)
    assert minted.refresh_token is not None
    return minted


async def is_active(app: OpenedApplication, token: str) -> bool:
    """Whether a resource server sees *token* as active."""
    from gateway.principal import Role  # noqa: PLC0415 - here only

    caller = call_of(roles=[Role.RESOURCE_SERVER], resources=[RESOURCE])
    return await app.introspector.introspect(caller, None, None, token) is not None


def proven_call(prover: Prover) -> Call:
    """A call with a fresh proof of *prover*, as a door hands it on: checked, and not used up."""
    policy = DpopPolicy(algorithms=frozenset(Algorithm), window=60, skew=5)
    iat = 1_900_000_000
    verifier = DpopVerifier(policy=policy, replay=MemoryReplays(), clock=lambda: float(iat))
    proof = verifier.check(prover.proof(), method="POST", targets={TargetUri.parse(TARGET)})
    return replace(call_of(), proof=proof)
