"""Accounts (RFC 8555 §7.3): made for a key, updated, moved to another key, given up."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.clock import Clock
from gateway.enrollment.external_accounts import ExternalAccounts
from gateway.enrollment.ids import new_id
from gateway.enrollment.model import Account, AccountStatus
from gateway.enrollment.ports import AccountRepository
from gateway.enrollment.provisioners import Provisioner, Provisioners
from gateway.enrollment.signed_requests import FlattenedJws
from gateway.errors import AuthorizationError, Reason, RequestError, StateError
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk, parse_jwk
from gateway.jose.strict_json import parse_object

MAX_CONTACTS: Final = 10
MAX_CONTACT: Final = 256  # characters


@dataclass(frozen=True, slots=True)
class AccountWish:
    """The payload of newAccount (RFC 8555 §7.3)."""

    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    only_return_existing: bool = False
    binding: FlattenedJws | None = None

    @classmethod
    def parse(cls, payload: bytes) -> "AccountWish":
        """Read the payload; members that are not known are ignored. Raises `RequestError` INVALID_FIELD."""
        members = _object(payload)
        return cls(
            contact=contacts(members.get("contact", [])),
            terms_agreed=_flag(members, "termsOfServiceAgreed"),
            only_return_existing=_flag(members, "onlyReturnExisting"),
            binding=_binding(members.get("externalAccountBinding")),
        )


class Accounts:
    """Each method takes an account that its door has established as the caller's."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        provisioners: Provisioners,
        external: ExternalAccounts,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._provisioners = provisioners
        self._external = external
        self._clock = clock

    async def create(
        self, provisioner_name: str, owner: str, key: Jwk, wish: AccountWish, *, url: str
    ) -> tuple[Account, bool]:
        """The account of *key*, which has signed the request to *url*, and whether it is new.

        Raises `StateError` (ENROLLMENT_NOT_FOUND, ACCOUNT_NOT_FOUND), `RequestError` INVALID_FIELD,
        `AuthorizationError` (EXTERNAL_ACCOUNT_REQUIRED, ACCOUNT_UNUSABLE), `AvailabilityError`.
        """
        provisioner = self._provisioners.get(provisioner_name)
        existing = await self._accounts.find(provisioner.name, owner, key.thumbprint)
        if existing is not None:
            return require_usable(existing), False
        if wish.only_return_existing:
            raise StateError(Reason.ACCOUNT_NOT_FOUND, "No account has this key.")
        if provisioner.terms_url is not None and not wish.terms_agreed:
            raise RequestError(
                Reason.INVALID_FIELD,
                "A new account must agree to the terms of service.",
                field="terms_of_service_agreed",
                metadata={"terms_url": provisioner.terms_url},
                cause="terms_not_agreed",
            )
        account = Account(
            account_id=new_id(),
            provisioner=provisioner.name,
            owner=owner,
            key=key,
            status=AccountStatus.VALID,
            contact=wish.contact,
            terms_agreed=wish.terms_agreed,
            external_key_id=await self._binding(provisioner, key, wish, url),
            create_time=self._clock(),
        )
        stored, created = await self._accounts.create(account, now=self._clock())
        return require_usable(stored), created

    async def get(self, account_id: str, *, owner: str) -> Account:
        """*owner*'s account. Raises `StateError` ACCOUNT_NOT_FOUND for any other."""
        account = await self._accounts.get(account_id)
        if account is None or account.owner != owner:
            raise StateError(Reason.ACCOUNT_NOT_FOUND, "There is no such account.", field="name")
        return account

    async def usable(self, account_id: str, *, owner: str, provisioner: str | None = None) -> Account:
        """As `get`, of *provisioner* where given, and valid. Raises `AuthorizationError` ACCOUNT_UNUSABLE."""
        account = await self.get(account_id, owner=owner)
        if provisioner is not None and account.provisioner != provisioner:
            raise StateError(Reason.ACCOUNT_NOT_FOUND, "There is no such account.", field="name")
        return require_usable(account)

    async def update_contact(self, account: Account, contact: Sequence[str]) -> Account:
        """*account* with other contacts (RFC 8555 §7.3.2). Raises `RequestError` INVALID_FIELD."""
        checked = contacts(list(contact))
        return await self._change(account, lambda before: replace(before, contact=checked))

    async def deactivate(self, account: Account) -> Account:
        """Give *account* up for good (RFC 8555 §7.3.6): nothing is issued for it any more."""
        return await self._change(account, lambda before: replace(before, status=AccountStatus.DEACTIVATED))

    async def roll_over(self, account: Account, key: Jwk) -> Account:
        """*account* with another key (RFC 8555 §7.3.5), which has proven itself.

        Raises `StateError` ACCOUNT_KEY_IN_USE; `AuthorizationError` ACCOUNT_UNUSABLE also where the account's
        key was changed meanwhile.
        """

        def step(before: Account) -> Account:
            if before.thumbprint != account.thumbprint:
                raise AuthorizationError(
                    Reason.ACCOUNT_UNUSABLE, "The account has another key by now.", cause="key_changed"
                )
            return replace(before, key=key)

        return await self._change(account, step)

    async def _change(self, account: Account, step: Callable[[Account], Account]) -> Account:
        return await self._accounts.change(account.account_id, lambda before: step(require_usable(before)))

    async def _binding(self, provisioner: Provisioner, key: Jwk, wish: AccountWish, url: str) -> str | None:
        if wish.binding is not None:
            return await self._external.check(
                wish.binding, provisioner=provisioner.name, account_key=key, url=url
            )
        if provisioner.external_account_required:
            raise AuthorizationError(
                Reason.EXTERNAL_ACCOUNT_REQUIRED,
                "New accounts of this provisioner are bound to an external account.",
                cause="binding_missing",
            )
        return None


