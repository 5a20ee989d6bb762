"""Requests for presentations: made and signed, given to wallets, and watched until they are answered.

A request is single use: it can be fetched while it is open, since a wallet whose connection broke asks again,
and it is answered once. Against phishing across devices (SIOPv2, Security Considerations) it expires soon,
its ``state`` is in no QR code, and its maker sees each step that a wallet takes.
"""

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from re import compile as pattern
from typing import Final

from gateway.clock import Clock, system_clock
from gateway.errors import Reason, RequestError, StateError
from gateway.jose import base64url
from gateway.keys.model import KeyPurpose
from gateway.presentations.definitions import definition_of, document_of
from gateway.presentations.linkage_errors import LinkageError
from gateway.presentations.origins import parse_origin
from gateway.presentations.own_did import OwnDid
from gateway.presentations.ports import PresentationRequestRepository
from gateway.presentations.request import (
    PresentationRequest,
    RequestRecord,
    RequestStatus,
    RequestWish,
)
from gateway.presentations.request_object import RequestParameters, request_claims, request_type
from gateway.presentations.verifier import Verifier, Verifiers
from gateway.presentations.watches import RequestWatches

_CHOSEN: Final = pattern(r"[A-Za-z0-9._~-]{22,128}")
_ID: Final = pattern(r"[A-Za-z0-9_-]{43}")
_MAX_URI: Final = 2048  # characters
_MAX_PURPOSE: Final = 512  # characters
_MAX_NAME: Final = 128  # characters


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """How requests are made.

    - `request_base`: what a request URI is, without its last part. `response_uri`: where answers go.
    - `lifetime`: seconds for which a request can be answered, at most. `retention`: seconds for which it is
      kept after that.
    """

    request_base: str
    response_uri: str
    lifetime: int
    retention: int


