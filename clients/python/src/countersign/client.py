# ruff: noqa: ASYNC109 - a gRPC call takes its deadline as an argument and sends it to the server.
"""The client for asyncio."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Unpack

from countersign._audit_aio import AsyncAudit
from countersign._base import new_mutation_id
from countersign._enrollment_aio import AsyncEnrollment
from countersign._operations import authorizations as authorization_calls
from countersign._operations import clients as client_calls
from countersign._operations import introspection as introspection_calls
from countersign._operations import keys as key_calls
from countersign._operations import tokens as token_calls
from countersign._presentations_aio import AsyncPresentations
from countersign.authorizations import AuthorizationCode, AuthorizationRequest, PushedRequest
from countersign.clients import AuthenticationMethod, Client, ClientChanges, ClientFields, ClientWithSecret
from countersign.credentials import ClientCredential
from countersign.errors import CountersignError
from countersign.keys import Key, KeyCheck, KeyPurpose, KeyRotation, KeyState, SignatureAlgorithm
from countersign.tokens import (
    AccessToken,
    GrantedTokens,
    IntrospectedToken,
    JsonWebKeySet,
    RevocationBatch,
    ServerMetadata,
    TokenRequest,
    TokenTypeHint,
)


class GatewayClient(AsyncAudit, AsyncEnrollment, AsyncPresentations):
    """The gateway, for asyncio. Use it as ``async with GatewayClient(...) as client``.

    Every method takes a *timeout* in seconds for all its attempts (None: the client's), and raises a
    `CountersignError`. Methods that are safe to repeat are repeated by the client's `RetryPolicy`; one that
    is not says so. `tokens`, `authorizations`, `introspection`, `keys`, `clients`, `enrollment`,
    `presentations` and `audit` are the bare stubs, without any of that.

    A client belongs to the event loop that opened it; any number of tasks may share it.
    """

    async def mint_token(
        self,
        client_id: str,
        *,
        credential: ClientCredential | None = None,
        scope: Collection[str] = (),
        resource: Collection[str] = (),
        timeout: float | None = None,
    ) -> AccessToken:
        """Mint one access token by the client credentials grant.

        Without a *credential* the client certificate of the connection authenticates the client. An empty
        *scope* asks for all that it is registered for, an empty *resource* for its default audience.
        """
        return await self._call(token_calls.mint_token(client_id, credential, scope, resource), timeout)

    async def redeem_code(
        self,
        client_id: str,
        code: str,
        *,
        redirect_uri: str,
        code_verifier: str,
        credential: ClientCredential | None = None,
        scope: Collection[str] = (),
        resource: Collection[str] = (),
        timeout: float | None = None,
    ) -> GrantedTokens:
        """Exchange an authorization code for tokens, once. Not repeated after a failure.

        *redirect_uri* and *code_verifier* are those of the authorization request; *scope* and *resource* may
        ask for less than was authorized.
        """
        operation = token_calls.redeem_code(
            client_id, credential, code, redirect_uri, code_verifier, scope, resource
        )
        return await self._call(operation, timeout)

    async def refresh_token(
        self,
        client_id: str,
        refresh_token: str,
        *,
        credential: ClientCredential | None = None,
        scope: Collection[str] = (),
        resource: Collection[str] = (),
        timeout: float | None = None,
    ) -> GrantedTokens:
        """Get a new access token, and the refresh token to use from now on.

        A token that was replaced must not be used again: after a few seconds that revokes the whole grant.
        """
        operation = token_calls.refresh_token(client_id, credential, refresh_token, scope, resource)
        return await self._call(operation, timeout)

    async def exchange_token(
        self,
        client_id: str,
        subject_token: str,
        *,
        actor_token: str = "",
        credential: ClientCredential | None = None,
        scope: Collection[str] = (),
        resource: Collection[str] = (),
        timeout: float | None = None,
    ) -> AccessToken:
        """Exchange an access token for one that carries no more, for another resource (RFC 8693)."""
        operation = token_calls.exchange_token(
            client_id, credential, subject_token, actor_token, scope, resource
        )
        return await self._call(operation, timeout)

    async def redeem_assertion(
        self,
        client_id: str,
        assertion: str,
        *,
        credential: ClientCredential | None = None,
        scope: Collection[str] = (),
        resource: Collection[str] = (),
        timeout: float | None = None,
    ) -> AccessToken:
        """Exchange another issuer's assertion for an access token, once (RFC 7523 §2.1). Not repeated."""
        operation = token_calls.redeem_assertion(client_id, credential, assertion, scope, resource)
        return await self._call(operation, timeout)

    async def push_authorization_request(
        self,
        client_id: str,
        request: AuthorizationRequest,
        *,
        credential: ClientCredential | None = None,
        timeout: float | None = None,
    ) -> PushedRequest:
        """Keep an authorization request until its user comes (RFC 9126)."""
        operation = authorization_calls.push_authorization_request(client_id, credential, request)
        return await self._call(operation, timeout)

    async def create_authorization_code(
        self,
        client_id: str,
        request: AuthorizationRequest | str,
        *,
        subject: str,
        auth_time: datetime | None = None,
        acr: str = "",
        amr: Sequence[str] = (),
        timeout: float | None = None,
    ) -> AuthorizationCode:
        """Make a code for a user who was authenticated and agreed; for applications with the role login.

        *request* is what the client asked for, or the request URI of what it pushed.
        """
        operation = authorization_calls.create_authorization_code(
            client_id, request, subject, auth_time, acr, tuple(amr)
        )
        return await self._call(operation, timeout)

    async def batch_mint_tokens(
        self,
        client_id: str,
        items: Sequence[TokenRequest],
        *,
        credential: ClientCredential | None = None,
        timeout: float | None = None,
    ) -> list[AccessToken | CountersignError]:
        """Mint 1 to 1000 access tokens; one result for each item, in order; a failure is its error."""
        return await self._call(token_calls.batch_mint_tokens(client_id, credential, items), timeout)

    async def revoke_token(
        self,
        token: str,
        *,
        client_id: str,
        credential: ClientCredential | None = None,
        timeout: float | None = None,
    ) -> None:
        """Revoke a token of this client (RFC 7009). One that is not valid anyway is success."""
        await self._call(token_calls.revoke_token(token, client_id, credential), timeout)

    async def revoke_token_id(self, token_id: str, *, timeout: float | None = None) -> None:
        """Revoke a token of any client by its `jti`; for administrators."""
        await self._call(token_calls.revoke_token_id(token_id), timeout)

    async def get_server_metadata(self, *, timeout: float | None = None) -> ServerMetadata:
        """Return the authorization server metadata (RFC 8414 §2)."""
        return await self._call(token_calls.get_server_metadata(), timeout)

    async def get_jwks(self, *, timeout: float | None = None) -> JsonWebKeySet:
        """Return the public keys that verify tokens, to be cached for `max_age`."""
        return await self._call(token_calls.get_jwks(), timeout)

    async def introspect_token(
        self,
        token: str,
        *,
        token_type_hint: TokenTypeHint | None = None,
        client_id: str = "",
        credential: ClientCredential | None = None,
        timeout: float | None = None,
    ) -> IntrospectedToken | None:
        """Return what an active token says; None where it is not active for this caller (RFC 7662).

        *client_id* names who asks where it is not the caller of the connection.
        """
        operation = introspection_calls.introspect_token(token, token_type_hint, client_id, credential)
        return await self._call(operation, timeout)

    async def introspect_token_signed(
        self,
        token: str,
        *,
        client_id: str = "",
        credential: ClientCredential | None = None,
        timeout: float | None = None,
    ) -> str:
        """Return the introspection of a token as a signed JWT (RFC 9701), of an inactive one as well."""
        operation = introspection_calls.introspect_token_signed(token, client_id, credential)
        return await self._call(operation, timeout)

    def watch_revocations(self, cursor: str = "") -> AsyncIterator[RevocationBatch]:
        """Yield revocations as they happen, after *cursor* or from all that still matter; never ends.

        The stream is resumed where it ends or breaks off, after a pause of the client's `RetryPolicy` and as
        often as that allows without an answer in between. Keep the cursor of the last batch to resume after a
        restart of your own.
        """
        return self._resumed(introspection_calls.watch_revocations, cursor)

    async def batch_introspect_tokens(
        self,
        tokens: Sequence[str],
        *,
        token_type_hint: TokenTypeHint | None = None,
        client_id: str = "",
        credential: ClientCredential | None = None,
        timeout: float | None = None,
    ) -> list[IntrospectedToken | None]:
        """Introspect 1 to 1000 tokens; one answer for each, in order."""
        operation = introspection_calls.batch_introspect_tokens(
            tokens, token_type_hint, client_id, credential
        )
        return await self._call(operation, timeout)

    def list_keys(
        self,
        *,
        purpose: KeyPurpose | None = None,
        state: KeyState | None = None,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[Key]:
        """Yield the keys, oldest first, page by page; *timeout* is for one page."""
        return self._pages(lambda token: key_calls.list_keys(purpose, state, page_size, token), timeout)

    async def get_key(self, key_id: str, *, timeout: float | None = None) -> Key:
        """Return one key by its thumbprint."""
        return await self._call(key_calls.get_key(key_id), timeout)

    async def create_key(
        self,
        purpose: KeyPurpose,
        algorithm: SignatureAlgorithm,
        *,
        create_uri: str | None = None,
        existing_uri: str | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Key:
        """Generate a key at *create_uri*, or register the one at *existing_uri*, and publish it.

        *request_id*, a UUID, makes a repeated call the same one; None draws one for this call and its
        attempts.
        """
        mutation = new_mutation_id(request_id)
        return await self._call(
            key_calls.create_key(purpose, algorithm, create_uri, existing_uri, mutation), timeout
        )

    async def rotate_key(
        self,
        purpose: KeyPurpose,
        algorithm: SignatureAlgorithm,
        *,
        key_id: str | None = None,
        etag: str | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> KeyRotation:
        """Make the prepared key active; *key_id* chooses among several. *request_id* as in `create_key`."""
        mutation = new_mutation_id(request_id)
        return await self._call(key_calls.rotate_key(purpose, algorithm, key_id, etag, mutation), timeout)

    async def disable_key(self, key_id: str, reason: str, *, timeout: float | None = None) -> Key:
        """Take a compromised key out at once, for good; *reason* goes to the audit log."""
        return await self._call(key_calls.disable_key(key_id, reason), timeout)

    async def check_key(self, key_id: str, *, timeout: float | None = None) -> KeyCheck:
        """Let the key sign a probe. A key that does not work is an outcome, not an error."""
        return await self._call(key_calls.check_key(key_id), timeout)

    async def create_client(
        self,
        client_id: str | None = None,
        *,
        authentication: AuthenticationMethod,
        request_id: str | None = None,
        timeout: float | None = None,
        **fields: Unpack[ClientFields],
    ) -> ClientWithSecret:
        """Register a client; None lets the gateway choose its id. *request_id* as in `create_key`."""
        values: ClientChanges = {"authentication": authentication, **fields}
        return await self._call(
            client_calls.create_client(client_id, new_mutation_id(request_id), values), timeout
        )

    async def get_client(self, client_id: str, *, timeout: float | None = None) -> Client:
        """Return one client."""
        return await self._call(client_calls.get_client(client_id), timeout)

    def list_clients(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Client]:
        """Yield the clients by id, page by page; *timeout* is for one page."""
        return self._pages(lambda token: client_calls.list_clients(page_size, token), timeout)

    async def update_client(
        self,
        client_id: str,
        *,
        etag: str | None = None,
        timeout: float | None = None,
        **changes: Unpack[ClientChanges],
    ) -> Client:
        """Change the fields that are given, all or none. Not repeated after a failure."""
        return await self._call(client_calls.update_client(client_id, etag, changes), timeout)

    async def delete_client(
        self, client_id: str, *, etag: str | None = None, timeout: float | None = None
    ) -> None:
        """Delete a client for good. Not repeated after a failure."""
        await self._call(client_calls.delete_client(client_id, etag), timeout)

    async def rotate_client_secret(
        self, client_id: str, *, etag: str | None = None, timeout: float | None = None
    ) -> ClientWithSecret:
        """Generate a new secret and forget the old one. With an *etag* it is not repeated after a failure."""
        return await self._call(client_calls.rotate_client_secret(client_id, etag), timeout)
