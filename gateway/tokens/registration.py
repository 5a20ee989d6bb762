"""Registering OAuth clients (RFC 7591 §2, RFC 8705 §2): what a client may be, checked in one place."""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from gateway.audit.events import ClientCreated, ClientDeleted, ClientSecretRotated, ClientUpdated, Event
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.errors import Reason, RequestError, StateError
from gateway.fetching import FetchError
from gateway.idempotency import IdempotencyKey
from gateway.tokens.client import Client, ClientAuthenticationMethod, GrantType
from gateway.tokens.client_authentication import CLIENT_ID_PATTERN
from gateway.tokens.client_keys import jwks_request_policy
from gateway.tokens.ports import ClientRepository, Page
from gateway.tokens.redirect_uri import is_registrable

_MAX_ENTRIES: Final = 100
_MAX_DISPLAY_NAME: Final = 200
_MAX_IDENTIFIER: Final = 512
_SECRET_BYTES: Final = 32
_ATTEMPTS: Final = 10
# RFC 6749 §3.3: visible ASCII without the quote and the backslash.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
_PUBLIC_GRANTS: Final = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN})
_SECRET_METHODS: Final = frozenset(
    {ClientAuthenticationMethod.CLIENT_SECRET_BASIC, ClientAuthenticationMethod.CLIENT_SECRET_POST}
)
_KEY_METHODS: Final = frozenset(
    {ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH, ClientAuthenticationMethod.PRIVATE_KEY_JWT}
)


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as stored, and its secret where one was generated just now: it is never shown again."""

    client: Client
    secret: str | None

    def __repr__(self) -> str:
        return f"Registered(client={self.client.client_id!r}, secret=<redacted>)"


class ClientRegistrar:
    """Creates, changes and deletes clients, for administrators."""

    def __init__(
        self,
        *,
        clients: ClientRepository,
        max_lifetime: int,
        issuer: str,
        clock: Clock,
        key_hosts: frozenset[str] = frozenset(),
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*max_lifetime*: seconds, the most that a client's tokens may live.

        *key_hosts*: those in networks of the operator's own where clients may publish keys.
        """
        self._clients = clients
        self._max_lifetime = max_lifetime
        self._issuer = issuer
        self._clock = clock
        self._key_hosts = key_hosts
        self._trail = trail

    async def create(self, draft: Client, key: IdempotencyKey | None) -> Registered:
        """Register *draft*, whose id may be empty to have one made; its revision and times are set here.

        A client that authenticates with a secret gets a generated one. Raises `RequestError`
        (INVALID_FIELD, INVALID_CLIENT_METADATA), `StateError` (CLIENT_ALREADY_EXISTS, REQUEST_ID_REUSED).
        """
        now = self._clock()
        client_id = draft.client_id or secrets.token_urlsafe(16)
        if not CLIENT_ID_PATTERN.fullmatch(client_id):
            raise RequestError(
                Reason.INVALID_FIELD, "A client id is 1 to 128 of A-Z a-z 0-9 . _ ~ -", field="client_id"
            )
        secret, secret_hash = _generated(draft.authentication_method)
        client = replace(
            draft,
            client_id=client_id,
            secret_hash=secret_hash,
            revision=1,
            create_time=now,
            update_time=now,
        )
        self._check(client)
        event = ClientCreated(client_id, client.authentication_method.value)
        async with self._trail.around(event) as effect:
            stored, created = await self._clients.create(client, key)
            if not created:
                effect.absent("REPEATED")
        return Registered(stored, secret if created else None)

    async def get(self, client_id: str) -> Client:
        """The client. Raises `StateError` CLIENT_NOT_FOUND."""
        client = await self._clients.get(client_id)
        if client is None:
            raise StateError(Reason.CLIENT_NOT_FOUND, "There is no such client.", field="name")
        return client

    async def list(self, *, after: str | None, limit: int) -> Page:
        """A page of clients, by id."""
        return await self._clients.list(after=after, limit=limit)

    async def update(
        self, client_id: str, change: Callable[[Client], Client], *, expected_revision: int | None
    ) -> Client:
        """Apply *change* to the client as it is, all or nothing, and check the result as for a new one.

        Raises as `create` does, and `StateError` (CLIENT_NOT_FOUND, ETAG_MISMATCH).
        """

        def checked(present: Client) -> Client:
            changed = change(present)
            if changed.authentication_method not in _SECRET_METHODS:
                changed = replace(changed, secret_hash=None)
            self._check(changed)
            return changed

        return await self._replace(
            client_id,
            checked,
            expected_revision,
            lambda changed: ClientUpdated(client_id, changed.revision + 1, changed.disabled),
        )

    async def rotate_secret(self, client_id: str, *, expected_revision: int | None) -> Registered:
        """Give the client a new secret; the old one is refused from now on.

        Raises `RequestError` INVALID_CLIENT_METADATA, `StateError` (CLIENT_NOT_FOUND, ETAG_MISMATCH).
        """
        secret, secret_hash = _new_secret()

        def rotated(present: Client) -> Client:
            if present.authentication_method not in _SECRET_METHODS:
                raise _invalid("The client does not authenticate with a secret.", "name")
            return replace(present, secret_hash=secret_hash)

        stored = await self._replace(
            client_id,
            rotated,
            expected_revision,
            lambda changed: ClientSecretRotated(client_id, changed.revision + 1),
        )
        return Registered(stored, secret)

    async def delete(self, client_id: str, *, expected_revision: int | None) -> None:
        """Delete the client for good. Raises `StateError` (CLIENT_NOT_FOUND, ETAG_MISMATCH)."""
        async with self._trail.around(ClientDeleted(client_id)):
            await self._clients.delete(client_id, expected_revision=expected_revision)

    async def _replace(
        self,
        client_id: str,
        change: Callable[[Client], Client],
        expected_revision: int | None,
        event: Callable[[Client], Event],
    ) -> Client:
        """Store *change* of the client as it is. The revision just read is what the database compares, so
        that two racing changes never mix; without an etag the later is made anew on top of the earlier.
        """
        for attempt in range(_ATTEMPTS):
            present = await self.get(client_id)
            _match(present, expected_revision)
            changed = replace(change(present), update_time=self._clock())
            try:
                async with self._trail.around(event(changed)):
                    return await self._clients.replace(changed, expected_revision=present.revision)
            except StateError as error:
                last = attempt == _ATTEMPTS - 1
                if error.reason is not Reason.ETAG_MISMATCH or expected_revision is not None or last:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _check(self, client: Client) -> None:
        if len(client.display_name) > _MAX_DISPLAY_NAME or not client.display_name.isprintable():
            raise _invalid(f"At most {_MAX_DISPLAY_NAME} printable characters.", "display_name")
        _check_scopes(client)
        _check_identifiers(client.audiences, "audiences")
        _check_identifiers(client.resources, "resources")
        if client.default_audience is not None and client.default_audience not in client.audiences:
            raise _invalid("It must be one of the client's audiences.", "default_audience")
        if self._issuer in client.resources:
            # A client known under the issuer's own identifier could introspect tokens meant for the gateway.
            raise _invalid("The gateway's own issuer identifier cannot be a client's.", "resources")
        if client.certificate_bound_access_tokens and client.dpop_bound_access_tokens:
            raise _invalid(
                "A token is bound to a certificate or to a DPoP key, never to both.",
                "dpop_bound_access_tokens",
            )
        self._check_lifetime(client.access_token_lifetime)
        _check_redirect_uris(client)
        _check_public(client)
        _check_authentication(client, self._key_hosts)

    def _check_lifetime(self, lifetime: timedelta | None) -> None:
        if lifetime is None:
            return
        if lifetime.microseconds or not 1 <= lifetime.total_seconds() <= self._max_lifetime:
            raise _invalid(f"Whole seconds, from 1 to {self._max_lifetime}.", "access_token_lifetime")