class PresentationRequests:
    """Makes requests and tells what became of them."""

    def __init__(
        self,
        verifiers: Verifiers,
        own_did: OwnDid,
        repository: PresentationRequestRepository,
        watches: RequestWatches,
        settings: RequestSettings,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self._verifiers = verifiers
        self._own_did = own_did
        self._repository = repository
        self._watches = watches
        self._settings = settings
        self.clock = clock

    async def create(self, wish: RequestWish, *, owner: str) -> RequestRecord:
        """Make and sign a request.

        Raises `RequestError` (INVALID_FIELD, INVALID_PRESENTATION_DEFINITION), `StateError`
        (VERIFIER_NOT_FOUND, PRESENTATION_REQUEST_ALREADY_EXISTS), `AvailabilityError`, `SignerError`.
        """
        verifier = self._verifiers.named(wish.verifier, caller=owner)
        definition_of(wish.definition)
        parameters = self._parameters(verifier, wish)
        claims = request_claims(verifier, wish, parameters)
        key = self._own_did.signing_key(KeyPurpose.PRESENTATION_REQUESTS)
        signed = await key.sign(claims, request_type(parameters.response_mode))
        request = PresentationRequest(
            request_id=parameters.request_id,
            owner=owner,
            verifier=verifier.name,
            client_id=verifier.client_id,
            nonce=parameters.nonce,
            state=parameters.state,
            definition=wish.definition,
            response_mode=parameters.response_mode,
            create_time=float(parameters.issued_at),
            expire_time=float(parameters.expires_at),
            request_uri=f"{self._settings.request_base}/{parameters.request_id}",
            request_object=signed,
            return_uri=wish.return_uri,
            response_code="" if wish.return_uri is None else _random(),
        )
        keep_until = request.expire_time + self._settings.retention
        if not await self._repository.insert(request, keep_until=keep_until):
            raise StateError(
                Reason.PRESENTATION_REQUEST_ALREADY_EXISTS, "The nonce or the state was used before."
            )
        return RequestRecord(request, RequestStatus.CREATED, revision=1)

    async def get(self, request_id: str, *, owner: str | None) -> RequestRecord:
        """The request as it is now; with *owner*, only that caller's.

        Raises `StateError` PRESENTATION_REQUEST_NOT_FOUND.
        """
        record = await self._repository.find(request_id) if _ID.fullmatch(request_id) else None
        if record is None or owner not in (None, record.request.owner):
            raise not_found()
        return record

    async def request_object(self, request_id: str, *, owner: str | None = None) -> str:
        """The signed JWT for a wallet; the request counts as fetched from then on.

        With *owner*, only that caller's. Raises `StateError`: PRESENTATION_REQUEST_NOT_FOUND, or
        PRESENTATION_REQUEST_CLOSED where it was answered or has expired.
        """
        if owner is not None:
            await self.get(request_id, owner=owner)
        now = self.clock()
        record = await self._repository.fetch(request_id, now=now) if _ID.fullmatch(request_id) else None
        if record is None:
            raise not_found()
        if record.status(now) is not RequestStatus.FETCHED:
            raise closed(record, now)
        return record.request.request_object

    async def watch(self, request_id: str, *, owner: str) -> AsyncGenerator[RequestRecord, None]:
        """The request as it is, then each time that its state changed; ends after one that is final.

        States that follow each other at once may be seen as the last of them. Raises as `get`.
        """
        shown: RequestStatus | None = None
        with self._watches.watching(request_id) as watch:
            while True:
                watch.before_reading()
                record = await self.get(request_id, owner=owner)
                status = record.status(self.clock())
                if status is not shown:
                    shown = status
                    yield record
                if status.final:
                    return
                await watch.news(record)

    def _parameters(self, verifier: Verifier, wish: RequestWish) -> RequestParameters:
        _require_short(wish.purpose, "purpose", _MAX_PURPOSE)
        _require_short(wish.client_name, "client_name", _MAX_NAME)
        if wish.return_uri is not None:
            _require_own_url(verifier, wish.return_uri, "return_uri")
        lifetime = self._settings.lifetime if wish.lifetime is None else wish.lifetime
        if not 1 <= lifetime <= self._settings.lifetime:
            message = f"A request lives 1 to {self._settings.lifetime} seconds."
            raise RequestError(Reason.INVALID_FIELD, message, field="lifetime")
        now = int(self.clock())
        return RequestParameters(
            request_id=_random(),
            nonce=_chosen(wish.nonce, "nonce"),
            state=_chosen(wish.state, "state_parameter"),
            definition=document_of(wish.definition),
            response_uri=self._response_uri(verifier, wish.response_uri),
            response_mode=wish.response_mode or verifier.response_mode,
            issued_at=now,
            expires_at=now + lifetime,
        )

    def _response_uri(self, verifier: Verifier, wished: str | None) -> str:
        if wished is None:
            return self._settings.response_uri
        _require_own_url(verifier, wished, "response_uri")
        return wished


def not_found() -> StateError:
    """There is no such request, or not for this caller."""
    return StateError(Reason.PRESENTATION_REQUEST_NOT_FOUND, "There is no such presentation request.")


def closed(record: RequestRecord, now: float) -> StateError:
    """The request takes no answer any more."""
    return StateError(
        Reason.PRESENTATION_REQUEST_CLOSED,
        "The presentation request was answered before, or has expired.",
        metadata={"status": record.status(now).value},
    )


def _random() -> str:
    return base64url.encode(secrets.token_bytes(32))


def _chosen(value: str | None, field: str) -> str:
    if value is None:
        return _random()
    if not _CHOSEN.fullmatch(value):
        message = "Choose 22 to 128 characters of [A-Za-z0-9._~-], or leave it empty."
        raise RequestError(Reason.INVALID_FIELD, message, field=field)
    return value


def _require_short(value: str | None, field: str, limit: int) -> None:
    if value is not None and not 1 <= len(value) <= limit:
        raise RequestError(Reason.INVALID_FIELD, f"At most {limit} characters.", field=field)


def _require_own_url(verifier: Verifier, url: str, field: str) -> None:
    """*url* is one that *verifier* may send a wallet to. Raises `RequestError` INVALID_FIELD."""
    origin, slash, _ = url.removeprefix("https://").partition("/")
    try:
        named = str(parse_origin(f"https://{origin}"))
    except LinkageError:
        named = ""
    acceptable = url.startswith("https://") and slash and "#" not in url and len(url) <= _MAX_URI
    if not acceptable or named not in verifier.response_origins:
        message = "Name an https URL, without a fragment, on an origin that is configured for the verifier."
        raise RequestError(Reason.INVALID_FIELD, message, field=field)
