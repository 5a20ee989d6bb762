"""A client's authorization request, its user logged in at the upstream provider, and the code for it."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock
from gateway.errors import AvailabilityError, Reason, RequestError
from gateway.login.errors import SERVER_ERROR, LoginRefusedError, told
from gateway.login.pending import (
    LoginBounds,
    PendingAuthorization,
    PendingLogins,
    TooManyLoginsError,
    digest,
)
from gateway.oidc.authorization import LoginWishes
from gateway.oidc.errors import OidcError
from gateway.oidc.relying_party import RelyingParty
from gateway.tokens.authorization import Authentication, AuthorizationRequest
from gateway.tokens.authorization_requests import AcceptedRequest, AuthorizationRequests, IssuedCode

_BROWSER_BYTES: Final = 32
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and the value by which it will be known when it returns."""

    url: str
    browser: str = field(repr=False)


class DelegatedLogin:
    """Begins and finishes logins. What lies between is in the database: any replica can finish."""

    def __init__(
        self,
        *,
        authorizations: AuthorizationRequests,
        party: RelyingParty,
        pending: PendingLogins,
        issuer: str,
        callback_url: str,
        scopes: tuple[str, ...],
        subject_prefix: str,
        bounds: LoginBounds,
        clock: Clock,
    ) -> None:
        """*issuer*: the provider's. *scopes*: asked for beside ``openid``.

        *subject_prefix* stands before the provider's ``sub``; it has a character that no client id has.
        """
        self.authorizations = authorizations
        self._party = party
        self._pending = pending
        self._issuer = issuer
        self._callback_url = callback_url
        self._scopes = scopes
        self._subject_prefix = subject_prefix
        self._bounds = bounds
        self._clock = clock

    async def begin(self, accepted: AcceptedRequest, browser: str | None) -> Departure:
        """Send the user to the provider.

        *browser* is the value of an earlier `Departure`, where the browser has one: logins in several tabs
        then all come home. Raises `LoginRefusedError`, `AvailabilityError` (OVERLOADED beyond the bounds).
        """
        known = browser if browser is not None and _BROWSER.fullmatch(browser) else None
        value = known or secrets.token_urlsafe(_BROWSER_BYTES)
        try:
            url, login = await self._party.begin(self._callback_url, self._wishes(accepted.request))
        except OidcError as error:
            raise told(error) from error
        try:
            await self._pending.insert(
                digest(login.state),
                digest(value),
                PendingAuthorization(accepted, login),
                bounds=self._bounds,
                now=self._clock(),
            )
        except TooManyLoginsError as error:
            raise AvailabilityError(
                Reason.OVERLOADED, "Too many logins are under way; come again later.", cause=error.cause
            ) from None
        return Departure(url, value)

    async def take(self, state: str, browser: str | None) -> PendingAuthorization:
        """The login that *browser* began and that comes back with *state*; nobody gets it again.

        Raises `RequestError` INVALID_REQUEST where there is none: nobody may be redirected then.
        """
        if browser is None:
            raise _unknown("cookie_missing")
        pending = await self._pending.take(digest(state), digest(browser), now=self._clock())
        if pending is None:
            raise _unknown("login_unknown")
        if pending.login.issuer != self._issuer:
            # The configuration changed meanwhile: a code of one provider never goes to another.
            raise _unknown("login_of_another_issuer")
        asked = pending.accepted.request
        await self.authorizations.require_redirect_uri(asked.client_id, asked.redirect_uri)
        return pending

    async def finish(
        self, pending: PendingAuthorization, parameters: Sequence[tuple[str, str]]
    ) -> IssuedCode:
        """A code for the user whom the provider's answer, *parameters*, proves.

        Raises `LoginRefusedError`, `AvailabilityError`, and as `AuthorizationRequests.issue_accepted` does.
        """
        try:
            login = await self._party.finish(parameters, pending.login)
        except OidcError as error:
            raise told(error) from error
        token = login.id_token
        try:
            return await self.authorizations.issue_accepted(
                pending.accepted,
                subject=self._subject_prefix + token.subject,
                authentication=Authentication(token.authenticate_time, token.acr, token.amr),
            )
        except RequestError as error:
            if error.reason is not Reason.INVALID_FIELD:
                raise
            # What the provider said of its user does not fit our tokens: not the client's mistake.
            raise LoginRefusedError(SERVER_ERROR, cause=f"user_{error.field}") from error

    def _wishes(self, request: AuthorizationRequest) -> LoginWishes:
        parameters = {} if request.prompt is None else {"prompt": request.prompt}
        return LoginWishes(scopes=self._scopes, max_age=request.max_age, parameters=parameters)


def _unknown(cause: str) -> RequestError:
    return RequestError(
        Reason.INVALID_REQUEST,
        "This login is unknown, expired, already finished, or was begun in another browser. Start again.",
        field="state",
        cause=cause,
    )
