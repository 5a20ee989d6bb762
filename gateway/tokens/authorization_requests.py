"""Asking a user: pushed authorization requests (RFC 9126), and the code that a login application makes."""

from dataclasses import dataclass
from typing import Final

from gateway.audit.events import CodeIssued
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.errors import AuthorizationError, Reason, RequestError
from gateway.jose import base64url
from gateway.jose.errors import JoseError
from gateway.principal import Call
from gateway.tokens.authorization import Authentication, AuthorizationCode, AuthorizationRequest
from gateway.tokens.client import Client, GrantType
from gateway.tokens.client_authentication import CLIENT_ID_PATTERN, ClientAuthenticator, ClientCredential
from gateway.tokens.grant_ports import CodeRepository, PushedRequestRepository
from gateway.tokens.grants import audience_for, scope_for
from gateway.tokens.login_wishes import max_age_of, prompt_of
from gateway.tokens.opaque import OpaqueKind, digest_of, digest_of_new, new_value
from gateway.tokens.pkce import require_challenge
from gateway.tokens.ports import ClientRepository
from gateway.tokens.redirect_uri import require_registered

MAX_STATE: Final = 2048
MAX_SUBJECT: Final = 255
_MAX_TEXT: Final = 256
_MAX_SKEW: Final = 60  # seconds that the login application's clock may be off
_MAX_AMR: Final = 16
_JKT_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class AuthorizationDraft:
    """An authorization request as it was sent, nothing checked. Empty strings stand for what is absent."""

    redirect_uri: str
    code_challenge: str
    scope: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    dpop_jkt: str = ""
    state: str = ""
    prompt: str = ""
    max_age: str = ""


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """A checked request that waits for its user; *pushed*: digest of its request URI, where it has one."""

    request: AuthorizationRequest
    pushed: bytes | None = None


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """The reference to a pushed request, and for how many seconds it can be used."""

    request_uri: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code, and what the answer to the client's request carries beside it (RFC 6749 §4.1.2, RFC 9207)."""

    code: str
    request: AuthorizationRequest
    issuer: str
    expire_time: float

    def __repr__(self) -> str:
        return f"IssuedCode(client_id={self.request.client_id!r}, code=<redacted>)"


