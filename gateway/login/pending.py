"""What is remembered while a user is at the provider, and the port of its keeper."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from gateway.oidc.authorization import PendingLogin
from gateway.tokens.authorization_requests import AcceptedRequest


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """The client's request, and the login that it waits for."""

    accepted: AcceptedRequest
    login: PendingLogin


@dataclass(frozen=True, slots=True)
class LoginBounds:
    """How many logins may be under way: of one client, and in all. Anybody may begin one, as often as he
    likes, so that without them a stranger could fill the database.
    """

    per_client: int
    in_all: int


class TooManyLoginsError(Exception):
    """No more logins may be begun now. `cause` is a stable word for our log: whose are too many."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class PendingLogins(Protocol):
    """Logins under way. `gateway.store` implements it; digests are `digest` of the values.

    Both raise `AvailabilityError` (``STORE_UNAVAILABLE``), and in that case nothing may have changed.
    """

    async def insert(
        self, state: bytes, browser: bytes, pending: PendingAuthorization, *, bounds: LoginBounds, now: float
    ) -> None:
        """Remember *pending* until its login expires, for the browser with that digest.

        *now*: seconds since the epoch. Raises `TooManyLoginsError`; replicas that insert at the same time may
        together pass a bound by as many as they are.
        """
        ...

    async def take(self, state: bytes, browser: bytes, *, now: float) -> PendingAuthorization | None:
        """Forget it and return it, to exactly one caller; None where state and browser do not both fit.

        Another browser's attempt changes nothing. *now*: seconds since the epoch.
        """
        ...


def digest(value: str) -> bytes:
    """What the database keeps of a state or a cookie, 256 random bits each; 32 bytes."""
    return hashlib.sha256(value.encode("utf-8")).digest()