def _check_scopes(client: Client) -> None:
    if len(client.scopes) > _MAX_ENTRIES:
        raise _invalid(f"At most {_MAX_ENTRIES}.", "scopes")
    for scope in client.scopes:
        if not _SCOPE.fullmatch(scope):
            raise _invalid("A scope is 1 to 128 visible ASCII characters without quotes.", "scopes")


def _check_identifiers(identifiers: frozenset[str], field: str) -> None:
    if len(identifiers) > _MAX_ENTRIES:
        raise _invalid(f"At most {_MAX_ENTRIES}.", field)
    for identifier in identifiers:
        try:
            parts = urlsplit(identifier)
        except ValueError as error:
            raise _invalid("A resource identifier is an absolute URI.", field) from error
        visible = identifier.isascii() and identifier.isprintable() and " " not in identifier
        if not visible or not parts.scheme or "#" in identifier or len(identifier) > _MAX_IDENTIFIER:
            raise _invalid(
                f"A resource identifier is an absolute ASCII URI without fragment (RFC 8707 §2), at most "
                f"{_MAX_IDENTIFIER} characters.",
                field,
            )


def _check_redirect_uris(client: Client) -> None:
    if len(client.redirect_uris) > _MAX_ENTRIES:
        raise _invalid(f"At most {_MAX_ENTRIES}.", "redirect_uris")
    if not all(is_registrable(uri) for uri in client.redirect_uris):
        raise _invalid(
            "A redirect URI is https, http of the loopback interface, or of a scheme that is a reversed "
            "domain name; absolute and without fragment (RFC 9700 §2.1, RFC 8252 §7).",
            "redirect_uris",
        )
    if GrantType.AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        raise _invalid("The authorization code grant needs one.", "redirect_uris")


