"""Presentations, for threads."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from countersign._base import WATCHED_AT_MOST
from countersign._blocking import BlockingCaller
from countersign._operations import presentations as calls
from countersign._operations.presentations import PresentationWish
from countersign.presentations import (
    CreatedPresentationRequest,
    PresentationRequest,
    PresentationResponseMode,
    PresentationVerification,
    VerifiedEmployeeQuery,
)


class BlockingPresentations(BlockingCaller):
    """The methods of PresentationService, for callers with the role verifier."""

    def create_presentation_request(
        self,
        verifier: str,
        query: VerifiedEmployeeQuery | Mapping[str, Any] | str,
        *,
        nonce: str = "",
        state_parameter: str = "",
        purpose: str = "",
        client_name: str = "",
        response_uri: str = "",
        response_mode: PresentationResponseMode | None = None,
        lifetime: timedelta | None = None,
        qr_code: bool = False,
        return_uri: str = "",
        timeout: float | None = None,
    ) -> CreatedPresentationRequest:
        """Make a signed request for a wallet, which can be answered once. Not repeated after a failure.

        *verifier* is a configured name. *query* is a `VerifiedEmployeeQuery`, or a presentation definition,
        as JSON or as what becomes JSON.

        - *nonce*, *state_parameter*: 22 to 128 characters of ``[A-Za-z0-9._~-]``, never used before; empty
          for random ones. Whoever knows the latter can answer.
        - *purpose*, *client_name*: what the wallet shows, at most 512 and 128 characters; empty for what is
          configured.
        - *response_uri*: where wallets send their answer, for callers that carry answers themselves; empty
          for the gateway's own endpoint. *response_mode*: None for the configured one.
        - *lifetime*: whole seconds; None for the configured one, which is also the longest.
        - *qr_code*: whether its QR code is wanted.
        - *return_uri*: where a wallet on the same device sends its user once it has answered.

        Raises `InvalidRequestError` INVALID_PRESENTATION_DEFINITION, whose metadata has `fault` and `path`;
        `NotFoundError` VERIFIER_NOT_FOUND; `ConflictError` PRESENTATION_REQUEST_ALREADY_EXISTS for a nonce or
        state that was used before; `UnavailableError` where the signer cannot sign now.
        """
        wish = PresentationWish(
            verifier=verifier,
            query=query,
            nonce=nonce,
            state_parameter=state_parameter,
            purpose=purpose,
            client_name=client_name,
            response_uri=response_uri,
            response_mode=response_mode,
            lifetime=lifetime,
            qr_code=qr_code,
            return_uri=return_uri,
        )
        return self._call(calls.create_presentation_request(wish), timeout)

    def get_presentation_request(self, name: str, *, timeout: float | None = None) -> PresentationRequest:
        """Return a request as it is now, with the checks once it was answered.

        Raises `NotFoundError` PRESENTATION_REQUEST_NOT_FOUND, for another caller's too.
        """
        return self._call(calls.get_presentation_request(name), timeout)

    def watch_presentation_request(
        self, name: str, *, timeout: float = WATCHED_AT_MOST
    ) -> Iterator[PresentationRequest]:
        """Yield a request as it is, and then whenever its state changes; ends after a state that is final.

        The stream is resumed where it breaks off, as often as the client's `RetryPolicy` allows without an
        answer in between; what was yielded before is not yielded again. States that followed each other
        meanwhile are seen as the last of them. *timeout* is in seconds for all of it; without one, longer
        than a request lives. Raises `DeadlineExceededError` after that, and `NotFoundError`
        PRESENTATION_REQUEST_NOT_FOUND.
        """
        operation = calls.watch_presentation_request(name)
        return self._watched(operation, lambda request: request.state.is_final, timeout)

    def get_request_object(self, name: str, *, timeout: float | None = None) -> str:
        """Return the signed request object, for ``application/jwt``, and note that it was fetched.

        For callers that serve it to wallets themselves. Raises `NotFoundError`
        PRESENTATION_REQUEST_NOT_FOUND, `ConflictError` PRESENTATION_REQUEST_CLOSED.
        """
        return self._call(calls.get_request_object(name), timeout)

    def submit_presentation(
        self,
        state_parameter: str,
        *,
        id_token: str = "",
        vp_token: str = "",
        error: str = "",
        timeout: float | None = None,
    ) -> PresentationRequest:
        """Give in a wallet's answer, which uses its request up, and return what came of it. Not repeated.

        *id_token* and *vp_token* are as the wallet sent them, or *error* is. An answer that does not hold is
        no error: its `verification` says why. After a failure `get_presentation_request` tells what became
        of the request. Raises `InvalidRequestError` INVALID_PRESENTATION_RESPONSE for what is no answer at
        all, `NotFoundError` PRESENTATION_REQUEST_NOT_FOUND, `ConflictError` PRESENTATION_REQUEST_CLOSED.
        """
        operation = calls.submit_presentation(state_parameter, id_token, vp_token, error)
        return self._call(operation, timeout)

    def verify_presentation(
        self,
        verifier: str,
        presentation_definition: Mapping[str, Any] | str,
        *,
        nonce: str,
        id_token: str,
        vp_token: str,
        at_time: datetime | None = None,
        timeout: float | None = None,
    ) -> PresentationVerification:
        """Verify an answer to a request that was made by other means. Nothing is stored.

        Whether the *nonce* was used before is for the caller to know. With *at_time*, an aware datetime,
        validity is judged as of then. Raises `InvalidRequestError` INVALID_PRESENTATION_DEFINITION or
        INVALID_PRESENTATION_RESPONSE, `NotFoundError` VERIFIER_NOT_FOUND.
        """
        operation = calls.verify_presentation(
            verifier, presentation_definition, nonce, id_token, vp_token, at_time
        )
        return self._call(operation, timeout)