def require_usable(account: Account) -> Account:
    """*account*, which is valid. Raises `AuthorizationError` ACCOUNT_UNUSABLE."""
    if account.status is not AccountStatus.VALID:
        raise AuthorizationError(
            Reason.ACCOUNT_UNUSABLE,
            "The account is not valid any more.",
            metadata={"status": account.status.value},
        )
    return account


def parse_key_change(payload: bytes) -> tuple[str, Jwk]:
    """The account's name and its old key from a keyChange payload (RFC 8555 §7.3.5).

    Raises `RequestError` INVALID_FIELD.
    """
    members = _object(payload)
    account = members.get("account")
    if not isinstance(account, str):
        raise _malformed("account")
    try:
        return account, parse_jwk(members.get("oldKey"))
    except JoseError as error:
        raise _malformed("oldKey") from error


def contacts(value: object) -> tuple[str, ...]:
    """URIs or mail addresses, at most `MAX_CONTACTS`; they are kept and never used to send anything.

    The walk-through's clients send a bare address. Raises `RequestError` INVALID_FIELD.
    """
    if not isinstance(value, list) or len(value) > MAX_CONTACTS:
        raise _malformed("contact")
    for each in value:
        if not isinstance(each, str) or not 1 <= len(each) <= MAX_CONTACT or not each.isprintable():
            raise _malformed("contact")
    return tuple(value)


def _binding(value: object) -> FlattenedJws | None:
    if value is None:
        return None
    members = ("protected", "payload", "signature")
    if not isinstance(value, dict) or set(value) != set(members):
        raise _malformed("externalAccountBinding")
    if not all(isinstance(value[name], str) for name in members):
        raise _malformed("externalAccountBinding")
    return FlattenedJws(*(value[name] for name in members))


def _object(payload: bytes) -> dict[str, object]:
    try:
        return parse_object(payload)
    except JoseError as error:
        raise RequestError(
            Reason.INVALID_FIELD, "The payload is not a JSON object that is accepted.", field="payload"
        ) from error


def _flag(members: dict[str, object], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise _malformed(name)
    return value


def _malformed(name: str) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, f"{json.dumps(name)} is malformed.", field=name)
