"""One provisioner's ACME door: its URLs, its responses, and the way from a request to whoever signed it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.edge.acme_problems import problem_response
from gateway.edge.acme_requests import flattened_jws
from gateway.edge.exchange import EdgeRequest
from gateway.enrollment.core import Enrollment
from gateway.enrollment.model import Account
from gateway.enrollment.provisioners import Provisioner
from gateway.enrollment.signed_requests import SignedRequest, accept, parse_signed_request
from gateway.errors import GatewayError, Reason, RequestError, StateError
from gateway.jose.jwk import Jwk

OWNER: Final = ""
"""The owner of accounts made over ACME."""

REPLAY_NONCE: Final = "replay-nonce"
_NO_STORE: Final = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """A request signed by the key of *account*, accepted. *payload* is empty for POST-as-GET."""

    account: Account
    payload: bytes
    url: str

    def require_read(self) -> None:
        """It is POST-as-GET (RFC 8555 §6.3). Raises `RequestError` INVALID_REQUEST."""
        if self.payload:
            raise RequestError(
                Reason.INVALID_REQUEST, "Read this with an empty payload.", cause="payload_not_empty"
            )


@dataclass(frozen=True, slots=True)
class AcmeDoor:
    """What every endpoint of a provisioner works with."""

    enrollment: Enrollment
    provisioner: Provisioner

    @property
    def path(self) -> str:
        """The path that the provisioner's URLs begin with."""
        return urlsplit(self.provisioner.url).path

    def url(self, *parts: str) -> str:
        """The URL of what *parts* name."""
        return "/".join((self.provisioner.url, *parts))

    def account_url(self, account: Account) -> str:
        """The account's URL, which is its ``kid``."""
        return self.url("account", account.account_id)

    def nonce(self) -> str:
        """A fresh nonce for this provisioner's clients; it costs no write."""
        return self.enrollment.nonces.issue(subject=self.provisioner.url)

    def reply(
        self, document: Mapping[str, Any], status: int = 200, *, location: str | None = None
    ) -> Response:
        """A response with a JSON *document*."""
        response = Response(json.dumps(document), status, _NO_STORE, "application/json")
        if location is not None:
            response.headers["location"] = location
        return self.dressed(response)

    def dressed(self, response: Response) -> Response:
        """*response* with what all carry: a nonce and the link to the directory (RFC 8555 §6.5, §7.1)."""
        response.headers[REPLAY_NONCE] = self.nonce()
        response.headers.append("link", f'<{self.url("directory")}>;rel="index"')
        return response

    def refuse(self, told: GatewayError) -> Response:
        """The response for an error, from which a client can go on: with a nonce."""
        response = self.dressed(problem_response(told))
        existing = told.metadata.get("account")
        if told.reason is Reason.ACCOUNT_KEY_IN_USE and existing is not None:
            response.headers["location"] = self.url("account", existing)  # RFC 8555 §7.3.5.
        return response

    async def by_account(self, request: EdgeRequest) -> AccountRequest:
        """The request of an account, which signed it and is valid.

        Raises `HttpError` 415; `RequestError`: INVALID_REQUEST, SIGNED_REQUEST_REFUSED, BAD_PUBLIC_KEY,
        BAD_NONCE; `StateError` ACCOUNT_NOT_FOUND; `AuthorizationError` ACCOUNT_UNUSABLE; `AvailabilityError`.
        """
        return await self.accept_account(request, parse_signed_request(flattened_jws(request)))

    async def accept_account(self, request: EdgeRequest, signed: SignedRequest) -> AccountRequest:
        """As `by_account`, of a request that is parsed already."""
        if signed.key_id is None:
            raise RequestError(
                Reason.SIGNED_REQUEST_REFUSED,
                "The request must name its account as kid.",
                field="signed_request",
                cause="kid_missing",
            )
        prefix = self.url("account", "")
        if not signed.key_id.startswith(prefix):
            raise StateError(Reason.ACCOUNT_NOT_FOUND, "The kid is no account of this provisioner.")
        account = await self.enrollment.accounts.usable(
            signed.key_id.removeprefix(prefix), owner=OWNER, provisioner=self.provisioner.name
        )
        await self.accept(request, signed, account.key)
        return AccountRequest(account, signed.payload, signed.url)

    async def by_key(self, request: EdgeRequest) -> tuple[Jwk, SignedRequest]:
        """The embedded key that signed the request, and the request. Raises as `by_account`."""
        signed = parse_signed_request(flattened_jws(request))
        key = signed.require_jwk()
        await self.accept(request, signed, key)
        return key, signed

    async def accept(self, request: EdgeRequest, signed: SignedRequest, key: Jwk) -> None:
        """*signed* is by *key*, for the URL that it came to, and its nonce is used up."""
        await accept(
            signed,
            key=key,
            url=self.public_url(request),
            nonces=self.enrollment.nonces,
            subject=self.provisioner.url,
        )

    def public_url(self, request: EdgeRequest) -> str:
        """The URL of *request* as its client knows it; what a proxy in front made of it does not count."""
        url = self.provisioner.url + request.path.removeprefix(self.path)
        return f"{url}?{request.query.decode('latin-1')}" if request.query else url