def _check_public(client: Client) -> None:
    """Whoever knows its id is a public client: what needs no further proof is not for it."""
    if client.authentication_method is not ClientAuthenticationMethod.NONE:
        return
    if client.grant_types - _PUBLIC_GRANTS:
        raise _invalid("A public client uses codes and refresh tokens only.", "grant_types")
    if client.resources:
        raise _invalid("A public client cannot be a resource server.", "resources")


def _check_authentication(client: Client, key_hosts: frozenset[str]) -> None:
    method = client.authentication_method
    if client.jwks_uri is not None:
        _check_jwks_uri(client, client.jwks_uri, key_hosts)
        return
    if method is ClientAuthenticationMethod.TLS_CLIENT_AUTH:
        if client.identity is None:
            raise _invalid("Register exactly one certificate name (RFC 8705 §2.1.2).", "tls_client_auth")
    elif method is ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH:
        keys = client.jwks.keys if client.jwks is not None else ()
        if not keys or not all(key.x5c for key in keys):
            raise _invalid(
                "Register at least one certificate; every key of a JWK Set must carry one in x5c.",
                "self_signed_tls_client_auth",
            )
    elif method is ClientAuthenticationMethod.PRIVATE_KEY_JWT and (
        client.jwks is None or not client.jwks.keys
    ):
        raise _invalid("Register at least one public key.", "private_key_jwt.jwks")


def _check_jwks_uri(client: Client, uri: str, key_hosts: frozenset[str]) -> None:
    """Only the form: what is published there is looked at when it is needed, and may change."""
    method = client.authentication_method
    if client.jwks is not None:
        raise _invalid("Register either a JWK Set or its URI (RFC 7591 §2).", method.value)
    if method not in _KEY_METHODS:
        raise _invalid("The method uses no keys.", "jwks_uri")
    try:
        jwks_request_policy(uri, key_hosts)
    except FetchError as error:
        raise _invalid(f"The URI cannot be used: {error}.", f"{method.value}.jwks_uri") from error


def _generated(method: ClientAuthenticationMethod) -> tuple[str | None, bytes | None]:
    return _new_secret() if method in _SECRET_METHODS else (None, None)


def _new_secret() -> tuple[str, bytes]:
    """A secret, and the hash that is kept of it."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return secret, hashlib.sha256(secret.encode()).digest()


def _match(client: Client, expected_revision: int | None) -> None:
    if expected_revision is not None and client.revision != expected_revision:
        raise StateError(Reason.ETAG_MISMATCH, "The client has changed since it was read.", field="etag")


def _invalid(message: str, field: str) -> RequestError:
    return RequestError(Reason.INVALID_CLIENT_METADATA, message, field=f"client.{field}")
