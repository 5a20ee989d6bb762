"""Answers to our requests: each uses its request up, is verified, and leaves its report with the request."""

import logging

from gateway.clock import Clock, system_clock
from gateway.presentations.definitions import definition_of
from gateway.presentations.ports import PresentationRequestRepository
from gateway.presentations.request import PresentationResponse, RequestRecord
from gateway.presentations.requests import closed, not_found
from gateway.presentations.verification import PresentationVerifier, VerificationInput
from gateway.presentations.verifier import Verifiers

logger = logging.getLogger(__name__)


class PresentationSubmissions:
    """Takes answers from wallets, whichever door they come through."""

    def __init__(
        self,
        verifiers: Verifiers,
        repository: PresentationRequestRepository,
        verifier: PresentationVerifier,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self._verifiers = verifiers
        self._repository = repository
        self._verifier = verifier
        self._clock = clock

    async def submit(self, response: PresentationResponse, *, owner: str | None = None) -> RequestRecord:
        """Use up the request that *response* answers, verify it, and write what came of it.

        With *owner*, only that caller's requests are found. An answer that does not hold is no error: the
        record says so, to the verifier as well. Raises `StateError` PRESENTATION_REQUEST_NOT_FOUND or
        PRESENTATION_REQUEST_CLOSED, `AvailabilityError`.
        """
        now = self._clock()
        claimed = await self._repository.claim(response.state, owner=owner, now=now)
        if claimed is None:
            raise not_found()
        record, ours = claimed
        if not ours:
            raise closed(record, now)
        request = record.request
        result = None
        if not response.error:
            asked = VerificationInput(
                verifier=self._verifiers.named(request.verifier, caller=request.owner),
                definition=definition_of(request.definition),
                nonce=request.nonce,
                id_token=response.id_token,
                vp_token=response.vp_token,
                claimed=True,
            )
            result = await self._verifier.verify(asked)
        settled = await self._repository.settle(
            request.request_id, result=result, wallet_error=response.error or None, now=self._clock()
        )
        if settled is None:
            # Verifying took longer than the lease: whoever watches was told that nobody answered in time.
            raise closed(record, self._clock())
        logger.info(
            "A presentation was answered",
            extra={"verifier": request.verifier, "accepted": result is not None and result.accepted},
        )
        return settled