class AuthorizationRequests:
    """Checks requests for authorization, keeps pushed ones, and issues codes."""

    def __init__(
        self,
        *,
        issuer: str,
        clients: ClientRepository,
        authenticator: ClientAuthenticator,
        pushed: PushedRequestRepository,
        codes: CodeRepository,
        code_lifetime: int,
        pushed_lifetime: int,
        clock: Clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*code_lifetime*, *pushed_lifetime*: seconds, at most 60 and 599."""
        self._issuer = issuer
        self._clients = clients
        self._authenticator = authenticator
        self._pushed = pushed
        self._codes = codes
        self._code_lifetime = code_lifetime
        self._pushed_lifetime = pushed_lifetime
        self._clock = clock
        self._trail = trail

    async def push(
        self, call: Call, client_id: str, credential: ClientCredential | None, draft: AuthorizationDraft
    ) -> PushedRequest:
        """Keep a request for the user to come (RFC 9126 §2). A DPoP proof stands for ``dpop_jkt``.

        Raises `AuthenticationError` INVALID_CLIENT, `RequestError` INVALID_DPOP_PROOF, and as `check` does,
        `AvailabilityError`.
        """
        client = await self._authenticator.authenticate(call, client_id, credential)
        request = _checked(client, draft, None if call.proof is None else call.proof.jkt)
        value = new_value(OpaqueKind.REQUEST_URI)
        expire_time = self._clock() + self._pushed_lifetime
        await self._pushed.insert(digest_of_new(value), request, expire_time=expire_time)
        return PushedRequest(value, self._pushed_lifetime)

    async def check(self, client_id: str, draft: AuthorizationDraft) -> AuthorizationRequest:
        """The request that *draft*, which a browser brought, makes; the client is not authenticated by it.

        Raises `AuthorizationError` UNAUTHORIZED_CLIENT, `RequestError` (INVALID_REQUEST, INVALID_SCOPE,
        INVALID_TARGET); where its field is ``client_id`` or ``redirect_uri``, the browser must not be sent
        back.
        """
        client = await self._known(client_id)
        if client.require_pushed_authorization_requests:
            raise RequestError(
                Reason.INVALID_REQUEST, "The client must push its requests (RFC 9126).", field="request_uri"
            )
        return _checked(client, draft, None)

    async def pushed(self, client_id: str, request_uri: str) -> AuthorizationRequest:
        """The pushed request; it stays until a code is made of it.

        Raises `RequestError` INVALID_REQUEST where it is unknown, expired, used, or of another client.
        """
        request, _ = await self._find(client_id, request_uri)
        return request

    async def require_redirect_uri(self, client_id: str, redirect_uri: str) -> None:
        """The browser may be sent to *redirect_uri*, with an error too: it is that of the client.

        Raises `RequestError` INVALID_REQUEST with the field ``client_id`` or ``redirect_uri``.
        """
        client = await self._known(client_id)
        require_registered(redirect_uri, client.redirect_uris)

    async def accept(self, client_id: str, request: AuthorizationDraft | str) -> AcceptedRequest:
        """*request*, or what its request URI stands for, for a user who is yet to log in.

        The request URI stays good until a code is made of it. Raises as `check` and `pushed` do.
        """
        if isinstance(request, str):
            return AcceptedRequest(*await self._find(client_id, request))
        return AcceptedRequest(await self.check(client_id, request))

    async def issue_code(
        self,
        client_id: str,
        request: AuthorizationDraft | str,
        *,
        subject: str,
        authentication: Authentication,
    ) -> IssuedCode:
        """A code for the user *subject*, who was authenticated and agreed, to *request* or its request URI.

        Raises as `check` and `pushed` do, `RequestError` INVALID_FIELD, `AvailabilityError`.
        """
        accepted = await self.accept(client_id, request)
        await self._check_user(subject, authentication, accepted.request.max_age)
        return await self._issue(accepted, subject, authentication)

    async def issue_accepted(
        self, accepted: AcceptedRequest, *, subject: str, authentication: Authentication
    ) -> IssuedCode:
        """A code for a request of `accept`, whose user has logged in meanwhile; as `issue_code`.

        What an administrator took from the client since then it does not get.
        """
        request = accepted.request
        client = await self._known(request.client_id)
        require_registered(request.redirect_uri, client.redirect_uris)
        _require_code_grant(client)
        scope_for(client, request.scope)
        audience_for(client, request.audience)
        await self._check_user(subject, authentication, request.max_age)
        return await self._issue(accepted, subject, authentication)

    async def _issue(
        self, accepted: AcceptedRequest, subject: str, authentication: Authentication
    ) -> IssuedCode:
        value = new_value(OpaqueKind.AUTHORIZATION_CODE)
        expire_time = self._clock() + self._code_lifetime
        code = AuthorizationCode(accepted.request, subject, authentication, expire_time)
        asked = accepted.request
        async with self._trail.around(CodeIssued(asked.client_id, subject, asked.audience, asked.scope)):
            if not await self._codes.insert(digest_of_new(value), code, pushed=accepted.pushed):
                raise _unknown_request_uri()
        return IssuedCode(value, accepted.request, self._issuer, expire_time)

    async def _find(self, client_id: str, request_uri: str) -> tuple[AuthorizationRequest, bytes]:
        await self._known(client_id)
        digest = digest_of(OpaqueKind.REQUEST_URI, request_uri)
        found = None if digest is None else await self._pushed.find(digest, now=self._clock())
        if digest is None or found is None or found.client_id != client_id:
            raise _unknown_request_uri()
        return found, digest

    async def _known(self, client_id: str) -> Client:
        client = await self._clients.get(client_id) if CLIENT_ID_PATTERN.fullmatch(client_id) else None
        if client is None or client.disabled:
            raise RequestError(
                Reason.INVALID_REQUEST, "There is no such client, or it is disabled.", field="client_id"
            )
        return client

    async def _check_user(self, subject: str, authentication: Authentication, max_age: int | None) -> None:
        now = self._clock()
        if not 1 <= len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise _invalid(f"A subject has 1 to {MAX_SUBJECT} printable characters.", "subject")
        if CLIENT_ID_PATTERN.fullmatch(subject) and await self._clients.get(subject) is not None:
            # RFC 9700 §4.15: a resource server could take the user's token for the client's own.
            raise _invalid("A client has this id; a user must not be called the same.", "subject")
        if authentication.time is not None and not 0 <= authentication.time <= now + _MAX_SKEW:
            raise _invalid("The time lies in the future.", "auth_time")
        if max_age is not None and (authentication.time or 0) < now - max_age - _MAX_SKEW:
            # OpenID Connect Core §3.1.2.1: the user has to be authenticated anew.
            raise _invalid("The client asks for a user who was authenticated lately.", "auth_time")
        texts = (authentication.acr or "x", *authentication.amr)
        if len(authentication.amr) > _MAX_AMR or not all(
            1 <= len(text) <= _MAX_TEXT and text.isprintable() for text in texts
        ):
            raise _invalid(f"At most {_MAX_AMR} methods, 1 to {_MAX_TEXT} printable characters.", "amr")


def _checked(client: Client, draft: AuthorizationDraft, proof_jkt: str | None) -> AuthorizationRequest:
    """The redirect URI first: before it is known to be the client's, nobody may be sent there."""
    redirect_uri = require_registered(draft.redirect_uri, client.redirect_uris)
    _require_code_grant(client)
    if len(draft.state) > MAX_STATE:
        raise RequestError(Reason.INVALID_REQUEST, f"At most {MAX_STATE} characters.", field="state")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scope=scope_for(client, draft.scope),
        audience=audience_for(client, draft.resource),
        code_challenge=require_challenge(draft.code_challenge),
        dpop_jkt=_jkt(draft.dpop_jkt, proof_jkt),
        state=draft.state or None,
        prompt=prompt_of(draft.prompt),
        max_age=max_age_of(draft.max_age),
    )


def _require_code_grant(client: Client) -> None:
    if GrantType.AUTHORIZATION_CODE not in client.grant_types:
        raise AuthorizationError(
            Reason.UNAUTHORIZED_CLIENT,
            "The client is not registered for this grant.",
            metadata={"grant_type": GrantType.AUTHORIZATION_CODE.value},
        )


def _jkt(asked: str, proven: str | None) -> str | None:
    if asked and proven is not None and asked != proven:
        # RFC 9449 §10.1.
        raise RequestError(
            Reason.INVALID_REQUEST, "dpop_jkt is not the key of the DPoP proof.", field="dpop_jkt"
        )
    if not asked:
        return proven
    try:
        size = len(base64url.decode(asked))
    except JoseError:
        size = 0
    if size != _JKT_SIZE:
        raise RequestError(
            Reason.INVALID_REQUEST, "dpop_jkt is a SHA-256 thumbprint in base64url.", field="dpop_jkt"
        )
    return asked


def _unknown_request_uri() -> RequestError:
    return RequestError(
        Reason.INVALID_REQUEST,
        "The request URI is unknown, expired, used, or another client's.",
        field="request_uri",
    )


def _invalid(message: str, field: str) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, message, field=field)
