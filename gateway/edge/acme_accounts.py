"""Accounts over ACME (RFC 8555 §7.3): new-account, the account itself, its orders, key-change."""

from typing import Final
from urllib.parse import parse_qs

from starlette.responses import Response

from gateway.edge.acme_documents import account_document
from gateway.edge.acme_door import OWNER, AccountRequest, AcmeDoor
from gateway.edge.acme_payloads import parse_account_change, parse_inner_jws
from gateway.edge.exchange import EdgeRequest
from gateway.enrollment.accounts import AccountWish, parse_key_change
from gateway.enrollment.device_proof import same
from gateway.enrollment.model import Account
from gateway.enrollment.signed_requests import parse_signed_request
from gateway.errors import AuthorizationError, GatewayError, Reason, RequestError, StateError
from gateway.jose.jwk import Jwk

PAGE: Final = 50
"""Orders on a page."""
_MAX_PARAMETERS: Final = 8


class NewAccountEndpoint:
    """RFC 8555 §7.3: 201 for a new account, 200 for the one that the key has."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """Make the account, or find it."""
        door = self._door
        key, signed = await door.by_key(request)
        account, created = await door.enrollment.accounts.create(
            door.provisioner.name, OWNER, key, AccountWish.parse(signed.payload), url=signed.url
        )
        return door.reply(
            account_document(door, account), 201 if created else 200, location=door.account_url(account)
        )


class AccountEndpoint:
    """RFC 8555 §7.3.2, §7.3.6: read, change the contacts, deactivate."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The account as it is afterwards."""
        door, accounts = self._door, self._door.enrollment.accounts
        signed = await _own(door, request)
        change = parse_account_change(signed.payload)
        account = signed.account
        if change.contact is not None:
            account = await accounts.update_contact(account, change.contact)
        if change.deactivate:
            account = await accounts.deactivate(account)
        return door.reply(account_document(door, account), location=door.account_url(account))


class AccountOrdersEndpoint:
    """RFC 8555 §7.1.2.1: the account's orders, page by page."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """One page, with a link to the next."""
        door = self._door
        signed = await _own(door, request)
        signed.require_read()
        page, last = await door.enrollment.orders.list_ids(
            signed.account, after=_cursor(request.query), limit=PAGE
        )
        response = door.reply({"orders": [door.url("order", each) for each in page]})
        if last is not None:
            following = f"{door.account_url(signed.account)}/orders?cursor={last}"
            response.headers.append("link", f'<{following}>;rel="next"')
        return response


class KeyChangeEndpoint:
    """RFC 8555 §7.3.5: the old key signs what the new key has signed."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The account, with its new key."""
        door = self._door
        outer = await door.by_account(request)
        inner = parse_signed_request(parse_inner_jws(outer.payload), nonce_required=False)
        key = inner.require_jwk()
        inner.require_url(outer.url)
        inner.require_signature(key)
        named, old_key = parse_key_change(inner.payload)
        if not same(named, door.account_url(outer.account)):
            raise RequestError(
                Reason.INVALID_FIELD, "The account is not the one that signs.", field="account"
            )
        if not same(old_key.thumbprint, outer.account.thumbprint):
            raise RequestError(Reason.INVALID_FIELD, "The old key is not the account's.", field="oldKey")
        try:
            account = await door.enrollment.accounts.roll_over(outer.account, key)
        except StateError as error:
            if error.reason is Reason.ACCOUNT_KEY_IN_USE:
                raise await self._naming_holder(error, key) from error
            raise
        return door.reply(account_document(door, account), location=door.account_url(account))

    async def _naming_holder(self, error: StateError, key: Jwk) -> GatewayError:
        """*error* with the account that has *key*, whose URL is told to whoever holds that key too."""
        try:
            holder, _ = await self._door.enrollment.accounts.create(
                self._door.provisioner.name, OWNER, key, AccountWish(only_return_existing=True), url=""
            )
        except GatewayError:
            return error  # It is gone or deactivated meanwhile: there is nothing to name.
        return StateError(error.reason, error.message, metadata={"account": holder.account_id})


async def _own(door: AcmeDoor, request: EdgeRequest) -> AccountRequest:
    """The request, whose account is the one that its path names."""
    signed = await door.by_account(request)
    _require_self(signed.account, request.parameters["account"])
    return signed


def _require_self(account: Account, named: str) -> None:
    if account.account_id != named:
        raise AuthorizationError(
            Reason.ACCOUNT_UNUSABLE, "The request is signed by another account.", cause="foreign_account"
        )


def _cursor(query: bytes) -> str | None:
    """Raises `RequestError` INVALID_PAGE_TOKEN."""
    try:
        parameters = parse_qs(query.decode("latin-1"), max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise RequestError(
            Reason.INVALID_PAGE_TOKEN, "Follow the link to the next page.", field="cursor"
        ) from error
    return parameters.get("cursor", [None])[0]
